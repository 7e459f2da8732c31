import type { Print } from "../merge/print.ts";
import { freeBytes } from "./free_bytes.ts";

const BYTES = 8;
const LEAST_PLACES = 1024;

function int32At(bytes: string, at: number): number {
  return bytes.charCodeAt(at) << 24 | bytes.charCodeAt(at + 1) << 16 |
    bytes.charCodeAt(at + 2) << 8 | bytes.charCodeAt(at + 3);
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
   * @param bytes One after the other, as integers of 64 bits, the highest byte first, each byte a character.
   */
  add(bytes: string): void {
    this.#makeRoom(this.#count + bytes.length / BYTES);
    for (let at = 0; at < bytes.length; at += BYTES) {
      this.#put(int32At(bytes, at), int32At(bytes, at + 4));
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
