import {
  brokenJson,
  endOfValue,
  isListAt,
  isListEndAt,
  isObjectAt,
  skipSpace,
} from "./json_bytes.ts";
import type { PairRules } from "./pair.ts";
import type { Print } from "./print.ts";
import type { Projection } from "./projection.ts";

/** A row of the remote's list, as far as its bytes tell; {@linkcode Print} for one that is plain. */
export interface ScannedRow extends Print {
  /** Where it ends. */
  readonly end: number;
  /** Where its id stands, between the quotes. */
  readonly idFrom: number;
  readonly idTo: number;
  /** Whether its print tells all there is to know; without that it has to be looked at in any case. */
  readonly isPlain: boolean;
}

/**
 * Reads a row where it stands among others. What it answers holds until it is
 * called again: an object for each row would be most of what the heap has to take.
 *
 * @throws {SyntaxError} If it is no object, or does not end.
 */
export type Fingerprint = (bytes: Uint8Array, at: number) => ScannedRow;

/** A key or a name, in both the forms it is compared in. */
interface Word {
  readonly text: string;
  readonly bytes: Uint8Array;
}

type Place =
  | { readonly kind: "id" }
  /** Where it holds anything, the row is not what it seems. */
  | { readonly kind: "odd" }
  | { readonly kind: "value"; readonly mark: number }
  | { readonly kind: "set"; readonly set: NameSet }
  | ({ readonly kind: "name" } & Names)
  | { readonly kind: "object"; readonly members: Members };

interface Names {
  /** The names that matter. */
  readonly names: readonly Word[];
  /** Which of them the row holds. */
  readonly held: Uint8Array;
}

interface NameSet extends Names {
  readonly mark: number;
  /** Where an element has its name; null where it is a name itself. */
  readonly element: Members | null;
  /** An element that is a name itself. */
  readonly name: Place;
}

interface Member {
  readonly key: Word;
  readonly place: Place;
}

/** By the length of their keys in bytes, in which most keys differ. */
type Members = (Member[] | undefined)[];

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const CLOSE_OBJECT = 0x7d;
const SPACE = 0x20;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const NULL = encoder.encode("null");

function word(text: string): Word {
  return { text, bytes: encoder.encode(text) };
}

function isAt(bytes: Uint8Array, from: number, to: number, wanted: Uint8Array): boolean {
  const { length } = wanted;
  if (to - from !== length) return false;
  for (let n = 0; n < length; n++) if (bytes[from + n] !== wanted[n]) return false;
  return true;
}

/** The text between two quotes. */
function textAt(bytes: Uint8Array, from: number, to: number): string {
  return JSON.parse(decoder.decode(bytes.subarray(from - 1, to + 1)));
}

function put(members: Members, [head = "", ...keys]: readonly string[], place: Place): void {
  const key = word(head);
  const { length } = key.bytes;
  const known = members[length] ?? [];
  while (members.length <= length) members.push(undefined);
  members[length] = known;
  if (keys.length === 0) {
    known.push({ key, place });
    return;
  }
  const outer = known.find((other) => other.key.text === head)?.place;
  if (outer?.kind === "object") return put(outer.members, keys, place);
  const inner: Members = [];
  known.push({ key, place: { kind: "object", members: inner } });
  put(inner, keys, place);
}

function setPlace(mark: number, managed: readonly string[], nameKey: string | undefined): Place {
  const names = managed.map(word);
  const held = new Uint8Array(names.length);
  const name: Place = { kind: "name", names, held };
  const element: Members | null = nameKey === undefined ? null : [];
  if (nameKey !== undefined && element !== null) put(element, [nameKey], name);
  return { kind: "set", set: { mark, names, held, element, name } };
}

function placesOf(rules: PairRules, projection: Projection): Members {
  const root: Members = [];
  put(root, [projection.id.key], { kind: "id" });
  if (projection.oddKey !== null) put(root, [projection.oddKey], { kind: "odd" });
  for (const [mark, rule] of Object.values(rules.fields).entries()) {
    const { keys, nameKey } = projection.locate(rule.remote);
    const isSet = rule.kind === "set";
    put(root, keys, isSet ? setPlace(mark, rule.managed, nameKey) : { kind: "value", mark });
  }
  return root;
}

/**
 * Reads rows one after the other, and hashes what matters of them by cyrb53 with both
 * halves kept: 64 bits, by Bryc (public domain), made for short texts. It guards
 * against an edit going unseen, not against anybody who wants one to.
 */
class RowScanner implements ScannedRow {
  readonly #root: Members;
  readonly #seed: Uint8Array;
  // A field of a class would be a new object for every number beyond 31 bits.
  readonly #halves = new Int32Array(2);
  #bytes: Uint8Array = new Uint8Array();
  end = 0;
  idFrom = 0;
  idTo = 0;
  isPlain = false;

  constructor(rules: PairRules, projection: Projection) {
    this.#root = placesOf(rules, projection);
    // With pair and id in it, a fingerprint alone tells the record.
    this.#seed = encoder.encode(`${rules.name}:`);
  }

  get high(): number {
    return this.#halves[1] ?? 0;
  }

  get low(): number {
    return this.#halves[0] ?? 0;
  }

  scan(bytes: Uint8Array, at: number): void {
    this.#bytes = bytes;
    this.idFrom = 0;
    this.isPlain = true;
    this.#halves[0] = 0xdeadbeef;
    this.#halves[1] = 0x41c6ce57;
    this.#add(this.#seed, 0, this.#seed.length);
    if (!isObjectAt(bytes, at)) throw brokenJson();
    this.end = this.#members(this.#root, at);
    this.isPlain &&= this.idFrom > 0;
    this.#finish();
  }

  #add(bytes: Uint8Array, from: number, to: number): void {
    let one = this.#halves[0] ?? 0;
    let two = this.#halves[1] ?? 0;
    for (let at = from; at < to; at++) {
      const byte = bytes[at] ?? 0;
      one = Math.imul(one ^ byte, 2654435761);
      two = Math.imul(two ^ byte, 1597334677);
    }
    this.#halves[0] = one;
    this.#halves[1] = two;
  }

  /** Adds a number that is no byte, and so no part of any value. */
  #mark(place: number): void {
    this.#halves[0] = Math.imul((this.#halves[0] ?? 0) ^ (place + 256), 2654435761);
    this.#halves[1] = Math.imul((this.#halves[1] ?? 0) ^ (place + 256), 1597334677);
  }

  #finish(): void {
    let one = this.#halves[0] ?? 0;
    let two = this.#halves[1] ?? 0;
    one = Math.imul(one ^ (one >>> 16), 2246822507) ^ Math.imul(two ^ (two >>> 13), 3266489909);
    two = Math.imul(two ^ (two >>> 16), 2246822507) ^ Math.imul(one ^ (one >>> 13), 3266489909);
    this.#halves[0] = one;
    this.#halves[1] = two;
  }

  // One loop without calls for the keys that nobody asked for, which are most: with a
  // function for every member, scanning took twice as long as parsing.
  #members(members: Members, at: number): number {
    const bytes = this.#bytes;
    const { length } = bytes;
    let next = at + 1;
    for (let isFirst = true;; isFirst = false) {
      if ((bytes[next] ?? 0) <= SPACE) next = skipSpace(bytes, next);
      if (isFirst && bytes[next] === CLOSE_OBJECT) return next + 1;
      if (bytes[next] !== QUOTE) throw brokenJson();
      const from = ++next;
      let isEscaped = false;
      for (; next < length && bytes[next] !== QUOTE; next++) {
        if (bytes[next] !== BACKSLASH) continue;
        isEscaped = true;
        next++;
      }
      const ofLength = isEscaped ? undefined : members[next - from];
      const place = isEscaped
        ? placeOf(members, textAt(bytes, from, next))
        : ofLength === undefined
        ? null
        : placeAmong(ofLength, bytes, from, next);
      if (bytes[++next] !== COLON) next = skipSpace(bytes, next);
      if (bytes[next] !== COLON) throw brokenJson();
      if ((bytes[++next] ?? 0) <= SPACE) next = skipSpace(bytes, next);
      next = place === null ? endOfValue(bytes, next) : this.#take(place, next);
      if ((bytes[next] ?? 0) <= SPACE) next = skipSpace(bytes, next);
      if (bytes[next] === CLOSE_OBJECT) return next + 1;
      if (bytes[next] !== COMMA) throw brokenJson();
      next++;
    }
  }

  #take(place: Place, at: number): number {
    const bytes = this.#bytes;
    const isObject = isObjectAt(bytes, at);
    if (place.kind === "object" && isObject) return this.#members(place.members, at);
    if (place.kind === "set" && isListAt(bytes, at)) return this.#names(place.set, at);
    const end = endOfValue(bytes, at);
    const isText = bytes[at] === QUOTE;
    if (place.kind === "value" && !isObject && !isListAt(bytes, at)) {
      this.#mark(place.mark);
      this.#add(bytes, at, end);
    } else if (place.kind === "name" && isText) hold(place, bytes, at + 1, end - 1);
    else if (place.kind === "id" && isText) {
      this.idFrom = at + 1;
      this.idTo = end - 1;
      // Only as it stands can it be told from the bytes alone.
      if (isEscapedAt(bytes, at + 1, end - 1)) this.isPlain = false;
      this.#add(bytes, at, end);
    } else if (place.kind === "odd") this.isPlain &&= isAt(bytes, at, end, NULL);
    else this.isPlain = false;
    return end;
  }

  #names({ mark, held, element, name }: NameSet, at: number): number {
    const bytes = this.#bytes;
    held.fill(0);
    let next = skipSpace(bytes, at + 1);
    for (let isFirst = true;; isFirst = false) {
      if (isFirst && isListEndAt(bytes, next)) break;
      if (element === null) next = this.#take(name, next);
      else if (isObjectAt(bytes, next)) next = this.#members(element, next);
      else {
        this.isPlain = false;
        next = endOfValue(bytes, next);
      }
      if ((bytes[next] ?? 0) <= SPACE) next = skipSpace(bytes, next);
      if (isListEndAt(bytes, next)) break;
      if (bytes[next] !== COMMA) throw brokenJson();
      if ((bytes[++next] ?? 0) <= SPACE) next = skipSpace(bytes, next);
    }
    this.#mark(mark);
    for (let n = 0; n < held.length; n++) this.#mark(held[n] ?? 0);
    return next + 1;
  }
}

function isEscapedAt(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] === BACKSLASH) return true;
  return false;
}

/** What is wanted of a member; null where nothing is. */
function placeAmong(
  members: readonly Member[],
  bytes: Uint8Array,
  from: number,
  to: number,
): Place | null {
  for (let n = 0; n < members.length; n++) {
    const member = members[n];
    if (member !== undefined && isAt(bytes, from, to, member.key.bytes)) return member.place;
  }
  return null;
}

function placeOf(members: Members, key: string): Place | null {
  for (const member of members.flatMap((some) => some ?? [])) {
    if (member.key.text === key) return member.place;
  }
  return null;
}

/** Notes a name of a set, if it is one that matters. */
function hold({ names, held }: Names, bytes: Uint8Array, from: number, to: number): void {
  const text = isEscapedAt(bytes, from, to) ? textAt(bytes, from, to) : null;
  for (let n = 0; n < names.length; n++) {
    const name = names[n];
    if (name === undefined) break;
    if (text === null ? isAt(bytes, from, to, name.bytes) : text === name.text) held[n] = 1;
  }
}

/**
 * Makes a function that gives a row of the remote's own JSON a fingerprint: a hash
 * of its id and its mapped values as they stand. Equal fingerprints mean that nothing mapped
 * was edited; different ones mean no more than that the row has to be looked at.
 *
 * It reads the bytes as they came. So nearly every row of a list is neither made an
 * object, nor checked, nor brought into canonical form, and leaves nothing for the
 * garbage collector: of the objects of long lists, the heap grew and stayed large.
 */
export function fingerprintOf(rules: PairRules, projection: Projection): Fingerprint {
  const scanner = new RowScanner(rules, projection);
  return (bytes, at) => {
    scanner.scan(bytes, at);
    return scanner;
  };
}
