/**
 * The statements that write shadow snapshots. Each commits its work, the run's
 * cursor and its counters at once, behind the run's fence.
 *
 * @module
 */
import type { Committed } from "./backfill_store.ts";
import type { Database } from "./database.ts";
import { committed, FENCE } from "./fence.ts";
import { literal } from "./plain_sql.ts";
import type { Run } from "./run.ts";

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
         'listedAt', r.cursor -> 'listedAt', 'walk', jsonb_build_object(
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
 * - Where both sides have come to another key it stays as well: it alone knows the old one, which
 *   the two-way run remembers if somebody left under it.
 * - A snapshot that somebody wrote since this statement read it stays too, and one whose link is
 *   being taken away.
 *
 * The stages are looked up one record at a time, which `limit` makes sure of: a
 * plain join, planned without statistics, read a whole stage for every record.
 *
 * @param keyField The field whose value is the key.
 */
export async function snapshotBatch(
  database: Database,
  run: Run,
  keyField: string,
  walk: SnapshotWalk,
  batchSize: number,
): Promise<SnapshotBatch> {
  const key = literal(keyField);
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
           when a.doc = scope.base_a and b.doc = scope.base_b then 'refresh'
           when a.doc = b.doc and (a.doc -> ${key}, b.doc -> ${key}) is not distinct from
             (scope.base_a -> ${key}, scope.base_b -> ${key}) then 'refresh'
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
       select joined.id, a, b, a_token, b_token, coalesce(version, 0) + 1, now()
       from joined
       -- A link that somebody takes away at this moment needs no snapshot any more.
       cross join lateral (
         select from public.integration_crosswalk cw where cw.id = joined.id
         limit 1 for key share skip locked
       ) living
       where class in ('create', 'refresh')
       order by joined.id
       on conflict (crosswalk_id) do update
         set a = excluded.a, b = excluded.b, a_token = excluded.a_token, b_token = excluded.b_token,
           version = excluded.version, taken_at = excluded.taken_at
         where s.version = excluded.version - 1
       returning s.crosswalk_id, s.version
     ),
     -- Of the record as it was before: found again, it would pass for the new one.
     forgotten as (
       insert into public.shadow_fingerprints as f (crosswalk_id, version)
       select crosswalk_id, version from written where version > 1
       order by crosswalk_id
       on conflict (crosswalk_id) do update set version = excluded.version, a_print = null,
         print = case when (
           select joined.b = joined.base_b from joined where joined.id = f.crosswalk_id
         ) then f.print end
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
