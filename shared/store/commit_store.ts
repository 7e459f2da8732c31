/**
 * The statements that commit a batch of a two-way run, inside one transaction.
 *
 * @module
 */
import type { Json } from "../merge/json.ts";
import type { CanonicalRecord } from "../merge/pair.ts";
import type { Database } from "./database.ts";
import { committed, FENCE } from "./fence.ts";
import type { Run } from "./run.ts";
import { added } from "./run_store.ts";
import { suppressed } from "./suppressed.ts";

/** A shadow to be written. */
export interface ShadowWrite {
  /** null for a link made in this batch, found by its ids. */
  readonly crosswalkId: number | null;
  readonly aId: string;
  readonly bId: string;
  readonly a: CanonicalRecord;
  readonly b: CanonicalRecord;
  readonly settled: readonly string[];
  /** Fingerprint of the remote's own form of `b`; null where it is not known. */
  readonly bSeen: string | null;
  /** Side A's change token, or empty where the record has to be looked at again. */
  readonly aToken: string;
  /** Version that was read; 0 where there was no shadow. */
  readonly version: number;
}

/** A link that did not exist. */
export interface LinkMade {
  readonly aId: string;
  readonly bId: string;
  /** Whether its client was made in this batch. */
  readonly withClient: boolean;
}

/** A change of a link. */
export interface LinkChange {
  readonly crosswalkId: number;
  readonly state: "a_missing" | "b_missing" | "unlinked";
}

/** A conflict that is open after this batch. */
export interface ConflictWrite {
  readonly crosswalkId: number | null;
  readonly aId: string | null;
  readonly bId: string | null;
  readonly recordKey: string;
  readonly field: string;
  readonly base: Json;
  readonly a: Json;
  readonly b: Json;
  readonly reason: string;
}

/** One line of the log. */
export interface LogLine {
  readonly crosswalkId: number | null;
  readonly aId: string | null;
  readonly bId: string | null;
  readonly side: "a" | "b";
  readonly action: "create" | "update" | "delete" | "link" | "mark" | "unlink" | "refuse" | "allow";
  readonly field: string | null;
  readonly before: Json;
  readonly after: Json;
  readonly rule: string;
  readonly applied: boolean;
}

/** A write that was refused. */
export interface FailureWrite {
  readonly recordKey: string;
  readonly aId: string | null;
  readonly bId: string | null;
  readonly code: string;
  readonly aToken: string;
  readonly bToken: string;
}

/** Everything one batch leaves behind. */
export interface BatchCommit {
  /** Links to be made. */
  readonly links: readonly LinkMade[];
  /** Links that give way to others. */
  readonly removedLinks: readonly number[];
  readonly linkChanges: readonly LinkChange[];
  readonly shadows: readonly ShadowWrite[];
  readonly conflicts: readonly ConflictWrite[];
  /** Records that were planned: open conflicts of theirs that are not in `conflicts` close themselves. */
  readonly plannedRecords: readonly string[];
  /** Conflicts whose decision was carried out. */
  readonly decided: readonly number[];
  /** Conflicts whose decision no longer fits. */
  readonly staleDecisions: readonly number[];
  readonly failures: readonly FailureWrite[];
  /** Records that are fine by now. */
  readonly mended: readonly string[];
  /** People who must not be written to, by key. */
  readonly suppressions: readonly { readonly key: string; readonly consent: string }[];
  readonly log: readonly LogLine[];
  /** Intents whose outcome is known. */
  readonly intents: readonly string[];
  readonly counters: Readonly<Record<string, number>>;
  readonly errors: number;
  /** What changes in the run's cursor. */
  readonly cursor: { readonly [name: string]: Json };
  readonly phase: string;
  /** Place in the walk. */
  readonly at: number;
}

/**
 * Keeps the run for the caller's transaction, and marks what it writes as the
 * sync's own, which does not go into the queue.
 *
 * @throws {LeaseLostError} If another worker holds it.
 */
export async function holdFence(database: Database, run: Run): Promise<void> {
  const rows = await database.query(
    `with fence as materialized (${FENCE}) select set_config('sync.writer', 'on', true) from fence`,
    [run.id, run.fencing],
  );
  committed(rows, run);
}

/** Takes links away before others take their place: one statement cannot do both under a unique index. */
export async function removeLinks(
  database: Database,
  run: Run,
  ids: readonly number[],
): Promise<void> {
  await database.query(
    `with removed as (
       delete from public.integration_crosswalk where id = any ($2::bigint[])
       returning id, pair, a_id, b_id
     )
     insert into public.sync_log (run_id, pair, crosswalk_id, a_id, b_id, side, action, rule, applied)
     select $1, pair, id, a_id, b_id, 'b', 'unlink', 'replaced', true from removed`,
    [run.id, ids],
  );
}

/** What a committed batch answers. */
export interface BatchCommitted {
  readonly pauseRequested: boolean;
  /** Shadows that somebody else wrote since they were read, and that were left. */
  readonly overtaken: number;
}

/** Writes everything a batch leaves behind but side A's own rows. */
export async function commitBatch(
  database: Database,
  run: Run,
  batch: BatchCommit,
): Promise<BatchCommitted> {
  const rows = await database.query<BatchCommitted>(
    `with fence as materialized (${FENCE}),
     link as materialized (
       select fence.pair, l.*
       from fence, jsonb_to_recordset($3::jsonb) as l ("aId" uuid, "bId" text, "withClient" boolean)
     ),
     paired as (
       insert into public.integration_crosswalk (pair, a_id, b_id)
       select pair, "aId", "bId" from link where not "withClient"
       on conflict do nothing
       returning id, a_id, b_id
     ),
     -- Where somebody has made a link of the record meanwhile, the batch fails: without its
     -- link the client would stay, a second one of the same person.
     made as (
       insert into public.integration_crosswalk (pair, a_id, b_id)
       select pair, "aId", "bId" from link where "withClient"
       returning id, a_id, b_id
     ),
     linked as (select * from paired union all select * from made),
     states as (
       update public.integration_crosswalk cw set link_state = c.state
       from fence, jsonb_to_recordset($4::jsonb) as c ("crosswalkId" bigint, state text)
       where cw.id = c."crosswalkId"
     ),
     shadow as (
       select coalesce(w."crosswalkId", linked.id) as crosswalk_id, w.a, w.b, w."aToken", w.version, w."bSeen",
         array(select jsonb_array_elements_text(w.settled)) as settled
       from jsonb_to_recordset($5::jsonb) as w ("crosswalkId" bigint, "aId" uuid, "bId" text,
         a jsonb, b jsonb, settled jsonb, "bSeen" bigint, "aToken" text, version bigint)
       left join linked on w."crosswalkId" is null and linked.a_id = w."aId" and linked.b_id = w."bId"
     ),
     shadowed as (
       insert into public.shadow_snapshots as s
         (crosswalk_id, a, b, settled, a_token, b_token, version, taken_at)
       select w.crosswalk_id, w.a, w.b, w.settled, w."aToken",
         jsonb_hash_extended(w.b, 0)::text, w.version + 1, now()
       from fence, shadow w where w.crosswalk_id is not null
       order by w.crosswalk_id
       on conflict (crosswalk_id) do update
         set a = excluded.a, b = excluded.b, settled = excluded.settled, a_token = excluded.a_token,
           b_token = excluded.b_token, version = excluded.version, taken_at = excluded.taken_at
         where s.version = excluded.version - 1
       returning crosswalk_id, version
     ),
     relinked as (
       select distinct c."crosswalkId" as id
       from jsonb_to_recordset($4::jsonb) as c ("crosswalkId" bigint)
     ),
     -- Whoever compares with it at this moment must not vouch for a link that has changed.
     raised as (
       update public.shadow_snapshots s set version = s.version + 1
       from fence, relinked
       where s.crosswalk_id = relinked.id
         and not exists (select 1 from shadow w where w.crosswalk_id = relinked.id)
       returning s.crosswalk_id, s.version
     ),
     printed as (
       insert into public.shadow_fingerprints as f (crosswalk_id, version, print)
       select x.crosswalk_id, x.version, case when relinked.id is null then w."bSeen" end
       from (select * from shadowed union all select * from raised) x
       left join shadow w using (crosswalk_id)
       left join relinked on relinked.id = x.crosswalk_id
       -- As everybody does, so that two never wait for each other.
       order by x.crosswalk_id
       on conflict (crosswalk_id) do update
         set version = excluded.version, print = excluded.print, a_print = null
     ),
     conflict as (
       select c.field, c.base, c.a, c.b, c.reason, coalesce(c."crosswalkId", linked.id) as crosswalk_id,
         coalesce('cw:' || linked.id, c."recordKey") as record_key
       from jsonb_to_recordset($6::jsonb) as c ("crosswalkId" bigint, "aId" uuid, "bId" text,
         "recordKey" text, field text, base jsonb, a jsonb, b jsonb, reason text)
       left join linked on c."crosswalkId" is null and linked.a_id = c."aId" and linked.b_id = c."bId"
     ),
     closed as (
       update public.sync_conflicts c
       set status = 'superseded', resolved_at = now(), resolved_by = coalesce(c.resolved_by, 'sync')
       from fence
       where c.pair = fence.pair and c.record_key = any ($7::text[]) and c.status = 'open'
         and not exists (select 1 from conflict n where n.record_key = c.record_key and n.field = c.field)
     ),
     decided as (
       update public.sync_conflicts c set applied_at = now()
       from fence
       where c.id = any ($8::bigint[]) and c.status = 'resolved' and c.applied_at is null
     ),
     stale as (
       update public.sync_conflicts c set status = 'superseded'
       from fence
       where c.id = any ($9::bigint[]) and c.status = 'resolved' and c.applied_at is null
     ),
     opened as (
       insert into public.sync_conflicts as c
         (pair, crosswalk_id, record_key, field, base, a, b, reason, run_id)
       select fence.pair, n.crosswalk_id, n.record_key, n.field, n.base, n.a, n.b, n.reason, fence.id
       from fence, conflict n
       on conflict (pair, record_key, field) where status = 'open' do update
         set base = excluded.base, a = excluded.a, b = excluded.b, reason = excluded.reason,
           run_id = excluded.run_id
         where (c.base, c.a, c.b, c.reason) is distinct from
           (excluded.base, excluded.a, excluded.b, excluded.reason)
     ),
     failure as (
       select x.*, coalesce('cw:' || linked.id, x."recordKey") as record_key
       from jsonb_to_recordset($10::jsonb) as x ("recordKey" text, "aId" uuid, "bId" text,
         code text, "aToken" text, "bToken" text)
       left join linked on linked.a_id = x."aId" and linked.b_id = x."bId"
     ),
     failed as (
       insert into public.sync_failures as f
         (pair, record_key, a_id, b_id, code, a_token, b_token, last_run_id)
       select fence.pair, x.record_key, x."aId", x."bId", x.code, x."aToken", x."bToken", fence.id
       from fence, failure x
       on conflict (pair, record_key) do update
         set code = excluded.code, a_token = excluded.a_token, b_token = excluded.b_token,
           last_run_id = excluded.last_run_id, last_failed_at = now(),
           runs = case
             when (f.a_token, f.b_token) is distinct from (excluded.a_token, excluded.b_token) then 1
             when f.last_run_id is not distinct from excluded.last_run_id then f.runs
             else f.runs + 1 end
     ),
     mended as (
       delete from public.sync_failures f using fence
       where f.pair = fence.pair and f.record_key = any ($11::text[])
         and not exists (select 1 from failure x where x.record_key = f.record_key)
     ),
     suppressed as (${suppressed("$12")}),
     logged as (
       insert into public.sync_log (run_id, pair, crosswalk_id, a_id, b_id, side, action, field,
         before, after, rule, applied)
       select fence.id, fence.pair, coalesce(l."crosswalkId", linked.id), l."aId", l."bId",
         l.side::"char", l.action, l.field, l.before, l.after, l.rule, l.applied
       from fence cross join jsonb_to_recordset($13::jsonb) as l ("crosswalkId" bigint, "aId" uuid,
         "bId" text, side text, action text, field text, before jsonb, after jsonb, rule text,
         applied boolean)
       left join linked on linked.a_id = l."aId" and linked.b_id = l."bId"
     ),
     intended as (
       delete from public.sync_intents i using fence where i.id = any ($14::uuid[])
     )
     update public.sync_runs as r
     set cursor = r.cursor || $15::jsonb, phase = $16, errors = r.errors + $17::integer,
       current_batch = $18,
       counters = r.counters || ${added("$19")},
       heartbeat_at = now(), last_updated_at = now()
     from fence
     where r.id = fence.id
     returning r.pause_requested as "pauseRequested",
       ((select count(*) from shadow) - (select count(*) from shadowed))::integer as overtaken`,
    [
      run.id,
      run.fencing,
      JSON.stringify(batch.links),
      JSON.stringify(batch.linkChanges),
      JSON.stringify(batch.shadows),
      JSON.stringify(batch.conflicts),
      batch.plannedRecords,
      batch.decided,
      batch.staleDecisions,
      JSON.stringify(batch.failures),
      batch.mended,
      JSON.stringify(batch.suppressions),
      JSON.stringify(batch.log),
      batch.intents,
      JSON.stringify(batch.cursor),
      batch.phase,
      batch.errors,
      batch.at,
      JSON.stringify(batch.counters),
    ],
  );
  return committed(rows, run);
}
