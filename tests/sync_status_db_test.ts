/** What the status says of the runs that write, over their whole life. */
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { type TestDatabase, testDatabase } from "./lib/database.ts";
import { until } from "./lib/until.ts";

interface Status {
  readonly backfill: unknown;
  readonly fullSync: { readonly lastCompletedAt: string | null; readonly [key: string]: unknown };
  readonly lastSync: { readonly timestamp: string | null; readonly recordsProcessed: number };
  readonly statistics: { readonly lastUpdated: string | null; readonly [key: string]: unknown };
}

async function readStatus(database: TestDatabase): Promise<Status> {
  const { rows } = await database.pool.query<{ value: Status }>(
    "select value from public.sync_state where key = 'sync_status'",
  );
  const value = rows[0]?.value;
  assert(value !== undefined);
  return value;
}

/** The status without its times: what one of them is, a test asks where it matters. */
async function numbers(database: TestDatabase): Promise<unknown> {
  const { fullSync, lastSync, statistics } = await readStatus(database);
  return {
    fullSync: [fullSync["status"], fullSync["totalProcessed"], fullSync["totalUpdated"]],
    lastSync: lastSync.recordsProcessed,
    statistics: [
      statistics["recordsProcessed"],
      statistics["updatesApplied"],
      statistics["conflicts"],
    ],
  };
}

const SEEDED = { fullSync: ["idle", 0, 0], lastSync: 0, statistics: [0, 0, 0] };

interface RunInput {
  readonly fn?: string;
  readonly pair?: string;
  readonly status?: string;
  readonly counters?: Readonly<Record<string, number>>;
  readonly params?: Readonly<Record<string, unknown>>;
}

async function insertRun(database: TestDatabase, input: RunInput = {}): Promise<string> {
  const { rows } = await database.pool.query<{ id: string }>(
    `insert into public.sync_runs (function, pair, status, counters, params, requested_by, ended_at)
     values ($1, $2, $3, $4, $5, 'test', case when $3 in ('completed', 'failed') then now() end)
     returning id`,
    [
      input.fn ?? "enterprise-sync",
      input.pair ?? "people",
      input.status ?? "running",
      JSON.stringify(input.counters ?? {}),
      JSON.stringify(input.params ?? {}),
    ],
  );
  const id = rows[0]?.id;
  assert(id !== undefined);
  return id;
}

/** Commits counters, as the page of a run does. */
async function count(
  database: TestDatabase,
  id: string,
  counters: Readonly<Record<string, number>>,
): Promise<void> {
  await database.pool.query(
    `update public.sync_runs set counters = counters || $2, last_updated_at = now() where id = $1`,
    [id, JSON.stringify(counters)],
  );
}

async function setState(
  database: TestDatabase,
  id: string,
  status: string,
  error: string | null = null,
): Promise<void> {
  await database.pool.query(
    `update public.sync_runs
     set status = $2, error = $3, ended_at = case when $2 in ('completed', 'failed') then now() end,
       errors = errors + case when $2 = 'failed' then 1 else 0 end, last_updated_at = now()
     where id = $1`,
    [id, status, error === null ? null : JSON.stringify({ code: error, message: "" })],
  );
}

/** The place of the status row in its table: another one after every write of it. */
async function rowVersion(database: TestDatabase): Promise<string> {
  const { rows } = await database.pool.query<{ version: string }>(
    `select ctid::text || xmin::text as version from public.sync_state where key = 'sync_status'`,
  );
  return rows[0]?.version ?? "";
}

Deno.test("the status follows a full sync from its start to its end", async () => {
  await using database = await testDatabase(import.meta.url);
  assertEquals(await numbers(database), SEEDED);
  const seeded = await readStatus(database);
  const id = await insertRun(database);
  assertEquals(await numbers(database), { ...SEEDED, fullSync: ["running", 0, 0] });
  assertEquals((await readStatus(database)).lastSync.timestamp, null);
  assertEquals((await readStatus(database)).statistics.lastUpdated, null);

  await count(database, id, { requests: 2 });
  assertEquals(await numbers(database), { ...SEEDED, fullSync: ["running", 0, 0] });
  await count(database, id, { processed: 100, updated: 7, updates: 9, conflicts: 1 });
  assertEquals(await numbers(database), {
    fullSync: ["running", 100, 7],
    lastSync: 100,
    statistics: [100, 9, 1],
  });
  const first = await readStatus(database);
  assertEquals(first.fullSync.lastCompletedAt, null);
  assert(first.lastSync.timestamp !== null);
  assertEquals(first.statistics.lastUpdated, first.lastSync.timestamp);

  await count(database, id, { processed: 250, updated: 7, updates: 12, conflicts: 1 });
  const second = await readStatus(database);
  assertNotEquals(second.lastSync.timestamp, first.lastSync.timestamp);
  await setState(database, id, "completed");
  const done = await readStatus(database);
  assertEquals(await numbers(database), {
    fullSync: ["completed", 250, 7],
    lastSync: 250,
    statistics: [250, 12, 1],
  });
  const { rows } = await database.pool.query(
    `select to_jsonb(ended_at) as ended from public.sync_runs where id = $1`,
    [id],
  );
  assertEquals(done.fullSync.lastCompletedAt, rows[0].ended);
  assertEquals(done.lastSync.timestamp, rows[0].ended);
  assertEquals(done.statistics.lastUpdated, second.statistics.lastUpdated);

  // The keys are stable API.
  const shape = (status: Status) =>
    Object.entries(status).map(([name, inner]) => [name, Object.keys(inner)]);
  assertEquals(shape(done), shape(seeded));
  assertEquals(done.backfill, seeded.backfill);
});

Deno.test("a run that waits is running, unless an error stopped it, and paused only by a person", async () => {
  await using database = await testDatabase(import.meta.url);
  const id = await insertRun(database);
  const said = async (status: string, error: string | null = null) => {
    await setState(database, id, status, error);
    return (await readStatus(database)).fullSync["status"];
  };
  assertEquals(await said("waiting"), "running");
  assertEquals(await said("running"), "running");
  assertEquals(await said("waiting", "remote_error"), "failed");
  assertEquals(await said("running"), "running");
  assertEquals(await said("paused"), "paused");
  assertEquals((await readStatus(database)).lastSync.timestamp, null);
  assertEquals(await said("failed", "remote_error"), "failed");
  const { fullSync, lastSync, statistics } = await readStatus(database);
  assertEquals(fullSync.lastCompletedAt, null);
  assertMatch(lastSync.timestamp ?? "", /^\d{4}-\d\d-\d\dT/);
  assertEquals(statistics.lastUpdated, null);
});

Deno.test("an error alone changes what a waiting run says", async () => {
  await using database = await testDatabase(import.meta.url);
  const id = await insertRun(database, { status: "waiting" });
  await setState(database, id, "waiting", "remote_error");
  assertEquals((await readStatus(database)).fullSync["status"], "failed");
});

Deno.test("statistics add up over all runs, the rest is of the latest one", async () => {
  await using database = await testDatabase(import.meta.url);
  const first = await insertRun(database);
  await count(database, first, { processed: 10, updated: 3, updates: 4, conflicts: 2 });
  await setState(database, first, "completed");
  const completedAt = (await readStatus(database)).fullSync.lastCompletedAt;

  const second = await insertRun(database);
  assertEquals(await numbers(database), {
    fullSync: ["running", 0, 0],
    lastSync: 10,
    statistics: [10, 4, 2],
  });
  await count(database, second, { processed: 5, updated: 1, updates: 1 });
  await setState(database, second, "failed", "remote_error");
  assertEquals(await numbers(database), {
    fullSync: ["failed", 5, 1],
    lastSync: 5,
    statistics: [15, 5, 2],
  });
  assertEquals((await readStatus(database)).fullSync.lastCompletedAt, completedAt);

  // What is done to a run long ended says nothing about the latest one.
  const before = await readStatus(database);
  await count(database, first, { processed: 99 });
  await setState(database, first, "completed");
  assertEquals(await readStatus(database), before);
});

Deno.test("a run that enumerates again subtracts nothing", async () => {
  await using database = await testDatabase(import.meta.url);
  const id = await insertRun(database);
  await count(database, id, { processed: 500, updated: 20, updates: 30, conflicts: 4 });
  const { lastSync, statistics } = await readStatus(database);
  await database.pool.query(
    `update public.sync_runs set epoch = epoch + 1, counters = '{"requests": 12}' where id = $1`,
    [id],
  );
  assertEquals(await numbers(database), {
    fullSync: ["running", 0, 0],
    lastSync: 500,
    statistics: [500, 30, 4],
  });
  const restarted = await readStatus(database);
  assertEquals([restarted.lastSync, restarted.statistics], [lastSync, statistics]);
  // One counter falls while another rises.
  await count(database, id, { processed: 100, updates: 1 });
  await count(database, id, { processed: 50, updates: 5 });
  assertEquals(await numbers(database), {
    fullSync: ["running", 50, 0],
    lastSync: 100,
    statistics: [600, 35, 4],
  });
});

Deno.test("a dry run and the backfill leave it alone", async () => {
  await using database = await testDatabase(import.meta.url);
  const seeded = await readStatus(database);
  const version = await rowVersion(database);
  for (const fn of ["enterprise-sync", "smart-sync"]) {
    const id = await insertRun(database, { fn, params: { dryRun: true } });
    await count(database, id, { processed: 10, updated: 3, updates: 4, conflicts: 2 });
    await setState(database, id, "completed");
    await insertRun(database, {
      fn,
      params: { dryRun: true },
      status: "completed",
      counters: { processed: 3 },
    });
  }
  assertEquals(await rowVersion(database), version);

  const backfill = await insertRun(database, { fn: "backfill-sync" });
  await count(database, backfill, { processed: 10, updates: 4 });
  await setState(database, backfill, "completed");
  assertEquals({ ...await readStatus(database), backfill: seeded.backfill }, seeded);

  const real = await insertRun(database, { params: { dryRun: false } });
  await count(database, real, { processed: 1 });
  assertEquals(await numbers(database), {
    fullSync: ["running", 1, 0],
    lastSync: 1,
    statistics: [1, 0, 0],
  });
});

Deno.test("a smart sync counts, and says nothing of the full sync", async () => {
  await using database = await testDatabase(import.meta.url);
  const full = await insertRun(database);
  await count(database, full, { processed: 100, updated: 1, updates: 1 });
  await setState(database, full, "waiting");
  const { fullSync } = await readStatus(database);
  const id = await insertRun(database, { fn: "smart-sync" });
  await count(database, id, { processed: 2, updated: 2, updates: 3, conflicts: 1 });
  await setState(database, id, "completed");
  assertEquals((await readStatus(database)).fullSync, fullSync);
  assertEquals(await numbers(database), {
    fullSync: ["running", 100, 1],
    lastSync: 2,
    statistics: [102, 4, 1],
  });
  // A run so short that it is written down only when it has ended.
  const counters = { processed: 1, updates: 1 };
  await insertRun(database, { fn: "smart-sync", status: "failed", counters });
  assertEquals((await readStatus(database)).fullSync, fullSync);
  assertEquals(await numbers(database), {
    fullSync: ["running", 100, 1],
    lastSync: 1,
    statistics: [103, 5, 1],
  });
});

Deno.test("a sign of life and a cursor write no status", async () => {
  await using database = await testDatabase(import.meta.url);
  const full = await insertRun(database, { counters: { processed: 1 } });
  const smart = await insertRun(database, { fn: "smart-sync" });
  const version = await rowVersion(database);
  await database.pool.query(
    `update public.sync_runs
     set heartbeat_at = clock_timestamp(), last_updated_at = now(), cursor = '{"after": 3}', phase = 'x'`,
  );
  await count(database, full, { processed: 1 });
  await setState(database, smart, "waiting");
  assertEquals(await rowVersion(database), version);
  await count(database, full, { processed: 2 });
  assertNotEquals(await rowVersion(database), version);
});

Deno.test("two runs that commit at once are both counted", async () => {
  await using database = await testDatabase(import.meta.url);
  const people = await insertRun(database);
  const firms = await insertRun(database, { pair: "firms" });
  const slow = await database.connect();
  try {
    await slow.query("begin");
    await slow.query(
      `update public.sync_runs set counters = '{"processed": 10, "updates": 1}' where id = $1`,
      [people],
    );
    const other = count(database, firms, { processed: 5, conflicts: 2 });
    await until("the other run waits for the status", async () => {
      const { rowCount } = await database.pool.query(
        `select 1 from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rowCount === 1 ? true : undefined;
    });
    await slow.query("commit");
    await other;
  } finally {
    await slow.end();
  }
  assertEquals(await numbers(database), {
    fullSync: ["running", 5, 0],
    lastSync: 5,
    statistics: [15, 1, 2],
  });
});

Deno.test("what is rolled back was never counted, and the service role may count", async () => {
  await using database = await testDatabase(import.meta.url);
  const id = await insertRun(database);
  const client = await database.connect();
  const raise = `update public.sync_runs set counters = '{"processed": 10}' where id = $1`;
  try {
    await client.query("set role service_role");
    await client.query("begin");
    await client.query(raise, [id]);
    await client.query("rollback");
    assertEquals(await numbers(database), { ...SEEDED, fullSync: ["running", 0, 0] });
    await client.query(raise, [id]);
  } finally {
    await client.end();
  }
  assertEquals(await numbers(database), {
    fullSync: ["running", 10, 0],
    lastSync: 10,
    statistics: [10, 0, 0],
  });
});

Deno.test("a status that was emptied is written anew, and one that is gone stops no run", async () => {
  await using database = await testDatabase(import.meta.url);
  await database.pool.query(
    "update public.sync_state set value = '{}' where key = 'sync_status'",
  );
  const id = await insertRun(database);
  await count(database, id, { processed: 3 });
  assertEquals(await numbers(database), {
    fullSync: ["running", 3, 0],
    lastSync: 3,
    statistics: [3, 0, 0],
  });
  assertEquals((await readStatus(database)).fullSync.lastCompletedAt, null);
  await database.pool.query("delete from public.sync_state where key = 'sync_status'");
  await count(database, id, { processed: 4 });
  await setState(database, id, "completed");
});
