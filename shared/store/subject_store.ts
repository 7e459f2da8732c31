/**
 * The statements that find the records somebody named, by key or by id.
 *
 * @module
 */
import type { Database } from "./database.ts";
import { committed, FENCE } from "./fence.ts";
import { identifier } from "./identifier.ts";
import type { KeyedTable } from "./match_store.ts";
import type { Run } from "./run.ts";
import type { WorkItem } from "./work_store.ts";

/** What a caller names: keys, and ids of either side. */
export interface Named {
  readonly keys: readonly string[];
  readonly aIds: readonly string[];
  readonly bIds: readonly string[];
}

/** A record that was named, as far as the database knows it. */
export interface Subject {
  readonly by: "key" | "a" | "b";
  /** The key or id it was named by. */
  readonly ref: string;
  /** The record of side A, if there is one. */
  readonly aId: string | null;
  /** Its key in the form it is matched by. */
  readonly aKey: string | null;
  readonly crosswalkId: number | null;
  readonly linkState: string | null;
  readonly bId: string | null;
  /** Whether a link has a shadow; repair asks. */
  readonly hasShadow: boolean;
}

/** Finds what was named: one row each, or one a record of side A where several share a key. */
export async function findSubjects(
  database: Database,
  pair: string,
  table: KeyedTable,
  named: Named,
): Promise<Subject[]> {
  const name = `${identifier(table.schema)}.${identifier(table.table)}`;
  const id = identifier(table.id);
  const key = `lower(btrim(t.${identifier(table.keyColumn)}::text))`;
  return await database.query<Subject>(
    `with named as (
       select 'key' as by, k.ref, t.${id} as a_id, ${key} as a_key, null::bigint as link
       from unnest($2::text[]) k (ref) left join ${name} t on ${key} = k.ref
       union all
       select 'a', i.ref, t.${id}, ${key},
         case when t.${id} is null then (
           select cw.id from public.integration_crosswalk cw
           where cw.pair = $1 and cw.a_id = i.ref::uuid and cw.link_state <> 'keep_apart') end
       from unnest($3::text[]) i (ref) left join ${name} t on t.${id} = i.ref::uuid
       union all
       select 'b', i.ref, t.${id}, ${key}, cw.id
       from unnest($4::text[]) i (ref)
       left join public.integration_crosswalk cw
         on cw.pair = $1 and cw.b_id = i.ref and cw.link_state <> 'keep_apart'
       left join ${name} t on t.${id} = cw.a_id
     )
     select n.by, n.ref, n.a_id::text as "aId", n.a_key as "aKey", cw.id::float8 as "crosswalkId",
       cw.link_state as "linkState", coalesce(cw.b_id, case when n.by = 'b' then n.ref end) as "bId",
       s.crosswalk_id is not null as "hasShadow"
     from named n
     left join public.integration_crosswalk cw on cw.id = coalesce(n.link, (
       select own.id from public.integration_crosswalk own
       where own.pair = $1 and own.a_id = n.a_id and own.link_state <> 'keep_apart'))
     left join public.shadow_snapshots s on s.crosswalk_id = cw.id`,
    [pair, named.keys, named.aIds, named.bIds],
  );
}

/** Stages what was found to be gone from side B. */
export async function stageAbsent(
  database: Database,
  run: Run,
  bIds: readonly string[],
): Promise<void> {
  const rows = await database.query(
    `with fence as materialized (${FENCE}),
     staged as (
       insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token, state)
       select fence.id, fence.epoch, 'b', u.id, '', 'null', '', 'absent'
       from fence, unnest($3::text[]) u (id)
       on conflict (run_id, epoch, side, record_id) do update set state = 'absent'
     )
     select 1 from fence`,
    [run.id, run.fencing, bIds],
  );
  committed(rows, run);
}

/** Stages records of side A that have no living link: orphans are those whose partner is gone. */
export async function stageFreeRecords(
  database: Database,
  run: Run,
  records: readonly { readonly aId: string; readonly key: string; readonly orphan: boolean }[],
): Promise<void> {
  const rows = await database.query(
    `with fence as materialized (${FENCE}),
     staged as (
       insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token, state)
       select distinct on (r."aId") fence.id, fence.epoch, 'a', r."aId", r.key, 'null', '',
         case when r.orphan then 'orphan' else 'free' end
       from fence, jsonb_to_recordset($3::jsonb) as r ("aId" text, key text, orphan boolean)
       order by r."aId"
       on conflict (run_id, epoch, side, record_id) do update
         set natural_key = excluded.natural_key, state = excluded.state
     )
     select 1 from fence`,
    [run.id, run.fencing, JSON.stringify(records)],
  );
  committed(rows, run);
}

/** What matching made of the staged records that have no living link; the ordinals start behind `after`. */
export async function stagedWork(
  database: Database,
  run: Run,
  after: number,
): Promise<WorkItem[]> {
  return await database.query<WorkItem>(
    `select ($3 + row_number() over (order by s.side desc, s.record_id))::integer as ordinal,
       case s.state when 'matched' then 'match'
         when 'free' then case s.side when 'a' then 'new_local' else 'new_remote' end
         else 'held' end as kind,
       null as "crosswalkId",
       case when s.side = 'a' then s.record_id else s.partner_id end as "aId",
       case when s.side = 'b' then s.record_id end as "bId"
     from public.sync_stage s
     where s.run_id = $1 and s.epoch = $2
       and (s.state in ('free', 'duplicate_key', 'key_taken', 'kept_apart', 'no_key')
         or s.state = 'matched' and s.side = 'b'
         or s.state = 'unreadable' and not exists (
           select 1 from public.integration_crosswalk cw
           where cw.pair = $4 and cw.b_id = s.record_id and cw.link_state = 'linked'))`,
    [run.id, run.epoch, after, run.pair],
  );
}

/** Links of records of side B, by their ids. */
export async function linksOf(
  database: Database,
  pair: string,
  bIds: readonly string[],
): Promise<{ readonly crosswalkId: number; readonly aId: string; readonly bId: string }[]> {
  return await database.query(
    `select id::float8 as "crosswalkId", a_id::text as "aId", b_id as "bId"
     from public.integration_crosswalk
     where pair = $1 and b_id = any ($2::text[]) and link_state = 'linked'`,
    [pair, bIds],
  );
}
