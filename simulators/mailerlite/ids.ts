/**
 * Ids as MailerLite makes them: `(unix_ms - 1600000000000) << 20 | low bits`.
 * The formula is not documented; it was read off recorded subscribers and
 * groups of the official SDKs, all of which match their `created_at` to the
 * second. Every id is above 2^53, so a client that reads one as a number
 * corrupts it.
 *
 * @module
 */

const ID_EPOCH_MS = 1_600_000_000_000;
const LOW_BITS = 20n;
/** `2^33 << 20` is 2^53: ids of a clock set to long ago still do not fit a number. */
const LEAST_MS = 2 ** 33;

/** Makes ids that rise with time and never repeat. */
export class IdFactory {
  #last = 0n;
  #step = 7;
  #past = 0;

  /** The next id for something created at `ms` (milliseconds since 1970). */
  next(ms: number): string {
    const since = BigInt(Math.max(Math.floor(ms) - ID_EPOCH_MS, LEAST_MS));
    // A recorded low part looks random; a linear congruence is as good and repeats from run to run.
    this.#step = (this.#step * 1_103_515_245 + 12_345) % 1_048_576;
    let id = (since << LOW_BITS) | BigInt(this.#step);
    if (id <= this.#last) id = this.#last + 1n;
    this.#last = id;
    return id.toString();
  }

  /** How many ids {@linkcode IdFactory.at} has made: it counts them up in the low bits. */
  get pastIds(): number {
    return this.#past;
  }

  /** Goes on where another factory was. */
  skip(pastIds: number): void {
    this.#past = Math.max(this.#past, pastIds);
  }

  /** An id for something created in the past; ids asked for later still rise above it. */
  at(ms: number): string {
    const since = BigInt(Math.max(Math.floor(ms) - ID_EPOCH_MS, LEAST_MS));
    this.#past = (this.#past + 1) % 1_048_576;
    const id = (since << LOW_BITS) | BigInt(this.#past);
    if (id > this.#last) this.#last = id;
    return id.toString();
  }

  /** Tells the factory of an id given from outside, so that it is never made again. */
  observe(id: string): void {
    const value = BigInt(id);
    if (value > this.#last) this.#last = value;
  }
}

/** Orders two decimal ids by value without turning them into numbers. */
export function compareIds(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
