/**
 * The statements between reading both sides and planning: what is gone, who
 * belongs to whom, and which records have to be looked at.
 *
 * @module
 */
import type { Database } from "./database.ts";
import { committed, FENCE } from "./fence.ts";
import { identifier } from "./identifier.ts";
import type { LocalTable, LocalTableName } from "./local_table.ts";
import { literal } from "./plain_sql.ts";
import type { Run } from "./run.ts";
import { token } from "./token.ts";

/** Side A's table as matching needs it. */
export interface KeyedTable extends LocalTableName {
  /** The column records are first matched by. */
  readonly keyColumn: string;
}

function keyOf(table: KeyedTable): string {
  // What canonicalisation does to nearly every key. A linked record whose key is
  // written in a rarer way is missed here, and its shadow's key is compared too.
  return `lower(btrim(t.${identifier(table.keyColumn)}::text))`;
}

function tableOf(table: KeyedTable): string {
  return `${identifier(table.schema)}.${identifier(table.table)}`;
}

/**
 * Lets the planner know how much was staged. Without it the stage passes for nearly
 * empty, and loading a batch of records reads all of it for each of them.
 */
export async function analyzeStage(database: Database): Promise<void> {
  await database.query(`analyze public.sync_stage`);
}

/**
 * Stages what became of links one side of which is gone: `absent` for a record
 * of B that the enumeration did not hold, and `orphan` for the record that is
 * left on either side, which may have come back under another id.
 *
 * Only after a complete enumeration: anything less proves nothing.
 */
export async function stageAbsences(
  database: Database,
  run: Run,
  table: KeyedTable,
  keyField: string,
): Promise<void> {
  await database.query(
    `with fence as materialized (${FENCE}),
     seen as materialized (
       select distinct u.id collate "C" as id
       from fence
       join public.sync_seen n on n.run_id = fence.id and n.epoch = fence.epoch
       cross join unnest(n.ids) u (id)
     ),
     link as materialized (
       select fence.id as run_id, fence.epoch, cw.id, cw.a_id, cw.b_id,
         t.${identifier(table.id)} is not null as has_a, seen.id is not null as has_b,
         ${keyOf(table)} as a_key, s.b_token, s.b, s.b ->> ${literal(keyField)} as b_key
       from fence
       join public.integration_crosswalk cw on cw.pair = fence.pair and cw.link_state = 'linked'
       left join ${tableOf(table)} t on t.${identifier(table.id)} = cw.a_id
       left join seen on seen.id = cw.b_id
       left join public.shadow_snapshots s on s.crosswalk_id = cw.id
       where t.${identifier(table.id)} is null or seen.id is null
     )
     insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token, state)
     select run_id, epoch, 'b', b_id, '', 'null'::jsonb, '', 'absent' from link where not has_b
     union all
     select run_id, epoch, 'a', a_id::text, coalesce(a_key, ''), 'null'::jsonb, '', 'orphan'
     from link where has_a and not has_b
     union all
     select run_id, epoch, 'b', b_id, coalesce(b_key, ''), coalesce(b, 'null'), coalesce(b_token, ''), 'orphan'
     from link where has_b and not has_a
     on conflict (run_id, epoch, side, record_id) do update set
       -- What changed on side A was staged without its key, which only an orphan needs.
       natural_key = case when sync_stage.side = 'a' then excluded.natural_key
         else sync_stage.natural_key end,
       state = case when sync_stage.state = 'pair' then 'orphan' else sync_stage.state end`,
    [run.id, run.fencing],
  );
}

/** Stages the links whose record of side A is gone, where the enumeration proves nothing about side B. */
export async function stageLocalAbsences(
  database: Database,
  run: Run,
  table: KeyedTable,
  keyField: string,
): Promise<void> {
  await database.query(
    `with fence as materialized (${FENCE})
     insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token, state)
     select fence.id, fence.epoch, 'b', cw.b_id, coalesce(s.b ->> ${literal(keyField)}, ''),
       coalesce(s.b, 'null'), coalesce(s.b_token, ''), 'orphan'
     from fence
     join public.integration_crosswalk cw on cw.pair = fence.pair and cw.link_state = 'linked'
     left join ${tableOf(table)} t on t.${identifier(table.id)} = cw.a_id
     left join public.shadow_snapshots s on s.crosswalk_id = cw.id
     where t.${identifier(table.id)} is null
     on conflict (run_id, epoch, side, record_id) do update set
       state = case when sync_stage.state = 'pair' then 'orphan' else sync_stage.state end`,
    [run.id, run.fencing],
  );
}

/** Brings together again the two records of a link that had been given up, whatever their keys are by now. */
export async function reuniteOrphans(database: Database, run: Run): Promise<void> {
  await database.query(
    `with fence as materialized (${FENCE}),
     found as (
       select fence.id, fence.epoch, cw.a_id::text collate "C" as a_id, cw.b_id
       from fence
       join public.integration_crosswalk cw
         on cw.pair = fence.pair and cw.link_state not in ('linked', 'keep_apart')
       join public.sync_stage a on a.run_id = fence.id and a.epoch = fence.epoch and a.side = 'a'
         and a.record_id = cw.a_id::text and a.state = 'orphan'
       join public.sync_stage b on b.run_id = fence.id and b.epoch = fence.epoch and b.side = 'b'
         and b.record_id = cw.b_id and b.state = 'orphan'
     )
     update public.sync_stage s
     set state = 'matched', partner_id = case when s.side = 'a' then found.b_id else found.a_id end
     from found
     where s.run_id = found.id and s.epoch = found.epoch
       and (s.side = 'a' and s.record_id = found.a_id or s.side = 'b' and s.record_id = found.b_id)`,
    [run.id, run.fencing],
  );
}

/**
 * Finds for every record that has no living link the one record of the other side
 * with the same key.
 *
 * Unique among all records of a side, linked ones too: when two records share a
 * key and one is linked, the other must not take its partner. What shares a key
 * is reported and left alone.
 */
export async function matchFreeByKey(
  database: Database,
  run: Run,
  table: KeyedTable,
  keyField: string,
): Promise<void> {
  await database.query(
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
     taken_a as materialized (
       select x.natural_key, count(distinct x.a_id) as n
       from (
         select k.natural_key, cw.a_id
         from fence
         join public.integration_crosswalk cw on cw.pair = fence.pair and cw.link_state = 'linked'
         join ${tableOf(table)} t on t.${identifier(table.id)} = cw.a_id
         join keys k on k.natural_key = ${keyOf(table)} collate "C"
         union all
         select k.natural_key, cw.a_id
         from fence
         join public.integration_crosswalk cw on cw.pair = fence.pair and cw.link_state = 'linked'
         join public.shadow_snapshots s on s.crosswalk_id = cw.id
         join ${tableOf(table)} t on t.${identifier(table.id)} = cw.a_id
         join keys k on k.natural_key = (s.a ->> ${literal(keyField)}) collate "C"
         where s.a_token = '' or ${keyOf(table)} is not distinct from s.a ->> ${literal(keyField)}
       ) x
       where not exists (
         select 1 from free where free.side = 'a' and free.record_id = x.a_id::text)
       group by 1
     ),
     taken_b as materialized (
       select k.natural_key, count(*) as n
       from fence
       join public.integration_crosswalk cw on cw.pair = fence.pair and cw.link_state = 'linked'
       left join public.shadow_snapshots s on s.crosswalk_id = cw.id
       left join public.sync_stage sb on sb.run_id = fence.id and sb.epoch = fence.epoch
         and sb.side = 'b' and sb.record_id = cw.b_id
       join keys k on k.natural_key = (case when sb.state = 'pair' then sb.natural_key
         else s.b ->> ${literal(keyField)} end) collate "C"
       where coalesce(sb.state, '') not in ('orphan', 'absent', 'matched')
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
     )
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
     where s.run_id = x.id and s.epoch = x.epoch and s.side = x.side and s.record_id = x.record_id`,
    [run.id, run.fencing],
  );
}

/**
 * Tells for which of these records of side B, staged without a partner, side A has
 * got a record with the same key since.
 */
export async function keysTaken(
  database: Database,
  run: Run,
  table: KeyedTable,
  bIds: readonly string[],
): Promise<ReadonlySet<string>> {
  // "is true" keeps the list of keys a hash that the table is read against once:
  // as a join, planned without statistics, it could read the table once a key.
  const rows = await database.query<{ id: string }>(
    `with wanted as materialized (
       select s.record_id as id, s.natural_key as key from public.sync_stage s
       where s.run_id = $1 and s.epoch = $2 and s.side = 'b' and s.record_id = any ($3::text[])
         and s.natural_key <> ''
     ),
     taken as materialized (
       select distinct ${keyOf(table)} collate "C" as key from ${tableOf(table)} t
       where (${keyOf(table)} collate "C" in (select key from wanted)) is true
     )
     select wanted.id from wanted join taken using (key)`,
    [run.id, run.epoch, bIds],
  );
  return new Set(rows.map(({ id }) => id));
}

/**
 * Stages the links of which side A changed since the last agreement, or on which
 * there is none. Compared inside the database: what is in sync is not read.
 */
export async function stageChangedLocal(
  database: Database,
  run: Run,
  table: LocalTable,
): Promise<void> {
  await database.query(
    `with fence as materialized (
       select r.id, r.epoch, r.pair from public.sync_runs r
       where r.id = $1 and r.fencing = $2 and r.status = 'running'
     )
     insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token, state)
     select fence.id, fence.epoch, 'a', cw.a_id::text, '', 'null', a.token, 'pair'
     from fence
     join public.integration_crosswalk cw on cw.pair = fence.pair and cw.link_state = 'linked'
     join (select r.id, ${token("r.doc")} as token from (${table.select}) r) a on a.id = cw.a_id
     left join public.shadow_snapshots s on s.crosswalk_id = cw.id
     where s.a_token is distinct from a.token or not s.agreed
     on conflict (run_id, epoch, side, record_id) do nothing`,
    [run.id, run.fencing],
  );
}

/** How much there is to walk over, and how much of it to look at. */
export interface WorkPlanned {
  readonly pauseRequested: boolean;
  /** Records of the walk: links, matches, and records without a partner. */
  readonly total: number;
  /** Of them, those to be looked at. */
  readonly work: number;
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
  table: KeyedTable,
  cursor: { readonly [name: string]: string },
  phase: string,
): Promise<WorkPlanned> {
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
     walk as (
       select 1 as part, cw.id as n, null::text collate "C" as k, cw.id as crosswalk_id, cw.a_id, cw.b_id,
         case
           -- Somebody with this key is there, and it is not known who.
           when sa.state = 'duplicate_key' or sb.state = 'duplicate_key' then 'held'
           when sb.state = 'orphan' then 'absent_local'
           when sb.state = 'absent' then case when t.id is null then 'absent_local' else 'absent_remote' end
           when sb.record_id is not null or sa.record_id is not null
             or noted.record_key is not null then 'pair'
         end as kind
       from fence
       join public.integration_crosswalk cw on cw.pair = fence.pair and cw.link_state = 'linked'
       left join (select t.${identifier(table.id)} as id from ${
      tableOf(table)
    } t) t on t.id = cw.a_id
       left join public.sync_stage sb on sb.run_id = fence.id and sb.epoch = fence.epoch
         and sb.side = 'b' and sb.record_id = cw.b_id
       left join public.sync_stage sa on sa.run_id = fence.id and sa.epoch = fence.epoch
         and sa.side = 'a' and sa.record_id = cw.a_id::text
       left join noted on noted.record_key = 'cw:' || cw.id
       where sa.state is distinct from 'matched' and sb.state is distinct from 'matched'
       union all
       select 2, 0, s.record_id, null, s.partner_id::uuid, s.record_id,
         case s.state when 'matched' then 'match' when 'free' then 'new_remote' else 'held' end
       from fence
       join public.sync_stage s on s.run_id = fence.id and s.epoch = fence.epoch and s.side = 'b'
       left join public.integration_crosswalk living
         on living.pair = fence.pair and living.b_id = s.record_id and living.link_state = 'linked'
       where s.state = 'matched' or s.state not in ('pair', 'absent') and living.id is null
       union all
       select 3, 0, s.record_id, null, s.record_id::uuid, null,
         case s.state when 'free' then 'new_local' else 'held' end
       from fence
       join public.sync_stage s on s.run_id = fence.id and s.epoch = fence.epoch and s.side = 'a'
       left join public.integration_crosswalk living
         on living.pair = fence.pair and living.a_id = s.record_id::uuid and living.link_state = 'linked'
       where s.state <> 'matched' and living.id is null
     ),
     placed as materialized (
       select walk.*, row_number() over (order by part, n, k) as ordinal from walk
     ),
     written as (
       insert into public.sync_work (run_id, epoch, ordinal, kind, crosswalk_id, a_id, b_id)
       select fence.id, fence.epoch, p.ordinal, p.kind, p.crosswalk_id, p.a_id, p.b_id
       from fence, placed p where p.kind is not null
       on conflict (run_id, epoch, ordinal) do nothing
       returning 1
     ),
     counts as (
       select (select count(*) from placed)::integer as total,
         (select count(*) from written)::integer as work,
         (select count(*) from placed where part = 1 or kind = 'match')::integer as linked
     )
     update public.sync_runs as r
     set cursor = r.cursor || $3::jsonb || jsonb_build_object(
         'total', c.total, 'work', c.work, 'linked', c.linked, 'at', 0, 'planned', 0),
       phase = $4, total_batches = c.total, current_batch = 0,
       heartbeat_at = now(), last_updated_at = now()
     from fence, counts c
     where r.id = fence.id
     returning r.pause_requested as "pauseRequested", c.total, c.work, c.linked`,
    [run.id, run.fencing, JSON.stringify(cursor), phase],
  );
  return committed(rows, run);
}
