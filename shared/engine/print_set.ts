import type { Print } from "../merge/print.ts";
import { freeBytes } from "./free_bytes.ts";

const BYTES = 8;
const LEAST_PLACES = 1024;

/** Where a print is in a table, or would be. */
function find(places: Int32Array, high: number, low: number): number {
  const mask = places.length / 2 - 1;
  for (let place = low & mask;; place = (place + 1) & mask) {
    const at = 2 * place;
    const one = places[at] ?? 0;
    const two = places[at + 1] ?? 0;
    if (one === high && two === low || (one | two) === 0) return at;
  }
}

/** Puts a print into a table; whether it was not there. */
function put(places: Int32Array, high: number, low: number): boolean {
  const at = find(places, high, low);
  if (((places[at] ?? 0) | (places[at + 1] ?? 0)) !== 0 || (high | low) === 0) return false;
  places[at] = high;
  places[at + 1] = low;
  return true;
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
   * @param bytes One after the other, as integers of 64 bits, the highest byte first.
   */
  add({ buffer, byteOffset, length }: Uint8Array): void {
    this.#makeRoom(this.#count + length / BYTES);
    const places = this.#places;
    const view = new DataView(buffer, byteOffset, length);
    for (let at = 0; at < length; at += BYTES) {
      if (put(places, view.getInt32(at), view.getInt32(at + 4))) this.#count++;
    }
  }

  /** Whether a print is one of them. The one of zeros alone never is: it marks an empty place. */
  has({ high, low }: Print): boolean {
    const places = this.#places;
    const at = find(places, high, low);
    return places[at] === high && places[at + 1] === low && (high | low) !== 0;
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
    const places = new Int32Array(2 * size);
    for (let at = 0; at < old.length; at += 2) put(places, old[at] ?? 0, old[at + 1] ?? 0);
    this.#places = places;
    freeBytes(new Uint8Array(old.buffer));
  }
}
