import type { Connector, RawPage, RawPageRest, RemoteSchema } from "../connectors/connector.ts";
import { RemoteError } from "../connectors/remote_error.ts";
import { fingerprintOf } from "../merge/fingerprint.ts";
import type { Json } from "../merge/json.ts";
import { countLinked } from "../store/backfill_store.ts";
import { type Print, printText } from "../merge/print.ts";
import {
  commitPageRest,
  commitUnchangedPages,
  type PageCommitted,
  stageFreeLocal,
  type UnchangedPages,
} from "../store/enumeration_store.ts";
import type { LocalTable } from "../store/local_table.ts";
import type { Run } from "../store/run.ts";
import { freeBytes } from "./free_bytes.ts";
import { IdList } from "./id_list.ts";
import type { PrintSet } from "./print_set.ts";
import { RemoteEmptyError } from "./remote_empty_error.ts";
import { type PageScanner, type ScannedPage, scanPage } from "./scan_page.ts";
import type { Slice } from "./slice.ts";
import { count, readAhead, sideCursor } from "./stage_sides.ts";
import { stageText } from "./stage_text.ts";
import type { StopReason } from "./stop_reason.ts";
import { waitForAll } from "./wait_for_all.ts";

const LOCAL_PAGE_RECORDS = 1000;

/** Unchanged pages stored at a time: what a worker that is killed has to fetch again. */
const PAGES_AT_ONCE = 5;

interface Step {
  readonly slice: Slice;
  readonly run: Run;
  readonly seen: { a: number; b: number };
  /** Whether a record of side B did not tell its id. */
  nameless: boolean;
}

/** How far reading came. */
export interface SidesRead {
  /** Why it stopped before the end, or null. */
  readonly stop: StopReason | null;
  /** Whether a record of side B did not tell its id, and so may be any that was not listed. */
  readonly nameless: boolean;
}

/** A page of side B, of which only what has to be looked at is still there. */
interface ReadPage {
  /** Where it starts. */
  readonly cursor: string;
  readonly number: number;
  /** Records with another fingerprint than they were last seen with, or with none. */
  readonly differing: readonly Json[];
  /** Their fingerprints, by id. */
  readonly prints: ReadonlyMap<string, Print>;
  /** Records of the page. */
  readonly seen: number;
  readonly rest: Omit<RawPageRest, "rows">;
  readonly next: string | null;
}

function phaseOf({ seen }: Step): string {
  return `Reading both sides: ${count(seen.b)} remote records so far`;
}

function invalidAnswer(): RemoteError {
  return new RemoteError(
    "retryable",
    "remote_invalid_answer",
    "Cannot read the list: a page is not of the documented form",
  );
}

/** Drops the list of records from an answer; what is left is its envelope. */
function dropRows(body: Json, [first, ...keys]: readonly string[]): void {
  if (typeof body !== "object" || body === null || Array.isArray(body) || first === undefined) {
    return;
  }
  if (keys.length > 0) dropRows(body[first] ?? null, keys);
  else delete body[first];
}

function scan(scanner: PageScanner, answer: RawPage["answer"]): ScannedPage {
  try {
    return scanPage(scanner, answer);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // The parser's message quotes the text it stumbled over.
    throw invalidAnswer();
  } finally {
    freeBytes(answer);
  }
}

function takeApart(
  connector: Connector,
  scanner: PageScanner,
  cursor: string,
  raw: RawPage,
  number: number,
): ReadPage {
  const before = scanner.ids.length;
  try {
    const { differing, prints, seen, envelope } = scan(scanner, raw.answer);
    dropRows(envelope, scanner.projection.rows);
    const listed = raw.watch.length === 0 ? [] : scanner.ids.since(before);
    const rest = { envelope, watched: raw.watch.filter((id) => listed.includes(id)) };
    const { next } = connector.readRest(cursor, { ...rest, rows: [] });
    return { cursor, number, differing, prints, seen, rest, next };
  } catch (error) {
    // Stored with the pages before it, its records would be there whatever becomes of them.
    scanner.ids.cut(before);
    throw error;
  }
}

/** Decodes the rows that differ, and stages what is not as its shadow says. */
async function commitDiffering(
  step: Step,
  page: ReadPage,
  { cursor, ...group }: UnchangedPages,
): Promise<PageCommitted> {
  const { slice, run } = step;
  const { pool, pair, log } = slice.deps;
  const { connector } = pair.remote;
  const rows = page.differing;
  const { records, unreadable } = connector.readRest(page.cursor, { ...page.rest, rows });
  for (const { reason } of unreadable) {
    log("warn", "unreadable_record", { runId: run.id, side: "b", reason });
  }
  const seen = (id: string) => {
    const print = page.prints.get(id);
    return print === undefined ? null : printText(print);
  };
  const nameless = unreadable.some(({ id }) => id === null);
  step.nameless ||= nameless;
  const left = stageText(
    records.map((record) => ({ ...record, seen: seen(record.id) })),
    "remote",
    pair.rules,
  );
  return await commitPageRest(pool, run, {
    ...group,
    side: "b",
    records: left.text,
    unreadable: [
      ...left.unreadable.map(({ id }) => id),
      ...unreadable.flatMap(({ id }) => id === null ? [] : [id]),
    ],
    cursor: {
      ...cursor,
      ...(nameless ? { nameless } : {}),
    },
  });
}

/** Stores pages, of which only the last may hold what differs, and takes their ids off the list. */
async function commitPages(step: Step, pages: readonly ReadPage[], ids: IdList): Promise<void> {
  const { slice, run, seen } = step;
  const { pool, pair } = slice.deps;
  const [first] = pages;
  const last = pages.at(-1);
  if (first === undefined || last === undefined) return;
  const listed = { number: first.number, ids: ids.take() };
  const records = pages.reduce((sum, page) => sum + page.seen, 0);
  seen.b += records;
  if (last.next === null && seen.b === 0) {
    const linked = await countLinked(pool, pair.name);
    if (linked > 0) throw new RemoteEmptyError(linked);
  }
  const group: UnchangedPages = {
    listed,
    seen: records,
    requests: slice.takeRequests(),
    cursor: { b: { next: last.next, done: last.next === null }, page: last.number + 1 },
    phase: phaseOf(step),
  };
  slice.committed(
    last.differing.length > 0
      ? await commitDiffering(step, last, group)
      : await commitUnchangedPages(pool, run, group),
  );
  freeBytes(listed.ids);
}

async function readRemote(
  step: Step,
  schema: RemoteSchema | null,
  known: Promise<PrintSet>,
): Promise<StopReason | null> {
  const { slice, run } = step;
  const { pair } = slice.deps;
  const { connector } = pair.remote;
  const { next, done } = sideCursor(run, "b");
  const start = next ?? schema?.start ?? null;
  if (done || start === null) return null;
  const { projection } = connector.spec;
  const fingerprint = fingerprintOf(pair.rules, projection);
  const ids = new IdList();
  const { page: first = 0 } = run.cursor;
  let number = typeof first === "number" ? first : 0;
  let raw: RawPage | null = null;

  async function read(from: string | null): Promise<ReadPage> {
    const cursor = from ?? start ?? "";
    const ahead = slice.stopReason() === null;
    const page = await connector.fetchPage(slice.remote, cursor, { previous: raw, ahead });
    raw = page;
    // The next page's request goes out only when this thread rests: scanned first, it
    // would be waited for afterwards.
    if (page.ahead !== null) await slice.remote.sleep(0);
    const scanner = { projection, fingerprint, known: await known, ids };
    return slice.deps.compute(() => takeApart(connector, scanner, cursor, page, number++));
  }

  const unstored: ReadPage[] = [];
  const store = () => commitPages(step, unstored.splice(0), ids);

  async function commit(page: ReadPage, isLast: boolean): Promise<void> {
    unstored.push(page);
    const isUnchanged = page.differing.length === 0;
    if (isLast || !isUnchanged || unstored.length >= PAGES_AT_ONCE) await store();
  }

  const isOnItsWay = () => raw !== null && raw.ahead !== null;
  try {
    return await readAhead(slice, start, read, commit, isOnItsWay);
  } catch (error) {
    // What has cost its request is not fetched again because of the page behind it.
    await store().catch(() => {});
    throw error;
  }
}

async function readFreeLocal(step: Step, table: LocalTable): Promise<StopReason | null> {
  const { slice, run, seen } = step;
  const { pool, pair } = slice.deps;
  const { next, done } = sideCursor(run, "a");
  if (done) return null;

  async function read(after: string | null) {
    const page = await stageFreeLocal(pool, run, pair.rules, table, after, LOCAL_PAGE_RECORDS);
    return {
      left: stageText(page.rest, "local", pair.rules),
      seen: page.seen,
      next: page.seen < LOCAL_PAGE_RECORDS ? null : page.last,
    };
  }

  return await readAhead(slice, next, read, async (page) => {
    seen.a += page.seen;
    slice.committed(
      await commitPageRest(pool, run, {
        side: "a",
        listed: null,
        records: page.left.text,
        unreadable: page.left.unreadable.map(({ id }) => id),
        requests: 0,
        seen: page.seen,
        cursor: { a: { next: page.next, done: page.next === null } },
        phase: phaseOf(step),
      }),
    );
  });
}

/**
 * Reads both sides at once, each from where it was left: all of side B, of which
 * only what differs from the shadows is kept, and the records of side A that have
 * no living link.
 *
 * @param schema Where the enumeration starts; null where that is behind it.
 * @param known The fingerprints side B was last seen with; waited for with the first page.
 */
export async function readSides(
  slice: Slice,
  run: Run,
  table: LocalTable,
  schema: RemoteSchema | null,
  known: Promise<PrintSet>,
): Promise<SidesRead> {
  const { localRead = 0, remoteListed = 0 } = run.counters;
  const step: Step = { slice, run, seen: { a: localRead, b: remoteListed }, nameless: false };
  const [remote, local] = await waitForAll([
    readRemote(step, schema, known),
    readFreeLocal(step, table),
  ]);
  return { stop: remote ?? local, nameless: step.nameless };
}
