import { type BucketLimits, bucketLimits } from "./bucket_limits.ts";
import type { Permit, RateLimiter } from "./rate_limiter.ts";
import type { TokenBucketStore } from "./token_bucket_store.ts";
import { TokenLane } from "./token_lane.ts";

/** What a {@linkcode TokenBucket} needs from outside. */
export interface TokenBucketOptions {
  /** The bucket all workers share. */
  readonly store: TokenBucketStore;
  /** The budgets by name. */
  readonly buckets: Readonly<Record<string, BucketLimits>>;
  /**
   * A clock in ms that is never set back, `performance.now` say. It need not
   * agree with any other: only durations are taken from it.
   */
  readonly now: () => number;
  /** Waits. One that ends early when the signal aborts leaves no timer behind. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** The longest a take may wait, in ms, asked anew for each; default without end. */
  readonly maxWaitMs?: () => number;
  /** Requests that are certain to be sent, asked for at once with the first; default 1. */
  readonly expected?: number;
}

/** How one token is taken. */
export interface TakeOptions {
  /** Tokens to leave for more urgent work; default 0. */
  readonly reserve?: number;
  /** The longest to wait, in ms; default as the bucket's. */
  readonly maxWaitMs?: number;
  /** Ends the wait. */
  readonly signal?: AbortSignal;
}

/**
 * Leave to send requests, out of budgets that all workers share through the
 * database: never more than a bucket's budget arrives at the remote in any
 * window, however many workers there are and however slow their requests.
 *
 * Tokens come in blocks, so the database is not asked for every request. Waiting
 * is done by reservation: a block says from when each of its tokens may be used,
 * so workers do not wake up together to fight for one token.
 */
export class TokenBucket implements RateLimiter, AsyncDisposable {
  readonly #options: TokenBucketOptions;
  readonly #limits: ReadonlyMap<string, Required<BucketLimits>>;
  readonly #lanes = new Map<string, Map<number, TokenLane>>();

  /** @throws {RangeError} If a budget, or how many requests are expected, is not usable. */
  constructor(options: TokenBucketOptions) {
    const { expected = 1 } = options;
    if (!Number.isSafeInteger(expected) || expected < 1) {
      throw new RangeError(
        `Cannot take tokens as 'expected' must be a positive integer: current value is ${expected}`,
      );
    }
    this.#options = options;
    this.#limits = new Map(
      Object.entries(options.buckets).map(([name, limits]) => [name, bucketLimits(name, limits)]),
    );
  }

  /**
   * Waits until one request may be sent; it has to be sent at once then.
   *
   * @throws {RangeError} If there is no such bucket, or the reserve leaves nothing.
   * @throws {RateWaitError} If the wait would be longer than the caller has.
   */
  async take(bucket: string, options: TakeOptions = {}): Promise<Permit> {
    const { now, maxWaitMs } = this.#options;
    const wait = options.maxWaitMs ?? maxWaitMs?.() ?? Number.POSITIVE_INFINITY;
    const lane = this.#lane(bucket, options.reserve ?? 0);
    return await lane.take(now() + Math.max(wait, 0), options.signal);
  }

  /**
   * Leave to send for work that is less urgent than other work: it leaves the
   * tokens that come free first to those who ask without it, so they pass it in
   * the queue.
   *
   * @param share Of each budget, from 0 to below 1; what it leaves is rounded down.
   * @throws {RangeError} From `take`, if the share leaves nothing.
   */
  leaving(share: number): RateLimiter {
    return {
      take: (bucket) => {
        const budget = this.#limits.get(bucket)?.budget ?? 0;
        return this.take(bucket, { reserve: Math.floor(budget * share) });
      },
    };
  }

  /**
   * Gives back what is held and reports what was answered. Call it when the last
   * request of a run is settled: without it, unused tokens come back to other
   * workers only after the block's life, a flight and a window.
   */
  async release(): Promise<void> {
    const lanes = [...this.#lanes.values()].flatMap((byReserve) => [...byReserve.values()]);
    await Promise.all(lanes.map((lane) => lane.release()));
  }

  /** As {@linkcode TokenBucket.release}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  // Tokens taken for urgent work must not go to work that has to leave some, so
  // every reserve has a lane of its own.
  #lane(bucket: string, reserve: number): TokenLane {
    const limits = this.#limits.get(bucket);
    if (limits === undefined) {
      const known = [...this.#limits.keys()].map((name) => `'${name}'`).join(", ");
      throw new RangeError(
        `Cannot take from bucket '${bucket}' as the buckets are: ${known}`,
      );
    }
    if (!Number.isSafeInteger(reserve) || reserve < 0 || reserve >= limits.budget) {
      throw new RangeError(
        `Cannot take from bucket '${bucket}' as 'reserve' must be an integer from 0 to ${
          limits.budget - 1
        }: current value is ${reserve}`,
      );
    }
    const byReserve = this.#lanes.get(bucket) ?? new Map<number, TokenLane>();
    this.#lanes.set(bucket, byReserve);
    const known = byReserve.get(reserve);
    if (known !== undefined) return known;
    const { store, now, sleep } = this.#options;
    const lane = new TokenLane(bucket, reserve, limits, {
      store,
      now,
      sleep,
      expected: this.#options.expected ?? 1,
      onPause: (until) => {
        for (const other of byReserve.values()) other.pause(until);
      },
    });
    byReserve.set(reserve, lane);
    return lane;
  }
}
