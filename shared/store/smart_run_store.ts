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
