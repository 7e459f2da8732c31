import { BusyMeter } from "../engine/busy_meter.ts";
import { Deadline } from "../engine/deadline.ts";
import type { Pair } from "../engine/pair.ts";
import type { SliceDeps } from "../engine/slice.ts";
import { TokenBucket } from "../limits/token_bucket.ts";
import { DatabaseTokenBuckets } from "../store/token_bucket_store.ts";
import { HttpError } from "./http_error.ts";
import type { Runtime } from "./runtime.ts";

/** Longest a slice may take where nothing else is said, in ms. */
export const DEFAULT_MAX_DURATION_MS = 120_000;

// A hosted isolate is killed at 2 s of CPU over its whole life, is given no new
// request from about 1 s on, and has used some of it to boot: a slice that
// begins just below 1 s still ends below 2 s.
const MAX_CPU_MS = 700;

/**
 * Of each of the remote's budgets, what a function leaves to work that is more
 * urgent. Named people wait for the answer, and so does whoever must not be
 * written to any more; a backfill has all night.
 */
const LEFT_TO_OTHERS = {
  "backfill-sync": 0.2,
  "enterprise-sync": 0.1,
  "smart-sync": 0,
} as const;

// A list takes a look at the account, a page, and most often another. A statement for
// each of the first tokens would be waited for before anything is read.
const LIST_REQUESTS = 3;

/** Requests a slice is certain to send. */
const EXPECTED = {
  "backfill-sync": LIST_REQUESTS,
  "enterprise-sync": LIST_REQUESTS,
  "smart-sync": 1,
} as const;

/** What a slice needs, and how it is given back. */
export interface OpenSlice extends Disposable {
  readonly deps: SliceDeps;
  /** Gives unused tokens of the rate limit back to other workers. */
  release(): Promise<void>;
}

/**
 * The ceiling for a slice, in ms, from `SYNC_MAX_DURATION_MS`.
 *
 * @throws {HttpError} If it is set to something that is not a duration.
 */
export function maxDurationMs(env: Runtime["env"]): number {
  const text = env("SYNC_MAX_DURATION_MS");
  if (text === undefined || text === "") return DEFAULT_MAX_DURATION_MS;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1_000 && value <= 400_000) return value;
  throw new HttpError(
    "invalid_configuration",
    "Cannot run: SYNC_MAX_DURATION_MS is not a whole number of ms from 1000 to 400000",
    { details: { variable: "SYNC_MAX_DURATION_MS" } },
  );
}

function durationMs(env: Runtime["env"], wantedMs: number | undefined): number {
  const ceiling = maxDurationMs(env);
  if (wantedMs === undefined) return ceiling;
  return env("SYNC_MAX_DURATION_MS") ? Math.min(wantedMs, ceiling) : wantedMs;
}

/**
 * Gathers what one slice of work on a pair needs.
 *
 * @param wantedMs How long the caller lets it take; `SYNC_MAX_DURATION_MS` is the ceiling where it is set.
 */
export function sliceDeps(
  functionName: keyof typeof LEFT_TO_OTHERS,
  runtime: Runtime,
  pair: Pair,
  wantedMs?: number,
): OpenSlice {
  const pool = runtime.database();
  const meter = new BusyMeter(runtime.monotonic, runtime.every);
  const deadline = new Deadline({
    now: runtime.monotonic,
    maxDurationMs: durationMs(runtime.env, wantedMs),
    cpuUsedMs: () => meter.usedMs(),
    maxCpuMs: MAX_CPU_MS,
    shutdown: runtime.shutdown,
  });
  const budgets = Object.entries(pair.remote.connector.spec.budgets);
  const bucket = new TokenBucket({
    store: new DatabaseTokenBuckets(pool),
    buckets: Object.fromEntries(
      budgets.map(([name, { requests, windowMs }]) => [name, { budget: requests, windowMs }]),
    ),
    now: runtime.monotonic,
    sleep: runtime.sleep,
    maxWaitMs: () => deadline.remainingMs(),
    expected: EXPECTED[functionName],
  });
  return {
    deps: {
      pool,
      pair,
      deadline,
      compute: (work) => meter.time(work),
      every: runtime.every,
      log: runtime.log,
      remote: {
        fetch: runtime.fetch,
        env: runtime.env,
        now: runtime.now,
        sleep: runtime.sleep,
        random: runtime.random,
        limiter: bucket.leaving(LEFT_TO_OTHERS[functionName]),
        signal: new AbortController().signal,
      },
      urgentLimiter: bucket,
    },
    release: () => bucket.release(),
    [Symbol.dispose]: () => meter[Symbol.dispose](),
  };
}
