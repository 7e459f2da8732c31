import type { RawPage, RemoteSchema } from "../connectors/connector.ts";
import { countLinked } from "../store/backfill_store.ts";
import { commitPageRest, stageFreeLocal, stageRemoteChanges } from "../store/enumeration_store.ts";
import { isDataError } from "../store/is_data_error.ts";
import type { LocalTable } from "../store/local_table.ts";
import type { Run } from "../store/run.ts";
import { RemoteEmptyError } from "./remote_empty_error.ts";
import type { Slice } from "./slice.ts";
import { count, readAhead, sideCursor } from "./stage_sides.ts";
import { type StageText, stageText } from "./stage_text.ts";
import type { StopReason } from "./stop_reason.ts";

const LOCAL_PAGE_RECORDS = 1000;

interface Step {
  readonly slice: Slice;
  readonly run: Run;
  readonly seen: { a: number; b: number };
}

interface ReadPage {
  readonly left: StageText;
  /** Ids on the page where the database could not note them itself. */
  readonly noted: readonly string[] | null;
  /** Whether the page held a record that did not even tell its id. */
  readonly nameless: boolean;
  readonly unreadable: readonly string[];
  readonly seen: number;
  readonly number: number;
  readonly next: string | null;
}

function phaseOf({ seen }: Step): string {
  return `Reading both sides: ${count(seen.b)} remote records so far`;
}

async function readRemotePage(
  { slice, run }: Step,
  cursor: string,
  raw: RawPage,
  number: number,
): Promise<ReadPage> {
  const { pool, pair, log } = slice.deps;
  const { connector } = pair.remote;
  const reading = { left: { text: "[]", unreadable: [] }, noted: null, seen: 0, number };
  let page;
  let seen: number;
  let noted: string[] | null = null;
  try {
    const { projection } = connector.spec;
    const { answer, watch } = raw;
    const read = await stageRemoteChanges(pool, run, pair.rules, projection, answer, watch, number);
    page = connector.readRest(cursor, read);
    seen = read.seen;
  } catch (error) {
    if (!isDataError(error)) throw error;
    // One character that PostgreSQL cannot hold spoils the page for it. Asked
    // for again, the page is taken apart here, and only that record is left out.
    log("warn", "page_read_again", { runId: run.id });
    page = await connector.list(slice.remote, cursor);
    seen = page.records.length + page.unreadable.length;
    noted = [
      ...page.records.map(({ id }) => id),
      ...page.unreadable.flatMap(({ id }) => id === null ? [] : [id]),
    ];
  }
  for (const { reason } of page.unreadable) {
    log("warn", "unreadable_record", { runId: run.id, side: "b", reason });
  }
  const left = stageText(page.records, "remote", pair.rules);
  return {
    ...reading,
    left,
    noted,
    nameless: page.unreadable.some(({ id }) => id === null),
    unreadable: [
      ...left.unreadable.map(({ id }) => id),
      ...page.unreadable.flatMap(({ id }) => id === null ? [] : [id]),
    ],
    seen,
    next: page.next,
  };
}

async function readRemote(step: Step, schema: RemoteSchema | null): Promise<StopReason | null> {
  const { slice, run, seen } = step;
  const { pool, pair } = slice.deps;
  const { next, done } = sideCursor(run, "b");
  const start = next ?? schema?.start ?? null;
  if (done || start === null) return null;
  const { page: first = 0 } = run.cursor;
  let number = typeof first === "number" ? first : 0;
  let raw: RawPage | null = null;

  async function read(from: string | null): Promise<ReadPage> {
    const cursor = from ?? start ?? "";
    const ahead = slice.stopReason() === null;
    raw = await pair.remote.connector.fetchPage(slice.remote, cursor, { previous: raw, ahead });
    return await readRemotePage(step, cursor, raw, number++);
  }

  async function commit(page: ReadPage): Promise<void> {
    seen.b += page.seen;
    if (page.next === null && seen.b === 0) {
      const linked = await countLinked(pool, pair.name);
      if (linked > 0) throw new RemoteEmptyError(linked);
    }
    slice.committed(
      await commitPageRest(pool, run, {
        side: "b",
        records: page.left.text,
        unreadable: page.unreadable,
        noted: page.noted === null ? null : { page: page.number, ids: page.noted },
        requests: slice.takeRequests(),
        seen: page.seen,
        cursor: {
          b: { next: page.next, done: page.next === null },
          page: page.number + 1,
          ...(page.nameless ? { nameless: true } : {}),
        },
        phase: phaseOf(step),
      }),
    );
  }

  return await readAhead(
    slice,
    start,
    read,
    commit,
    () => raw !== null && raw.ahead !== null,
  );
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
        records: page.left.text,
        unreadable: page.left.unreadable.map(({ id }) => id),
        noted: null,
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
 * @returns Why it stopped before the end, or null.
 */
export async function readSides(
  slice: Slice,
  run: Run,
  table: LocalTable,
  schema: RemoteSchema | null,
): Promise<StopReason | null> {
  const { localRead = 0, remoteListed = 0 } = run.counters;
  const step: Step = { slice, run, seen: { a: localRead, b: remoteListed } };
  const ends = await Promise.allSettled([readRemote(step, schema), readFreeLocal(step, table)]);
  let stop: StopReason | null = null;
  for (const end of ends) {
    if (end.status === "rejected") throw end.reason;
    stop ??= end.value;
  }
  return stop;
}
