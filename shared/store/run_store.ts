/**
 * Small statements about a run that is under way.
 *
 * @module
 */
import type { Json } from "../merge/json.ts";
import type { Database } from "./database.ts";
import { committed, FENCE } from "./fence.ts";
import { type Run, RUN_JSON } from "./run.ts";

/**
 * SQL of the counters of the run `r` that have to be set where others, a JSON object, are
 * added to them.
 */
export function added(counters: string): string {
  return `(select coalesce(jsonb_object_agg(c.key,
       coalesce((r.counters ->> c.key)::integer, 0) + c.value::integer), '{}')
     from jsonb_each_text(${counters}::jsonb) c)`;
}

/** What changes in a run between two batches. */
export interface RunChange {
  readonly cursor: { readonly [name: string]: Json };
  readonly phase: string;
  /** Requests the remote was sent since the last commit. */
  readonly requests: number;
}

/** Writes down how far a run is. */
export async function moveRun(database: Database, run: Run, change: RunChange): Promise<Run> {
  const rows = await database.query<{ run: Run }>(
    `with fence as materialized (${FENCE})
     update public.sync_runs as r
     set cursor = r.cursor || $3::jsonb, phase = $4,
       counters = r.counters || jsonb_build_object(
         'requests', coalesce((r.counters ->> 'requests')::integer, 0) + $5::integer),
       heartbeat_at = now(), last_updated_at = now()
     from fence
     where r.id = fence.id
     returning ${RUN_JSON} as run`,
    [run.id, run.fencing, JSON.stringify(change.cursor), change.phase, change.requests],
  );
  return committed(rows, run).run;
}

/** A part of a walk of which no record has to be looked at. */
export interface QuietStretch {
  /** Place of its last record. */
  readonly at: number;
  readonly records: number;
  readonly phase: string;
  /** Requests the remote was sent since the last commit. */
  readonly requests: number;
}

/** Puts a part of the walk behind a run. */
export async function passStretch(
  database: Database,
  run: Run,
  { at, records, phase, requests }: QuietStretch,
): Promise<{ readonly pauseRequested: boolean }> {
  const counters = { processed: records, unchanged: records, requests };
  const rows = await database.query<{ pauseRequested: boolean }>(
    `with fence as materialized (${FENCE})
     update public.sync_runs as r
     set cursor = r.cursor || jsonb_build_object('at', $3::integer, 'retried', null),
       current_batch = $3, phase = $4, counters = r.counters || ${added("$5")},
       heartbeat_at = now(), last_updated_at = now()
     from fence
     where r.id = fence.id
     returning r.pause_requested as "pauseRequested"`,
    [run.id, run.fencing, at, phase, JSON.stringify(counters)],
  );
  return committed(rows, run);
}

/**
 * Starts the walk of a run again from the enumeration. What it has done stays counted;
 * a dry run has done nothing.
 */
export async function startOver(database: Database, run: Run, phase: string): Promise<Run> {
  const rows = await database.query<{ run: Run }>(
    `with fence as materialized (${FENCE}),
     unstaged as (delete from public.sync_stage s using fence where s.run_id = fence.id),
     unseen as (delete from public.sync_seen s using fence where s.run_id = fence.id),
     unplanned as (delete from public.sync_work s using fence where s.run_id = fence.id),
     unfound as (delete from public.sync_findings f using fence where f.run_id = fence.id)
     update public.sync_runs as r
     set epoch = r.epoch + 1, cursor = '{}', errors = 0, current_batch = 0, phase = $3,
       -- What was done stays counted; a dry run has done nothing but to ask.
       counters = case when (r.params ->> 'dryRun')::boolean
         then jsonb_build_object('requests', coalesce(r.counters -> 'requests', '0'))
         else r.counters - array['localRead', 'remoteListed', 'processed', 'unchanged', 'changed',
           'conflicted', 'conflicts', 'excluded', 'failed', 'skipped', 'updated'] end,
       heartbeat_at = now(), last_updated_at = now()
     from fence
     where r.id = fence.id
     returning ${RUN_JSON} as run`,
    [run.id, run.fencing, phase],
  );
  return committed(rows, run).run;
}

/** Frees what a run staged, and what runs that ended without doing so have left. */
export async function clearRun(database: Database, run: Run): Promise<void> {
  const isLeft = (table: string) =>
    `delete from public.${table} s
     where s.run_id in (select fence.id from fence) or not exists (
       select 1 from public.sync_runs r
       where r.id = s.run_id and r.status in ('running', 'waiting', 'paused'))`;
  await database.query(
    `with fence as materialized (${FENCE}),
     stage as (${isLeft("sync_stage")}), seen as (${isLeft("sync_seen")}),
     work as (${isLeft("sync_work")})
     select 1`,
    [run.id, run.fencing],
  );
}

/** Notes which records made a limit stop the run. */
export async function noteGuard(
  database: Database,
  run: Run,
  kind: string,
  aIds: readonly string[],
  bIds: readonly string[],
): Promise<void> {
  await database.query(
    `with fence as materialized (${FENCE})
     insert into public.sync_findings (run_id, kind, a_ids, b_ids, fields)
     select fence.id, 'guard', $3::text[], $4::text[], array[$5::text] from fence`,
    [run.id, run.fencing, aIds, bIds, kind],
  );
}

/** Whether side A's table holds anything at all. */
export async function isEmpty(database: Database, select: string): Promise<boolean> {
  const rows = await database.query<{ empty: boolean }>(
    `select not exists (${select}) as empty`,
  );
  return rows[0]?.empty === true;
}

/**
 * Tries to be the only one, until the end of the caller's transaction, to do what counts
 * towards the limits that a function's runs of a day have in common.
 */
export async function tryLockLimits(
  database: Database,
  run: Pick<Run, "pair" | "function">,
): Promise<boolean> {
  const rows = await database.query<{ locked: boolean }>(
    `select pg_try_advisory_xact_lock(hashtextextended('sync_limits:' || $1 || ':' || $2, 0)) as locked`,
    [run.pair, run.function],
  );
  return rows[0]?.locked === true;
}

/**
 * What runs of a function have counted towards the limits within a day, and the
 * linked records those are a share of. A mishap that comes in small pieces is
 * one mishap.
 */
export async function guardedSince(
  database: Database,
  run: Pick<Run, "pair" | "function">,
): Promise<{ readonly linked: number; readonly counts: Readonly<Record<string, number>> }> {
  const rows = await database.query<{ linked: number; counts: Record<string, number> }>(
    `select
       (select count(*)::integer from public.integration_crosswalk cw
        where cw.pair = $1 and cw.link_state = 'linked') as linked,
       (select coalesce(jsonb_object_agg(c.key, c.total), '{}')
        from (
          select g.key, sum(g.value::integer) as total
          from public.sync_runs r cross join jsonb_each_text(r.counters) g
          where r.function = $2 and r.pair = $1 and r.started_at > now() - interval '1 day'
            and g.key like 'guarded\_%' and coalesce((r.params ->> 'dryRun')::boolean, false) is false
          group by g.key
        ) c) as counts`,
    [run.pair, run.function],
  );
  return rows[0] ?? { linked: 0, counts: {} };
}
