/**
 * Statements about runs that nobody goes on with: each call of a function that
 * works on named records is a run of its own.
 *
 * @module
 */
import type { Database } from "./database.ts";
import { type Run, RUN_JSON } from "./run.ts";

/**
 * Ends a run that was laid down, as what stopped it says.
 *
 * @returns The run as it was left, or null if somebody else has ended it.
 */
export async function endLaidDown(database: Database, run: Run): Promise<Run | null> {
  const rows = await database.query<{ run: Run }>(
    `update public.sync_runs as r
     set status = case when r.errors = 0 and r.error is null then 'completed' else 'failed' end,
       errors = r.errors + case when r.error is null then 0 else 1 end,
       ended_at = now(), last_updated_at = now()
     where r.id = $1 and r.fencing = $2 and r.status in ('waiting', 'paused')
     returning ${RUN_JSON} as run`,
    [run.id, run.fencing],
  );
  return rows[0]?.run ?? null;
}

/**
 * Ends the runs of a function whose workers were killed, so that what they had
 * sent without hearing an answer is looked into, and frees what they had staged.
 *
 * @param staleMs How long a worker may be silent, in ms.
 * @returns How many there were.
 */
export async function endAbandoned(
  database: Database,
  functionName: string,
  pair: string,
  staleMs: number,
): Promise<number> {
  const rows = await database.query<{ n: number }>(
    `with ended as (
       update public.sync_runs r
       set status = 'failed', errors = r.errors + 1, stop_reason = 'abandoned',
         phase = 'Abandoned: its worker gave no sign any more',
         error = jsonb_build_object('code', 'abandoned',
           'message', 'Cannot go on: the worker gave no sign any more'),
         fencing = nextval('public.sync_fencing'), lease_owner = null,
         ended_at = now(), last_updated_at = now()
       where r.function = $1 and r.pair = $2 and r.status in ('running', 'waiting', 'paused')
         and r.heartbeat_at < now() - make_interval(secs => $3::double precision / 1000)
       returning r.id
     ),
     unstaged as (
       delete from public.sync_stage s using ended where s.run_id = ended.id
     )
     select count(*)::integer as n from ended`,
    [functionName, pair, staleMs],
  );
  return rows[0]?.n ?? 0;
}
