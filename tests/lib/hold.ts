/**
 * Stops a worker in another process at an exact point of its run: inside the statement that would
 * commit a certain state of it.
 *
 * @module
 */
import type { TestDatabase } from "./database.ts";
import { until } from "./until.ts";

/** A point at which workers wait. */
export interface Hold extends AsyncDisposable {
  /** Waits until a worker has come to the point. */
  reached(): Promise<void>;
  /** Ends the held statement as a broken connection does: nothing of it is committed. */
  cut(): Promise<void>;
  /** Lets the held statement, and all later ones, go on. */
  release(): Promise<void>;
}

/** Any number that nothing else locks. */
const KEY = 7_391_046;

/**
 * Makes every update of a run wait that would bring it into a state.
 *
 * @param state a condition on the new row: `new.current_batch = 3`
 */
export async function holdRunsAt(database: TestDatabase, state: string): Promise<Hold> {
  const client = await database.connect();
  await client.query("select pg_advisory_lock($1)", [KEY]);
  await client.query(`
    create or replace function public.test_hold() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock(${KEY});
      return new;
    end $$;
    create trigger test_hold before update on public.sync_runs
      for each row when (${state}) execute function public.test_hold()`);
  const waiting = async (): Promise<number | undefined> => {
    const { rows } = await client.query<{ pid: number }>(
      `select pid from pg_locks
       where locktype = 'advisory' and objid = $1 and not granted
         and database = (select oid from pg_database where datname = current_database())`,
      [KEY],
    );
    return rows[0]?.pid;
  };
  let held = true;
  const release = async (): Promise<void> => {
    if (!held) return;
    held = false;
    await client.query("select pg_advisory_unlock($1)", [KEY]);
    await client.query("drop trigger test_hold on public.sync_runs");
    await client.query("drop function public.test_hold()");
    await client.end();
  };
  return {
    async reached() {
      await until(`a run comes to ${state}`, waiting);
    },
    async cut() {
      const pid = await until(`a run comes to ${state}`, waiting);
      await client.query("select pg_terminate_backend($1)", [pid]);
      await until("the connection is gone", async () => await waiting() === pid ? undefined : true);
    },
    release,
    [Symbol.asyncDispose]: release,
  };
}
