/**
 * Finds one's way in JSON as it came, in UTF-8, without making values of it.
 *
 * Every character that JSON is built of is one byte in UTF-8, and no byte of any other
 * character is equal to one (RFC 3629), so bytes are as good as text.
 *
 * @module
 */

const decoder = new TextDecoder();
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d] as const;

// What a byte outside of strings does to the depth; nearly all do nothing, and are passed
// over by one look.
const TO_STRING = 2;
const STEPS = new Int8Array(256);
STEPS[QUOTE] = TO_STRING;
STEPS[OPEN_OBJECT] = STEPS[OPEN_LIST] = 1;
STEPS[CLOSE_OBJECT] = STEPS[CLOSE_LIST] = -1;

/** Tells that what should be JSON is none; not which text it is, which may be personal. */
export function brokenJson(): SyntaxError {
  return new SyntaxError("Cannot read JSON: it ends or goes on where it should not");
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Where the next thing stands, from a place on that may hold white space. */
export function skipSpace(bytes: Uint8Array, at: number): number {
  let next = at;
  while (isSpace(bytes[next])) next++;
  return next;
}

/**
 * Where a string ends, behind its closing quote.
 *
 * @param at Where its opening quote stands.
 * @throws {SyntaxError} If it does not end.
 */
export function endOfString(bytes: Uint8Array, at: number): number {
  const { length } = bytes;
  for (let next = at + 1; next < length; next++) {
    const byte = bytes[next];
    if (byte === BACKSLASH) next++;
    else if (byte === QUOTE) return next + 1;
  }
  throw brokenJson();
}

/**
 * Where a value ends: behind its last byte.
 *
 * @param at Where its first byte stands.
 * @throws {SyntaxError} If it does not end.
 */
export function endOfValue(bytes: Uint8Array, at: number): number {
  const { length } = bytes;
  const first = bytes[at];
  if (first === QUOTE) return endOfString(bytes, at);
  if (first !== OPEN_OBJECT && first !== OPEN_LIST) return endOfWord(bytes, at);
  let depth = 1;
  for (let next = at + 1; next < length; next++) {
    const step = STEPS[bytes[next] ?? 0] ?? 0;
    if (step === 0) continue;
    if (step === TO_STRING) {
      for (next++; next < length && bytes[next] !== QUOTE; next++) {
        if (bytes[next] === BACKSLASH) next++;
      }
    } else if ((depth += step) === 0) return next + 1;
  }
  throw brokenJson();
}

/** By byte: 1 where a number or a bare word ends before it. */
export const WORD_ENDS = new Uint8Array(256);
for (const byte of [COMMA, CLOSE_OBJECT, CLOSE_LIST, 0x20, 0x0a, 0x0d, 0x09]) WORD_ENDS[byte] = 1;

/** Where a number or a bare word ends. */
function endOfWord(bytes: Uint8Array, at: number): number {
  const { length } = bytes;
  let next = at;
  while (next < length && WORD_ENDS[bytes[next] ?? 0] === 0) next++;
  if (next === at || next === length) throw brokenJson();
  return next;
}

/** Whether an object stands at a place. */
export function isObjectAt(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === OPEN_OBJECT;
}

/** Whether a list stands at a place. */
export function isListAt(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === OPEN_LIST;
}

/** Whether a list ends at a place. */
export function isListEndAt(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === CLOSE_LIST;
}

/**
 * Where the value of a key starts; null where the object has no such key. Nothing behind
 * it is looked at.
 *
 * @param at Where the object stands.
 * @param key As it stands in the bytes, with its quotes.
 * @throws {SyntaxError} If it is no object, or ends before the key is found.
 */
export function findMember(bytes: Uint8Array, at: number, key: string): number | null {
  if (bytes[at] !== OPEN_OBJECT) throw brokenJson();
  let next = skipSpace(bytes, at + 1);
  if (bytes[next] === CLOSE_OBJECT) return null;
  for (;;) {
    if (bytes[next] !== QUOTE) throw brokenJson();
    const keyEnd = endOfString(bytes, next);
    const isWanted = decoder.decode(bytes.subarray(next, keyEnd)) === key;
    next = skipSpace(bytes, keyEnd);
    if (bytes[next] !== COLON) throw brokenJson();
    next = skipSpace(bytes, next + 1);
    if (isWanted) return next;
    next = skipSpace(bytes, endOfValue(bytes, next));
    if (bytes[next] === CLOSE_OBJECT) return null;
    if (bytes[next] !== COMMA) throw brokenJson();
    next = skipSpace(bytes, next + 1);
  }
}

/**
 * Goes through the elements of a list.
 *
 * @param at Where the list stands.
 * @param visit Told where an element starts; answers where it ends.
 * @returns Where the list ends.
 * @throws {SyntaxError} If it is not one, or does not end.
 */
export function forEachElement(
  bytes: Uint8Array,
  at: number,
  visit: (elementAt: number) => number,
): number {
  if (bytes[at] !== OPEN_LIST) throw brokenJson();
  let next = skipSpace(bytes, at + 1);
  if (bytes[next] === CLOSE_LIST) return next + 1;
  for (;;) {
    next = skipSpace(bytes, visit(next));
    if (bytes[next] === CLOSE_LIST) return next + 1;
    if (bytes[next] !== COMMA) throw brokenJson();
    next = skipSpace(bytes, next + 1);
  }
}
