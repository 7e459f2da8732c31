/**
 * The statements that read both sides for a two-way run and keep only what differs
 * from the shadows: a record that is as it was at the last agreement is compared
 * inside the database and never becomes an object of the isolate.
 *
 * @module
 */
import type { Json } from "../merge/json.ts";
import type { PairRules } from "../merge/pair.ts";
import type { Projection } from "../merge/projection.ts";
import type { Database } from "./database.ts";
import { committed, FENCE } from "./fence.ts";
import { LeaseLostError } from "./lease_lost_error.ts";
import type { LocalRecord, LocalTable } from "./local_table.ts";
import { literal, plainSql } from "./plain_sql.ts";
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

/** What the database read of a page of side B. */
export interface RemoteChanges {
  /** Records on the page, readable or not; what the remote calls deleted is not counted. */
  readonly seen: number;
  /** The answer without its records. */
  readonly envelope: Json;
  /** The records it left, because they are not canonical as they stand. */
  readonly rows: readonly Json[];
  /** Which of the watched ids are on the page. */
  readonly watched: readonly string[];
}

function held<Row extends { readonly held: boolean }>(rows: readonly Row[], run: Run): Row {
  const row = rows[0];
  if (row === undefined || !row.held) throw new LeaseLostError(run.id);
  return row;
}

/**
 * Reads a page of side B as the remote sent it: notes which ids it holds, and
 * stages the plain records that differ from their shadow or are not linked.
 *
 * @param answer The remote's answer, JSON in UTF-8.
 * @param page Number of the page in its enumeration; a page read again replaces itself.
 */
export async function stageRemoteChanges(
  database: Database,
  run: Run,
  rules: PairRules,
  projection: Projection,
  answer: Uint8Array,
  watch: readonly string[],
  page: number,
): Promise<RemoteChanges> {
  const sql = plainSql(rules, "remote", "r.value", projection.locate);
  const { id, oddKey, rows: path } = projection;
  const rowsPath = `${literal(`{${path.map((key) => JSON.stringify(key)).join(",")}}`)}::text[]`;
  const isOdd = oddKey === null
    ? "false"
    : `coalesce(jsonb_typeof(r.value -> ${literal(oddKey)}), 'null') <> 'null'`;
  const rows = await database.query<RemoteChanges & { held: boolean }>(
    `with fence as materialized (${FENCE_READ}),
     answer as materialized (select convert_from($3::bytea, 'UTF8')::jsonb as body),
     read as materialized (
       select r.value as row, r.value ->> ${literal(id.key)} as id,
         ${sql.key} as key, ${sql.canonical} as canonical,
         coalesce(jsonb_typeof(r.value -> ${literal(id.key)}) = 'string'
           and (r.value ->> ${literal(id.key)}) ~ ${literal(id.pattern)}, false) as has_id,
         ${isOdd} as odd, ${sql.isPlain} as plain
       from answer cross join jsonb_array_elements(answer.body #> ${rowsPath}) r
       ${sql.values}
     ),
     known as materialized (
       select distinct on (read.id collate "C") read.id, read.key, read.canonical,
         ${token("read.canonical")} as token, ${STATE_OF_LINK} as state, s.b_token
       from fence cross join read
       left join public.integration_crosswalk cw
         on cw.pair = fence.pair and cw.b_id = read.id and cw.link_state <> 'keep_apart'
       left join public.shadow_snapshots s on s.crosswalk_id = cw.id
       where read.has_id and read.plain and not read.odd
       order by read.id collate "C"
     ),
     staged as (
       insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token, state)
       select fence.id, fence.epoch, 'b', known.id, known.key, known.canonical, known.token, known.state
       from fence, known
       where known.state <> 'pair' or known.b_token is distinct from known.token
       on conflict (run_id, epoch, side, record_id) do update
         set natural_key = excluded.natural_key, doc = excluded.doc, token = excluded.token,
           state = excluded.state
     ),
     noted as (
       insert into public.sync_seen (run_id, epoch, page, ids)
       select fence.id, fence.epoch, $5::integer,
         array(select distinct read.id from read where read.has_id and not read.odd)
       from fence
       on conflict (run_id, epoch, page) do update set ids = excluded.ids
     )
     select exists (select 1 from fence) as held,
       (select count(*)::integer from read where not odd) as seen,
       (select body #- ${rowsPath} from answer) as envelope,
       (select coalesce(jsonb_agg(row), '[]') from read where not (plain and has_id) or odd) as rows,
       (select coalesce(jsonb_agg(distinct id), '[]') from read where id = any ($4::text[])) as watched`,
    [run.id, run.fencing, answer, watch, page],
  );
  return held(rows, run);
}

/** The part of a page that came the long way, and where the enumeration goes on. */
export interface RestOfPage {
  readonly side: "a" | "b";
  /** A JSON array of `[id, key, canonical record, token or null]`. */
  readonly records: string;
  /** Ids of records that could not be read. */
  readonly unreadable: readonly string[];
  /** Ids on the page where the database did not note them itself, with the page's number. */
  readonly noted: { readonly page: number; readonly ids: readonly string[] } | null;
  readonly requests: number;
  /** Records of the page. */
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
  const link = page.side === "a" ? "cw.a_id::text" : "cw.b_id";
  const rows = await database.query<PageCommitted>(
    `with fence as materialized (${FENCE}),
     given as (
       select r ->> 0 as id, r ->> 1 as key, r -> 2 as doc,
         coalesce(r ->> 3, ${token("r -> 2")}) as token, true as readable
       from jsonb_array_elements($3::jsonb) r
       union all
       select id, '', 'null'::jsonb, '', false from unnest($4::text[]) u (id)
     ),
     known as (
       select distinct on (given.id collate "C") given.*, ${STATE_OF_LINK} as state, s.b_token
       from fence cross join given
       left join public.integration_crosswalk cw
         on cw.pair = fence.pair and ${link} = given.id and cw.link_state <> 'keep_apart'
       left join public.shadow_snapshots s on s.crosswalk_id = cw.id
       order by given.id collate "C"
     ),
     staged as (
       insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token, state)
       select fence.id, fence.epoch, $5::"char", known.id, known.key, known.doc, known.token,
         case when known.readable then known.state else 'unreadable' end
       from fence, known
       where not known.readable or known.state <> 'pair' or $5 = 'a'
         or known.b_token is distinct from known.token
       on conflict (run_id, epoch, side, record_id) do update
         set natural_key = excluded.natural_key, doc = excluded.doc, token = excluded.token,
           state = excluded.state
     ),
     noted as (
       insert into public.sync_seen (run_id, epoch, page, ids)
       select fence.id, fence.epoch, $6::integer, $7::text[]
       from fence where $6::integer is not null
       on conflict (run_id, epoch, page) do update set ids = excluded.ids
     )
     update public.sync_runs as r
     set cursor = r.cursor || $8::jsonb, phase = $9,
       counters = r.counters || jsonb_build_object(
         $10::text, coalesce((r.counters ->> $10)::integer, 0) + $11::integer,
         'requests', coalesce((r.counters ->> 'requests')::integer, 0) + $12::integer),
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
      page.noted?.page ?? null,
      page.noted?.ids ?? null,
      JSON.stringify(page.cursor),
      page.phase,
      page.side === "a" ? "localRead" : "remoteListed",
      page.seen,
      page.requests,
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
