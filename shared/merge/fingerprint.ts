import { brokenJson, endOfValue, isObjectAt, skipSpace, WORD_ENDS } from "./json_bytes.ts";
import type { PairRules } from "./pair.ts";
import type { Print } from "./print.ts";
import type { Projection } from "./projection.ts";
import { type Level, type Names, type Place, rowFormOf } from "./row_form.ts";

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

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const [OPEN_LIST, OPEN_OBJECT] = [0x5b, 0x7b] as const;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const NULL = encoder.encode("null");

/**
 * Reads rows one after the other, and hashes what matters of them by cyrb53 with both
 * halves kept: 64 bits, by Bryc (public domain), made for short texts. It guards
 * against an edit going unseen, not against anybody who wants one to.
 */
class RowScanner implements ScannedRow {
  readonly #row: Level;
  readonly #seed: Uint8Array;
  // A field of a class would be a new object for every number beyond 31 bits.
  readonly #halves = new Int32Array(2);
  end = 0;
  idFrom = 0;
  idTo = 0;
  isPlain = false;

  constructor(rules: PairRules, projection: Projection) {
    this.#row = rowFormOf(rules, projection);
    // With pair and id in it, a fingerprint alone tells the record.
    this.#seed = encoder.encode(`${rules.name}:`);
  }

  get high(): number {
    return this.#halves[1] ?? 0;
  }

  get low(): number {
    return this.#halves[0] ?? 0;
  }

  // One loop for everything that is passed over, on every level. A function each for
  // members, values and lists was compiled several times over, each within the others,
  // which took V8 as long as reading the list.
  scan(bytes: Uint8Array, start: number): void {
    if (!isObjectAt(bytes, start)) throw brokenJson();
    const { length } = bytes;
    this.#begin();
    let level = this.#row;
    let mayClose = true;
    let isBehind = false;
    let next = start + 1;
    for (;;) {
      let byte = bytes[next] ?? 0;
      if (byte <= SPACE) byte = bytes[next = skipSpace(bytes, next)] ?? 0;
      if (byte === level.closing && mayClose) {
        next++;
        if (level.names !== null) this.#addNames(level.mark, level.names);
        if (level.outer === null) break;
        level = level.outer;
        isBehind = true;
        continue;
      }
      if (isBehind) {
        if (byte !== COMMA) throw brokenJson();
        next++;
        isBehind = mayClose = false;
        continue;
      }
      let place = level.element;
      if (place === null) {
        if (byte !== QUOTE) throw brokenJson();
        const from = ++next;
        let isEscaped = false;
        for (; next < length; next++) {
          byte = bytes[next] ?? 0;
          if (byte === QUOTE) break;
          if (byte !== BACKSLASH) continue;
          isEscaped = true;
          next++;
        }
        place = placeAt(level, bytes, from, next, isEscaped);
        if (bytes[++next] !== COLON) next = skipSpace(bytes, next);
        if (bytes[next] !== COLON) throw brokenJson();
        byte = bytes[++next] ?? 0;
        if (byte <= SPACE) byte = bytes[next = skipSpace(bytes, next)] ?? 0;
      }
      mayClose = true;
      if (place !== null && place.inner !== null && byte === place.inner.opening) {
        level = place.inner;
        level.names?.held.fill(0);
        next++;
        continue;
      }
      const from = next;
      if (byte === QUOTE) {
        for (next++; next < length; next++) {
          byte = bytes[next] ?? 0;
          if (byte === QUOTE) break;
          if (byte === BACKSLASH) next++;
        }
        next++;
      } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) next = endOfValue(bytes, next);
      else {
        while (next < length && WORD_ENDS[bytes[next] ?? 0] === 0) next++;
        if (next === from) throw brokenJson();
      }
      if (next > length) throw brokenJson();
      if (place !== null) this.#take(place, bytes, from, next);
      isBehind = true;
    }
    this.end = next;
    this.isPlain &&= this.idFrom > 0;
    this.#finish();
  }

  #begin(): void {
    this.idFrom = 0;
    this.isPlain = true;
    this.#halves[0] = 0xdeadbeef;
    this.#halves[1] = 0x41c6ce57;
    this.#add(this.#seed, 0, this.#seed.length);
  }

  #take({ kind, mark, names }: Place, bytes: Uint8Array, from: number, end: number): void {
    const first = bytes[from];
    const isText = first === QUOTE;
    if (kind === "value" && first !== OPEN_OBJECT && first !== OPEN_LIST) {
      this.#mark(mark);
      this.#add(bytes, from, end);
    } else if (names !== null && isText) hold(names, bytes, from + 1, end - 1);
    else if (kind === "id" && isText) {
      this.idFrom = from + 1;
      this.idTo = end - 1;
      // Only as it stands can it be told from the bytes alone.
      if (isEscapedAt(bytes, from + 1, end - 1)) this.isPlain = false;
      this.#add(bytes, from, end);
    } else if (kind !== "odd" || !isAt(bytes, from, end, NULL)) this.isPlain = false;
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

  #addNames(mark: number, { held }: Names): void {
    this.#mark(mark);
    for (let n = 0; n < held.length; n++) this.#mark(held[n] ?? 0);
  }

  #finish(): void {
    let one = this.#halves[0] ?? 0;
    let two = this.#halves[1] ?? 0;
    one = Math.imul(one ^ (one >>> 16), 2246822507) ^ Math.imul(two ^ (two >>> 13), 3266489909);
    two = Math.imul(two ^ (two >>> 16), 2246822507) ^ Math.imul(one ^ (one >>> 13), 3266489909);
    this.#halves[0] = one;
    this.#halves[1] = two;
  }
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

function isEscapedAt(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] === BACKSLASH) return true;
  return false;
}

/** What is wanted of a member, by its key; null where nothing is. */
function placeAt(
  { members }: Level,
  bytes: Uint8Array,
  from: number,
  to: number,
  isEscaped: boolean,
): Place | null {
  if (isEscaped) return placeOf(members, textAt(bytes, from, to));
  const ofLength = members[to - from];
  if (ofLength === undefined) return null;
  for (let n = 0; n < ofLength.length; n++) {
    const member = ofLength[n];
    if (member !== undefined && isAt(bytes, from, to, member.key.bytes)) return member.place;
  }
  return null;
}

function placeOf(members: Level["members"], key: string): Place | null {
  const all = members.flatMap((some) => some ?? []);
  return all.find((member) => member.key.text === key)?.place ?? null;
}

/** Notes a name of a set, if it is one that matters. */
function hold({ words, held }: Names, bytes: Uint8Array, from: number, to: number): void {
  const text = isEscapedAt(bytes, from, to) ? textAt(bytes, from, to) : null;
  for (let n = 0; n < words.length; n++) {
    const word = words[n];
    if (word === undefined) break;
    if (text === null ? isAt(bytes, from, to, word.bytes) : text === word.text) held[n] = 1;
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
