import { assertEquals, assertLess } from "@std/assert";
import { seededRandom } from "../../tests/lib/seeded_random.ts";
import { type TestDatabase, testDatabase } from "../../tests/lib/database.ts";
import type { Database } from "./database.ts";
import {
  claimQueued,
  countQueued,
  enqueue,
  peekQueued,
  type QueuedRecord,
  type QueueEntry,
  settleQueued,
} from "./queue_store.ts";

function databaseOf(db: Pick<TestDatabase, "pool">): Database {
  return {
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      return (await db.pool.query(sql, [...parameters])).rows as Row[];
    },
  };
}

const entry = (recordId: string, change: Partial<QueueEntry> = {}): QueueEntry => ({
  pair: "people",
  side: "b",
  recordId,
  reason: "seen",
  ...change,
});

/** Rows of the queue; `due` tells whether it is its turn. */
async function rows(db: TestDatabase, columns = "pair, side, record_id, reason, attempts") {
  const { rows } = await db.pool.query(
    `select ${columns} from public.sync_queue order by pair, side, record_id`,
  );
  return rows;
}

Deno.test("enqueue() makes one row a pair, side and record, due at once", async () => {
  await using db = await testDatabase(import.meta.url);
  const count = await enqueue(databaseOf(db), [
    entry("2"),
    entry("1"),
    entry("1", { pair: "others" }),
  ]);
  assertEquals(count, 3);
  const columns = `pair, side, record_id, attempts, not_before <= now() as due`;
  assertEquals(await rows(db, columns), [
    { pair: "others", side: "b", record_id: "1", attempts: 0, due: true },
    { pair: "people", side: "b", record_id: "1", attempts: 0, due: true },
    { pair: "people", side: "b", record_id: "2", attempts: 0, due: true },
  ]);
});

Deno.test("enqueue() takes a record named twice for one, with the later reason", async () => {
  await using db = await testDatabase(import.meta.url);
  const entries = ["first", "second", "third"].map((reason) => entry("1", { reason }));
  assertEquals(await enqueue(databaseOf(db), entries), 1);
  assertEquals(await rows(db, "record_id, reason"), [{ record_id: "1", reason: "third" }]);
});

Deno.test("enqueue() of nothing does nothing", async () => {
  await using db = await testDatabase(import.meta.url);
  assertEquals(await enqueue(databaseOf(db), []), 0);
  assertEquals(await rows(db), []);
});

Deno.test("enqueue() lets a waiting record keep its place and its attempts, and makes it due", async () => {
  await using db = await testDatabase(import.meta.url);
  await db.pool.query(
    `insert into public.sync_queue (pair, side, record_id, reason, attempts, enqueued_at, not_before)
     values ('people', 'b', '1', 'old', 3, '2026-01-01', now() + interval '1 hour'),
       ('people', 'b', '2', 'old', 0, '2026-01-01', '2026-01-02')`,
  );
  assertEquals(await enqueue(databaseOf(db), [entry("1"), entry("2"), entry("3")]), 3);
  const columns = `record_id, reason, attempts, enqueued_at = '2026-01-01' as first,
    not_before = '2026-01-02' as early, not_before <= now() as due`;
  assertEquals(await rows(db, columns), [
    { record_id: "1", reason: "seen", attempts: 3, first: true, early: false, due: true },
    { record_id: "2", reason: "seen", attempts: 0, first: true, early: true, due: true },
    { record_id: "3", reason: "seen", attempts: 0, first: false, early: false, due: true },
  ]);
});

Deno.test("enqueue() by many at once with the same records in any order blocks nobody for good", async () => {
  await using db = await testDatabase(import.meta.url);
  const random = seededRandom(20261121);
  const ids = Array.from({ length: 400 }, (_, n) => String(n));
  const shuffled = () =>
    ids.map((id) => [random(), id] as const).sort(([a], [b]) => a - b).map(([, id]) => entry(id));
  const database = databaseOf(db);
  // A deadlock would make one of them fail with code 40P01.
  const counts = await Promise.all(
    Array.from({ length: 25 }, () => enqueue(database, shuffled())),
  );
  assertEquals(counts, Array(25).fill(ids.length));
  assertEquals((await rows(db)).length, ids.length);
});

Deno.test("enqueue() needs no more than the service role may do", async () => {
  await using db = await testDatabase(import.meta.url);
  const client = await db.connect();
  try {
    await client.query("set role service_role");
    const database: Database = {
      async query<Row>(sql: string, parameters: readonly unknown[] = []) {
        return (await client.query(sql, [...parameters])).rows as Row[];
      },
    };
    assertEquals(await enqueue(database, [entry("1")]), 1);
    assertEquals(await enqueue(database, [entry("1")]), 1);
  } finally {
    await client.end();
  }
});

const LEASE_MS = 600_000;

function settled(record: QueuedRecord, againInMs: number | null = null) {
  const { id, version } = record;
  return { id, version, againInMs };
}

/** Tens of seconds until each record is due, by its id: how long this machine takes is less. */
async function waits(db: TestDatabase): Promise<Record<string, number>> {
  const found = await rows(
    db,
    `record_id, round(extract(epoch from not_before - now()) / 10)::integer as tens`,
  );
  return Object.fromEntries(found.map(({ record_id, tens }) => [record_id, tens]));
}

Deno.test("claimQueued() takes the oldest due records of a pair, for a while", async () => {
  await using db = await testDatabase(import.meta.url);
  const database = databaseOf(db);
  await enqueue(database, [entry("1"), entry("2"), entry("3"), entry("4", { pair: "others" })]);
  await db.pool.query(
    `update public.sync_queue set enqueued_at = '2026-01-01' where record_id = '2'`,
  );
  await db.pool.query(
    `update public.sync_queue set not_before = now() + interval '1 hour' where record_id = '1'`,
  );
  assertEquals(await countQueued(database, "people"), { all: 3, due: 2 });
  const peeked = await peekQueued(database, "people", 10);
  assertEquals(peeked.map(({ recordId }) => recordId), ["2", "3"]);
  const claimed = await claimQueued(database, "people", 1, LEASE_MS);
  const { id, ...record } = claimed[0] ?? { id: 0 };
  assertEquals(record, { side: "b", recordId: "2", version: 1, attempts: 1 });
  assertEquals([claimed.length, id > 0], [1, true]);
  assertEquals((await claimQueued(database, "people", 10, LEASE_MS)).length, 1);
  assertEquals(await claimQueued(database, "people", 10, LEASE_MS), []);
  assertEquals(await countQueued(database, "people"), { all: 3, due: 0 });
  assertEquals(await countQueued(database, "nobody"), { all: 0, due: 0 });
});

Deno.test("claimQueued() by many at once gives nobody the same record, and a record is free again after its lease", async () => {
  await using db = await testDatabase(import.meta.url);
  const database = databaseOf(db);
  const ids = Array.from({ length: 90 }, (_, n) => String(n));
  await enqueue(database, ids.map((id) => entry(id)));
  const claims = await Promise.all(
    Array.from({ length: 5 }, () => claimQueued(database, "people", 20, LEASE_MS)),
  );
  const taken = claims.flat().map(({ recordId }) => recordId);
  assertEquals(taken.length, new Set(taken).size);
  // As time does.
  await db.pool.query(
    `update public.sync_queue set not_before = not_before - interval '11 minutes'`,
  );
  const again = await claimQueued(database, "people", 100, LEASE_MS);
  assertEquals(again.length, ids.length);
  const counts = new Set(taken);
  for (const { recordId, attempts } of again) {
    assertEquals(attempts, counts.has(recordId) ? 2 : 1);
  }
});

Deno.test("settleQueued() puts records away or back, but for those that were put in again meanwhile", async () => {
  await using db = await testDatabase(import.meta.url);
  const database = databaseOf(db);
  await enqueue(database, ["1", "2", "3", "4", "5"].map((id) => entry(id)));
  const [one, two, three, four, five] = await claimQueued(database, "people", 5, LEASE_MS);
  if (!one || !two || !three || !four || !five) throw new Error("Cannot go on: too few claimed");
  await enqueue(database, [entry("2"), entry("4")]);
  await db.pool.query(`delete from public.sync_queue where record_id = '5'`);
  await settleQueued(database, "people", [
    settled(four, 60_000),
    settled(one),
    settled(two),
    settled(three, 60_000),
    settled(five),
  ]);
  assertEquals(await waits(db), { "2": 0, "3": 6, "4": 0 });
  await settleQueued(database, "people", []);
  await settleQueued(database, "others", [settled(three)]);
  assertEquals(await waits(db), { "2": 0, "3": 6, "4": 0 });
});

Deno.test("settleQueued() passes over a record that an open transaction puts in again", async () => {
  await using db = await testDatabase(import.meta.url);
  const database = databaseOf(db);
  await enqueue(database, [entry("1"), entry("2")]);
  const claimed = await claimQueued(database, "people", 2, LEASE_MS);
  const client = await db.connect();
  try {
    await client.query("begin");
    await enqueue({
      async query<Row>(sql: string, parameters: readonly unknown[] = []) {
        return (await client.query(sql, [...parameters])).rows as Row[];
      },
    }, [entry("1")]);
    await settleQueued(database, "people", claimed.map((record) => settled(record)));
    assertEquals(await waits(db), { "1": 60 });
    await client.query("commit");
    assertEquals(await waits(db), { "1": 0 });
  } finally {
    await client.end();
  }
});

Deno.test("taking and settling cost little where many wait and the statistics are of before", async () => {
  await using db = await testDatabase(import.meta.url);
  const database = databaseOf(db);
  await db.pool.query(`analyze public.sync_queue`);
  await db.pool.query(
    `insert into public.sync_queue (pair, side, record_id, reason)
     select 'people', 'a', gen_random_uuid()::text, 'x' from generate_series(1, 20000)`,
  );
  const begin = performance.now();
  const claimed = await claimQueued(database, "people", 500, LEASE_MS);
  await settleQueued(
    database,
    "people",
    claimed.map((record, n) => settled(record, n % 2 ? 1 : null)),
  );
  // A tenth of a second in rest; each record compared with each takes many.
  assertLess(performance.now() - begin, 3_000);
  assertEquals((await countQueued(database, "people")).all, 19_750);
});
