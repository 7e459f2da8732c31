/**
 * The statements that find out who belongs to whom among the records without a link.
 *
 * @module
 */
import type { Database } from "./database.ts";
import { FENCE } from "./fence.ts";
import { identifier } from "./identifier.ts";
import { type KeyedTable, keyOf, tableOf } from "./keyed_table.ts";
import { literal } from "./plain_sql.ts";
import type { Run } from "./run.ts";
import { shadowsByKey } from "./shadows_by_key.ts";

/** Keys asked about at most; where there are more, matching reads both sides anyway. */
const MOST_FREE_KEYS = 1_000;

/**
 * Tells which keys of records without a link nobody else has, neither a client nor
 * anybody at the last agreement. Only reads, and takes no lock.
 *
 * Nearly always these are all of them, the same as the day before; to find that out
 * takes reading all of side A and all shadows.
 */
export async function keysOfNobodyElse(
  database: Database,
  run: Run,
  table: KeyedTable,
  keyField: string,
): Promise<readonly string[]> {
  const rows = await database.query<{ key: string }>(
    `with free as materialized (
       select s.side, s.record_id, s.natural_key from public.sync_stage s
       where s.run_id = $1 and s.epoch = $2 and s.state = 'free'
     ),
     every_key as materialized (
       select distinct natural_key from free where natural_key <> '' limit $3 + 1
     ),
     keys as materialized (
       select natural_key from every_key where (select count(*) from every_key) <= $3
     ),
     held as (
       select k.natural_key
       from ${tableOf(table)} t join keys k on k.natural_key = ${keyOf(table)} collate "C"
       left join free on free.side = 'a' and free.record_id = t.${identifier(table.id)}::text
       where free.record_id is null
     ),
     shadowed as (${
      shadowsByKey("keys", keyField, "ka.natural_key as a_key, kb.natural_key as b_key")
    })
     select natural_key as key from keys
     except select natural_key from held
     except select unnest(array[a_key, b_key]) from shadowed`,
    [run.id, run.epoch, MOST_FREE_KEYS],
  );
  return rows.map(({ key }) => key);
}

/**
 * Finds for every record that has no living link the one record of the other side
 * with the same key.
 *
 * Unique among all records of a side, linked ones too: when two records share a
 * key and one is linked, the other must not take its partner. What shares a key
 * is reported and left alone.
 *
 * @param ofNobodyElse What {@linkcode keysOfNobodyElse} told a moment ago.
 * @returns Whether one of these keys is, or was at the last agreement, that of somebody linked.
 */
export async function matchFreeByKey(
  database: Database,
  run: Run,
  table: KeyedTable,
  keyField: string,
  ofNobodyElse: readonly string[] = [],
): Promise<boolean> {
  const rows = await database.query<{ known: boolean }>(
    `with fence as materialized (${FENCE}),
     free as materialized (
       select s.side, s.record_id, s.natural_key, s.state
       from fence join public.sync_stage s on s.run_id = fence.id and s.epoch = fence.epoch
       where s.state in ('free', 'orphan')
     ),
     keys as materialized (
       select natural_key,
         count(*) filter (where side = 'a') as a_free, count(*) filter (where side = 'b') as b_free,
         min(record_id) filter (where side = 'a') as a_id, min(record_id) filter (where side = 'b') as b_id
       from free where natural_key <> '' group by natural_key
     ),
     sought as materialized (
       select keys.natural_key from keys left join unnest($3::text[]) known (key)
         on known.key = keys.natural_key collate "C"
       where known.key is null
     ),
     held_a as materialized (
       select t.${identifier(table.id)} as id, k.natural_key
       from ${tableOf(table)} t join sought k on k.natural_key = ${keyOf(table)} collate "C"
     ),
     taken_a as materialized (
       select h.natural_key, count(*) as n
       from fence cross join held_a h
       cross join lateral (
         select from public.integration_crosswalk cw
         where cw.pair = fence.pair and cw.a_id = h.id and cw.link_state = 'linked'
           and cw.link_state <> 'keep_apart'
         limit 1
       ) living
       left join free on free.side = 'a' and free.record_id = h.id::text
       where free.record_id is null
       group by 1
     ),
     shadowed as materialized (${
      shadowsByKey("sought", keyField, `s.crosswalk_id, s.b ->> ${literal(keyField)} as b_key`)
    }),
     -- The key of a record that is as its shadow says stands in its shadow alone.
     held_b as materialized (
       select s.crosswalk_id, k.natural_key
       from shadowed s join keys k on k.natural_key = s.b_key collate "C"
     ),
     taken_b as materialized (
       select x.natural_key, count(*) as n
       from (
         select h.natural_key
         from fence
         join held_b h on true
         join public.integration_crosswalk cw
           on cw.id = h.crosswalk_id and cw.pair = fence.pair and cw.link_state = 'linked'
         left join public.sync_stage sb on sb.run_id = fence.id and sb.epoch = fence.epoch
           and sb.side = 'b' and sb.record_id = cw.b_id
           and sb.state in ('pair', 'orphan', 'absent', 'matched')
         where sb.record_id is null
         union all
         select k.natural_key
         from fence
         join public.sync_stage sb
           on sb.run_id = fence.id and sb.epoch = fence.epoch and sb.side = 'b' and sb.state = 'pair'
         join keys k on k.natural_key = sb.natural_key
         join public.integration_crosswalk cw
           on cw.pair = fence.pair and cw.link_state = 'linked' and cw.b_id = sb.record_id
       ) x
       group by 1
     ),
     verdict as materialized (
       select k.*, case
         when k.a_free + coalesce(ta.n, 0) > 1 or k.b_free + coalesce(tb.n, 0) > 1 then 'duplicate_key'
         when k.a_free = 1 and k.b_free = 1 and exists (
           select 1 from fence join public.integration_crosswalk apart on apart.pair = fence.pair
           where apart.link_state = 'keep_apart' and apart.a_id = k.a_id::uuid and apart.b_id = k.b_id
         ) then 'kept_apart'
         when k.a_free = 1 and k.b_free = 1 then 'matched'
         when coalesce(ta.n, 0) + coalesce(tb.n, 0) > 0 then 'key_taken'
       end as state
       from keys k
       left join taken_a ta using (natural_key)
       left join taken_b tb using (natural_key)
     ),
     found as (
       insert into public.sync_findings (run_id, kind, a_ids, b_ids)
       select fence.id, v.state,
         array(select record_id from free where natural_key = v.natural_key and side = 'a' order by 1),
         array(select record_id from free where natural_key = v.natural_key and side = 'b' order by 1)
       from fence, verdict v
       where v.state in ('duplicate_key', 'key_taken')
     ),
     judged as (
       update public.sync_stage s
       set state = x.state, partner_id = x.partner_id
       from (
         select fence.id, fence.epoch, free.side, free.record_id,
           coalesce(v.state, 'no_key') as state,
           case when v.state = 'matched' then case when free.side = 'a' then v.b_id else v.a_id end
           end as partner_id
         from fence cross join free left join verdict v using (natural_key)
         where v.state is not null and (v.state in ('matched', 'duplicate_key') or free.state = 'free')
           or free.natural_key = '' and free.state = 'free'
       ) x
       where s.run_id = x.id and s.epoch = x.epoch and s.side = x.side and s.record_id = x.record_id
     )
     select exists (select from shadowed) as known`,
    [run.id, run.fencing, ofNobodyElse],
  );
  return rows[0]?.known === true;
}
