/**
 * The statements of a backfill. Each commits its work, the run's cursor and its
 * counters at once, and only while the run's fencing number is the caller's: a
 * worker that lost its lease writes nothing, and a killed one loses one batch.
 *
 * @module
 */
import type { Json } from "../merge/json.ts";
import type { Database } from "./database.ts";
import { LeaseLostError } from "./lease_lost_error.ts";
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

const FENCE =
  `select r.id, r.pair, r.epoch, r.started_at, (r.params ->> 'staleAfterDays')::integer as stale_after_days
  from public.sync_runs r
  where r.id = $1 and r.fencing = $2 and r.status = 'running'
  for update`;

function committed<Row>(rows: readonly Row[], run: Run): Row {
  const row = rows[0];
  if (row === undefined) throw new LeaseLostError(run.id);
  return row;
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
     found as (
       insert into public.sync_findings (run_id, kind, a_ids, b_ids)
       select fence.id, 'duplicate_key',
         array(select a.record_id from a where a.natural_key = shared.natural_key order by 1),
         array(select b.record_id from b where b.natural_key = shared.natural_key order by 1)
       from fence, shared
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

/**
 * The walk over the pairs that need a snapshot, by crosswalk id: after the last
 * one looked at, through the last there was when the walk was planned. Pairs
 * linked later are not this run's.
 */
export interface SnapshotWalk {
  readonly after: number;
  readonly through: number;
  /** Snapshots taken before this are old; ISO 8601. */
  readonly staleBefore: string;
}

/** How many pairs need a snapshot, and how to walk them. */
export interface SnapshotPlan extends Committed {
  readonly pairs: number;
  readonly totalBatches: number;
  readonly walk: SnapshotWalk;
}

/** Counts the pairs without a snapshot, or with one older than the run's `staleAfterDays`. */
export async function planSnapshots(
  database: Database,
  run: Run,
  batchSize: number,
  phase: string,
): Promise<SnapshotPlan> {
  const rows = await database.query<SnapshotPlan>(
    `with fence as materialized (${FENCE}),
     walk as (
       select f.id, f.pair, f.started_at - make_interval(days => f.stale_after_days) as stale_before
       from fence f
     ),
     scope as (
       select count(*)::integer as n, coalesce(max(cw.id), 0)::bigint as through
       from walk
       join public.integration_crosswalk cw on cw.pair = walk.pair and cw.link_state = 'linked'
       left join public.shadow_snapshots s on s.crosswalk_id = cw.id
       where s.crosswalk_id is null or s.taken_at < walk.stale_before
     )
     update public.sync_runs as r
     set cursor = jsonb_build_object('step', 'snapshot', 'fingerprint', r.cursor -> 'fingerprint',
         'walk', jsonb_build_object(
           'after', 0, 'through', scope.through, 'staleBefore', walk.stale_before)),
       counters = r.counters || jsonb_build_object('pairs', scope.n),
       current_batch = 0, total_batches = ceil(scope.n::numeric / $3::integer), phase = $4,
       heartbeat_at = now(), last_updated_at = now()
     from walk, scope
     where r.id = walk.id
     returning r.pause_requested as "pauseRequested", scope.n as pairs,
       r.total_batches as "totalBatches", r.cursor -> 'walk' as walk`,
    [run.id, run.fencing, batchSize, phase],
  );
  return committed(rows, run);
}

/** What one batch of snapshots came to. */
export interface SnapshotBatch extends Committed {
  /** Pairs looked at; fewer than asked for means that none is left. */
  readonly pairs: number;
  readonly walk: SnapshotWalk;
}

/**
 * Joins the next pairs with both stages and writes their snapshots.
 *
 * - No snapshot yet: both sides are stored as they stand. Where they differ, that is drift: reported
 *   here, decided by the two-way run.
 * - An old snapshot is renewed only where the sides agree, or where neither was edited since.
 *   Otherwise it stays: it is the base of an edit that has not travelled yet, and a newer one would
 *   make the edit look as if it had.
 * - A snapshot that somebody wrote since this statement read it stays too.
 *
 * The stages are looked up one record at a time, which `limit` makes sure of: a
 * plain join, planned without statistics, read a whole stage for every record.
 */
export async function snapshotBatch(
  database: Database,
  run: Run,
  walk: SnapshotWalk,
  batchSize: number,
): Promise<SnapshotBatch> {
  const rows = await database.query<SnapshotBatch>(
    `with fence as materialized (${FENCE}),
     walk as materialized (
       select cw.id, cw.a_id::text as a_id, cw.b_id, s.version, s.a as base_a, s.b as base_b
       from public.integration_crosswalk cw
       left join public.shadow_snapshots s on s.crosswalk_id = cw.id
       where cw.pair = $3 and cw.link_state = 'linked' and cw.id > $4 and cw.id <= $5
         and (s.crosswalk_id is null or s.taken_at < $6::timestamptz)
       order by cw.id
       limit $7
     ),
     scope as (select walk.*, fence.epoch from walk, fence),
     joined as materialized (
       select scope.*, a.doc as a, a.token as a_token, b.doc as b, b.token as b_token,
         case
           when a.doc is null then 'missing_local'
           when b.doc is null then 'missing_remote'
           when scope.version is null then 'create'
           when a.doc = b.doc or (a.doc = scope.base_a and b.doc = scope.base_b) then 'refresh'
           else 'keep'
         end as class
       from scope
       left join lateral (
         select s.doc, s.token from public.sync_stage s
         where s.run_id = $1 and s.epoch = scope.epoch and s.side = 'a'
           and s.record_id = scope.a_id limit 1
       ) a on true
       left join lateral (
         select s.doc, s.token from public.sync_stage s
         where s.run_id = $1 and s.epoch = scope.epoch and s.side = 'b'
           and s.record_id = scope.b_id limit 1
       ) b on true
     ),
     written as (
       insert into public.shadow_snapshots as s (crosswalk_id, a, b, a_token, b_token, version, taken_at)
       select id, a, b, a_token, b_token, coalesce(version, 0) + 1, now()
       from joined where class in ('create', 'refresh')
       on conflict (crosswalk_id) do update
         set a = excluded.a, b = excluded.b, a_token = excluded.a_token, b_token = excluded.b_token,
           version = excluded.version, taken_at = excluded.taken_at
         where s.version = excluded.version - 1
       returning s.version
     ),
     found as (
       insert into public.sync_findings (run_id, kind, a_ids, b_ids, fields)
       select $1, case when class like 'missing%' then class else 'drift' end,
         array[a_id], array[b_id],
         case when class like 'missing%' then '{}' else array(
           select x.key from jsonb_each(joined.a) x
           where x.value is distinct from joined.b -> x.key order by 1) end
       from joined
       where class like 'missing%' or a <> b
     ),
     counts as (
       select count(*) as pairs, max(id) as last,
         (select count(*) from written where version = 1) as created,
         (select count(*) from written where version > 1) as refreshed,
         count(*) filter (where class = 'keep') as kept,
         count(*) filter (where class = 'missing_local') as missing_local,
         count(*) filter (where class = 'missing_remote') as missing_remote,
         count(*) filter (where class in ('create', 'refresh')) as wanted,
         count(*) filter (where a <> b) as drift
       from joined
     )
     update public.sync_runs as r
     set cursor = jsonb_set(r.cursor, '{walk,after}', to_jsonb(coalesce(c.last, $4))),
       current_batch = r.current_batch + case when c.pairs > 0 then 1 else 0 end,
       counters = r.counters || jsonb_build_object(
         'shadowsCreated', coalesce((r.counters ->> 'shadowsCreated')::integer, 0) + c.created,
         'shadowsRefreshed', coalesce((r.counters ->> 'shadowsRefreshed')::integer, 0) + c.refreshed,
         'shadowsKept', coalesce((r.counters ->> 'shadowsKept')::integer, 0) + c.kept,
         'overtaken', coalesce((r.counters ->> 'overtaken')::integer, 0) + c.wanted - c.created - c.refreshed,
         'missingLocal', coalesce((r.counters ->> 'missingLocal')::integer, 0) + c.missing_local,
         'missingRemote', coalesce((r.counters ->> 'missingRemote')::integer, 0) + c.missing_remote,
         'drift', coalesce((r.counters ->> 'drift')::integer, 0) + c.drift,
         'visited', coalesce((r.counters ->> 'visited')::integer, 0) + c.pairs),
       heartbeat_at = now(), last_updated_at = now()
     from fence, counts c
     where r.id = fence.id
     returning r.pause_requested as "pauseRequested", c.pairs::integer as pairs,
       r.cursor -> 'walk' as walk`,
    [run.id, run.fencing, run.pair, walk.after, walk.through, walk.staleBefore, batchSize],
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
