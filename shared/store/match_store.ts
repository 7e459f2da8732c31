/**
 * The statements between reading both sides and planning: what is gone, and which
 * records have to be looked at.
 *
 * @module
 */
import type { Database } from "./database.ts";
import { FENCE } from "./fence.ts";
import { identifier } from "./identifier.ts";
import { type KeyedTable, keyOf, tableOf } from "./keyed_table.ts";
import type { LocalTable } from "./local_table.ts";
import { literal } from "./plain_sql.ts";
import type { Run } from "./run.ts";
import { token } from "./token.ts";

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
     seen as (
       select u.id collate "C" as id
       from fence
       join public.sync_seen n on n.run_id = fence.id and n.epoch = fence.epoch
       cross join unnest(n.ids) u (id)
     ),
     -- Narrow first: nearly every link has both its sides.
     lost as materialized (
       select cw.id, cw.a_id, cw.b_id, t.id is not null as has_a, seen.id is not null as has_b
       from fence
       join public.integration_crosswalk cw on cw.pair = fence.pair and cw.link_state = 'linked'
       left join (select t.${identifier(table.id)} as id from ${
      tableOf(table)
    } t) t on t.id = cw.a_id
       left join seen on seen.id = cw.b_id
       where t.id is null or seen.id is null
     ),
     -- A record may be in a list twice, where it moved while the pages were read.
     link as materialized (
       select distinct on (lost.id) fence.id as run_id, fence.epoch, lost.*,
         ${keyOf(table)} as a_key, s.b_token, s.b, s.b ->> ${literal(keyField)} as b_key
       from fence cross join lost
       left join lateral (
         select t.* from ${tableOf(table)} t where t.${identifier(table.id)} = lost.a_id limit 1
       ) t on true
       left join lateral (
         select s.b_token, s.b from public.shadow_snapshots s where s.crosswalk_id = lost.id limit 1
       ) s on true
       order by lost.id
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
     ),
     differing as materialized (
       select cw.id, cw.a_id, a.print, ${token("a.doc")} as token
       from fence
       join public.integration_crosswalk cw on cw.pair = fence.pair and cw.link_state = 'linked'
       join (${table.select}) a on a.id = cw.a_id
       left join public.shadow_fingerprints f on f.crosswalk_id = cw.id
       where f.a_print is distinct from a.print
     ),
     compared as materialized (
       select d.id, d.a_id, d.print, d.token, s.version,
         coalesce(s.a_token = d.token and s.agreed, false) as same
       from differing d
       left join lateral (
         select s.a_token, s.agreed, s.version from public.shadow_snapshots s
         where s.crosswalk_id = d.id limit 1
       ) s on true
     ),
     recognised as (
       insert into public.shadow_fingerprints as f (crosswalk_id, version, a_print)
       select c.id, c.version, c.print
       from compared c join public.integration_crosswalk living using (id)
       where c.same
       -- In this order everywhere, or this and a page of side B could wait for each other.
       order by c.id
       -- A link that somebody takes away at this moment needs no fingerprint any more.
       for key share of living skip locked
       on conflict (crosswalk_id) do update set version = excluded.version, a_print = excluded.a_print,
         print = case when f.version = excluded.version then f.print end
       where f.version <= excluded.version
     )
     insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token, state)
     select fence.id, fence.epoch, 'a', c.a_id::text, '', 'null', c.token, 'pair'
     from fence, compared c
     where not c.same
     on conflict (run_id, epoch, side, record_id) do nothing`,
    [run.id, run.fencing],
  );
}
