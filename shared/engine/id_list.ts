import { ID_SEPARATOR } from "../store/enumeration_store.ts";

const SEPARATOR = ID_SEPARATOR.charCodeAt(0);
const ROOM_BYTES = 32 * 1024;
const decoder = new TextDecoder();

/**
 * Ids of pages, as the bytes they came in.
 *
 * As a string each, or one for a page, they outlived the page's other garbage, and what
 * outlives it makes V8 enlarge its heap, which it keeps: 60 MB at the end of a long list.
 */
export class IdList {
  #bytes = new Uint8Array();
  #length = 0;

  /** Bytes they take so far. */
  get length(): number {
    return this.#length;
  }

  /** Adds an id, given as a part of a text in UTF-8. */
  add(bytes: Uint8Array, from: number, to = bytes.length): void {
    const needed = this.#length + to - from + 1;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(ROOM_BYTES, 2 * needed));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    if (this.#length > 0) this.#bytes[this.#length++] = SEPARATOR;
    for (let at = from; at < to; at++) this.#bytes[this.#length++] = bytes[at] ?? 0;
  }

  /** Those added since the list took `length` bytes. */
  since(length: number): string[] {
    if (length === this.#length) return [];
    const from = length === 0 ? 0 : length + 1;
    return decoder.decode(this.#bytes.subarray(from, this.#length)).split(ID_SEPARATOR);
  }

  /** Takes back those added since the list took `length` bytes. */
  cut(length: number): void {
    this.#length = length;
  }

  /** Hands over all of them, with {@linkcode ID_SEPARATOR} in between, and begins anew. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = new Uint8Array();
    this.#length = 0;
    return taken;
  }
}
