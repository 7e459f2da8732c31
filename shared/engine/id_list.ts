import { ID_SEPARATOR } from "../store/enumeration_store.ts";

const SEPARATOR = ID_SEPARATOR.charCodeAt(0);
const decoder = new TextDecoder();

/**
 * Ids of a page, as the bytes they came in.
 *
 * As a string each, they outlived the page's other garbage, and what outlives it makes
 * V8 enlarge its young generation, which it keeps: 60 MB at the end of a long list.
 */
export class IdList {
  #bytes = new Uint8Array(32 * 1024);
  #length = 0;
  #count = 0;

  /** Forgets them; the room they took stays. */
  clear(): void {
    this.#length = 0;
    this.#count = 0;
  }

  /** Adds an id, given as a part of a text in UTF-8. */
  add(bytes: Uint8Array, from: number, to = bytes.length): void {
    const needed = this.#length + to - from + 1;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(2 * needed);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    if (this.#count++ > 0) this.#bytes[this.#length++] = SEPARATOR;
    for (let at = from; at < to; at++) this.#bytes[this.#length++] = bytes[at] ?? 0;
  }

  /** All of them in one text, with {@linkcode ID_SEPARATOR} between them. */
  joined(): string {
    return decoder.decode(this.#bytes.subarray(0, this.#length));
  }
}
