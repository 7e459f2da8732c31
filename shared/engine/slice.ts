/**
 * One slice of a run: the lease kept alive, every way of stopping written down.
 *
 * @module
 */
import type { ConnectorContext } from "../connectors/connector.ts";
import type { RateLimiter } from "../limits/rate_limiter.ts";
import { RateWaitError } from "../limits/rate_wait_error.ts";
import type { DatabasePool } from "../store/database.ts";
import { LeaseLostError } from "../store/lease_lost_error.ts";
import type { Run } from "../store/run.ts";
import { beat, endRun, layDownRun } from "../store/runs.ts";
import type { Every } from "./busy_meter.ts";
import type { Deadline } from "./deadline.ts";
import { describeError } from "./describe_error.ts";
import type { Log } from "./log.ts";
import type { Pair } from "./pair.ts";
import type { StopReason } from "./stop_reason.ts";

/** A holder that is silent for longer may be taken over, in ms. */
export const STALE_MS = 90_000;

// Four signs before a holder counts as dead, so that one slow statement or a
// paused process does not cost it the lease.
const BEAT_MS = 20_000;

/** Everything a slice needs from outside. */
export interface SliceDeps {
  readonly pool: DatabasePool;
  readonly pair: Pair;
  /** How to reach the remote; its signal is replaced by the slice's own. */
  readonly remote: ConnectorContext;
  /** Leave to send what goes ahead of all else. */
  readonly urgentLimiter: RateLimiter;
  readonly deadline: Deadline;
  /** Does work that computes for milliseconds without a rest; see `BusyMeter.time`. */
  readonly compute: <Result>(work: () => Result) => Result;
  readonly every: Every;
  readonly log: Log;
}

/** What the work of a slice sees. */
export interface Slice {
  readonly deps: SliceDeps;
  /** As `deps.remote`, and it stops when the slice has to. Counts what it sends. */
  readonly remote: ConnectorContext;
  /** As {@linkcode Slice.remote}, ahead of all other work in the wait for the rate limit. */
  readonly urgent: ConnectorContext;
  /** Requests sent since the last call. */
  takeRequests(): number;
  /** Why to stop before the next step, or null. */
  stopReason(): StopReason | null;
  /** Takes note of what a commit answered. */
  committed(answer: { readonly pauseRequested: boolean }): void;
}

/** How the work of a slice ended: at the end of the run, or before it. */
export type WorkEnd =
  | {
    readonly done: true;
    readonly phases: { readonly completed: string; readonly failed: string };
  }
  | { readonly done: false; readonly reason: StopReason };

const STOP_PHASES: Record<StopReason, string> = {
  time_limit: "Stopped at its time limit; the next call goes on from here",
  cpu_limit: "Stopped at its CPU limit; the next call goes on from here",
  record_limit: "Stopped at its limit of records; the next call goes on from here",
  rate_limit: "Waiting for the remote's rate limit; the next call goes on from here",
  shutdown: "Stopped because the runtime is ending this worker; the next call goes on from here",
  paused: "Paused; resume to go on from here",
};

class SliceState implements Slice {
  readonly #abort = new AbortController();
  #requests = 0;
  #pauseRequested = false;
  readonly remote: ConnectorContext;
  readonly urgent: ConnectorContext;

  constructor(readonly deps: SliceDeps) {
    const outer = deps.remote;
    this.remote = {
      ...outer,
      fetch: (input, init) => {
        this.#requests++;
        return outer.fetch(input, init);
      },
      signal: AbortSignal.any([outer.signal, this.#abort.signal]),
    };
    this.urgent = { ...this.remote, limiter: deps.urgentLimiter };
  }

  takeRequests(): number {
    const requests = this.#requests;
    this.#requests = 0;
    return requests;
  }

  stopReason(): StopReason | null {
    if (this.#pauseRequested) return "paused";
    return this.deps.deadline.reason();
  }

  committed(answer: { readonly pauseRequested: boolean }): void {
    if (answer.pauseRequested) this.#pauseRequested = true;
  }

  /** Keeps the lease alive between commits, which a long wait for the remote may put far apart. */
  startBeating(run: Run): () => void {
    return this.deps.every(BEAT_MS, () => {
      beat(this.deps.pool, run).then(
        (pauseRequested) => this.committed({ pauseRequested }),
        (error: unknown) => {
          // A lost beat is not a lost lease: the next commit finds out for certain.
          if (error instanceof LeaseLostError) this.#abort.abort(error);
        },
      );
    });
  }
}

async function stopAs(deps: SliceDeps, run: Run, reason: StopReason): Promise<Run> {
  const status = reason === "paused" ? "paused" : "waiting";
  return await layDownRun(deps.pool, run, {
    status,
    stopReason: reason,
    phase: STOP_PHASES[reason],
    error: null,
  });
}

async function failAs(deps: SliceDeps, run: Run, cause: unknown): Promise<Run> {
  if (deps.deadline.reason() === "shutdown") return await stopAs(deps, run, "shutdown");
  if (cause instanceof RateWaitError) {
    const reason = deps.deadline.reason() ?? "rate_limit";
    // The rest of the slice is spent waiting: a run that calls itself at once
    // would come back to the same closed door as fast as it can.
    await deps.remote.sleep(Math.min(cause.waitMs, deps.deadline.remainingMs()));
    return await stopAs(deps, run, reason);
  }
  const { error, resumable } = describeError(cause);
  deps.log("error", "slice_failed", { runId: run.id, code: error.code, resumable });
  if (!resumable) {
    const phase = `Failed: ${error.message}`;
    return await endRun(deps.pool, run, "error", { completed: phase, failed: phase }, error);
  }
  return await layDownRun(deps.pool, run, {
    status: "waiting",
    stopReason: error.code,
    phase: `Stopped: ${error.message}. The next call goes on from here`,
    error,
  });
}

/**
 * Works on a run under its lease and writes down how it ended.
 *
 * @returns The run as it was left, or null if another worker took it over, in
 * which case nothing of this slice was committed since.
 */
export async function runSlice(
  deps: SliceDeps,
  run: Run,
  work: (slice: Slice) => Promise<WorkEnd>,
): Promise<Run | null> {
  const slice = new SliceState(deps);
  const stopBeating = slice.startBeating(run);
  try {
    let left: Run;
    try {
      const end = await work(slice);
      left = end.done
        ? await endRun(deps.pool, run, "complete", end.phases, null)
        : await stopAs(deps, run, end.reason);
    } catch (error) {
      if (error instanceof LeaseLostError) throw error;
      left = await failAs(
        deps,
        run,
        slice.remote.signal.reason instanceof LeaseLostError ? slice.remote.signal.reason : error,
      );
    }
    deps.log("info", "slice_ended", {
      runId: run.id,
      status: left.status,
      reason: left.stopReason,
    });
    return left;
  } catch (error) {
    if (!(error instanceof LeaseLostError)) throw error;
    deps.log("warn", "lease_lost", { runId: run.id, fencing: run.fencing });
    return null;
  } finally {
    stopBeating();
  }
}
