import { describeError } from "../engine/describe_error.ts";
import { knownTable } from "../engine/known_facts.ts";
import { DEAD_AFTER_RUNS } from "../engine/plan_item.ts";
import { guardQueue, HOLD_MS } from "../engine/queue_guard.ts";
import { STALE_MS } from "../engine/slice.ts";
import type { SmartOutcome } from "../engine/smart_outcome.ts";
import { CircuitOpenError } from "../limits/circuit_breaker_open_error.ts";
import { QuotaExceededError } from "../limits/daily_quota_exceeded_error.ts";
import type { Json } from "../merge/json.ts";
import { endAbandoned } from "../store/end_abandoned.ts";
import { enqueueChanged, peekChanged } from "../store/queue_scan.ts";
import {
  claimQueued,
  countQueued,
  peekQueued,
  type QueuedRecord,
  settleQueued,
} from "../store/queue_store.ts";
import { noteGuard } from "../store/run_store.ts";
import { endRun } from "../store/runs.ts";
import type { Answer } from "./handler.ts";
import { smartEntry } from "./smart_answer.ts";
import {
  beginRun,
  behindBreaker,
  guardJson,
  quotaJson,
  runOver,
  SMART_SYNC,
  type SmartRun,
  type SmartWork,
} from "./smart_run.ts";
import { runErrorToHttp } from "./to_http_error.ts";

/** Queued records a round takes: ten batch calls to read them. */
const ROUND_RECORDS = 500;

/** How long a round has them to itself, in ms: longer than any slice takes. */
const CLAIM_MS = 600_000;

/** Longest wait before a record is looked at again, in ms. */
const MAX_BACKOFF_MS = 600_000;

/** Least wait before a record that was refused is looked at again, in ms. */
const REFUSED_BACKOFF_MS = 60_000;

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

// Left for another time by chance, not for good.
const AGAIN = [
  "locked",
  "link_changed",
  "moved",
  "retry",
  "unconfirmed",
  "vanished",
  "appeared_at_remote",
  "appeared_locally",
  "not_reached",
];

/**
 * When a queued record is looked at again, in ms; null if it is done with.
 *
 * @param isCutOff Whether its run was stopped by its time alone, and nothing had failed.
 */
export function againInMs(
  outcome: SmartOutcome | undefined,
  { attempts }: Pick<QueuedRecord, "attempts">,
  isCutOff: boolean,
): number | null {
  const backoff = Math.min(1_000 * 2 ** Math.min(attempts, 20), MAX_BACKOFF_MS);
  // Otherwise the call after it would find nothing to do.
  if (isCutOff && outcome?.reason === "not_reached") return 0;
  if (outcome === undefined || outcome.left) return backoff;
  if (outcome.outcome === "skipped") {
    if (outcome.reason === "guard_tripped") return HOLD_MS;
    return AGAIN.includes(outcome.reason ?? "") ? backoff : null;
  }
  if (outcome.outcome === "changed") return null;
  const runs = outcome.failedRuns === 0 ? attempts : outcome.failedRuns;
  return runs < DEAD_AFTER_RUNS ? Math.max(backoff, REFUSED_BACKOFF_MS) : null;
}

/** What a drain has told so far. */
interface Drained {
  readonly out: { readonly [name: string]: Json }[];
  runId: string | null;
  /** Why it stopped before the queue was empty. */
  stopReason: string | null;
  ok: boolean;
}

function keyOf({ side, recordId }: Pick<QueuedRecord, "side" | "recordId">): string {
  return `${side}:${recordId}`;
}

/** Whether its id can be one of side A at all; the trigger puts in nothing else. */
function isUsable({ side, recordId }: Pick<QueuedRecord, "side" | "recordId">): boolean {
  return side === "b" || UUID.test(recordId);
}

async function runOverQueued(
  work: SmartWork,
  records: readonly Pick<QueuedRecord, "side" | "recordId" | "attempts">[],
): Promise<SmartRun> {
  const ids = (side: "a" | "b") => [
    ...new Set(
      records.flatMap((entry) => entry.side === side && isUsable(entry) ? [entry.recordId] : []),
    ),
  ];
  const again = records.filter(({ attempts }) => attempts > 1).map(({ recordId }) => recordId);
  const named = { keys: [], aIds: ids("a"), bIds: ids("b") };
  return await runOver(work, named, new Set(again));
}

/** Takes some records out of the queue, works on them, and puts them away or back. */
async function takeRound(work: SmartWork, limit: number): Promise<SmartRun | null> {
  const { runtime, pair } = work;
  const pool = runtime.database();
  const claimed = await claimQueued(pool, pair.name, limit, CLAIM_MS);
  if (claimed.length === 0) return null;
  let outcomes: readonly SmartOutcome[] = [];
  let isCutOff = false;
  try {
    const done = await runOverQueued(work, claimed);
    outcomes = done.outcomes;
    isCutOff = done.run.error === null;
    return done;
  } finally {
    const byRef = new Map(outcomes.map((outcome) => [`${outcome.by}:${outcome.ref}`, outcome]));
    const settlements = claimed.map((entry) => ({
      id: entry.id,
      version: entry.version,
      againInMs: isUsable(entry) ? againInMs(byRef.get(keyOf(entry)), entry, isCutOff) : null,
    }));
    // Where this fails too, they come back with the end of their lease.
    await settleQueued(pool, pair.name, settlements).catch((error: unknown) => {
      const { code } = describeError(error).error;
      runtime.log("warn", "queue_not_settled", { records: settlements.length, code });
    });
  }
}

/** One round behind quota and breaker; null where nothing was left to take. */
async function round(work: SmartWork, due: number): Promise<SmartRun | null> {
  const { runtime, quota, tally } = work;
  const reservation = await quota.reserve(Math.min(due, ROUND_RECORDS));
  const before = tally.processed;
  try {
    return await behindBreaker(runtime, () => takeRound(work, reservation.granted));
  } finally {
    const used = Math.min(tally.processed - before, reservation.granted);
    await quota.settle(reservation, used).catch(() => {});
  }
}

/** Whether a round did not come about for a reason that is no failure of the rounds before it. */
function refusalOf(error: unknown): string | null {
  if (error instanceof QuotaExceededError) return "daily_quota";
  return error instanceof CircuitOpenError ? "circuit_open" : null;
}

function keep(work: SmartWork, drained: Drained, { run, outcomes }: SmartRun): void {
  drained.runId = run.id;
  for (const outcome of outcomes) {
    drained.out.push(smartEntry(outcome, undefined, work.repair));
    if (outcome.outcome === "failed") drained.ok = false;
  }
  if (run.error !== null) drained.ok = false;
}

/** Works until the queue is empty or something stops it. */
async function rounds(work: SmartWork, drained: Drained): Promise<void> {
  const { runtime, pair, deps } = work;
  for (;;) {
    const { due } = await countQueued(runtime.database(), pair.name);
    if (due === 0) return;
    let done: SmartRun | null;
    try {
      done = await round(work, due);
    } catch (error) {
      drained.stopReason = refusalOf(error);
      if (drained.stopReason === null || drained.runId === null) throw error;
      return;
    }
    if (done === null) return;
    keep(work, drained, done);
    const { run } = done;
    if (run.error !== null && work.tally.processed === 0) {
      throw runErrorToHttp(run.error, run.id);
    }
    const stop = run.error?.code ?? (run.stopReason === "complete" ? null : run.stopReason) ??
      deps.deadline.reason();
    if (stop !== null) {
      drained.stopReason = stop;
      return;
    }
  }
}

/** Holds back what a limit stops, and writes that down where people look. */
async function guard(work: SmartWork, waiting: number): Promise<boolean> {
  const { runtime, pair, deps, dryRun } = work;
  const run = { pair: pair.name, function: SMART_SYNC };
  const tripped = await guardQueue(deps, run, waiting, !dryRun);
  for (const { error, back } of tripped) {
    work.onGuard(error);
    runtime.log("error", "guard_tripped", { ...error.tripped, held: back.held });
    if (back.held === 0) continue;
    const noted = await beginRun(work);
    await noteGuard(deps.pool, noted, error.tripped.kind, back.aIds, back.bIds);
    const phase = `Held back: ${error.message}`;
    const phases = { completed: phase, failed: phase };
    await endRun(deps.pool, noted, "guard", phases, describeError(error).error);
  }
  return tripped.length > 0;
}

/** What a dry run looks at: what a round would take. */
async function pretend(work: SmartWork, full: boolean): Promise<SmartRun | null> {
  const { runtime, pair, deps } = work;
  const pool = runtime.database();
  const peeked = await peekQueued(pool, pair.name, ROUND_RECORDS);
  const records: Pick<QueuedRecord, "side" | "recordId" | "attempts">[] = peeked.map((record) => ({
    ...record,
    attempts: record.attempts + 1,
  }));
  const room = ROUND_RECORDS - records.length;
  if (full && room > 0) {
    const table = await knownTable({ deps });
    const ids = await peekChanged(pool, pair.name, table, pair.rules, DEAD_AFTER_RUNS, room);
    records.push(...ids.map((recordId) => ({ side: "a" as const, recordId, attempts: 1 })));
  }
  if (records.length === 0) return null;
  return await behindBreaker(runtime, () => runOverQueued(work, records));
}

/**
 * Works off the queue, in rounds.
 *
 * @param full Whether what was edited on side A without getting into the queue is put into it first.
 */
export async function drain(
  work: SmartWork,
  full: boolean,
  guards: Parameters<typeof guardJson>[0],
): Promise<Answer> {
  const { runtime, pair, deps, dryRun } = work;
  const pool = runtime.database();
  const drained: Drained = { out: [], runId: null, stopReason: null, ok: true };
  if (!dryRun) {
    const ended = await endAbandoned(pool, {
      functionName: SMART_SYNC,
      pair: pair.name,
      silentMs: STALE_MS,
      resumable: false,
    });
    if (ended > 0) runtime.log("warn", "runs_abandoned", { runs: ended });
    if (full) {
      const table = await knownTable({ deps });
      await enqueueChanged(pool, pair.name, table, pair.rules, DEAD_AFTER_RUNS);
    }
  }
  const waiting = await countQueued(pool, pair.name);
  // What is held back is not counted again before there is something to do.
  if (waiting.due > 0 && await guard(work, waiting.all)) drained.ok = false;
  if (dryRun) {
    const done = await pretend(work, full);
    if (done !== null) keep(work, drained, done);
    if (done !== null && done.run.error !== null && work.tally.processed === 0) {
      throw runErrorToHttp(done.run.error, done.run.id);
    }
  } else await rounds(work, drained);
  const { due } = await countQueued(pool, pair.name);
  return {
    status: 200,
    body: {
      ok: drained.ok && guards.length === 0,
      count: drained.out.length,
      out: drained.out,
      runId: drained.runId,
      quota: await quotaJson(work),
      remaining: due,
      ...(drained.stopReason === null ? {} : { stopReason: drained.stopReason }),
      ...guardJson(guards),
    },
  };
}
