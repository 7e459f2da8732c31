/**
 * What is known of keys by their hashes: who shares one, and why a record has no
 * living link.
 *
 * @module
 */

/** A record without a living link. */
export interface Loose {
  /** Why it has none by itself; null if its side alone gives no reason. */
  readonly reason: string | null;
  /** Hash of its key. */
  readonly key: number;
  /** Digest of the key, where it has to be looked up. */
  readonly digest?: string;
}

/** How many records of a side have a key, and whether one of them is linked. */
export class Keys {
  readonly #counts = new Map<number, number>();
  add(key: number, isLinked: boolean): void {
    this.#counts.set(key, ((this.#counts.get(key) ?? 0) + 2) | Number(isLinked));
  }
  count(key: number): number {
    return (this.#counts.get(key) ?? 0) >> 1;
  }
  hasLinked(key: number): boolean {
    return ((this.#counts.get(key) ?? 0) & 1) === 1;
  }
}

/** Reasons that stand whoever else has the same key. */
const OWN_REASONS = ["no_key", "keep_apart", "a_missing", "b_missing", "unlinked"];

/** Why a record has no living link, by what is known of its key on both sides. */
export function looseReasonOf({ reason, key }: Loose, own: Keys, other: Keys): string | null {
  if (reason !== null && OWN_REASONS.includes(reason)) return reason;
  if (own.count(key) > 1 || other.count(key) > 1) return "duplicate_key";
  if (other.hasLinked(key)) return "key_taken";
  // The two are to be linked, whatever keeps their like from being created.
  return other.count(key) === 1 ? null : reason;
}
