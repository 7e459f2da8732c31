/**
 * Calls enterprise-sync again and again until its run is over.
 *
 * @module
 */
import type { PlanEntry, RunAnswer } from "./run_answer.ts";
import { RefusedError } from "./sync_client.ts";

/** What all calls of a run have done together. */
export interface RunTotals {
  readonly calls: number;
  readonly recordsProcessed: number;
  readonly updatesApplied: number;
  readonly conflictsDetected: number;
  readonly errors: number;
  readonly skipped: number;
  readonly requests: number;
}

/**
 * How a run ended.
 *
 * - `done`: every record was looked at
 * - `limit`: as many records as were asked for; the run waits to be gone on with
 * - `guard`: a limit on dangerous changes stopped it
 * - `stopped`: it cannot go on for now, or was paused
 */
export interface RunEnd {
  readonly outcome: "done" | "limit" | "guard" | "stopped";
  /** In the run's own words. */
  readonly message: string;
  readonly runId: string | null;
  readonly totals: RunTotals;
  readonly plan: readonly PlanEntry[];
}

/** What it takes to call. */
export interface RunCalls {
  readonly call: (body: Record<string, unknown>) => Promise<RunAnswer>;
  readonly sleep: (ms: number) => Promise<void>;
  /** Told after each call. */
  readonly onTotals?: (totals: RunTotals) => void;
}

/** What to ask for in every call. */
export interface RunRequest {
  readonly body: Readonly<Record<string, unknown>>;
  /** What to ask for in the first call alone. */
  readonly first?: Readonly<Record<string, unknown>>;
  /** Records a call looks at most. */
  readonly perCall: number;
  /** Records in all; null for all there are. */
  readonly max: number | null;
}

/** Calls in a row that end in an error before it is given up. */
const PATIENCE = 5;

const NOTHING: RunTotals = {
  calls: 0,
  recordsProcessed: 0,
  updatesApplied: 0,
  conflictsDetected: 0,
  errors: 0,
  skipped: 0,
  requests: 0,
};

function added(totals: RunTotals, answer: RunAnswer): RunTotals {
  return {
    calls: totals.calls + 1,
    recordsProcessed: totals.recordsProcessed + answer.recordsProcessed,
    updatesApplied: totals.updatesApplied + answer.updatesApplied,
    conflictsDetected: totals.conflictsDetected + answer.conflictsDetected,
    errors: totals.errors + answer.errors,
    skipped: totals.skipped + answer.skipped,
    requests: totals.requests + answer.quota.requests,
  };
}

/**
 * Calls until the run is over. One that stops at a failure of the remote is
 * called again after a while, a few times.
 *
 * @throws What the first call throws: then nothing was begun.
 */
export async function runUntilDone(calls: RunCalls, request: RunRequest): Promise<RunEnd> {
  const { body, first = {}, perCall, max } = request;
  const plan: PlanEntry[] = [];
  let totals = NOTHING;
  let runId: string | null = null;
  let cursor: string | null = null;
  let failures = 0;
  for (;;) {
    const left = max === null ? perCall : max - totals.recordsProcessed;
    let answer: RunAnswer;
    try {
      answer = await calls.call({
        ...body,
        maxRecords: Math.min(perCall, left),
        ...(cursor === null ? first : { cursor }),
      });
    } catch (error) {
      if (!(error instanceof RefusedError) || totals.calls === 0) throw error;
      return { outcome: "stopped", message: error.message, runId, totals, plan };
    }
    totals = added(totals, answer);
    plan.push(...answer.plan);
    runId = answer.runId;
    calls.onTotals?.(totals);
    const end = { message: answer.message, runId, totals, plan };
    if (answer.stopReason === "guard") return { outcome: "guard", ...end };
    if (answer.done) return { outcome: "done", ...end };
    if (answer.nextCursor === null) return { outcome: "stopped", ...end };
    if (max !== null && totals.recordsProcessed >= max) return { outcome: "limit", ...end };
    cursor = answer.nextCursor;
    failures = answer.stopReason === "error" ? failures + 1 : 0;
    if (failures > PATIENCE) return { outcome: "stopped", ...end };
    if (failures > 0) await calls.sleep(Math.min(2 ** failures, 30) * 1_000);
  }
}
