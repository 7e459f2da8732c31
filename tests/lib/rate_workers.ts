/**
 * Workers that send as much as they may, on a simulated clock, each with its own
 * limiter, its own database connection and a wrong clock of its own.
 *
 * @module
 */
import type { BucketLimits } from "../../shared/limits/bucket_limits.ts";
import type { RateObservation } from "../../shared/limits/rate_limiter.ts";
import { RateWaitError } from "../../shared/limits/rate_wait_error.ts";
import { TokenBucket } from "../../shared/limits/token_bucket.ts";
import type { TokenBucketStore } from "../../shared/limits/token_bucket_store.ts";
import { DatabaseTokenBuckets } from "../../shared/store/token_bucket_store.ts";
import type { TestDatabase } from "./database.ts";
import { seededRandom } from "./seeded_random.ts";
import { VirtualClock } from "./virtual_clock.ts";

/** Name of the bucket the workers share. */
export const BUCKET = "remote";

/** Arrives at the remote; what its answer says. */
export type Remote = () => RateObservation | null | Promise<RateObservation | null>;

/** How a group of workers behaves. */
export interface Demand {
  readonly workers: number;
  /** Requests a worker has under way at a time; default 1. */
  readonly concurrency?: number;
  readonly durationMs: number;
  readonly limits: BucketLimits;
  /** Shortest and longest time from sending to answer, in ms. The arrival is anywhere between. */
  readonly latencyMs: readonly [number, number];
  readonly remote: Remote;
  /** Of the budget, what the workers leave to more urgent work; default nothing. */
  readonly leaves?: number;
  /** When a worker is killed, in ms from the start: it sends no more and reports nothing. */
  readonly killedAfterMs?: (worker: number) => number;
}

/** What came of it. */
export interface Traffic {
  /** Of each request, when it arrived, in ms from the start. */
  readonly arrivals: readonly number[];
  readonly statements: number;
}

/** Where the workers live. */
export class RateWorld {
  readonly clock = new VirtualClock(Date.UTC(2026, 0, 1));
  readonly startedAt = this.clock.now();
  readonly #db: TestDatabase;
  readonly #random: () => number;
  #statements = 0;

  constructor(db: TestDatabase, seed: number) {
    this.#db = db;
    this.#random = seededRandom(seed);
  }

  between(from: number, to: number): number {
    return from + this.#random() * (to - from);
  }

  /** Lets workers send for a while; `beside` runs on the same clock. */
  async send(demand: Demand, beside: Promise<void>[] = []): Promise<Traffic> {
    const arrivals: number[] = [];
    const statements = this.#statements;
    const workers = await Promise.all(
      Array.from({ length: demand.workers }, () => this.connect()),
    );
    try {
      await this.clock.run(Promise.all([
        ...workers.map(({ store }, number) => this.#work(demand, number, store, arrivals)),
        ...beside,
      ]));
    } finally {
      await Promise.all(workers.map(({ end }) => end()));
    }
    arrivals.sort((one, other) => one - other);
    return { arrivals, statements: this.#statements - statements };
  }

  /** A connection of its own to the shared bucket. */
  async connect(): Promise<{ store: TokenBucketStore; end: () => Promise<void> }> {
    const { clock } = this;
    const client = await this.#db.connect();
    const buckets = new DatabaseTokenBuckets({
      query: <Row>(sql: string, parameters: readonly unknown[] = []) =>
        clock.outside(async () => (await client.query(sql, [...parameters])).rows as Row[]),
    }, () => Math.floor(clock.now()));
    return {
      end: () => client.end(),
      store: {
        take: async (request) => {
          this.#statements++;
          await clock.sleep(this.between(0.2, 5));
          const answer = await buckets.take(request);
          await clock.sleep(this.between(0.2, 5));
          return answer;
        },
      },
    };
  }

  async #work(
    demand: Demand,
    number: number,
    store: TokenBucketStore,
    arrivals: number[],
  ): Promise<void> {
    const { clock, startedAt } = this;
    const end = Math.min(demand.durationMs, demand.killedAfterMs?.(number) ?? Infinity);
    // Minutes apart: no worker's clock takes part in any decision.
    const wrongBy = this.between(-300_000, 300_000);
    const bucket = new TokenBucket({
      store,
      buckets: { [BUCKET]: demand.limits },
      now: () => clock.now() + wrongBy,
      sleep: clock.sleep,
      maxWaitMs: () => startedAt + end - clock.now(),
    });
    const limiter = demand.leaves === undefined ? bucket : bucket.leaving(demand.leaves);
    const loop = async () => {
      while (clock.now() < startedAt + end) {
        const permit = await limiter.take(BUCKET).catch((error: unknown) => {
          if (error instanceof RateWaitError) return null;
          throw error;
        });
        if (permit === null) return;
        const latency = this.between(...demand.latencyMs);
        const there = this.between(0, latency);
        await clock.sleep(there);
        arrivals.push(clock.now() - startedAt);
        const observation = await demand.remote();
        await clock.sleep(latency - there);
        permit.settle(observation);
      }
    };
    await Promise.all(Array.from({ length: demand.concurrency ?? 1 }, loop));
    if (demand.killedAfterMs === undefined) await bucket.release();
  }
}

/** The most arrivals in any window of `windowMs`, wherever it begins. */
export function busiestWindow(arrivals: readonly number[], windowMs: number): number {
  let first = 0;
  let most = 0;
  arrivals.forEach((arrival, i) => {
    while ((arrivals[first] ?? arrival) <= arrival - windowMs) first++;
    most = Math.max(most, i - first + 1);
  });
  return most;
}
