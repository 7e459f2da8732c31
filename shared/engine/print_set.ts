import type { Print } from "../merge/print.ts";

const BYTES = 8;

/**
 * Prints that are known, to be asked for tens of thousands of others.
 *
 * An open table over one array of bytes: 16 a print at most, where a `Set` takes a
 * hundred and has the garbage collector walk over each.
 */
export class PrintSet {
  // Twice as many places as prints, so that what is looked for is rarely far.
  readonly #places: Int32Array;
  readonly #mask: number;

  /** @param chunks Prints one after the other, as integers of 64 bits, the highest byte first. */
  constructor(chunks: readonly Uint8Array[]) {
    const count = chunks.reduce((sum, { length }) => sum + length / BYTES, 0);
    const size = 2 ** Math.ceil(Math.log2(Math.max(2 * count, 2)));
    this.#places = new Int32Array(2 * size);
    this.#mask = size - 1;
    for (const { buffer, byteOffset, byteLength } of chunks) {
      const view = new DataView(buffer, byteOffset, byteLength);
      for (let at = 0; at < byteLength; at += BYTES) {
        this.#add(view.getInt32(at), view.getInt32(at + 4));
      }
    }
  }

  /** Whether a print is one of them. The one of zeros alone never is: it marks an empty place. */
  has({ high, low }: Print): boolean {
    const at = this.#find(high, low);
    return this.#places[at] === high && this.#places[at + 1] === low && (high | low) !== 0;
  }

  #add(high: number, low: number): void {
    const at = this.#find(high, low);
    this.#places[at] = high;
    this.#places[at + 1] = low;
  }

  /** Where a print is, or would be. */
  #find(high: number, low: number): number {
    const places = this.#places;
    for (let place = low & this.#mask;; place = (place + 1) & this.#mask) {
      const at = 2 * place;
      const one = places[at] ?? 0;
      const two = places[at + 1] ?? 0;
      if (one === high && two === low || (one | two) === 0) return at;
    }
  }
}
