import { LeaseLostError } from "./lease_lost_error.ts";
import type { Run } from "./run.ts";

/**
 * SQL that finds the run of `$1` only while its fencing number is `$2`, and keeps
 * others from taking it over until the statement is committed. Whatever a
 * statement writes is joined to it, so a worker that lost its lease writes nothing.
 */
export const FENCE =
  `select r.id, r.pair, r.epoch, r.started_at, (r.params ->> 'staleAfterDays')::integer as stale_after_days
  from public.sync_runs r
  where r.id = $1 and r.fencing = $2 and r.status = 'running'
  for update`;

/**
 * The row that a fenced statement answers.
 *
 * @throws {LeaseLostError} If there is none, because the fence let nothing through.
 */
export function committed<Row>(rows: readonly Row[], run: Run): Row {
  const row = rows[0];
  if (row === undefined) throw new LeaseLostError(run.id);
  return row;
}
