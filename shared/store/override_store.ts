import type { Database } from "./database.ts";
import type { Run } from "./run.ts";

/** Writes down that an operator let a run break limits, and why. */
export async function logOverride(
  database: Database,
  run: Run,
  guards: readonly string[],
  reason: string,
  who: string,
): Promise<void> {
  await database.query(
    `insert into public.sync_log (run_id, pair, side, action, after, rule, applied)
     values ($1, $2, 'a', 'allow', jsonb_build_object('guards', $3::jsonb, 'reason', $4::text, 'by', $5::text),
       'override', true)`,
    [run.id, run.pair, JSON.stringify(guards), reason, who],
  );
}
