/**
 * The statements that fetch records to be planned, lock them, and ask what else
 * the planner has to know.
 *
 * @module
 */
import type { Doc, Json } from "../merge/json.ts";
import type { CanonicalRecord } from "../merge/pair.ts";
import type { Database } from "./database.ts";
import type { LocalTable } from "./local_table.ts";
import type { Run } from "./run.ts";
import { token } from "./token.ts";

/** What a record of the walk is. */
export type WorkKind =
  | "pair"
  | "absent_local"
  | "absent_remote"
  | "match"
  | "new_local"
  | "new_remote"
  | "held";

/** One record to be looked at. */
export interface WorkItem {
  /** Place in the walk, from 1. */
  readonly ordinal: number;
  readonly kind: WorkKind;
  readonly crosswalkId: number | null;
  readonly aId: string | null;
  readonly bId: string | null;
}

/**
 * The next records of a run's walk after `after`, up to and including `through`.
 *
 * A record that had no living link when the walk was laid out may have got one
 * since: from another run, or from an earlier call of this one that was cut off.
 * It is a pair then. A match whose link was made is one too; one whose record has
 * found somebody else is for {@linkcode loadRecords} to tell.
 */
export async function nextWork(
  database: Database,
  run: Run,
  after: number,
  through: number,
  limit: number,
): Promise<WorkItem[]> {
  return await database.query<WorkItem>(
    `select n.ordinal,
       case when n.link_id is null then n.kind when n.nth = 1 then 'pair' else 'held' end as kind,
       case when n.nth = 1 then n.link_id else n.crosswalk_id end::float8 as "crosswalkId",
       case when n.nth = 1 then n.link_a else n.a_id end::text as "aId",
       case when n.nth = 1 then n.link_b else n.b_id end as "bId"
     from (
       select w.*, living.id as link_id, living.a_id as link_a, living.b_id as link_b,
         case when living.id is not null
           then row_number() over (partition by living.id order by w.ordinal) end as nth
       from (
         select * from public.sync_work
         where run_id = $1 and epoch = $2 and ordinal > $3 and ordinal <= $4
         order by ordinal limit $5
       ) w
       left join lateral (
         select cw.id, cw.a_id, cw.b_id from public.integration_crosswalk cw
         where w.crosswalk_id is null and cw.pair = $6
           and cw.link_state = 'linked' and cw.link_state <> 'keep_apart'
           and (cw.a_id = w.a_id or cw.b_id = w.b_id)
           and (w.kind <> 'match' or cw.a_id = w.a_id and cw.b_id = w.b_id)
         order by cw.id limit 1
       ) living on true
     ) n
     order by n.ordinal`,
    [run.id, run.epoch, after, through, limit, run.pair],
  );
}

/** The ids of records of the walk, by their places in it. */
export async function idsOfWork(
  database: Database,
  run: Run,
  ordinals: readonly number[],
): Promise<{ readonly aIds: readonly string[]; readonly bIds: readonly string[] }> {
  const rows = await database.query<{ aIds: string[]; bIds: string[] }>(
    `select coalesce(array_agg(w.a_id::text order by w.ordinal) filter (where w.a_id is not null), '{}') as "aIds",
       coalesce(array_agg(w.b_id order by w.ordinal) filter (where w.b_id is not null), '{}') as "bIds"
     from public.sync_work w
     where w.run_id = $1 and w.epoch = $2 and w.ordinal = any ($3::integer[])`,
    [run.id, run.epoch, ordinals],
  );
  return rows[0] ?? { aIds: [], bIds: [] };
}

/**
 * The names under which a record is locked: by the ids of both sides, so that
 * whoever comes from either of them meets the same lock.
 */
export function lockKeys(item: Pick<WorkItem, "aId" | "bId">): string[] {
  const keys: string[] = [];
  if (item.aId !== null) keys.push(`a:${item.aId}`);
  if (item.bId !== null) keys.push(`b:${item.bId}`);
  return keys;
}

/**
 * Tries to lock records until the end of the caller's transaction.
 *
 * @returns The keys that were locked; the others are in somebody else's hands.
 */
export async function tryLockRecords(
  database: Database,
  pair: string,
  keys: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await database.query<{ key: string }>(
    `select k.key from unnest($2::text[]) k (key)
     where pg_try_advisory_xact_lock(hashtextextended('sync_record:' || $1 || ':' || k.key, 0))`,
    [pair, keys],
  );
  return new Set(rows.map(({ key }) => key));
}

/** A conflict of a record that is open, or decided and not yet carried out. */
export interface StoredConflict {
  readonly id: number;
  readonly field: string;
  readonly status: "open" | "resolved";
  readonly reason: string;
  readonly base: Json;
  readonly a: Json;
  readonly b: Json;
  readonly choice: "local" | "remote" | "value" | null;
  readonly value: Json;
}

/** A write that was refused in an earlier run. */
export interface StoredFailure {
  readonly code: string;
  /** Runs in a row in which it failed. */
  readonly runs: number;
  readonly aToken: string;
  readonly bToken: string;
  /** Whether the last of them was this run. */
  readonly thisRun: boolean;
  /** Whether a person has decided a conflict of the record since. */
  readonly decidedSince: boolean;
}

/** A record with all that the planner has to know of it. */
export interface LoadedRecord extends WorkItem {
  /** Under which conflicts and failures are kept. */
  readonly recordKey: string;
  readonly linkState: string | null;
  readonly shadow: {
    readonly a: CanonicalRecord;
    readonly b: CanonicalRecord;
    readonly settled: readonly string[];
    readonly version: number;
  } | null;
  /** Side A as it stands this moment, not canonical yet. */
  readonly a: { readonly doc: Doc; readonly token: string } | null;
  /** Side B as it was listed; canonical. */
  readonly b: CanonicalRecord | null;
  /** How side B was found by the enumeration; null where it is as its shadow says. */
  readonly bState: string | null;
  /**
   * Whether somebody has written the shadow since the run began. What was listed may
   * be older, and would look like an edit: `b` is the shadow's then, and has to be read.
   */
  readonly outdated: boolean;
  /**
   * Whether this is not what to look at: the link has changed since the walk was laid out, or what
   * is free at the remote was made for somebody, and that is looked into first.
   */
  readonly overtaken: boolean;
  /** Whether the two records of a match were brought together by their key, which may no longer be so. */
  readonly matchedByKey: boolean;
  /** Why a held record is held. */
  readonly state: string | null;
  readonly bToken: string;
  /** Fingerprint of side B as it was listed. */
  readonly bSeen: string | null;
  readonly conflicts: readonly StoredConflict[];
  readonly failure: StoredFailure | null;
  /** Whether the key of a record of side A, as it stands this moment, belongs to somebody who must not be written to. */
  readonly suppressed: boolean;
}

/** Digest of a key, as {@linkcode LoadedRecord.suppressed} looks it up. */
export function keyDigest(pair: string, key: string): string {
  return `encode(sha256(convert_to(${pair} || ':' || ${key}, 'UTF8')), 'hex')`;
}

/**
 * Loads records: side A from its table, side B from the enumeration or, unchanged since, from the shadow.
 *
 * @param keyPath Path of the key on side A.
 */
export async function loadRecords(
  database: Database,
  run: Run,
  table: LocalTable,
  keyPath: string,
  items: readonly WorkItem[],
): Promise<LoadedRecord[]> {
  const outdated = `coalesce(sb.record_id is not null and s.taken_at > r.started_at, false)`;
  const rows = await database.query<{ records: LoadedRecord[] }>(
    `with item as (
       select w.*, case
         when w."crosswalkId" is not null then 'cw:' || w."crosswalkId"
         when w."bId" is not null then 'b:' || w."bId"
         else 'a:' || w."aId" end as key
       from jsonb_to_recordset($4::jsonb)
         as w (ordinal integer, kind text, "crosswalkId" bigint, "aId" uuid, "bId" text)
     )
     -- As json, not jsonb: a document is written out once, and not copied at every level first.
     select coalesce(json_agg(json_build_object(
       'ordinal', w.ordinal, 'kind', w.kind, 'crosswalkId', w."crosswalkId",
       'aId', w."aId", 'bId', w."bId", 'recordKey', w.key, 'linkState', cw.link_state,
       'shadow', case when s.crosswalk_id is not null then json_build_object(
         'a', s.a, 'b', s.b, 'settled', s.settled, 'version', s.version) end,
       'a', case when a.doc is not null then json_build_object(
         'doc', a.doc, 'token', ${token("a.doc")}) end,
       'b', case when ${outdated} then s.b
         else coalesce(case when jsonb_typeof(sb.doc) = 'object' then sb.doc end,
           case when sb.record_id is null then s.b end) end,
       'bState', case when ${outdated} then null else sb.state end,
       'outdated', ${outdated},
       'overtaken', case when w."crosswalkId" is not null
         then cw.link_state is distinct from 'linked'
         else exists (
           select 1 from public.integration_crosswalk other
           where other.pair = $3 and other.link_state = 'linked' and other.link_state <> 'keep_apart'
             and (other.a_id = w."aId" or other.b_id = w."bId")
             and exists (select 1 from (${table.select}) t where t.id = other.a_id)
             and not exists (
               select 1 from public.sync_stage gone
               where gone.run_id = $1 and gone.epoch = $2 and gone.side = 'b'
                 and gone.record_id = other.b_id and gone.state = 'absent'))
           -- Somebody was made with its key, and nobody has heard yet that it is this record.
           or w.kind in ('match', 'new_remote') and exists (
             select 1 from public.sync_intents sent
             where sent.pair = $3 and sent.operation = 'create'
               and sent.payload ->> 'key' = sb.natural_key and sent.a_id is distinct from w."aId")
           -- Was new when it was planned. Made and given up since, it is not to be made again.
           or w.kind in ('new_local', 'new_remote') and exists (
             select 1 from public.integration_crosswalk dead
             where dead.pair = $3 and dead.link_state not in ('linked', 'keep_apart')
               and (dead.a_id = w."aId" or dead.b_id = w."bId")) end,
       'matchedByKey', coalesce(
         w.kind = 'match' and sa.natural_key <> '' and sa.natural_key = sb.natural_key, false),
       'state', coalesce(sb.state, sa.state),
       'bToken', case when sb.state = 'unreadable' then 'unreadable'
         else coalesce(nullif(sb.token, ''), s.b_token, '') end,
       'bSeen', case when sb.record_id is null or ${outdated} then print.print else sb.seen end::text,
       'conflicts', coalesce(conflict.list, '[]'),
       'failure', case when f.record_key is not null then json_build_object(
         'code', f.code, 'runs', f.runs, 'aToken', f.a_token, 'bToken', f.b_token,
         'thisRun', f.last_run_id is not distinct from $1,
         'decidedSince', coalesce(conflict.decided_at > f.last_failed_at, false)) end,
       'suppressed', exists (
         select 1 from public.sync_suppressions p
         where p.pair = $3 and p.key_digest in (${keyDigest("$3", "sa.natural_key")},
           ${keyDigest("$3", "lower(normalize(btrim(a.doc ->> $5), NFC))")}))
     ) order by w.ordinal), '[]') as records
     from item w
     left join public.sync_runs r on r.id = $1
     left join public.integration_crosswalk cw on cw.id = w."crosswalkId"
     left join public.shadow_snapshots s on s.crosswalk_id = cw.id
     left join public.shadow_fingerprints print on print.crosswalk_id = cw.id
     left join lateral (select t.doc from (${table.select}) t where t.id = w."aId" limit 1) a on true
     left join public.sync_stage sb on sb.run_id = $1 and sb.epoch = $2 and sb.side = 'b'
       and sb.record_id = w."bId"
     left join public.sync_stage sa on sa.run_id = $1 and sa.epoch = $2 and sa.side = 'a'
       and sa.record_id = w."aId"::text
     left join public.sync_failures f on f.pair = $3 and f.record_key = w.key
     left join lateral (
       select json_agg(json_build_object(
         'id', c.id, 'field', c.field, 'status', c.status, 'reason', c.reason, 'base', c.base,
         'a', c.a, 'b', c.b, 'choice', c.choice, 'value', c.resolved_value) order by c.id) as list,
         max(c.resolved_at) as decided_at
       from public.sync_conflicts c
       where c.pair = $3 and c.record_key = w.key
         and (c.status = 'open' or c.status = 'resolved' and c.applied_at is null)
     ) conflict on true`,
    [run.id, run.epoch, run.pair, JSON.stringify(items), keyPath],
  );
  return rows[0]?.records ?? [];
}

/**
 * Links that give way to new ones: of either record, and of which a side is gone.
 * A link of two living records is never among them.
 */
export async function deadLinks(
  database: Database,
  run: Run,
  table: LocalTable,
  links: readonly { readonly aId: string; readonly bId: string }[],
): Promise<number[]> {
  const rows = await database.query<{ id: number }>(
    `select distinct cw.id::float8 as id
     from jsonb_to_recordset($4::jsonb) l ("aId" uuid, "bId" text)
     -- Each side by its index: joined by "or", every link was compared with every other.
     cross join lateral (
       select x.* from public.integration_crosswalk x
       where x.pair = $3 and x.link_state <> 'keep_apart' and x.a_id = l."aId"
       union all
       select x.* from public.integration_crosswalk x
       where x.pair = $3 and x.link_state <> 'keep_apart' and x.b_id = l."bId"
     ) cw
     left join public.sync_stage sb on sb.run_id = $1 and sb.epoch = $2 and sb.side = 'b'
       and sb.record_id = cw.b_id
     where cw.link_state <> 'linked' or sb.state = 'absent'
       or not exists (select 1 from (${table.select}) t where t.id = cw.a_id)`,
    [run.id, run.epoch, run.pair, JSON.stringify(links)],
  );
  return rows.map(({ id }) => id);
}
