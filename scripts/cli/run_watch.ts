/**
 * How far a run has come, read from its row while its function is at work.
 *
 * @module
 */
import { z } from "zod";
import { count, counted } from "./format.ts";
import type { Progress } from "./progress_bar.ts";
import { readRows } from "./read_rows.ts";
import type { SyncClient } from "./sync_client.ts";

/** Time between two looks, in ms. */
const LOOK_EVERY_MS = 500;

const runRow = z.object({
  id: z.string(),
  status: z.string(),
  phase: z.string(),
  current_batch: z.number(),
  total_batches: z.number(),
  errors: z.number(),
  counters: z.record(z.string(), z.number()),
});

/** A run as the commands read it. */
export type RunRow = z.infer<typeof runRow>;

const COLUMNS = "id,status,phase,current_batch,total_batches,errors,counters";

/** Tells one run from the others of its function that may be at work. */
export interface RunLane {
  readonly pair: string;
  readonly lane: string;
}

/** The run of a lane that is at work, or null. @throws {LookError} */
export async function readRunning(client: SyncClient, of: RunLane): Promise<RunRow | null> {
  const rows = await readRows(client, {
    table: "sync_runs",
    columns: COLUMNS,
    where: [
      ["function", "eq", "enterprise-sync"],
      ["pair", "eq", of.pair],
      ["lane", "eq", of.lane],
      ["status", "eq", "running"],
    ],
    limit: 1,
  }, runRow);
  return rows[0] ?? null;
}

/** The run of an id, or null. @throws {LookError} */
export async function readRun(client: SyncClient, id: string): Promise<RunRow | null> {
  const rows = await readRows(client, {
    table: "sync_runs",
    columns: COLUMNS,
    where: [["id", "eq", id]],
  }, runRow);
  return rows[0] ?? null;
}

/** A run's row as progress. */
export function runProgress(run: RunRow): Progress {
  const { current_batch: at, total_batches: total, counters, errors } = run;
  const counter = (name: string) => counters[name] ?? 0;
  return {
    // While both sides are read, how many records there are is not known yet.
    share: total === 0 ? 0 : at / total,
    isDone: run.status === "completed",
    parts: [
      `record ${count(at)}/${total === 0 ? "?" : count(total)}`,
      `${count(counter("updates"))} written`,
      counted(counter("conflicts"), "conflict", "conflicts"),
      counted(errors, "error", "errors"),
    ],
    phase: run.phase,
  };
}

/** What watching needs. */
export interface WatchRunDeps {
  readonly read: () => Promise<RunRow | null>;
  readonly sleep: (ms: number) => Promise<void>;
  readonly onRun: (run: RunRow) => void;
}

/**
 * Shows a run until `work` is over. What goes wrong with looking is passed over:
 * the work tells by itself how it went.
 */
export async function whileWatching<T>(deps: WatchRunDeps, work: Promise<T>): Promise<T> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  const ended = work.then(over, over);
  while (!isOver) {
    await Promise.race([ended, deps.sleep(LOOK_EVERY_MS)]);
    if (isOver) break;
    const run = await deps.read().catch(() => null);
    if (run !== null && !isOver) deps.onRun(run);
  }
  return await work;
}
