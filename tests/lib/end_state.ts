import type { Database } from "../../shared/store/database.ts";

/** What a backfill leaves behind, without what differs from run to run. */
export interface EndState {
  readonly crosswalk: readonly unknown[];
  readonly shadows: readonly unknown[];
  readonly findings: readonly unknown[];
  readonly stage: readonly unknown[];
}

/** Reads the state after a backfill in a form in which two runs can be compared. */
export async function endState(database: Database): Promise<EndState> {
  const crosswalk = await database.query(
    `select pair, a_id, b_id, link_state from public.integration_crosswalk order by 1, 2, 3`,
  );
  const shadows = await database.query(
    `select cw.a_id, cw.b_id, s.a, s.b, s.a_token, s.b_token
     from public.shadow_snapshots s join public.integration_crosswalk cw on cw.id = s.crosswalk_id
     order by 1, 2`,
  );
  // Of the last run only: an earlier one found the same.
  const findings = await database.query(
    `select kind, a_ids, b_ids, fields from public.sync_findings
     where run_id = (select id from public.sync_runs order by started_at desc limit 1)
     order by 1, 2, 3`,
  );
  const stage = await database.query(`select side, record_id from public.sync_stage order by 1, 2`);
  return { crosswalk, shadows, findings, stage };
}

/** Takes a database back to before the first run. */
export async function forgetRuns(database: Database): Promise<void> {
  await database.query(`truncate public.sync_stage, public.sync_findings, public.sync_runs,
    public.shadow_snapshots, public.integration_crosswalk restart identity cascade`);
  await database.query(
    `update public.sync_state set value = '{}' where key = 'token_bucket_state'`,
  );
}
