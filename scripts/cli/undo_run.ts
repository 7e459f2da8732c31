/**
 * Reads what a run changed, and puts it back.
 *
 * @module
 */
import { z } from "zod";
import type { Pair } from "../../shared/engine/pair.ts";
import type { LocalReader } from "./local_reader.ts";
import type { OpenConflicts } from "./open_conflicts.ts";
import { readAllRows, readRows } from "./read_rows.ts";
import { DataApiError, LookError, RefusedError, type SyncClient } from "./sync_client.ts";
import {
  type NetChange,
  NetChanges,
  planUndo,
  type UndoSkip,
  type UndoWrite,
} from "./undo_plan.ts";

/** Records read and written at once. */
const AT_ONCE = 200;

const runRow = z.object({
  id: z.string(),
  function: z.string(),
  pair: z.string(),
  status: z.string(),
  started_at: z.string(),
});

/** A run that may be taken back. */
export type UndoableRun = z.infer<typeof runRow>;

/** Finds the run of an id. @throws {RefusedError} if there is none, or it is not over; @throws {LookError} */
export async function readEndedRun(client: SyncClient, id: string): Promise<UndoableRun> {
  const [run] = await readRows(client, {
    table: "sync_runs",
    columns: "id,function,pair,status,started_at",
    where: [["id", "eq", id]],
  }, runRow);
  if (run === undefined) {
    throw new RefusedError("Cannot undo: there is no run of this id", "not_found", null);
  }
  if (run.status === "completed" || run.status === "failed") return run;
  throw new RefusedError(
    `Cannot undo: the run is not over, it is ${run.status}`,
    "run_not_over",
    "Let it come to its end first: deno task sync run",
  );
}

const logRow = z.object({
  id: z.number(),
  crosswalk_id: z.number().nullable(),
  a_id: z.string().nullable(),
  b_id: z.string().nullable(),
  side: z.enum(["a", "b"]),
  field: z.string().nullable(),
  before: z.json().nullable(),
  after: z.json().nullable(),
});

/** What a run made of each field it changed. @throws {LookError} */
export async function readNetChanges(client: SyncClient, runId: string): Promise<NetChange[]> {
  const changes = new NetChanges();
  const query = {
    table: "sync_log",
    columns: "id,crosswalk_id,a_id,b_id,side,field,before,after",
    where: [
      ["run_id", "eq", runId],
      ["action", "eq", "update"],
      ["applied", "eq", true],
      // Lines of an earlier undo of the same run.
      ["rule", "neq", "undo"],
    ] as const,
  };
  for await (const page of readAllRows(client, query, logRow, "id", ({ id }) => id)) {
    for (const { crosswalk_id, a_id, b_id, field, ...line } of page) {
      if (crosswalk_id === null || a_id === null || field === null) continue;
      changes.add({ ...line, crosswalkId: crosswalk_id, aId: a_id, bId: b_id, field });
    }
  }
  return changes.all();
}

/** Other lines of a run's log: what was made, deleted, linked or given up. */
export async function countOthers(
  client: SyncClient,
  runId: string,
): Promise<(readonly [action: string, n: number])[]> {
  const counts: [string, number][] = [];
  for (const action of ["create", "delete", "link", "unlink", "mark"]) {
    const n = await client.count({
      table: "sync_log",
      where: [["run_id", "eq", runId], ["action", "eq", action], ["applied", "eq", true]],
    });
    if (n > 0) counts.push([action, n]);
  }
  return counts;
}

/** A change and what becomes of it. */
export interface UndoItem {
  readonly change: NetChange;
  readonly outcome: "ready" | "done" | UndoSkip;
  /** From what to what; null where nothing is written. */
  readonly write: UndoWrite | null;
}

const outcomeRow = z.array(z.object({
  n: z.number(),
  outcome: z.enum(["ready", "done", "moved", "gone", "shared"]),
}));

type Outcome = UndoItem["outcome"];

interface Planned {
  readonly change: NetChange;
  readonly write: UndoWrite;
}

/** What undoing needs. */
export interface UndoDeps {
  readonly client: SyncClient;
  readonly pair: Pair;
  readonly local: LocalReader;
  readonly conflicts: OpenConflicts;
  readonly onProgress?: (done: number) => void;
}

/** Sends writes, or only asks what would become of them. One that the database refuses keeps no other back. */
async function send(
  target: Pick<UndoDeps, "client" | "pair">,
  runId: string,
  planned: readonly Planned[],
  apply: boolean,
): Promise<Outcome[]> {
  if (planned.length === 0) return [];
  const { client, pair } = target;
  try {
    const answer = await client.rpc("undo_sync_writes", {
      p_run: runId,
      p_schema: pair.local.schema,
      p_table: pair.local.table,
      p_id: pair.local.id,
      p_writes: JSON.stringify(planned.map(({ change, write }, n) => ({
        n,
        crosswalkId: change.crosswalkId,
        aId: change.aId,
        bId: change.bId,
        field: change.field,
        ...write,
      }))),
      p_apply: apply,
    });
    const parsed = outcomeRow.safeParse(answer);
    if (!parsed.success) throw new LookError("Cannot undo: the database answered in another form");
    const outcomes = new Map(parsed.data.map(({ n, outcome }) => [n, outcome]));
    return planned.map((_, n) => outcomes.get(n) ?? "moved");
  } catch (error) {
    if (!(error instanceof DataApiError)) throw error;
    const isRefused = /^(22|23|P0|428C9)/.test(error.code);
    const isLocked = error.code === "55P03";
    if (!isRefused && !isLocked) throw error;
    if (planned.length === 1) return [isLocked ? "locked" : "refused"];
    const half = Math.ceil(planned.length / 2);
    return [
      ...await send(target, runId, planned.slice(0, half), apply),
      ...await send(target, runId, planned.slice(half), apply),
    ];
  }
}

/** Plans, and with `apply` carries out, what can be taken back. @throws {LookError}, {RefusedError} */
export async function undoChanges(
  deps: UndoDeps,
  runId: string,
  changes: readonly NetChange[],
  apply: boolean,
): Promise<UndoItem[]> {
  const { local, conflicts, pair: { rules }, onProgress } = deps;
  const items: UndoItem[] = [];
  for (let from = 0; from < changes.length; from += AT_ONCE) {
    const some = changes.slice(from, from + AT_ONCE);
    const rows = await local.readByIds([...new Set(some.map(({ aId }) => aId))]);
    const docs = new Map(rows.map(({ id, doc }) => [id, doc]));
    const planned: Planned[] = [];
    for (const change of some) {
      const inConflict = conflicts.fields.get(change.crosswalkId) ?? [];
      const plan = planUndo(change, docs.get(change.aId), inConflict, rules);
      if (plan.kind === "write") planned.push({ change, write: plan.write });
      else items.push({ change, outcome: plan.reason, write: null });
    }
    const outcomes = await send(deps, runId, planned, apply);
    planned.forEach(({ change, write }, n) =>
      items.push({ change, outcome: outcomes[n] ?? "moved", write })
    );
    onProgress?.(Math.min(changes.length, from + AT_ONCE));
  }
  return items;
}
