import type { Database } from "./database.ts";

/** Runs of a function and pair that were given up. */
export interface Abandoned {
  readonly functionName: string;
  readonly pair: string;
  /** How long nobody has given a sign of them, in ms. */
  readonly silentMs: number;
  /**
   * Whether somebody may still go on with a run. Then one that waits or is paused is left
   * to them, and so is one that is about to be paused; but not a dry run that waits: it has
   * done nothing, and the next one begins anew.
   */
  readonly resumable: boolean;
}

/**
 * Ends runs that nobody goes on with, so that what their workers had sent without
 * hearing an answer is looked into, and frees what they had staged.
 *
 * @returns How many there were.
 */
export async function endAbandoned(
  database: Database,
  { functionName, pair, silentMs, resumable }: Abandoned,
): Promise<number> {
  const rows = await database.query<{ n: number }>(
    `with silent as materialized (
       select r.id, case r.status when 'running' then 'its worker gave no sign any more'
         else 'nobody went on with it' end as reason
       from public.sync_runs r
       where r.function = $1 and r.pair = $2
         and r.heartbeat_at < now() - make_interval(secs => $3::double precision / 1000)
         and case when $4::boolean
           then r.status = 'running' and not r.pause_requested
             or r.status = 'waiting' and r.params @> '{"dryRun": true}'
           else r.status in ('running', 'waiting', 'paused') end
       -- One that is locked is being taken over this moment.
       order by r.id for update skip locked
     ),
     ended as (
       update public.sync_runs r
       set status = 'failed', errors = r.errors + 1, stop_reason = 'abandoned',
         phase = 'Abandoned: ' || silent.reason,
         error = jsonb_build_object('code', 'abandoned',
           'message', 'Cannot go on: ' || silent.reason),
         fencing = nextval('public.sync_fencing'), lease_owner = null,
         ended_at = now(), last_updated_at = now()
       from silent
       where r.id = silent.id
       returning r.id
     ),
     unstaged as (delete from public.sync_stage s using ended where s.run_id = ended.id),
     unseen as (delete from public.sync_seen s using ended where s.run_id = ended.id),
     unplanned as (delete from public.sync_work s using ended where s.run_id = ended.id)
     select count(*)::integer as n from ended`,
    [functionName, pair, silentMs, resumable],
  );
  return rows[0]?.n ?? 0;
}
