import type { Print } from "../merge/print.ts";
import { freeBytes } from "./free_bytes.ts";

/** Characters a print takes in base64, its padding included. */
const CHARS = 12;
const LEAST_PLACES = 1024;

const DIGITS = new Uint8Array(128);
[..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].forEach((char, value) => {
  DIGITS[char.charCodeAt(0)] = value;
});

function digitAt(text: string, at: number): number {
  return DIGITS[text.charCodeAt(at)] ?? 0;
}

/**
 * Prints that are known, to be asked for tens of thousands of others.
 *
 * An open table over one array of bytes: 16 to 32 a print, where a `Set` takes a
 * hundred and has the garbage collector walk over each.
 */
export class PrintSet implements Disposable {
  #places = new Int32Array(2 * LEAST_PLACES);
  #count = 0;

  /** @param expected About how many there will be; room that is made at once leaves no smaller room behind. */
  constructor(expected = 0) {
    this.#makeRoom(expected);
  }

  /**
   * Adds prints.
   *
   * @param text Integers of 64 bits, the highest byte first, each in base64 by itself. It is
   * taken apart here: as bytes, a quarter of a million would leave 2 MB more of garbage.
   */
  add(text: string): void {
    this.#makeRoom(this.#count + text.length / CHARS);
    for (let at = 0; at < text.length; at += CHARS) {
      const middle = digitAt(text, at + 5);
      this.#put(
        digitAt(text, at) << 26 | digitAt(text, at + 1) << 20 | digitAt(text, at + 2) << 14 |
          digitAt(text, at + 3) << 8 | digitAt(text, at + 4) << 2 | middle >> 4,
        middle << 28 | digitAt(text, at + 6) << 22 | digitAt(text, at + 7) << 16 |
          digitAt(text, at + 8) << 10 | digitAt(text, at + 9) << 4 | digitAt(text, at + 10) >> 2,
      );
    }
  }

  /** Whether a print is one of them. The one of zeros alone never is: it marks an empty place. */
  has({ high, low }: Print): boolean {
    const at = this.#find(high, low);
    return this.#places[at] === high && this.#places[at + 1] === low && (high | low) !== 0;
  }

  /** Gives the memory back at once. */
  [Symbol.dispose](): void {
    const places = this.#places;
    this.#places = new Int32Array(2);
    this.#count = 0;
    freeBytes(new Uint8Array(places.buffer));
  }

  // Twice as many places as prints, so that what is looked for is rarely far.
  #makeRoom(count: number): void {
    const old = this.#places;
    let size = old.length / 2;
    while (size < 2 * count) size *= 2;
    if (size === old.length / 2) return;
    this.#places = new Int32Array(2 * size);
    this.#count = 0;
    for (let at = 0; at < old.length; at += 2) this.#put(old[at] ?? 0, old[at + 1] ?? 0);
    freeBytes(new Uint8Array(old.buffer));
  }

  #put(high: number, low: number): void {
    const at = this.#find(high, low);
    const places = this.#places;
    if (((places[at] ?? 0) | (places[at + 1] ?? 0)) !== 0) return;
    places[at] = high;
    places[at + 1] = low;
    if ((high | low) !== 0) this.#count++;
  }

  /** Where a print is, or would be. */
  #find(high: number, low: number): number {
    const places = this.#places;
    const mask = places.length / 2 - 1;
    for (let place = low & mask;; place = (place + 1) & mask) {
      const at = 2 * place;
      const one = places[at] ?? 0;
      const two = places[at + 1] ?? 0;
      if (one === high && two === low || (one | two) === 0) return at;
    }
  }
}
