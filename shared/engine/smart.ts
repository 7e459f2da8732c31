/**
 * The run over named records: those somebody asked for, and those that wait in the
 * queue. It finds them, reads side B by id and key, and hands them to the same
 * planner and the same batch as the two-way run.
 *
 * It decides nothing about what is gone: that takes a complete enumeration.
 *
 * @module
 */
import { RateWaitError } from "../limits/rate_wait_error.ts";
import { type Intent, leftOverIntents } from "../store/intent_store.ts";
import type { Run } from "../store/run.ts";
import { clearRun, guardedSince } from "../store/run_store.ts";
import { endLaidDown } from "../store/smart_run_store.ts";
import { findSubjects, type Named, noteSharedLinks, type Subject } from "../store/subject_store.ts";
import type { Tally } from "./batch.ts";
import { keyedTable } from "./batch_config.ts";
import type { GuardError } from "./guard_error.ts";
import { forgetKnown, knownTable } from "./known_facts.ts";
import { resolveIntents } from "./resolve_intents.ts";
import { runSlice, type Slice, type SliceDeps, STALE_MS, type WorkEnd } from "./slice.ts";
import { smartApply, type SmartLedger } from "./smart_apply.ts";
import { type SmartItems, smartItems, type SmartStep } from "./smart_items.ts";
import { groupsOf, isSettled, type SmartOutcome, smartOutcomes } from "./smart_outcome.ts";
import { isLinked, NOTHING_READ, readRemote, type RemoteView } from "./smart_remote.ts";
import type { StopReason } from "./stop_reason.ts";

/** What one call asks of a run. */
export interface SmartCall {
  readonly named: Named;
  /** Ids of side A whose records were left for another time: what waits may be on side B. */
  readonly again: ReadonlySet<string>;
  /** Whether what is wrong with the records themselves is looked for and mended. */
  readonly repair: boolean;
  readonly tally: Tally;
  /** Takes what became of the records; called once, whatever happens. */
  readonly onOutcomes: (outcomes: readonly SmartOutcome[]) => void;
  /** Is told of each limit that kept records from being changed. */
  readonly onGuard: (error: GuardError) => void;
}

const DONE: WorkEnd = {
  done: true,
  phases: {
    completed: "Done: every record named was looked at",
    failed: "Finished, but some records could not be synced",
  },
};

/** What a run found out so far. */
interface Progress extends SmartLedger {
  subjects: readonly Subject[];
  view: RemoteView | null;
  found: SmartItems | null;
  intents: readonly Intent[];
}

async function noteShared(step: SmartStep, { subjects, found }: Progress): Promise<void> {
  const shared = [...groupsOf(subjects).values()].map((group) => [
    ...group.filter(isLinked).map(({ aId, bId }) => ({ aId: aId ?? "", bId: bId ?? "" })),
    ...group.flatMap((subject) => found?.shared.get(subject) ?? []),
  ]).filter((links) => links.length > 1);
  if (shared.length === 0) return;
  await noteSharedLinks(
    step.slice.deps.pool,
    step.run,
    shared.map((links) => ({
      aIds: links.map(({ aId }) => aId),
      bIds: links.map(({ bId }) => bId),
    })),
  );
}

async function look(
  step: SmartStep,
  call: SmartCall,
  progress: Progress,
): Promise<StopReason | null> {
  const { slice, run, keyed } = step;
  const { pool, pair } = slice.deps;
  const { named, repair, tally } = call;
  const table = await knownTable(slice);
  if (repair) progress.intents = await leftOverIntents(pool, run, STALE_MS);
  // Also for a few records: who was made without an answer would pass for somebody new.
  if (run.params["dryRun"] !== true) await resolveIntents(slice, run);
  const found = await findSubjects(pool, pair.name, keyed, table, named);
  progress.subjects = found.map((subject) =>
    repair || call.again.has(subject.ref) ? { ...subject, untouched: false } : subject
  );
  const several = groupsOf(progress.subjects);
  const single = [...several.values()].flatMap((group) => {
    const [subject] = group;
    return subject === undefined || group.length > 1 || isSettled(subject) ? [] : [subject];
  });
  if (single.length === 0) {
    progress.view = NOTHING_READ;
    progress.found = { items: [], widowed: new Set(), shared: new Map(), staged: false };
  } else {
    const [view, day] = await Promise.all([
      readRemote(slice, single, repair),
      guardedSince(pool, run),
    ]);
    progress.view = view;
    progress.found = await smartItems(step, single, view, repair);
    const { items } = progress.found;
    const stop = await smartApply(step, table, items, view, day, tally, progress, call.onGuard);
    if (stop !== null) return stop;
  }
  if (repair) await noteShared(step, progress);
  return null;
}

async function work(slice: Slice, run: Run, call: SmartCall): Promise<WorkEnd> {
  const { pool, pair } = slice.deps;
  const step: SmartStep = { slice, run, keyed: keyedTable(pair) };
  const progress: Progress = {
    subjects: [],
    view: null,
    found: null,
    intents: [],
    applied: new Map(),
    guarded: new Set(),
  };
  let stop: StopReason | null = null;
  try {
    stop = await look(step, call, progress);
  } catch (error) {
    // What it goes by may be what has changed.
    forgetKnown(pool);
    // Who named a record waits for the answer, not for the rate limit.
    if (!(error instanceof RateWaitError)) throw error;
    stop = slice.stopReason() ?? "rate_limit";
  } finally {
    call.onOutcomes(smartOutcomes({ ...progress, repair: call.repair }, pair.rules));
  }
  if (progress.found?.staged !== false) await clearRun(pool, run);
  return stop === null ? DONE : { done: false, reason: stop };
}

/**
 * Works on a run over named records. The run is over then, whatever came of it:
 * nobody goes on with it.
 *
 * @returns The run as it was left, or null if another worker took it over.
 */
export async function smart(deps: SliceDeps, run: Run, call: SmartCall): Promise<Run | null> {
  const left = await runSlice(deps, run, (slice) => work(slice, run, call));
  if (left === null || left.status === "completed" || left.status === "failed") return left;
  return await endLaidDown(deps.pool, left);
}
