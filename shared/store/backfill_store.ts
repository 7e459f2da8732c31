/**
 * The statements of a backfill. Each commits its work, the run's cursor and its
 * counters at once, and only while the run's fencing number is the caller's: a
 * worker that lost its lease writes nothing, and a killed one loses one batch.
 *
 * @module
 */
import type { Json } from "../merge/json.ts";
import type { Database } from "./database.ts";
import { committed, FENCE } from "./fence.ts";
import { type Run, RUN_JSON } from "./run.ts";
import { token } from "./token.ts";

/** One page of either side. */
export interface StagedPage {
  readonly side: "a" | "b";
  /**
   * The readable records, as a JSON array of `[id, key, canonical record, token]`: the key is empty
   * where there is nothing to match by, and a token that is null is computed from the record.
   */
  readonly records: string;
  /** Ids of records that could not be read. */
  readonly unreadable: readonly string[];
  /** Records of this page, readable or not. */
  readonly seen: number;
  /** Requests the remote was sent since the last commit. */
  readonly requests: number;
  /** What changes in the run's cursor; the rest of it stays. */
  readonly cursor: { readonly [name: string]: Json };
  readonly phase: string;
}

/** What every commit answers. */
export interface Committed {
  readonly pauseRequested: boolean;
}

/** Stores one page of canonical records until both sides are joined. */
export async function stagePage(
  database: Database,
  run: Run,
  page: StagedPage,
): Promise<Committed> {
  const seenCounter = page.side === "a" ? "localRead" : "remoteListed";
  const rows = await database.query<Committed>(
    `with fence as materialized (${FENCE}),
     staged as (
       insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token)
       select fence.id, fence.epoch, $3::"char", s.r ->> 0, s.r ->> 1, s.r -> 2,
         coalesce(s.r ->> 3, ${token("s.r -> 2")})
       from fence, jsonb_array_elements($4::jsonb) as s (r)
       on conflict (run_id, epoch, side, record_id) do update
         set natural_key = excluded.natural_key, doc = excluded.doc, token = excluded.token
     ),
     unreadable as (
       insert into public.sync_findings (run_id, kind, a_ids, b_ids)
       select fence.id,
         case $3 when 'a' then 'unreadable_local' else 'unreadable_remote' end,
         case $3 when 'a' then array[u.id] else '{}' end,
         case $3 when 'b' then array[u.id] else '{}' end
       from fence, unnest($5::text[]) as u (id)
     )
     update public.sync_runs as r
     set cursor = r.cursor || $6::jsonb, phase = $7, errors = r.errors + cardinality($5::text[]),
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
      page.side,
      page.records,
      page.unreadable,
      JSON.stringify(page.cursor),
      page.phase,
      seenCounter,
      page.seen,
      page.requests,
    ],
  );
  return committed(rows, run);
}

/**
 * An upper estimate of the batches ahead, before anything is listed: pairs that
 * need a snapshot, and records of side A that may still find their partner.
 *
 * @param localRecords Records of side A, or 0 where the run does not link.
 */
export async function countPending(
  database: Database,
  run: Run,
  localRecords: number,
  batchSize: number,
): Promise<number> {
  const rows = await database.query<{ batches: number }>(
    `select ceil((count(*) filter (where cw.link_state = 'linked'
         and (s.crosswalk_id is null
           or s.taken_at < r.started_at - make_interval(days => (r.params ->> 'staleAfterDays')::integer)))
       + greatest(0, $2::integer - count(*) filter (where cw.link_state <> 'keep_apart'))
       )::numeric / $3::integer)::integer as batches
     from public.sync_runs r
     left join public.integration_crosswalk cw on cw.pair = r.pair
     left join public.shadow_snapshots s on s.crosswalk_id = cw.id
     where r.id = $1`,
    [run.id, localRecords, batchSize],
  );
  return rows[0]?.batches ?? 0;
}

/** Linked pairs that a listing of nothing would make look gone. */
export async function countLinked(database: Database, pair: string): Promise<number> {
  const rows = await database.query<{ n: number }>(
    `select count(*)::integer as n from public.integration_crosswalk
     where pair = $1 and link_state = 'linked'`,
    [pair],
  );
  return rows[0]?.n ?? 0;
}

/**
 * Pairs the unlinked records whose key is equal and unique on both sides.
 *
 * Unique among all records of a side, linked ones too: when two clients share
 * an address and one is linked, the other must not take its subscriber. Records
 * that share a key are reported and left alone.
 *
 * The sides are joined by a full join because only a hash or a merge can do one.
 * Without statistics, which a stage just filled does not have, an inner join was
 * planned as a nested loop over both lists and took minutes for 24,000 records.
 * For the same reason "is true" stands behind "in": it is then a look-up in a hash.
 */
export async function linkUniqueKeys(
  database: Database,
  run: Run,
  cursor: { readonly [name: string]: Json },
  phase: string,
): Promise<Committed> {
  const rows = await database.query<Committed>(
    `with fence as materialized (${FENCE}),
     a as materialized (
       select s.natural_key, s.record_id, cw.id is null as free
       from fence
       join public.sync_stage s
         on s.run_id = fence.id and s.epoch = fence.epoch and s.side = 'a'
       left join public.integration_crosswalk cw
         on cw.pair = fence.pair and cw.a_id = s.record_id::uuid and cw.link_state <> 'keep_apart'
     ),
     b as materialized (
       select s.natural_key, s.record_id, cw.id is null as free
       from fence
       join public.sync_stage s
         on s.run_id = fence.id and s.epoch = fence.epoch and s.side = 'b'
       left join public.integration_crosswalk cw
         on cw.pair = fence.pair and cw.b_id = s.record_id and cw.link_state <> 'keep_apart'
     ),
     keys_a as (
       select natural_key, count(*) as n, count(*) filter (where free) as free, min(record_id) as id
       from a where natural_key <> '' group by natural_key
     ),
     keys_b as (
       select natural_key, count(*) as n, count(*) filter (where free) as free, min(record_id) as id
       from b where natural_key <> '' group by natural_key
     ),
     keys as materialized (
       select natural_key, ka.id as a_id, kb.id as b_id, ka.n as a_n, kb.n as b_n,
         coalesce(ka.free, 0) as a_free, coalesce(kb.free, 0) as b_free
       from keys_a ka full join keys_b kb using (natural_key)
     ),
     linked as (
       insert into public.integration_crosswalk (pair, a_id, b_id)
       select fence.pair, k.a_id::uuid, k.b_id
       from fence, keys k
       where k.a_n = 1 and k.b_n = 1 and k.a_free = 1 and k.b_free = 1
         and not exists (
           select 1 from public.integration_crosswalk apart
           where apart.pair = fence.pair and apart.a_id = k.a_id::uuid and apart.b_id = k.b_id
             and apart.link_state = 'keep_apart')
       order by k.a_id
       on conflict do nothing
       returning 1
     ),
     shared as (
       select natural_key, a_free + b_free as held
       from keys where (a_n > 1 or b_n > 1) and a_free + b_free > 0
     ),
     holders as (
       select natural_key, record_id as a_id, null as b_id from a
       where (natural_key in (select natural_key from shared)) is true
       union all
       select natural_key, null, record_id from b
       where (natural_key in (select natural_key from shared)) is true
     ),
     found as (
       insert into public.sync_findings (run_id, kind, a_ids, b_ids)
       select fence.id, 'duplicate_key',
         coalesce(array_agg(h.a_id order by h.a_id) filter (where h.a_id is not null), '{}'),
         coalesce(array_agg(h.b_id order by h.b_id) filter (where h.b_id is not null), '{}')
       from fence, holders h
       group by fence.id, h.natural_key
     )
     update public.sync_runs as r
     set cursor = $3, phase = $4,
       counters = r.counters || jsonb_build_object(
         'linked', (select count(*) from linked),
         'quarantined', (select coalesce(sum(held), 0) from shared),
         'unlinkedLocal', (select count(*) from a where free) - (select count(*) from linked),
         'unlinkedRemote', (select count(*) from b where free) - (select count(*) from linked)),
       heartbeat_at = now(), last_updated_at = now()
     from fence
     where r.id = fence.id
     returning r.pause_requested as "pauseRequested"`,
    [run.id, run.fencing, JSON.stringify(cursor), phase],
  );
  return committed(rows, run);
}

/** Starts the enumeration again: what was staged and found belongs to an older epoch. */
export async function restartEpoch(database: Database, run: Run, phase: string): Promise<Run> {
  const rows = await database.query<{ run: Run }>(
    `with fence as materialized (${FENCE}),
     unstaged as (delete from public.sync_stage s using fence where s.run_id = fence.id),
     unfound as (delete from public.sync_findings f using fence where f.run_id = fence.id)
     update public.sync_runs as r
     set epoch = r.epoch + 1, cursor = '{}', errors = 0, current_batch = 0, phase = $3,
       counters = jsonb_build_object('requests', coalesce((r.counters ->> 'requests')::integer, 0)),
       heartbeat_at = now(), last_updated_at = now()
     from fence
     where r.id = fence.id
     returning ${RUN_JSON} as run`,
    [run.id, run.fencing, phase],
  );
  return committed(rows, run).run;
}

/** Frees the stage of this run, and of every run that ended without doing so. */
export async function clearStage(database: Database, run: Run): Promise<void> {
  await database.query(
    `delete from public.sync_stage s
     where s.run_id = $1 or not exists (
       select 1 from public.sync_runs r
       where r.id = s.run_id and r.status in ('running', 'waiting', 'paused'))`,
    [run.id],
  );
}
