import {
  brokenJson,
  endOfValue,
  forEachElement,
  isListAt,
  isObjectAt,
  skipSpace,
} from "./json_bytes.ts";
import type { PairRules } from "./pair.ts";
import type { Print } from "./print.ts";
import type { Projection } from "./projection.ts";

/** A row of the remote's list, as far as its bytes tell. */
export interface ScannedRow {
  /** Where it ends. */
  readonly end: number;
  /** null where it has none that is a plain string. */
  readonly id: string | null;
  /** Whether it is not what it seems: deleted, say. */
  readonly isOdd: boolean;
  /** null for a row that has to be looked at in any case. */
  readonly print: Print | null;
}

/**
 * Reads a row where it stands among others.
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
  | { readonly kind: "name"; readonly set: NameSet }
  | { readonly kind: "object"; readonly members: Member[] };

interface NameSet {
  readonly mark: number;
  /** The names that matter. */
  readonly names: readonly Word[];
  /** Which of them the row holds. */
  readonly held: Uint8Array;
  /** Where an element has its name; null where it is a name itself. */
  readonly element: Member[] | null;
}

interface Member {
  readonly key: Word;
  readonly place: Place;
}

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
  const text = bytes.subarray(from, to);
  for (const byte of text) {
    if (byte === BACKSLASH || byte >= 0x80) {
      return JSON.parse(decoder.decode(bytes.subarray(from - 1, to + 1)));
    }
  }
  return String.fromCharCode(...text);
}

function put(members: Member[], [head = "", ...keys]: readonly string[], place: Place): void {
  const key = word(head);
  if (keys.length === 0) {
    members.push({ key, place });
    return;
  }
  const known = members.find((other) => other.key.text === head)?.place;
  if (known?.kind === "object") return put(known.members, keys, place);
  const inner: Member[] = [];
  members.push({ key, place: { kind: "object", members: inner } });
  put(inner, keys, place);
}

function setPlace(mark: number, managed: readonly string[], nameKey: string | undefined): Place {
  const names = managed.map(word);
  const element: Member[] | null = nameKey === undefined ? null : [];
  const set: NameSet = { mark, names, held: new Uint8Array(names.length), element };
  if (nameKey !== undefined) element?.push({ key: word(nameKey), place: { kind: "name", set } });
  return { kind: "set", set };
}

function placesOf(rules: PairRules, projection: Projection): Member[] {
  const root: Member[] = [];
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
 * cyrb53 with both halves kept: 64 bits, by Bryc (public domain), made for short
 * texts. It guards against an edit going unseen, not against anybody who wants one to.
 */
class Hash {
  // A field of a class would be a new object for every number beyond 31 bits.
  readonly #halves = new Int32Array(2);

  start(seed: Uint8Array): void {
    this.#halves[0] = 0xdeadbeef;
    this.#halves[1] = 0x41c6ce57;
    this.add(seed, 0, seed.length);
  }

  add(bytes: Uint8Array, from: number, to: number): void {
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
  mark(place: number): void {
    this.#halves[0] = Math.imul((this.#halves[0] ?? 0) ^ (place + 256), 2654435761);
    this.#halves[1] = Math.imul((this.#halves[1] ?? 0) ^ (place + 256), 1597334677);
  }

  end(): Print {
    let one = this.#halves[0] ?? 0;
    let two = this.#halves[1] ?? 0;
    one = Math.imul(one ^ (one >>> 16), 2246822507) ^ Math.imul(two ^ (two >>> 13), 3266489909);
    two = Math.imul(two ^ (two >>> 16), 2246822507) ^ Math.imul(one ^ (one >>> 13), 3266489909);
    return { high: two, low: one };
  }
}

/** Reads rows one after the other. */
class RowScanner {
  readonly #root: readonly Member[];
  readonly #seed: Uint8Array;
  readonly #hash = new Hash();
  #bytes: Uint8Array = new Uint8Array();
  #id: string | null = null;
  #isOdd = false;
  #isPlain = true;

  constructor(rules: PairRules, projection: Projection) {
    this.#root = placesOf(rules, projection);
    // With pair and id in it, a fingerprint alone tells the record.
    this.#seed = encoder.encode(`${rules.name}:`);
  }

  scan(bytes: Uint8Array, at: number): ScannedRow {
    this.#bytes = bytes;
    this.#id = null;
    this.#isOdd = false;
    this.#isPlain = true;
    this.#hash.start(this.#seed);
    if (!isObjectAt(bytes, at)) throw brokenJson();
    const end = this.#members(this.#root, at);
    const isPlain = this.#isPlain && this.#id !== null && !this.#isOdd;
    return {
      end,
      id: this.#id,
      isOdd: this.#isOdd,
      print: isPlain ? this.#hash.end() : null,
    };
  }

  // One loop without calls for the keys that nobody asked for, which are most: with a
  // function for every member, scanning took twice as long as parsing.
  #members(members: readonly Member[], at: number): number {
    const bytes = this.#bytes;
    const { length } = bytes;
    let next = at + 1;
    for (let isFirst = true;; isFirst = false) {
      next = skipSpace(bytes, next);
      if (isFirst && bytes[next] === CLOSE_OBJECT) return next + 1;
      if (bytes[next] !== QUOTE) throw brokenJson();
      const from = ++next;
      let isEscaped = false;
      for (; next < length && bytes[next] !== QUOTE; next++) {
        if (bytes[next] !== BACKSLASH) continue;
        isEscaped = true;
        next++;
      }
      const place = placeOf(members, bytes, from, next, isEscaped);
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
      this.#hash.mark(place.mark);
      this.#hash.add(bytes, at, end);
    } else if (place.kind === "name" && isText) hold(place.set, bytes, at + 1, end - 1);
    else if (place.kind === "id" && isText) {
      this.#id = textAt(bytes, at + 1, end - 1);
      this.#hash.add(bytes, at, end);
    } else if (place.kind === "odd") this.#isOdd = !isAt(bytes, at, end, NULL);
    else this.#isPlain = false;
    return end;
  }

  #names(set: NameSet, at: number): number {
    const bytes = this.#bytes;
    const { mark, names, held, element } = set;
    held.fill(0);
    const end = forEachElement(bytes, at, (one) => {
      if (element !== null && isObjectAt(bytes, one)) return this.#members(element, one);
      if (element === null) return this.#take({ kind: "name", set }, one);
      this.#isPlain = false;
      return endOfValue(bytes, one);
    });
    this.#hash.mark(mark);
    for (let n = 0; n < names.length; n++) this.#hash.mark(held[n] ?? 0);
    return end;
  }
}

/** What is wanted of a member; null where nothing is. */
function placeOf(
  members: readonly Member[],
  bytes: Uint8Array,
  from: number,
  to: number,
  isEscaped: boolean,
): Place | null {
  const text = isEscaped ? textAt(bytes, from, to) : null;
  for (let n = 0; n < members.length; n++) {
    const member = members[n];
    if (member === undefined) break;
    const { key, place } = member;
    // Most keys differ in length: that is looked at here, and not in a call.
    if (
      text !== null
        ? text === key.text
        : key.bytes.length === to - from && isAt(bytes, from, to, key.bytes)
    ) return place;
  }
  return null;
}

/** Notes a name of a set, if it is one that matters. */
function hold({ names, held }: NameSet, bytes: Uint8Array, from: number, to: number): void {
  let isEscaped = false;
  for (let at = from; at < to; at++) if (bytes[at] === BACKSLASH) isEscaped = true;
  const text = isEscaped ? textAt(bytes, from, to) : null;
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
  return (bytes, at) => scanner.scan(bytes, at);
}
