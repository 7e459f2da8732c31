import { assertEquals } from "@std/assert";
import { seededRandom } from "../../tests/lib/seeded_random.ts";
import { type TestDatabase, testDatabase } from "../../tests/lib/database.ts";
import type { Database } from "./database.ts";
import { enqueue, type QueueEntry } from "./queue_store.ts";

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
    entry("1", { side: "a" }),
    entry("1", { pair: "others" }),
  ]);
  assertEquals(count, 4);
  const columns = `pair, side, record_id, attempts, not_before <= now() as due`;
  assertEquals(await rows(db, columns), [
    { pair: "others", side: "b", record_id: "1", attempts: 0, due: true },
    { pair: "people", side: "a", record_id: "1", attempts: 0, due: true },
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
