import type { Connector, RawPage, RawPageRest, RemoteSchema } from "../connectors/connector.ts";
import { RemoteError } from "../connectors/remote_error.ts";
import { type Fingerprint, fingerprintOf } from "../merge/fingerprint.ts";
import type { Json } from "../merge/json.ts";
import { countLinked } from "../store/backfill_store.ts";
import { type Print, printText } from "../merge/print.ts";
import {
  commitPageRest,
  commitUnchangedPage,
  type ListedIds,
  type PageCommitted,
  readPrints,
  stageFreeLocal,
} from "../store/enumeration_store.ts";
import type { LocalTable } from "../store/local_table.ts";
import type { Run } from "../store/run.ts";
import { freeBytes } from "./free_bytes.ts";
import { PrintSet } from "./print_set.ts";
import { RemoteEmptyError } from "./remote_empty_error.ts";
import type { Slice } from "./slice.ts";
import { count, readAhead, sideCursor } from "./stage_sides.ts";
import { stageText } from "./stage_text.ts";
import type { StopReason } from "./stop_reason.ts";

const LOCAL_PAGE_RECORDS = 1000;

/** Fingerprints read in one answer: half a megabyte. */
const PRINTS_AT_ONCE = 65_536;

/** Fingerprints held at most, in 32 MB; records beyond them are compared with their shadows. */
const MAX_PRINTS = 2_000_000;

interface Step {
  readonly slice: Slice;
  readonly run: Run;
  readonly seen: { a: number; b: number };
}

/** A page of side B, of which only what has to be looked at is still there. */
interface ReadPage {
  /** Where it starts. */
  readonly cursor: string;
  /** The ids of all its records that can be told. */
  readonly listed: ListedIds;
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

/** What a page is taken apart with. */
interface Reader {
  readonly connector: Connector;
  readonly print: Fingerprint;
  readonly known: PrintSet;
  readonly form: RegExp;
}

/**
 * Lets go of every record that is as it was last seen, at once: held until the
 * database had answered, a page of them outlived the young generation of the heap,
 * which a long list made grow.
 */
function takeApart(
  { connector, print, known, form }: Reader,
  cursor: string,
  raw: RawPage,
  number: number,
): ReadPage {
  const { projection } = connector.spec;
  const envelope = parse(raw.answer);
  freeBytes(raw.answer);
  const ids: string[] = [];
  const differing: Json[] = [];
  const prints = new Map<string, Print>();
  const rows = takeRows(envelope, projection.rows);
  for (const row of rows) {
    const id = isObject(row) ? row[projection.id.key] : undefined;
    const isOdd = isObject(row) && projection.oddKey !== null &&
      (row[projection.oddKey] ?? null) !== null;
    if (typeof id !== "string" || !form.test(id) || isOdd) {
      differing.push(row);
      continue;
    }
    ids.push(id);
    const seen = print(row);
    if (seen !== null && known.has(seen)) continue;
    differing.push(row);
    if (seen !== null) prints.set(id, seen);
  }
  const watched = raw.watch.filter((id) => ids.includes(id));
  const rest = { envelope, watched };
  return {
    cursor,
    listed: { number, ids },
    differing,
    prints,
    seen: rows.length,
    rest,
    next: connector.readRest(cursor, { ...rest, rows: [] }).next,
  };
}

/** Decodes the rows that differ, and stages what is not as its shadow says. */
async function commitDiffering(
  step: Step,
  page: ReadPage,
  requests: number,
  cursor: { readonly [name: string]: Json },
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
  const left = stageText(
    records.map((record) => ({ ...record, seen: seen(record.id) })),
    "remote",
    pair.rules,
  );
  return await commitPageRest(pool, run, {
    side: "b",
    listed: page.listed,
    records: left.text,
    unreadable: [
      ...left.unreadable.map(({ id }) => id),
      ...unreadable.flatMap(({ id }) => id === null ? [] : [id]),
    ],
    requests,
    seen: page.seen,
    cursor: {
      ...cursor,
      ...(unreadable.some(({ id }) => id === null) ? { nameless: true } : {}),
    },
    phase: phaseOf(step),
  });
}

/** The fingerprints side B was last seen with, as they are when reading starts. */
async function knownPrints({ slice }: Step): Promise<PrintSet> {
  const chunks: Uint8Array[] = [];
  let after = 0;
  for (let read = 0; read < MAX_PRINTS;) {
    const { prints, count, last } = await readPrints(slice.deps.pool, after, PRINTS_AT_ONCE);
    chunks.push(prints);
    if (count < PRINTS_AT_ONCE) break;
    after = last;
    read += count;
  }
  return new PrintSet(chunks);
}

async function readRemote(step: Step, schema: RemoteSchema | null): Promise<StopReason | null> {
  const { slice, run, seen } = step;
  const { pool, pair } = slice.deps;
  const { connector } = pair.remote;
  const { next, done } = sideCursor(run, "b");
  const start = next ?? schema?.start ?? null;
  if (done || start === null) return null;
  const { projection } = connector.spec;
  const known = knownPrints(step);
  // It is waited for with the first page, and may fail before that.
  known.catch(() => {});
  const print = fingerprintOf(pair.rules, projection);
  const form = new RegExp(projection.id.pattern);
  const { page: first = 0 } = run.cursor;
  let number = typeof first === "number" ? first : 0;
  let raw: RawPage | null = null;

  async function read(from: string | null): Promise<ReadPage> {
    const cursor = from ?? start ?? "";
    const ahead = slice.stopReason() === null;
    raw = await connector.fetchPage(slice.remote, cursor, { previous: raw, ahead });
    const reader: Reader = { connector, print, known: await known, form };
    return takeApart(reader, cursor, raw, number++);
  }

  async function commit(page: ReadPage): Promise<void> {
    seen.b += page.seen;
    if (page.next === null && seen.b === 0) {
      const linked = await countLinked(pool, pair.name);
      if (linked > 0) throw new RemoteEmptyError(linked);
    }
    const cursor = {
      b: { next: page.next, done: page.next === null },
      page: page.listed.number + 1,
    };
    const requests = slice.takeRequests();
    slice.committed(
      page.differing.length > 0
        ? await commitDiffering(step, page, requests, cursor)
        : await commitUnchangedPage(pool, run, {
          ...page.listed,
          requests,
          cursor,
          phase: phaseOf(step),
        }),
    );
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
