/**
 * The statements that read both sides for a two-way run and keep only what differs
 * from the shadows: a record that is as it was at the last agreement is compared
 * inside the database and never becomes an object of the isolate.
 *
 * @module
 */
import type { Json } from "../merge/json.ts";
import type { PairRules } from "../merge/pair.ts";
import type { Database } from "./database.ts";
import { committed, FENCE } from "./fence.ts";
import { LeaseLostError } from "./lease_lost_error.ts";
import type { LocalRecord, LocalTable } from "./local_table.ts";
import { plainSql } from "./plain_sql.ts";
import type { Run } from "./run.ts";
import { token } from "./token.ts";

// Without a lock on the run, so that both sides are read at once; see stage_plain.ts.
const FENCE_READ = `select r.id, r.epoch, r.pair from public.sync_runs r
  where r.id = $1 and r.fencing = $2 and r.status = 'running'`;

// A link whose partner is gone leaves an orphan; any other state of a link means
// that the record is spoken for.
const STATE_OF_LINK = `case
    when cw.link_state is null then 'free'
    when cw.link_state = 'linked' then 'pair'
    else 'orphan' end`;

/** What every commit of a page answers. */
export interface PageCommitted {
  readonly pauseRequested: boolean;
}

/** Which ids pages of side B hold. */
export interface ListedIds {
  /** Number of the first of the pages in its enumeration; read again, they replace themselves. */
  readonly number: number;
  /** Ids of their records, in one text in UTF-8, with {@linkcode ID_SEPARATOR} between them. */
  readonly ids: Uint8Array;
}

/** Pages of side B whose records are all as they were seen last. */
export interface UnchangedPages {
  readonly listed: ListedIds;
  /** Records of the pages. */
  readonly seen: number;
  readonly requests: number;
  /** What changes in the run's cursor; the rest of it stays. */
  readonly cursor: { readonly [name: string]: Json };
  readonly phase: string;
}

/** Fingerprints of side B. */
export interface PrintsRead {
  /** Integers of 64 bits, one after the other, the highest byte first; as base64, which the driver hands on as it is. */
  readonly prints: string;
  readonly count: number;
  /** Where the next ones start. */
  readonly last: number;
  /** About how many there are in all, as the database last counted; below zero where it never has. */
  readonly estimate: number;
}

/** Reads the fingerprints of side B that there are behind a link. */
export async function readPrints(
  database: Database,
  after: number,
  limit: number,
): Promise<PrintsRead> {
  const rows = await database.query<PrintsRead>(
    `select encode(coalesce(string_agg(int8send(f.print), ''), ''), 'base64') as prints, count(*)::integer as count,
       coalesce(max(f.crosswalk_id), $1)::float8 as last,
       (select c.reltuples::float8 from pg_catalog.pg_class c
        where c.oid = 'public.shadow_fingerprints'::regclass) as estimate
     from (
       select f.crosswalk_id, f.print from public.shadow_fingerprints f
       where f.crosswalk_id > $1::bigint and f.print is not null
       order by f.crosswalk_id limit $2
     ) f`,
    [after, limit],
  );
  return rows[0] ?? { prints: "", count: 0, last: after, estimate: 0 };
}

function held<Row extends { readonly held: boolean }>(rows: readonly Row[], run: Run): Row {
  const row = rows[0];
  if (row === undefined || !row.held) throw new LeaseLostError(run.id);
  return row;
}

/** Stands between the ids of a page; it is in none of them. */
export const ID_SEPARATOR = "\x1f";

function noted(number: string, ids: string): string {
  return `insert into public.sync_seen (run_id, epoch, page, ids)
       select fence.id, fence.epoch, ${number}::integer,
         string_to_array(convert_from(${ids}::bytea, 'UTF8'), E'\\x1f')
       from fence where ${number}::integer is not null
       on conflict (run_id, epoch, page) do update set ids = excluded.ids`;
}

/** Notes which ids pages of side B hold, and moves the cursor behind them. */
export async function commitUnchangedPages(
  database: Database,
  run: Run,
  pages: UnchangedPages,
): Promise<PageCommitted> {
  const rows = await database.query<PageCommitted>(
    `with fence as materialized (${FENCE}),
     noted as (${noted("$3", "$4")})
     update public.sync_runs as r
     set cursor = r.cursor || $5::jsonb, phase = $6,
       counters = r.counters || jsonb_build_object(
         'remoteListed', coalesce((r.counters ->> 'remoteListed')::integer, 0) + $7::integer,
         'requests', coalesce((r.counters ->> 'requests')::integer, 0) + $8::integer),
       heartbeat_at = now(), last_updated_at = now()
     from fence
     where r.id = fence.id
     returning r.pause_requested as "pauseRequested"`,
    [
      run.id,
      run.fencing,
      pages.listed.number,
      pages.listed.ids,
      JSON.stringify(pages.cursor),
      pages.phase,
      pages.seen,
      pages.requests,
    ],
  );
  return committed(rows, run);
}

/** The part of a page that came the long way, and where the enumeration goes on. */
export interface RestOfPage {
  readonly side: "a" | "b";
  /** The ids of the whole page, and of unchanged ones before it, where it is one of an enumeration of side B. */
  readonly listed: ListedIds | null;
  /** A JSON array of `[id, key, canonical record, token or null, fingerprint or null]`. */
  readonly records: string;
  /** Ids of records that could not be read. */
  readonly unreadable: readonly string[];
  readonly requests: number;
  /** Records of the page, and of those before it. */
  readonly seen: number;
  /** What changes in the run's cursor; the rest of it stays. */
  readonly cursor: { readonly [name: string]: Json };
  readonly phase: string;
}

/** Stages the rest of a page and moves the cursor behind it. */
export async function commitPageRest(
  database: Database,
  run: Run,
  page: RestOfPage,
): Promise<PageCommitted> {
  const link = page.side === "a" ? "link.a_id = given.id::uuid" : "link.b_id = given.id";
  const rows = await database.query<PageCommitted>(
    `with fence as materialized (${FENCE}),
     noted as (${noted("$11", "$12")}),
     given as (
       select r ->> 0 as id, r ->> 1 as key, r -> 2 as doc,
         coalesce(r ->> 3, ${token("r -> 2")}) as token, (r ->> 4)::bigint as seen, true as readable
       from jsonb_array_elements($3::jsonb) r
       union all
       select id, '', 'null'::jsonb, '', null, false from unnest($4::text[]) u (id)
     ),
     known as materialized (
       select distinct on (given.id collate "C") given.*, ${STATE_OF_LINK} as state,
         cw.crosswalk_id, s.b_token, s.version
       from fence cross join given
       left join lateral (
         select link.link_state, link.id as crosswalk_id
         from public.integration_crosswalk link
         where link.pair = fence.pair and link.link_state <> 'keep_apart' and ${link}
         limit 1
       ) cw on true
       left join lateral (
         select s.b_token, s.version from public.shadow_snapshots s
         where s.crosswalk_id = cw.crosswalk_id limit 1
       ) s on true
       order by given.id collate "C"
     ),
     staged as (
       insert into public.sync_stage
         (run_id, epoch, side, record_id, natural_key, doc, token, seen, state)
       select fence.id, fence.epoch, $5::"char", known.id, known.key, known.doc, known.token, known.seen,
         case when known.readable then known.state else 'unreadable' end
       from fence, known
       where not known.readable or known.state <> 'pair' or $5 = 'a'
         or known.b_token is distinct from known.token
       on conflict (run_id, epoch, side, record_id) do update
         set natural_key = excluded.natural_key, doc = excluded.doc, token = excluded.token,
           seen = excluded.seen, state = excluded.state
     ),
     -- In another form than it was seen in last, but the same record.
     recognised as (
       insert into public.shadow_fingerprints as f (crosswalk_id, version, print)
       select known.crosswalk_id, known.version, known.seen
       from fence cross join known
       join public.integration_crosswalk living on living.id = known.crosswalk_id
       where $5 = 'b' and known.state = 'pair' and known.readable and known.seen is not null
         and known.b_token = known.token
       order by known.crosswalk_id
       -- A link that somebody takes away at this moment needs no fingerprint any more.
       for key share of living skip locked
       on conflict (crosswalk_id) do update set version = excluded.version, print = excluded.print,
         a_print = case when f.version = excluded.version then f.a_print end
       where f.version <= excluded.version
     )
     update public.sync_runs as r
     set cursor = r.cursor || $6::jsonb, phase = $7,
       counters = r.counters || jsonb_build_object(
         $8::text, coalesce((r.counters ->> $8)::integer, 0) + $9::integer,
         'requests', coalesce((r.counters ->> 'requests')::integer, 0) + $10::integer),
       heartbeat_at = now(), last_updated_at = now()
     from fence
     where r.id = fence.id
     returning r.pause_requested as "pauseRequested"`,
    [
      run.id,
      run.fencing,
      page.records,
      page.unreadable,
      page.side,
      JSON.stringify(page.cursor),
      page.phase,
      page.side === "a" ? "localRead" : "remoteListed",
      page.seen,
      page.requests,
      page.listed?.number ?? null,
      page.listed?.ids ?? null,
    ],
  );
  return committed(rows, run);
}

/** What the database read of the records of side A that belong to nobody. */
export interface FreeLocalPage {
  readonly seen: number;
  /** Id of the last record; null where there was none. */
  readonly last: string | null;
  readonly rest: readonly LocalRecord[];
}

/**
 * Reads the records of side A after `afterId` that have no living link, and
 * stages the plain ones.
 */
export async function stageFreeLocal(
  database: Database,
  run: Run,
  rules: PairRules,
  table: LocalTable,
  afterId: string | null,
  limit: number,
): Promise<FreeLocalPage> {
  const sql = plainSql(rules, "local", "r.doc", (path) => ({ keys: [path] }));
  const after = afterId === null ? "" : "and r.id > $4::uuid";
  const rows = await database.query<FreeLocalPage & { held: boolean }>(
    `with fence as materialized (${FENCE_READ}),
     page as materialized (
       select r.id, r.doc from fence cross join (${table.select}) r
       where not exists (
         select 1 from public.integration_crosswalk cw
         where cw.pair = fence.pair and cw.a_id = r.id and cw.link_state = 'linked')
         ${after}
       order by r.id limit $3
     ),
     read as materialized (
       select r.id, r.doc, ${sql.key} as key, ${sql.isPlain} as plain
       from page r ${sql.values}
     ),
     staged as (
       insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token, state)
       select fence.id, fence.epoch, 'a', read.id::text, read.key, 'null', ${token("read.doc")},
         ${STATE_OF_LINK}
       from fence cross join read
       left join public.integration_crosswalk cw
         on cw.pair = fence.pair and cw.a_id = read.id and cw.link_state <> 'keep_apart'
       where read.plain
       on conflict (run_id, epoch, side, record_id) do update
         set natural_key = excluded.natural_key, token = excluded.token, state = excluded.state
     )
     select exists (select 1 from fence) as held,
       (select count(*)::integer from read) as seen,
       (select id::text from read order by id desc limit 1) as last,
       (select coalesce(jsonb_agg(
          jsonb_build_object('id', id, 'token', ${token("doc")}, 'doc', doc)), '[]')
        from read where not plain) as rest`,
    afterId === null ? [run.id, run.fencing, limit] : [run.id, run.fencing, limit, afterId],
  );
  return held(rows, run);
}
