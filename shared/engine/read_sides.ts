import type { Connector, RawPage, RawPageRest, RemoteSchema } from "../connectors/connector.ts";
import { RemoteError } from "../connectors/remote_error.ts";
import { type Fingerprint, fingerprintOf } from "../merge/fingerprint.ts";
import type { Json } from "../merge/json.ts";
import { countLinked } from "../store/backfill_store.ts";
import { commitPageRest, comparePage, stageFreeLocal } from "../store/enumeration_store.ts";
import type { LocalTable } from "../store/local_table.ts";
import type { Run } from "../store/run.ts";
import { freeBytes } from "./free_bytes.ts";
import { RemoteEmptyError } from "./remote_empty_error.ts";
import type { Slice } from "./slice.ts";
import { count, readAhead, sideCursor } from "./stage_sides.ts";
import { stageText } from "./stage_text.ts";
import type { StopReason } from "./stop_reason.ts";

const LOCAL_PAGE_RECORDS = 1000;

interface Step {
  readonly slice: Slice;
  readonly run: Run;
  readonly seen: { a: number; b: number };
}

/** A page of side B, taken apart as far as comparing it takes. */
interface ReadPage {
  /** Where it starts. */
  readonly cursor: string;
  readonly number: number;
  /** The records that can be compared, and of each its id and its fingerprint. */
  readonly rows: readonly Json[];
  readonly ids: readonly string[];
  readonly prints: readonly string[];
  /** Rows that have to be looked at in any case. */
  readonly odd: readonly Json[];
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

function parse(answer: Uint8Array): Json {
  try {
    return JSON.parse(new TextDecoder().decode(answer));
  } catch {
    // The parser's message quotes the text it stumbled over.
    throw invalidAnswer();
  }
}

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Takes the list of records out of an answer; what is left is its envelope. */
function takeRows(body: Json, [first, ...keys]: readonly string[]): Json[] {
  if (!isObject(body) || first === undefined) throw invalidAnswer();
  const inner = body[first];
  if (keys.length > 0) return takeRows(inner ?? null, keys);
  if (!Array.isArray(inner)) throw invalidAnswer();
  delete body[first];
  return inner;
}

function takeApart(
  connector: Connector,
  print: Fingerprint,
  cursor: string,
  raw: RawPage,
  number: number,
): ReadPage {
  const { projection } = connector.spec;
  const envelope = parse(raw.answer);
  freeBytes(raw.answer);
  const form = new RegExp(projection.id.pattern);
  const rows: Json[] = [];
  const ids: string[] = [];
  const prints: string[] = [];
  const odd: Json[] = [];
  for (const row of takeRows(envelope, projection.rows)) {
    const id = isObject(row) ? row[projection.id.key] : undefined;
    const isOdd = isObject(row) && projection.oddKey !== null &&
      (row[projection.oddKey] ?? null) !== null;
    if (typeof id !== "string" || !form.test(id) || isOdd) odd.push(row);
    else {
      rows.push(row);
      ids.push(id);
      prints.push(print(row) ?? "");
    }
  }
  const watched = raw.watch.filter((id) => ids.includes(id));
  const rest = { envelope, watched };
  return {
    cursor,
    number,
    rows,
    ids,
    prints,
    odd,
    rest,
    next: connector.readRest(cursor, { ...rest, rows: [] }).next,
  };
}

/** Decodes the rows that differ, and stages what is not as its shadow says. */
async function commitRows(
  step: Step,
  page: ReadPage,
  { rows, requests, print, cursor }: {
    readonly rows: readonly Json[];
    readonly requests: number;
    readonly print: Fingerprint;
    readonly cursor: { readonly [name: string]: Json };
  },
): Promise<void> {
  const { slice, run } = step;
  const { pool, pair, log } = slice.deps;
  const { connector } = pair.remote;
  const { records, unreadable } = connector.readRest(page.cursor, { ...page.rest, rows });
  for (const { reason } of unreadable) {
    log("warn", "unreadable_record", { runId: run.id, side: "b", reason });
  }
  const { key } = connector.spec.projection.id;
  const seen = new Map(rows.flatMap((row) => isObject(row) ? [[row[key], print(row)]] : []));
  const left = stageText(
    records.map((record) => ({ ...record, seen: seen.get(record.id) ?? null })),
    "remote",
    pair.rules,
  );
  slice.committed(
    await commitPageRest(pool, run, {
      side: "b",
      records: left.text,
      unreadable: [
        ...left.unreadable.map(({ id }) => id),
        ...unreadable.flatMap(({ id }) => id === null ? [] : [id]),
      ],
      requests,
      seen: page.ids.length + page.odd.length,
      cursor: {
        ...cursor,
        ...(unreadable.some(({ id }) => id === null) ? { nameless: true } : {}),
      },
      phase: phaseOf(step),
    }),
  );
}

async function readRemote(step: Step, schema: RemoteSchema | null): Promise<StopReason | null> {
  const { slice, run, seen } = step;
  const { pool, pair } = slice.deps;
  const { connector } = pair.remote;
  const { next, done } = sideCursor(run, "b");
  const start = next ?? schema?.start ?? null;
  if (done || start === null) return null;
  const print = fingerprintOf(pair.rules, connector.spec.projection);
  const { page: first = 0 } = run.cursor;
  let number = typeof first === "number" ? first : 0;
  let raw: RawPage | null = null;

  async function read(from: string | null): Promise<ReadPage> {
    const cursor = from ?? start ?? "";
    const ahead = slice.stopReason() === null;
    raw = await connector.fetchPage(slice.remote, cursor, { previous: raw, ahead });
    return takeApart(connector, print, cursor, raw, number++);
  }

  async function commit(page: ReadPage): Promise<void> {
    seen.b += page.ids.length + page.odd.length;
    if (page.next === null && seen.b === 0) {
      const linked = await countLinked(pool, pair.name);
      if (linked > 0) throw new RemoteEmptyError(linked);
    }
    const cursor = {
      b: { next: page.next, done: page.next === null },
      page: page.number + 1,
    };
    const more = page.odd.length > 0;
    const requests = slice.takeRequests();
    const { differing, pauseRequested } = await comparePage(pool, run, {
      number: page.number,
      ids: page.ids,
      prints: page.prints,
      more,
      requests,
      seen: page.ids.length,
      cursor,
      phase: phaseOf(step),
    });
    if (pauseRequested !== null) return slice.committed({ pauseRequested });
    const rows = differing.flatMap((position) => page.rows[position] ?? []);
    await commitRows(step, page, { rows: [...rows, ...page.odd], requests, print, cursor });
  }

  return await readAhead(slice, start, read, commit, () => raw !== null && raw.ahead !== null);
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
