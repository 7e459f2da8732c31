import { assert, assertEquals } from "@std/assert";
import type { Database } from "../../shared/store/database.ts";

/** How often a queued record was tried, and the seconds it was told to wait. */
export interface QueueWait {
  readonly attempts: number;
  readonly seconds: number;
}

/** What the database's clock says. */
export async function databaseClock(database: Database): Promise<string> {
  const rows = await database.query<{ now: string }>(`select clock_timestamp()::text as now`);
  return rows[0]?.now ?? "";
}

/**
 * Checks how long the records of the queue were told to wait, in the order of their ids. They were
 * told so at some moment between `since` and now, however long that was.
 *
 * @param since what {@linkcode databaseClock} said before the call that told them
 */
export async function assertWaits(
  database: Database,
  since: string,
  wanted: readonly QueueWait[],
): Promise<void> {
  const rows = await database.query<{ attempts: number; least: number; most: number }>(
    `select attempts, extract(epoch from not_before - clock_timestamp())::float8 as least,
       extract(epoch from not_before - $1::timestamptz)::float8 as most
     from public.sync_queue order by record_id`,
    [since],
  );
  assertEquals(rows.map(({ attempts }) => attempts), wanted.map(({ attempts }) => attempts));
  for (const [index, { least, most }] of rows.entries()) {
    const { seconds = NaN } = wanted[index] ?? {};
    assert(least <= seconds && seconds <= most, `waits ${least} to ${most} s, not ${seconds} s`);
  }
}
