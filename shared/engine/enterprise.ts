/**
 * The two-way run.
 *
 * 1. `read`: list side B once and keep what differs from the shadows; find the
 *    records of side A that have no living link
 * 2. `match`: what is gone, who belongs to whom, which records to look at
 * 3. `guard`: plan them all and count; a limit that would be broken stops the run
 *    before anything is written
 * 4. `apply`: stretch by stretch, lock, plan from what both sides hold this
 *    moment, write the remote, commit everything else at once
 *
 * Every step leaves a cursor, and the whole can be cut off anywhere.
 *
 * What plans and writes is imported where there is something to plan: most calls of a
 * schedule find nothing, and it is a quarter of the modules they would have to load.
 *
 * @module
 */
import { RemoteError } from "../connectors/remote_error.ts";
import type { GuardKind } from "../merge/guard_kinds.ts";
import { endAbandoned } from "../store/end_abandoned.ts";
import { forgetFailures } from "../store/failure_store.ts";
import { holdFormerKeys } from "../store/former_keys.ts";
import type { KeyedTable } from "../store/keyed_table.ts";
import type { LocalTable } from "../store/local_table.ts";
import { keysOfNobodyElse, matchFreeByKey } from "../store/match_free.ts";
import {
  analyzeStage,
  reuniteOrphans,
  stageAbsences,
  stageLocalAbsences,
} from "../store/match_store.ts";
import { planWork } from "../store/plan_work.ts";
import type { Run } from "../store/run.ts";
import { clearRun, moveRun, noteGuard, startOver } from "../store/run_store.ts";
import { withWholeSets } from "../store/whole_sets.ts";
import { idsOfWork, nextWork } from "../store/work_store.ts";
import { applyOverride, type Override } from "./apply_override.ts";
import type { Batch, Tally } from "./batch.ts";
import { allowedKinds, flowOf, keyedTable, storedSchema } from "./batch_config.ts";
import { GuardError } from "./guard_error.ts";
import { guardCounters, mayTrip, runGuard } from "./guard.ts";
import { openLocalTable } from "./open_sides.ts";
import type { ItemPlan } from "./plan_item.ts";
import type { Pair } from "./pair.ts";
import { PrintsAhead, readStep } from "./read_step.ts";
import { resolveIntents } from "./resolve_intents.ts";
import { runSlice, type Slice, type SliceDeps, type WorkEnd } from "./slice.ts";
import { LIST_LIFE_MS, listedAtOf } from "./stage_sides.ts";
import type { StopReason } from "./stop_reason.ts";
import { passOver, type Stretch } from "./stretch.ts";
import { waitForAll } from "./wait_for_all.ts";

// The remote no longer knows where the list was left, or leads in a circle.
const CURSOR_CODES = ["invalid_cursor", "cursor_refused", "cursor_loop"];

/** Records a batch looks at: four batch calls of reads and four of writes at most. */
const BATCH_RECORDS = 196;

/** Records a step of the guard plans. */
const GUARD_RECORDS = 500;

/** What one call asks of a run. */
export interface EnterpriseCall {
  /** Records of the walk to put behind it at most. */
  readonly maxRecords: number;
  /** Whether to begin with the enumeration, although the run has one: a look at how things stand should not be a day old. */
  readonly fresh: boolean;
  /** What the caller allows the run from now on; null for nothing more than it may already. */
  readonly override: Override | null;
  readonly tally: Tally;
  /** Takes the plans of the records looked at, for who wants to show them. */
  readonly onPlans?: (plans: readonly ItemPlan[]) => void;
}

interface Step {
  readonly slice: Slice;
  readonly table: LocalTable;
  readonly keyed: KeyedTable;
}

function numberIn(run: Run, name: string): number {
  const value = run.cursor[name];
  return typeof value === "number" ? value : 0;
}

async function match(step: Step, run: Run): Promise<Run> {
  const { slice, keyed } = step;
  const { pool, pair } = slice.deps;
  const { keyField } = pair.rules;
  await analyzeStage(pool);
  // Asked for first: the other waits for it while it holds a connection.
  const asked = withWholeSets(
    pool,
    (database) => keysOfNobodyElse(database, run, keyed, keyField),
  );
  // At once: matched anew, what was found to share a key would no longer be compared.
  const planning = withWholeSets(pool, async (database) => {
    // A record that did not even tell its id may be any of those that seem to be gone.
    if (run.cursor["nameless"] === true) await stageLocalAbsences(database, run, keyed, keyField);
    else await stageAbsences(database, run, keyed, keyField);
    await reuniteOrphans(database, run);
    const isKnown = await matchFreeByKey(database, run, keyed, keyField, await asked);
    if (isKnown) await holdFormerKeys(database, run, keyed, pair.rules);
    return await planWork(database, run, keyed, { step: "guard" }, "Planning");
  });
  const [planned] = await waitForAll([planning, asked]);
  slice.committed(planned);
  return await moveRun(pool, run, { cursor: {}, phase: "Planning", requests: 0 });
}

function batchOf(step: Step, run: Run, before: Readonly<Record<string, number>>): Batch {
  const { slice, table, keyed } = step;
  return {
    slice,
    run,
    table,
    keyed,
    schema: storedSchema(run.cursor["sets"]),
    flow: flowOf(run),
    dryRun: run.params["dryRun"] === true,
    justRead: false,
    sharesLimits: false,
    guard: runGuard(
      slice.deps.pair.rules,
      numberIn(run, "linked"),
      before,
      allowedKinds(run),
      storedTold(run),
    ),
  };
}

/** What planning has counted so far, with what was done before; null where it has not begun. */
function storedCounts(run: Run): Record<string, number> | null {
  const counts = run.cursor["guards"];
  if (typeof counts !== "object" || counts === null || Array.isArray(counts)) return null;
  return Object.fromEntries(
    Object.entries(counts).flatMap(([kind, n]) => typeof n === "number" ? [[kind, n]] : []),
  );
}

function storedTold(run: Run): Partial<Record<GuardKind, number[]>> {
  const told = run.cursor["told"];
  if (typeof told !== "object" || told === null || Array.isArray(told)) return {};
  return Object.fromEntries(
    Object.entries(told).map(([kind, ordinals]) => [
      kind,
      Array.isArray(ordinals) ? ordinals.filter((n) => typeof n === "number") : [],
    ]),
  );
}

/** Plans everything that is to be done and lets a limit stop it, before any of it is done. */
async function guard(step: Step, first: Run): Promise<{ run: Run; stop: StopReason | null }> {
  const { slice } = step;
  const { pool, pair } = slice.deps;
  let run = first;
  const { guarded } = run.cursor;
  // A walk that was laid out before these were counted is looked at in any case.
  const records = typeof guarded === "number" ? guarded : Number.POSITIVE_INFINITY;
  if (mayTrip(pair.rules, numberIn(run, "linked"), records, run.counters)) {
    const { planBatch } = await import("./plan_batch.ts");
    const batch = batchOf(step, run, storedCounts(run) ?? run.counters);
    for (let planned = numberIn(run, "planned");;) {
      const items = await nextWork(pool, run, planned, numberIn(run, "total"), GUARD_RECORDS);
      const last = items.at(-1);
      if (last === undefined) break;
      // All of it, also behind the record that breaks a limit: who is to allow it has to know.
      batch.guard.count(await planBatch(batch, pool, items));
      planned = last.ordinal;
      run = await moveRun(pool, run, {
        cursor: {
          planned,
          guards: guardCounters(batch.guard.counts),
          told: { ...batch.guard.told },
        },
        phase: "Planning",
        requests: 0,
      });
      slice.committed(run);
      const stop = slice.stopReason();
      if (stop !== null) return { run, stop };
    }
    await checkGuard(step, run, batch);
  }
  const cursor = { step: "apply", told: {} };
  run = await moveRun(pool, run, { cursor, phase: "Syncing", requests: 0 });
  return { run, stop: null };
}

async function checkGuard({ slice }: Step, run: Run, { guard }: Batch): Promise<void> {
  try {
    guard.check();
  } catch (error) {
    if (error instanceof GuardError) {
      const { kind } = error.tripped;
      const { aIds, bIds } = await idsOfWork(slice.deps.pool, run, guard.told[kind]);
      await noteGuard(slice.deps.pool, run, kind, aIds, bIds);
    }
    throw error;
  }
}

async function nextStretch(
  step: Step,
  run: Run,
  from: number,
  through: number,
): Promise<Stretch> {
  const items = await nextWork(step.slice.deps.pool, run, from, through, BATCH_RECORDS);
  const last = items.at(-1);
  const isFull = items.length === BATCH_RECORDS && last !== undefined;
  return { items, from, to: isFull ? last.ordinal : through };
}

async function apply(step: Step, run: Run, call: EnterpriseCall): Promise<StopReason | null> {
  const { slice } = step;
  const total = numberIn(run, "total");
  const batch = batchOf(step, run, run.counters);
  let at = numberIn(run, "at");
  const through = Math.min(total, at + call.maxRecords);
  while (at < through) {
    // A person who paused it while it was reading does not expect it to write.
    if (slice.stopReason() === "paused") return "paused";
    const stretch = await nextStretch(step, run, at, through);
    if (stretch.items.length === 0) await passOver(slice, run, stretch, call.tally);
    else {
      const { applyBatch } = await import("./apply_batch.ts");
      const applied = await applyBatch(batch, stretch, call.tally);
      call.onPlans?.(applied.map(({ plan }) => plan));
    }
    at = stretch.to;
    if (at >= total) return null;
    const stop = slice.stopReason();
    if (stop !== null) return stop;
  }
  return at >= total ? null : "record_limit";
}

/** Why a run has to start again from the list, or null. */
function restartReason(run: Run, pair: Pair, now: number, fresh: boolean): string | null {
  const { fingerprint } = run.cursor;
  const listedAt = listedAtOf(run);
  if (typeof fingerprint === "string" && fingerprint !== pair.fingerprint) {
    return "configuration_changed";
  }
  if (listedAt !== null && now - listedAt > LIST_LIFE_MS) return "list_outdated";
  return fresh && Object.keys(run.cursor).length > 0 ? "list_outdated" : null;
}

/** Ends runs of any direction that nobody goes on with; what their workers sent is resolved next. */
async function endOthers({ deps: { pool, log } }: Slice, run: Run): Promise<void> {
  const ended = await endAbandoned(pool, {
    functionName: run.function,
    pair: run.pair,
    silentMs: LIST_LIFE_MS,
    resumable: true,
  });
  if (ended > 0) log("warn", "runs_abandoned", { runId: run.id, runs: ended });
}

async function work(slice: Slice, first: Run, call: EnterpriseCall): Promise<WorkEnd> {
  const { pool, pair, log, remote } = slice.deps;
  const restart = restartReason(first, pair, remote.now(), call.fresh);
  const opening = openLocalTable(pool, pair);
  await using ahead = new PrintsAhead(slice, first, restart !== null);
  const table = await opening;
  const step: Step = { slice, table, keyed: keyedTable(pair) };
  let run = await applyOverride(pool, first, call.override, call.fresh);
  if (restart !== null) {
    log("warn", "epoch_restarted", { runId: run.id, reason: restart });
    run = await startOver(pool, run, "Starting again from the list");
  }
  if (run.params["dryRun"] !== true) {
    await endOthers(slice, run);
    await resolveIntents(slice, run);
  }
  if (run.cursor["step"] === undefined) {
    const { run: listed, stop } = await readStep(slice, table, run, ahead);
    if (stop !== null) return { done: false, reason: stop };
    run = await match(step, listed);
  }
  if (run.cursor["step"] === "guard") {
    const { run: guarded, stop } = await guard(step, run);
    if (stop !== null) return { done: false, reason: stop };
    run = guarded;
  }
  const stop = await apply(step, run, call);
  if (stop !== null) return { done: false, reason: stop };
  if (run.params["dryRun"] !== true) {
    await forgetFailures(pool, run, pair.local, run.cursor["nameless"] !== true);
  }
  await clearRun(pool, run);
  return {
    done: true,
    phases: {
      completed: "Done: every record was looked at",
      failed: "Finished, but some records could not be synced",
    },
  };
}

/**
 * Works on a two-way run for one slice.
 *
 * @returns The run as it was left, or null if another worker took it over.
 */
export async function enterprise(
  deps: SliceDeps,
  run: Run,
  call: EnterpriseCall,
): Promise<Run | null> {
  return await runSlice(deps, run, async (slice) => {
    try {
      return await work(slice, run, call);
    } catch (error) {
      if (!(error instanceof RemoteError) || !CURSOR_CODES.includes(error.code)) throw error;
      // Once; a remote that refuses its own fresh cursor is an error.
      slice.deps.log("warn", "epoch_restarted", { runId: run.id, reason: error.code });
      const phase = "Starting again, because the remote list cannot be continued";
      return await work(slice, await startOver(slice.deps.pool, run, phase), call);
    }
  });
}
