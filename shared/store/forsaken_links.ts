/**
 * Links whose record of side B is somebody else's by now.
 *
 * @module
 */
import type { Doc } from "../merge/json.ts";
import type { CanonicalRecord } from "../merge/pair.ts";
import type { BatchCommit } from "./commit_store.ts";
import type { Database } from "./database.ts";
import { committed, FENCE } from "./fence.ts";
import type { LocalTable } from "./local_table.ts";
import type { Run } from "./run.ts";
import { suppressed } from "./suppressed.ts";

/** A record of side A whose link gives way to one of somebody else. */
export interface ForsakenRecord {
  readonly crosswalkId: number;
  /** Side A as it stands this moment, not canonical yet. */
  readonly doc: Doc;
  /** Both sides at the last agreement; null where there was none. */
  readonly shadow: { readonly a: CanonicalRecord; readonly b: CanonicalRecord } | null;
}

/**
 * The records of side A that are there and are left without a partner.
 *
 * @param ids Links that give way.
 * @param aIds Records of side A that get new ones.
 */
export async function readForsaken(
  database: Database,
  table: LocalTable,
  ids: readonly number[],
  aIds: readonly string[],
): Promise<ForsakenRecord[]> {
  return await database.query<ForsakenRecord>(
    `select cw.id::float8 as "crosswalkId", a.doc,
       case when s.crosswalk_id is not null then jsonb_build_object('a', s.a, 'b', s.b) end as shadow
     from public.integration_crosswalk cw
     cross join lateral (select t.doc from (${table.select}) t where t.id = cw.a_id limit 1) a
     left join public.shadow_snapshots s on s.crosswalk_id = cw.id
     where cw.id = any ($1::bigint[]) and cw.a_id <> all ($2::uuid[])`,
    [ids, aIds],
  );
}

/**
 * Takes their record of side B from links and leaves the rest standing, so that what is
 * on side A is not taken for new.
 */
export async function forsakeLinks(
  database: Database,
  run: Run,
  ids: readonly number[],
  suppressions: BatchCommit["suppressions"],
): Promise<void> {
  const rows = await database.query(
    `with fence as materialized (${FENCE}),
     link as materialized (
       select cw.id, cw.pair, cw.a_id, cw.b_id
       from fence join public.integration_crosswalk cw on cw.id = any ($3::bigint[])
       for update of cw
     ),
     forsaken as (
       update public.integration_crosswalk cw set b_id = null, link_state = 'unlinked'
       from link where cw.id = link.id
     ),
     -- Whoever compares with it at this moment must not vouch for it.
     raised as (
       update public.shadow_snapshots s set version = s.version + 1
       from link where s.crosswalk_id = link.id
       returning s.crosswalk_id, s.version
     ),
     printed as (
       insert into public.shadow_fingerprints as f (crosswalk_id, version)
       select crosswalk_id, version from raised
       order by crosswalk_id
       on conflict (crosswalk_id) do update
         set version = excluded.version, print = null, a_print = null
     ),
     closed as (
       update public.sync_conflicts c
       set status = 'superseded', resolved_at = coalesce(c.resolved_at, now()),
         resolved_by = coalesce(c.resolved_by, 'sync')
       from link
       where c.crosswalk_id = link.id
         and (c.status = 'open' or c.status = 'resolved' and c.applied_at is null)
     ),
     suppressed as (${suppressed("$4")}),
     logged as (
       insert into public.sync_log (run_id, pair, crosswalk_id, a_id, b_id, side, action, rule, applied)
       select $1, pair, id, a_id, b_id, 'b', 'unlink', 'replaced', true from link
     )
     select 1 from fence`,
    [run.id, run.fencing, ids, JSON.stringify(suppressions)],
  );
  committed(rows, run);
}
