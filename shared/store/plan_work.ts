import type { Database } from "./database.ts";
import { committed, FENCE } from "./fence.ts";
import { identifier } from "./identifier.ts";
import { tableOf } from "./keyed_table.ts";
import type { LocalTableName } from "./local_table.ts";
import type { Run } from "./run.ts";

/** How much there is to walk over, and how much of it to look at. */
export interface WorkPlanned {
  readonly pauseRequested: boolean;
  /** Records of the walk: links, matches, and records without a partner. */
  readonly total: number;
  /** Of them, links and matches to be looked at: what limits may stop. */
  readonly guarded: number;
  /** Of them, links and matches: what limits are a share of. */
  readonly linked: number;
}

/**
 * Lays down the order of all records and picks those to be looked at: links of
 * which a side changed since the last agreement, or on which there is none; and
 * whatever has no living link.
 *
 * @param cursor What changes in the run's cursor.
 */
export async function planWork(
  database: Database,
  run: Run,
  table: LocalTableName,
  cursor: { readonly [name: string]: string },
  phase: string,
): Promise<WorkPlanned> {
  const source = tableOf(table);
  const rows = await database.query<WorkPlanned>(
    `with fence as materialized (${FENCE}),
     cleared as (
       delete from public.sync_work w using fence
       where w.run_id = fence.id and w.epoch <> fence.epoch
     ),
     -- What may have healed by itself looks like any other record that is in sync.
     noted as (
       select c.record_key from fence
       join public.sync_conflicts c on c.pair = fence.pair
       where c.status = 'open' or c.status = 'resolved' and c.applied_at is null
       union
       select f.record_key from fence join public.sync_failures f on f.pair = fence.pair
     ),
     -- One look-up a record, which the limit makes sure of: they are few next to the links.
     staged as materialized (
       select s.side, s.record_id, s.partner_id, s.state, living.id as link_id
       from fence
       join public.sync_stage s on s.run_id = fence.id and s.epoch = fence.epoch
       left join lateral (
         select cw.id from public.integration_crosswalk cw
         where cw.pair = fence.pair and cw.b_id = case when s.side = 'b' then s.record_id end
           and cw.link_state = 'linked' and cw.link_state <> 'keep_apart'
         limit 1
       ) by_b on true
       left join lateral (
         select cw.id from public.integration_crosswalk cw
         where cw.pair = fence.pair
           and cw.a_id = case when s.side = 'a' then s.record_id::uuid end
           and cw.link_state = 'linked' and cw.link_state <> 'keep_apart'
         limit 1
       ) by_a on true
       cross join lateral (select coalesce(by_a.id, by_b.id) as id) living
     ),
     touched as materialized (
       select x.id, max(x.a_state) as a_state, max(x.b_state) as b_state
       from (
         select link_id as id, case when side = 'a' then state end as a_state,
           case when side = 'b' then state end as b_state
         from staged where link_id is not null
         union all
         select substring(noted.record_key from 4)::bigint, null, null
         from noted where noted.record_key like 'cw:%'
       ) x
       group by x.id
     ),
     links as not materialized (
       select cw.id, cw.a_id, cw.b_id
       from public.integration_crosswalk cw
       where cw.pair = (select pair from fence) and cw.link_state = 'linked' and not exists (
         select from touched t where t.id = cw.id and 'matched' in (t.a_state, t.b_state))
     ),
     -- Numbered only where there is a link to look at: a list in sync needs their number alone.
     numbered as materialized (
       select n.id, n.a_id, n.b_id, n.ordinal, t.a_state, t.b_state
       from touched t
       join (
         select links.*, row_number() over (order by links.id) as ordinal from links
         where exists (select from touched)
       ) n using (id)
     ),
     linked as materialized (
       select (select count(*) from public.integration_crosswalk cw
           where cw.pair = (select pair from fence) and cw.link_state = 'linked')
         - (select count(*) from touched t where 'matched' in (t.a_state, t.b_state)) as n
     ),
     unlinked as (
       select case side when 'b' then 2 else 3 end as part, record_id as k,
         case side when 'b' then partner_id::uuid else record_id::uuid end as a_id,
         case side when 'b' then record_id end as b_id,
         case state when 'matched' then 'match'
           when 'free' then case side when 'b' then 'new_remote' else 'new_local' end
           else 'held' end as kind
       from staged
       where case side
         when 'b' then state = 'matched' or state not in ('pair', 'absent') and link_id is null
         else state <> 'matched' and link_id is null end
     ),
     placed as materialized (
       select l.ordinal, l.id as crosswalk_id, l.a_id, l.b_id,
         case
           -- Somebody with this key is there, and it is not known who.
           when 'duplicate_key' in (l.a_state, l.b_state) then 'held'
           when l.b_state = 'orphan' then 'absent_local'
           when l.b_state = 'absent' then
             case when (select r.${identifier(table.id)} from ${source} r
               where r.${identifier(table.id)} = l.a_id) is null
             then 'absent_local' else 'absent_remote' end
           else 'pair'
         end as kind
       from numbered l
       union all
       select linked.n + row_number() over (order by part, k), null, a_id, b_id, kind
       from unlinked, linked
     ),
     written as (
       insert into public.sync_work (run_id, epoch, ordinal, kind, crosswalk_id, a_id, b_id)
       select fence.id, fence.epoch, p.ordinal, p.kind, p.crosswalk_id, p.a_id, p.b_id
       from fence, placed p
       on conflict (run_id, epoch, ordinal) do nothing
     ),
     counts as materialized (
       select (linked.n
           + (select count(*) from placed where crosswalk_id is null))::integer as total,
         (select count(*) from placed
          where kind in ('pair', 'match', 'absent_local', 'absent_remote'))::integer as guarded,
         (linked.n + (select count(*) from placed where kind = 'match'))::integer as linked
       from linked
     )
     update public.sync_runs as r
     set cursor = r.cursor || $3::jsonb || jsonb_build_object(
         'total', c.total, 'guarded', c.guarded, 'linked', c.linked, 'at', 0, 'planned', 0),
       phase = $4, total_batches = c.total, current_batch = 0,
       heartbeat_at = now(), last_updated_at = now()
     from fence, counts c
     where r.id = fence.id
     returning r.pause_requested as "pauseRequested", c.total, c.guarded, c.linked`,
    [run.id, run.fencing, JSON.stringify(cursor), phase],
  );
  return committed(rows, run);
}
