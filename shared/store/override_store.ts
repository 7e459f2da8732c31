import type { Json } from "../merge/json.ts";
import type { Database } from "./database.ts";
import { committed, FENCE } from "./fence.ts";
import { type Run, RUN_JSON } from "./run.ts";

/** What an operator lets a run do that its limits would stop, and why. */
export interface Allowance {
  /** Kinds of changes. */
  readonly guards: readonly string[];
  readonly reason: string;
  readonly by: string;
}

/**
 * Writes into a run what it may do from now on, and into the log what of it is new.
 *
 * @param override What the run may do in all; null for nothing beyond its limits.
 * @param added Null where nothing is to be logged.
 * @throws {LeaseLostError} If another worker holds the run.
 */
export async function setOverride(
  database: Database,
  run: Run,
  override: Json,
  added: Allowance | null,
): Promise<Run> {
  const rows = await database.query<{ run: Run }>(
    `with fence as materialized (${FENCE}),
     logged as (
       insert into public.sync_log (run_id, pair, side, action, after, rule, applied)
       select fence.id, fence.pair, 'a', 'allow', $4::jsonb, 'override', true
       from fence where $4::jsonb is not null
     )
     update public.sync_runs as r
     set params = r.params || jsonb_build_object('override', $3::jsonb), last_updated_at = now()
     from fence
     where r.id = fence.id
     returning ${RUN_JSON} as run`,
    [
      run.id,
      run.fencing,
      JSON.stringify(override),
      added === null ? null : JSON.stringify(added),
    ],
  );
  return committed(rows, run).run;
}
