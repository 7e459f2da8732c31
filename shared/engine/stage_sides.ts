import type { Page, RawPage } from "../connectors/connector.ts";
import type { Json } from "../merge/json.ts";
import { countLinked, stagePage } from "../store/backfill_store.ts";
import { isDataError } from "../store/is_data_error.ts";
import type { LocalTable } from "../store/local_table.ts";
import type { Run } from "../store/run.ts";
import { rememberSchema } from "../store/schema_store.ts";
import {
  plainLocalSql,
  type PlainRemotePage,
  plainRemoteSql,
  stagePlainLocal,
  stagePlainRemote,
} from "../store/stage_plain.ts";
import { managedSets } from "./batch_config.ts";
import { checkRemoteSchema } from "./open_sides.ts";
import { freeBytes } from "./free_bytes.ts";
import { RemoteEmptyError } from "./remote_empty_error.ts";
import type { Slice } from "./slice.ts";
import { type StageText, stageText } from "./stage_text.ts";
import type { StopReason } from "./stop_reason.ts";
import { waitForAll } from "./wait_for_all.ts";

const LOCAL_PAGE_RECORDS = 1000;

/** What was read longer ago is not acted upon, in ms. */
export const LIST_LIFE_MS = 24 * 60 * 60_000;

/** A page of either side, of which the database has staged what it could. */
interface StagePage {
  /** The records it left. */
  readonly left: StageText;
  /** Ids of records that could not even be decoded. */
  readonly undecodable: readonly string[];
  readonly seen: number;
  /** Where the next page starts; null after the last. */
  readonly next: string | null;
}

/** How far one side is: where its next page starts, or that there is none. */
export interface SideCursor {
  readonly next: string | null;
  readonly done: boolean;
}

interface Step {
  readonly slice: Slice;
  readonly run: Run;
  readonly seen: { a: number; b: number };
  /** When the run began to read, in ms since 1970. */
  readonly listedAt: number;
}

/** Where the reading of a side was left. */
export function sideCursor(run: Run, side: "a" | "b"): SideCursor {
  const stored = run.cursor[side];
  if (typeof stored !== "object" || stored === null || Array.isArray(stored)) {
    return { next: null, done: false };
  }
  const { next, done } = stored;
  return { next: typeof next === "string" ? next : null, done: done === true };
}

/** When a run began to read, in ms since 1970; null where it has not. */
export function listedAtOf(run: Run): number | null {
  const { listedAt } = run.cursor;
  return typeof listedAt === "number" ? listedAt : null;
}

/** A number as a person reads it. */
export function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}

async function commitPage(step: Step, side: "a" | "b", page: StagePage): Promise<void> {
  const { slice, run, seen } = step;
  const { pool, pair, log } = slice.deps;
  for (const { id, field } of page.left.unreadable) {
    log("warn", "unreadable_record", { runId: run.id, side, id, field });
  }
  seen[side] += page.seen;
  const cursor: { [name: string]: Json } = {
    fingerprint: pair.fingerprint,
    listedAt: step.listedAt,
    [side]: { next: page.next, done: page.next === null },
  };
  slice.committed(
    await stagePage(pool, run, {
      side,
      records: page.left.text,
      unreadable: [...page.left.unreadable.map(({ id }) => id), ...page.undecodable],
      seen: page.seen,
      requests: slice.takeRequests(),
      cursor,
      phase: `Reading both sides: ${count(seen.b)} remote and ${
        count(seen.a)
      } local records so far`,
    }),
  );
}

/**
 * Reads pages one ahead: while the database stores a page, the next one is on
 * its way. The cursor stored with a page is where the one after it starts, so a
 * page that was fetched and not stored is fetched again.
 *
 * @param commit Stores a page; told whether no other will follow.
 */
export async function readAhead<Page extends { readonly next: string | null }>(
  slice: Slice,
  start: string | null,
  read: (from: string | null) => Promise<Page>,
  commit: (page: Page, isLast: boolean) => Promise<void>,
  isOnItsWay: () => boolean = () => false,
): Promise<StopReason | null> {
  let pending: Promise<Page> | null = read(start);
  while (pending !== null) {
    const page: Page = await pending;
    let stop = page.next === null ? null : slice.stopReason();
    // A page that was sent for already has cost its request: it is taken before stopping.
    if (stop !== "shutdown" && isOnItsWay()) stop = null;
    const ahead = page.next === null || stop !== null ? null : read(page.next);
    pending = ahead;
    // It may fail while the commit is under way; unheard by then, it would end the process.
    ahead?.catch(() => {});
    try {
      await commit(page, ahead === null);
    } catch (error) {
      // Nothing of this worker may still be under way once it has failed.
      await ahead?.catch(() => {});
      throw error;
    }
    if (stop !== null) return stop;
  }
  return null;
}

/**
 * Lets the database stage the plain records of the remote's pages, each page once.
 *
 * A page that is on its way is handed over as soon as it is there, on another
 * connection, while the database still works on the page before. Nobody knows
 * for certain by then that it comes next; but its records are the remote's in
 * any case, and it counts only when it is asked for and committed in its turn.
 */
class RemoteStage implements AsyncDisposable {
  readonly #step: Step;
  readonly #sql: string;
  readonly #reads = new WeakMap<Uint8Array, Promise<PlainRemotePage>>();
  readonly #underWay = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(step: Step) {
    this.#step = step;
    const { pair } = step.slice.deps;
    this.#sql = plainRemoteSql(pair.rules, pair.remote.connector.spec.projection);
  }

  /** Stages a page, and the one on its way behind it. */
  stage({ answer, watch, ahead }: RawPage): Promise<PlainRemotePage> {
    const read = this.#stage(answer, watch);
    ahead?.answer.then((next) => {
      if (!this.#isClosed) void this.#stage(next, watch);
    }, () => {});
    return read;
  }

  #stage(answer: Uint8Array, watch: readonly string[]): Promise<PlainRemotePage> {
    const known = this.#reads.get(answer);
    if (known !== undefined) return known;
    const { slice, run } = this.#step;
    const read = stagePlainRemote(slice.deps.pool, run, this.#sql, answer, watch);
    this.#reads.set(answer, read);
    this.#underWay.add(read);
    const end = () => this.#underWay.delete(read);
    // Whoever asks for the page hears of a failure; perhaps nobody does.
    read.then(end, end);
    return read;
  }

  /** Waits for what is under way: after a restart of the enumeration it would stage into the next one. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#underWay);
  }
}

/**
 * Reads a page of the remote. The database stages the records that are canonical
 * as they stand; the page holds those it left.
 */
async function readRemotePage(
  { slice, run }: Step,
  stage: RemoteStage,
  cursor: string,
  raw: RawPage,
): Promise<{ readonly page: Page; readonly staged: number }> {
  const { pair, log } = slice.deps;
  const { connector } = pair.remote;
  try {
    const read = await stage.stage(raw);
    freeBytes(raw.answer);
    return { page: connector.readRest(cursor, read), staged: read.staged };
  } catch (error) {
    if (!isDataError(error)) throw error;
    // One character that PostgreSQL cannot hold spoils the page for it. Asked
    // for again, the page is taken apart here, and only that record is left out.
    log("warn", "page_read_again", { runId: run.id });
  }
  return { page: await connector.list(slice.remote, cursor), staged: 0 };
}

/** Where the remote list goes on; null after its end. */
async function remoteStart(slice: Slice, run: Run): Promise<string | null> {
  const { next, done } = sideCursor(run, "b");
  if (done || next !== null) return next;
  const { pool, pair } = slice.deps;
  const schema = await pair.remote.connector.describe(slice.remote);
  checkRemoteSchema(pair, schema);
  await rememberSchema(pool, pair.name, pair.fingerprint, managedSets(pair, schema));
  return schema.start;
}

async function stageRemote(step: Step, start: string): Promise<StopReason | null> {
  const { slice, run, seen } = step;
  const { pool, pair, log } = slice.deps;

  await using stage = new RemoteStage(step);
  let raw: RawPage | null = null;

  async function read(from: string | null): Promise<StagePage> {
    const cursor = from ?? start;
    // Sent for while the database reads this one.
    const ahead = slice.stopReason() === null;
    raw = await pair.remote.connector.fetchPage(slice.remote, cursor, { previous: raw, ahead });
    const { page, staged } = await readRemotePage(step, stage, cursor, raw);
    for (const { reason } of page.unreadable) {
      log("warn", "unreadable_record", { runId: run.id, side: "b", reason });
    }
    return {
      left: stageText(page.records, "remote", pair.rules),
      undecodable: page.unreadable.map(({ id }) => id ?? "unknown"),
      seen: staged + page.records.length + page.unreadable.length,
      next: page.next,
    };
  }

  async function commit(page: StagePage): Promise<void> {
    if (page.next === null && seen.b + page.seen === 0) {
      const linked = await countLinked(pool, pair.name);
      if (linked > 0) throw new RemoteEmptyError(linked);
    }
    await commitPage(step, "b", page);
  }

  const isOnItsWay = () => raw !== null && raw.ahead !== null;
  return await readAhead(slice, start, read, commit, isOnItsWay);
}

async function stageLocal(step: Step, table: LocalTable): Promise<StopReason | null> {
  const { slice, run } = step;
  const { pool, pair } = slice.deps;
  const { next, done } = sideCursor(run, "a");
  if (done) return null;
  const sql = plainLocalSql(pair.rules, table);

  async function read(after: string | null): Promise<StagePage> {
    const page = await stagePlainLocal(pool, run, sql, after, LOCAL_PAGE_RECORDS);
    const seen = page.staged + page.rest.length;
    return {
      left: stageText(page.rest, "local", pair.rules),
      undecodable: [],
      seen,
      next: seen < LOCAL_PAGE_RECORDS ? null : page.last,
    };
  }

  return await readAhead(slice, next, read, (page) => commitPage(step, "a", page));
}

/**
 * Stages both sides, each from where it was left and both at once: the database
 * works on one while the other is on its way.
 *
 * @returns Why it stopped before the end, or null.
 */
export async function stageSides(
  slice: Slice,
  run: Run,
  table: LocalTable,
): Promise<StopReason | null> {
  const { localRead = 0, remoteListed = 0 } = run.counters;
  const listedAt = listedAtOf(run) ?? slice.deps.remote.now();
  const step: Step = { slice, run, seen: { a: localRead, b: remoteListed }, listedAt };
  // Before anything is read: this is where a refused key or a wrong name shows.
  const start = await remoteStart(slice, run);
  const [remote, local] = await waitForAll([
    start === null ? null : stageRemote(step, start),
    stageLocal(step, table),
  ]);
  return remote ?? local;
}
