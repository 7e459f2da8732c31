/**
 * The backfill: pairs what is unlinked and writes the shadow of both sides for
 * every pair that lacks one. It writes to neither side.
 *
 * Three steps, each committed batch by batch with the cursor of the next:
 *
 * 1. `stage`: list side B once, read side A, and stage both, canonical
 * 2. `link`: pair the unlinked whose key is equal and unique on both sides
 * 3. `plan`, then `snapshot`: join pairs and stages, write shadows, report what differs
 *
 * Staging both sides first keeps memory flat, makes uniqueness provable, and
 * leaves the joins to the database.
 *
 * @module
 */
import { RemoteError } from "../connectors/remote_error.ts";
import { clearStage, linkUniqueKeys, restartEpoch } from "../store/backfill_store.ts";
import type { Run } from "../store/run.ts";
import { planSnapshots, snapshotBatch, type SnapshotWalk } from "../store/snapshot_store.ts";
import { openLocalTable } from "./open_sides.ts";
import { runSlice, type Slice, type SliceDeps, type WorkEnd } from "./slice.ts";
import { LIST_LIFE_MS, listedAtOf, stageSides } from "./stage_sides.ts";
import type { StopReason } from "./stop_reason.ts";

// The remote no longer knows where the list was left, or leads in a circle.
const CURSOR_CODES = ["invalid_cursor", "cursor_refused", "cursor_loop"];

/** Pairs a snapshot batch joins. */
export const BATCH_PAIRS = 500;

interface Step {
  readonly slice: Slice;
  readonly run: Run;
}

async function snapshot(step: Step, from: SnapshotWalk): Promise<StopReason | null> {
  const { slice, run } = step;
  const { pool, pair: { rules } } = slice.deps;
  for (let walk = from;;) {
    const batch = await snapshotBatch(pool, run, rules.keyField, walk, BATCH_PAIRS);
    if (batch.pairs < BATCH_PAIRS) return null;
    slice.committed(batch);
    walk = batch.walk;
    const stop = slice.stopReason();
    if (stop !== null) return stop;
  }
}

function stepOf(run: Run): string {
  const step = run.cursor["step"];
  return typeof step === "string" ? step : "stage";
}

function walkOf(run: Run): SnapshotWalk | null {
  const walk = run.cursor["walk"];
  if (typeof walk !== "object" || walk === null || Array.isArray(walk)) return null;
  const { after, through, staleBefore } = walk;
  if (typeof after !== "number" || typeof through !== "number" || typeof staleBefore !== "string") {
    return null;
  }
  return { after, through, staleBefore };
}

async function work(slice: Slice, first: Run): Promise<WorkEnd> {
  const { pool, pair } = slice.deps;
  const table = await openLocalTable(pool, pair);
  const link = first.params["link"] !== false;
  let run = first;
  const stored = run.cursor["fingerprint"];
  const isChanged = typeof stored === "string" && stored !== pair.fingerprint;
  const now = slice.deps.remote.now();
  // Matched by what was read weeks ago, people would be linked who are others by now.
  if (isChanged || now - (listedAtOf(run) ?? now) > LIST_LIFE_MS) {
    const reason = isChanged ? "configuration_changed" : "list_outdated";
    slice.deps.log("warn", "epoch_restarted", { runId: run.id, reason });
    const why = isChanged ? "the configuration was changed" : "what was read is a day old";
    run = await restartEpoch(pool, run, `Starting again, because ${why}`);
  }
  let at = stepOf(run);
  if (at === "stage") {
    const stop = await stageSides(slice, run, table);
    if (stop !== null) return { done: false, reason: stop };
    at = link ? "link" : "plan";
  }
  if (at === "link") {
    const cursor = {
      step: "plan",
      fingerprint: pair.fingerprint,
      listedAt: listedAtOf(run) ?? now,
    };
    slice.committed(await linkUniqueKeys(pool, run, cursor, "Matching records by key"));
    at = "plan";
  }
  let walk = walkOf(run);
  if (at === "plan" || walk === null) {
    const plan = await planSnapshots(pool, run, BATCH_PAIRS, "Writing snapshots");
    slice.committed(plan);
    walk = plan.walk;
  }
  const stop = await snapshot({ slice, run }, walk);
  if (stop !== null) return { done: false, reason: stop };
  await clearStage(pool, run);
  return {
    done: true,
    phases: {
      completed: "Done: every linked pair was looked at",
      failed: "Finished, but some records could not be read",
    },
  };
}

/**
 * Works on a backfill run for one slice.
 *
 * @returns The run as it was left, or null if another worker took it over.
 */
export async function backfill(deps: SliceDeps, run: Run): Promise<Run | null> {
  return await runSlice(deps, run, async (slice) => {
    try {
      return await work(slice, run);
    } catch (error) {
      if (!(error instanceof RemoteError) || !CURSOR_CODES.includes(error.code)) throw error;
      // Once; a remote that refuses its own fresh cursor is an error.
      slice.deps.log("warn", "epoch_restarted", { runId: run.id, reason: error.code });
      const phase = "Starting again, because the remote list cannot be continued";
      return await work(slice, await restartEpoch(slice.deps.pool, run, phase));
    }
  });
}
