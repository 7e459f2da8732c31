/**
 * The statements that find the records somebody named, by key or by id, and stage
 * those of them that have no living link.
 *
 * @module
 */
import type { CanonicalRecord } from "../merge/pair.ts";
import type { Database } from "./database.ts";
import { committed, FENCE } from "./fence.ts";
import { identifier } from "./identifier.ts";
import { indexedKey } from "./key_sql.ts";
import { type KeyedTable, tableOf } from "./keyed_table.ts";
import type { LocalTable } from "./local_table.ts";
import type { Run } from "./run.ts";
import { token } from "./token.ts";
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
  /** Its key, roughly in the form it is matched by. */
  readonly aKey: string | null;
  readonly crosswalkId: number | null;
  readonly linkState: string | null;
  readonly bId: string | null;
  /** Side B as it stood at the last agreement; null where there was none. */
  readonly shadowB: CanonicalRecord | null;
  /**
   * For a record named by its id on side A: nothing mapped was edited there since
   * the last agreement, and no decision about it waits to be carried out.
   */
  readonly untouched: boolean;
}

function keyOf(table: KeyedTable): string {
  return indexedKey(`t.${identifier(table.keyColumn)}`);
}

/** Finds what was named: one row each, or one a record of side A where several share a key. */
export async function findSubjects(
  database: Database,
  pair: string,
  table: KeyedTable,
  local: LocalTable,
  named: Named,
): Promise<Subject[]> {
  const id = identifier(table.id);
  const key = keyOf(table);
  return await database.query<Subject>(
    `with named as (
       select 'key' as by, k.ref, t.${id} as a_id, ${key} as a_key, null::bigint as link
       from unnest($2::text[]) k (ref) left join ${tableOf(table)} t on ${key} = k.ref
       union all
       select 'a', i.ref, t.${id}, ${key},
         case when t.${id} is null then (
           select cw.id from public.integration_crosswalk cw
           where cw.pair = $1 and cw.a_id = i.ref::uuid and cw.link_state <> 'keep_apart') end
       from unnest($3::text[]) i (ref) left join ${tableOf(table)} t on t.${id} = i.ref::uuid
       union all
       select 'b', i.ref, t.${id}, ${key}, cw.id
       from unnest($4::text[]) i (ref)
       left join public.integration_crosswalk cw
         on cw.pair = $1 and cw.b_id = i.ref and cw.link_state <> 'keep_apart'
       left join ${tableOf(table)} t on t.${id} = cw.a_id
     )
     select n.by, n.ref, n.a_id::text as "aId", n.a_key as "aKey", cw.id::float8 as "crosswalkId",
       cw.link_state as "linkState", coalesce(cw.b_id, case when n.by = 'b' then n.ref end) as "bId",
       s.b as "shadowB",
       coalesce(s.a_token = ${token("a.doc")}, false) and not exists (
         select 1 from public.sync_conflicts c
         where c.pair = $1 and c.record_key = 'cw:' || cw.id and c.status = 'resolved'
           and c.applied_at is null) as untouched
     from named n
     left join public.integration_crosswalk cw on cw.id = coalesce(n.link, (
       select own.id from public.integration_crosswalk own
       where own.pair = $1 and own.a_id = n.a_id and own.link_state <> 'keep_apart'))
     left join public.shadow_snapshots s on s.crosswalk_id = cw.id
     left join lateral (
       select r.doc from (${local.select}) r where n.by = 'a' and r.id = n.a_id limit 1
     ) a on true`,
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

/** A record of side A to be matched, with its key in canonical form. */
export interface FreeRecord {
  readonly aId: string;
  readonly key: string;
}

/**
 * Stages records of side A that have no living link, and whoever else has none and
 * shares one of the keys: without them a key would look unique that is not, and a
 * record of side B would be made anew beside its partner.
 *
 * @param lost Records whose link is to be taken for given up.
 */
export async function stageFreeRecords(
  database: Database,
  run: Run,
  table: KeyedTable,
  free: readonly FreeRecord[],
  keys: readonly string[],
  lost: readonly string[],
): Promise<void> {
  const id = identifier(table.id);
  const rows = await database.query(
    `with fence as materialized (${FENCE}),
     wanted as materialized (
       select r."aId" as id, r.key from jsonb_to_recordset($3::jsonb) as r ("aId" uuid, key text)
       union
       select t.${id}, k.key
       from unnest($4::text[]) k (key) join ${tableOf(table)} t on ${keyOf(table)} = k.key
     ),
     staged as (
       insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token, state)
       select distinct on (w.id) fence.id, fence.epoch, 'a', w.id::text, w.key, 'null', '',
         case when cw.link_state is null then 'free' else 'orphan' end
       from fence cross join wanted w
       left join public.integration_crosswalk cw
         on cw.pair = fence.pair and cw.a_id = w.id and cw.link_state <> 'keep_apart'
       where cw.link_state is distinct from 'linked' or w.id = any ($5::uuid[])
       order by w.id
       on conflict (run_id, epoch, side, record_id) do update
         set natural_key = excluded.natural_key, state = excluded.state
     )
     select 1 from fence`,
    [run.id, run.fencing, JSON.stringify(free), keys, lost],
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
           where cw.pair = $4 and cw.b_id = s.record_id and cw.link_state = 'linked'
             and cw.link_state <> 'keep_apart'))`,
    [run.id, run.epoch, after, run.pair],
  );
}

/** A living link, found by its record of side B. */
export interface FoundLink {
  readonly crosswalkId: number;
  readonly aId: string;
  readonly bId: string;
  /** Whether its record of side A is there. */
  readonly hasA: boolean;
}

/** Links of records of side B, by their ids. */
export async function linksOf(
  database: Database,
  pair: string,
  table: KeyedTable,
  bIds: readonly string[],
): Promise<FoundLink[]> {
  return await database.query<FoundLink>(
    `select cw.id::float8 as "crosswalkId", cw.a_id::text as "aId", cw.b_id as "bId",
       exists (select 1 from ${tableOf(table)} t where t.${
      identifier(table.id)
    } = cw.a_id) as "hasA"
     from public.integration_crosswalk cw
     where cw.pair = $1 and cw.b_id = any ($2::text[]) and cw.link_state = 'linked'
       and cw.link_state <> 'keep_apart'`,
    [pair, bIds],
  );
}

/** Notes links that claim one person between them: which of them is right is for a person to say. */
export async function noteSharedLinks(
  database: Database,
  run: Run,
  found: readonly { readonly aIds: readonly string[]; readonly bIds: readonly string[] }[],
): Promise<void> {
  await database.query(
    `with fence as materialized (${FENCE})
     insert into public.sync_findings (run_id, kind, a_ids, b_ids)
     select fence.id, 'duplicate_key',
       array(select jsonb_array_elements_text(f."aIds") order by 1),
       array(select jsonb_array_elements_text(f."bIds") order by 1)
     from fence, jsonb_to_recordset($3::jsonb) as f ("aIds" jsonb, "bIds" jsonb)`,
    [run.id, run.fencing, JSON.stringify(found)],
  );
}
