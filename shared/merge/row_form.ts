import type { PairRules } from "./pair.ts";
import type { Projection } from "./projection.ts";

/** A key or a name, in both the forms it is compared in. */
export interface Word {
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** Names of a set that matter, each at its number. */
export interface Names {
  readonly words: readonly Word[];
  /** Which of them the row holds. */
  readonly held: Uint8Array;
}

/** What stands somewhere and matters. Where it is `odd` and holds anything, the row is not what it seems. */
export interface Place {
  readonly kind: "id" | "odd" | "value" | "name" | "inner";
  /** Number of the field. */
  readonly mark: number;
  /** For a name. */
  readonly names: Names | null;
  /** For an object or a list in which something matters. */
  readonly inner: Level | null;
}

interface Member {
  readonly key: Word;
  readonly place: Place;
}

/** An object or a list in which something matters. */
export interface Level {
  /** What is around it; null for a row. */
  readonly outer: Level | null;
  readonly opening: number;
  readonly closing: number;
  /** Of an object: by the length of their keys in bytes, in which most keys differ. */
  readonly members: (Member[] | undefined)[];
  /** Of a list: each of its elements. */
  element: Place | null;
  /** Of a list that stands for a set: its names, and the number of its field. */
  readonly names: Names | null;
  readonly mark: number;
}

const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d] as const;
const encoder = new TextEncoder();

function word(text: string): Word {
  return { text, bytes: encoder.encode(text) };
}

function place(kind: Place["kind"], rest: Partial<Place> = {}): Place {
  return { kind, mark: 0, names: null, inner: null, ...rest };
}

function object(outer: Level | null): Level {
  const [opening, closing] = [OPEN_OBJECT, CLOSE_OBJECT];
  return { outer, opening, closing, members: [], element: null, names: null, mark: 0 };
}

/** @param make Makes the place, given the object it is in. */
function put(
  level: Level,
  [head = "", ...keys]: readonly string[],
  make: (level: Level) => Place,
): void {
  const { members } = level;
  const key = word(head);
  const { length } = key.bytes;
  const known = members[length] ?? [];
  while (members.length <= length) members.push(undefined);
  members[length] = known;
  if (keys.length === 0) {
    known.push({ key, place: make(level) });
    return;
  }
  const found = known.find((other) => other.key.text === head)?.place.inner;
  const inner = found ?? object(level);
  if (inner !== found) known.push({ key, place: place("inner", { inner }) });
  put(inner, keys, make);
}

function set(
  mark: number,
  managed: readonly string[],
  nameKey: string | undefined,
  outer: Level,
): Place {
  const names = { words: managed.map(word), held: new Uint8Array(managed.length) };
  const [opening, closing] = [OPEN_LIST, CLOSE_LIST];
  const list: Level = { outer, opening, closing, members: [], element: null, names, mark };
  const name = place("name", { names });
  list.element = name;
  if (nameKey !== undefined) {
    const inner = object(list);
    put(inner, [nameKey], () => name);
    list.element = place("inner", { inner });
  }
  return place("inner", { inner: list });
}

/** What matters of a pair's rows. */
export function rowFormOf(rules: PairRules, projection: Projection): Level {
  const row = object(null);
  put(row, [projection.id.key], () => place("id"));
  if (projection.oddKey !== null) put(row, [projection.oddKey], () => place("odd"));
  for (const [mark, rule] of Object.values(rules.fields).entries()) {
    const { keys, nameKey } = projection.locate(rule.remote);
    const make = (outer: Level) =>
      rule.kind === "set" ? set(mark, rule.managed, nameKey, outer) : place("value", { mark });
    put(row, keys, make);
  }
  return row;
}
