/**
 * The backfill: pairs what is unlinked and writes the shadow of both sides for
 * every pair that lacks one. It writes to neither side.
 *
 * Four steps, each committed batch by batch with the cursor of the next:
 *
 * 1. `remote`: list side B once and stage it, canonical
 * 2. `local`: read side A and stage it, canonical
 * 3. `link`: pair the unlinked whose key is equal and unique on both sides
 * 4. `snapshot`: join pairs and stages, write shadows, report what differs
 *
 * Staging both sides first keeps memory flat, makes uniqueness provable, and
 * leaves the joins to the database.
 *
 * @module
 */
import type { Page } from "../connectors/connector.ts";
import { RemoteError } from "../connectors/remote_error.ts";
import type { Json } from "../merge/json.ts";
import {
  clearStage,
  countLinked,
  linkUniqueKeys,
  planSnapshots,
  restartEpoch,
  snapshotBatch,
  type SnapshotWalk,
  stagePage,
} from "../store/backfill_store.ts";
import { isDataError } from "../store/is_data_error.ts";
import type { LocalTable } from "../store/local_table.ts";
import type { Run } from "../store/run.ts";
import { stagePlainLocal, stagePlainRemote } from "../store/stage_plain.ts";
import { checkRemoteSchema, openLocalTable } from "./open_sides.ts";
import { RemoteEmptyError } from "./remote_empty_error.ts";
import { runSlice, type Slice, type SliceDeps, type WorkEnd } from "./slice.ts";
import { type StageText, stageText } from "./stage_text.ts";
import type { StopReason } from "./stop_reason.ts";

// The remote no longer knows where the list was left, or leads in a circle.
const CURSOR_CODES = ["invalid_cursor", "cursor_refused", "cursor_loop"];

/** Pairs a snapshot batch joins. */
export const BATCH_PAIRS = 500;
const LOCAL_PAGE_RECORDS = 1000;

/** What a backfill run was asked for, as its row keeps it. */
export interface BackfillParams {
  readonly link: boolean;
  readonly staleAfterDays: number;
}

interface Step {
  readonly slice: Slice;
  readonly run: Run;
}

function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}

type Cursor = { readonly [name: string]: Json };

/** A page of either side on its way into the stage. */
interface StagePage {
  readonly staged: StageText;
  /** Ids of records that could not even be decoded. */
  readonly undecodable: readonly string[];
  readonly seen: number;
  /** Where the next page starts; null after the last. */
  readonly next: string | null;
}

async function commitPage(
  step: Step,
  side: "a" | "b",
  page: StagePage,
  cursor: Cursor,
  phase: string,
): Promise<void> {
  const { slice, run } = step;
  const { pool, pair, log } = slice.deps;
  for (const { id, field } of page.staged.unreadable) {
    log("warn", "unreadable_record", { runId: run.id, side, id, field });
  }
  slice.committed(
    await stagePage(pool, run, {
      side,
      records: page.staged.text,
      unreadable: [...page.staged.unreadable.map(({ id }) => id), ...page.undecodable],
      seen: page.seen,
      requests: slice.takeRequests(),
      cursor: { ...cursor, fingerprint: pair.fingerprint },
      phase,
    }),
  );
}

/**
 * Reads pages one ahead: while the database stores a page, the next one is on
 * its way. The cursor stored with a page is where the one after it starts, so a
 * page that was fetched and not stored is fetched again.
 */
async function readAhead(
  slice: Slice,
  start: string | null,
  read: (from: string | null) => Promise<StagePage>,
  commit: (page: StagePage) => Promise<void>,
): Promise<StopReason | null> {
  let pending: Promise<StagePage> | null = read(start);
  while (pending !== null) {
    const page: StagePage = await pending;
    const stop = page.next === null ? null : slice.stopReason();
    pending = page.next === null || stop !== null ? null : read(page.next);
    // A failed commit leaves the page on its way unread; unheard, it would end the process.
    pending?.catch(() => {});
    await commit(page);
    if (stop !== null) return stop;
  }
  return null;
}

async function firstRemoteCursor(step: Step): Promise<string> {
  const { pair } = step.slice.deps;
  const schema = await pair.remote.connector.describe(step.slice.remote);
  checkRemoteSchema(pair, schema);
  return schema.start;
}

/**
 * Reads a page of the remote. The database stages the records that are canonical
 * as they stand; the page holds those it left.
 */
async function readRemotePage(
  { slice, run }: Step,
  cursor: string,
): Promise<{ readonly page: Page; readonly staged: number }> {
  const { pool, pair, log } = slice.deps;
  const { connector } = pair.remote;
  const raw = await connector.fetchPage(slice.remote, cursor);
  try {
    const { projection } = connector.spec;
    const read = await stagePlainRemote(pool, run, pair.rules, projection, raw.answer, raw.watch);
    return { page: connector.readRest(cursor, read), staged: read.staged };
  } catch (error) {
    if (!isDataError(error)) throw error;
    // One character that PostgreSQL cannot hold spoils the page for it. Asked
    // for again, the page is taken apart here, and only that record is left out.
    log("warn", "page_read_again", { runId: run.id });
  }
  return { page: await connector.list(slice.remote, cursor), staged: 0 };
}

async function stageRemote(step: Step): Promise<StopReason | null> {
  const { slice, run } = step;
  const { pool, pair, log } = slice.deps;
  const resumed = run.cursor["next"];
  const start = typeof resumed === "string" ? resumed : await firstRemoteCursor(step);
  let seen = run.counters["remoteListed"] ?? 0;

  async function read(from: string | null): Promise<StagePage> {
    const { page, staged } = await readRemotePage(step, from ?? start);
    for (const { reason } of page.unreadable) {
      log("warn", "unreadable_record", { runId: run.id, side: "b", reason });
    }
    return {
      staged: stageText(page.records, "remote", pair.rules),
      undecodable: page.unreadable.map(({ id }) => id ?? "unknown"),
      seen: staged + page.records.length + page.unreadable.length,
      next: page.next,
    };
  }

  return await readAhead(slice, start, read, async (page) => {
    seen += page.seen;
    if (page.next === null && seen === 0) {
      const linked = await countLinked(pool, pair.name);
      if (linked > 0) throw new RemoteEmptyError(linked);
    }
    const cursor: Cursor = page.next === null
      ? { step: "local" }
      : { step: "remote", next: page.next };
    const phase = `Reading the remote list: ${count(seen)} records so far`;
    await commitPage(step, "b", page, cursor, phase);
  });
}

async function stageLocal(
  step: Step,
  table: LocalTable,
  link: boolean,
): Promise<StopReason | null> {
  const { slice, run } = step;
  const { pool, pair } = slice.deps;
  const resumed = run.cursor["afterLocal"];
  let seen = run.cursor["step"] === "local" ? run.counters["localRead"] ?? 0 : 0;

  async function read(after: string | null): Promise<StagePage> {
    const page = await stagePlainLocal(pool, run, pair.rules, table, after, LOCAL_PAGE_RECORDS);
    const pageSeen = page.staged + page.rest.length;
    return {
      staged: stageText(page.rest, "local", pair.rules),
      undecodable: [],
      seen: pageSeen,
      next: pageSeen < LOCAL_PAGE_RECORDS ? null : page.last,
    };
  }

  const start = typeof resumed === "string" ? resumed : null;
  return await readAhead(slice, start, read, async (page) => {
    seen += page.seen;
    const cursor: Cursor = page.next === null
      ? { step: link ? "link" : "plan" }
      : { step: "local", afterLocal: page.next };
    const phase = `Reading the local table: ${count(seen)} records so far`;
    await commitPage(step, "a", page, cursor, phase);
  });
}

async function snapshot(step: Step, from: SnapshotWalk): Promise<StopReason | null> {
  const { slice, run } = step;
  for (let walk = from;;) {
    const batch = await snapshotBatch(slice.deps.pool, run, walk, BATCH_PAIRS);
    if (batch.pairs < BATCH_PAIRS) return null;
    slice.committed(batch);
    walk = batch.walk;
    const stop = slice.stopReason();
    if (stop !== null) return stop;
  }
}

function stepOf(run: Run): string {
  const step = run.cursor["step"];
  return typeof step === "string" ? step : "remote";
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
  if (typeof stored === "string" && stored !== pair.fingerprint) {
    slice.deps.log("warn", "epoch_restarted", { runId: run.id, reason: "configuration_changed" });
    run = await restartEpoch(pool, run, "Starting again, because the configuration was changed");
  }
  let at = stepOf(run);
  if (at === "remote") {
    const stop = await stageRemote({ slice, run });
    if (stop !== null) return { done: false, reason: stop };
    at = "local";
  }
  if (at === "local") {
    const stop = await stageLocal({ slice, run }, table, link);
    if (stop !== null) return { done: false, reason: stop };
    at = link ? "link" : "plan";
  }
  if (at === "link") {
    const cursor = { step: "plan", fingerprint: pair.fingerprint };
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
