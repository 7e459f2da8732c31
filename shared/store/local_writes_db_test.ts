import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { testDatabase } from "../../tests/lib/database.ts";
import type { Doc } from "../merge/json.ts";
import { type Database, openDatabase } from "./database.ts";
import { type LocalRecord, LocalTable } from "./local_table.ts";
import {
  applyLocalWrites,
  type LocalResult,
  type LocalUpdate,
  type LocalWrite,
} from "./local_writes.ts";

const PATHS = ["email", "first_name", "city", "marketing_status", "groups"]
  .concat(["partner.name", "partner.company"]);
const MOVED = { outcome: "moved" } as const;

function uuid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
}

/** Client n of `clients` has partner 100 + n % 2, and the last one has none. */
async function open(clients = 4) {
  const database = await testDatabase(import.meta.url);
  const pool = openDatabase({
    url: database.url,
    name: "local-writes-test",
    statementTimeoutMs: 10_000,
  });
  await pool.query(`insert into public.partners (id, name, company) values
    ('${uuid(100)}', 'Even', 'E'), ('${uuid(101)}', 'Odd', 'O')`);
  await pool.query(
    `insert into public.clients (id, email, first_name, city, partner_id)
     select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, n || '@example.com',
       'Name ' || n, 'City ' || n,
       case when n < $1::integer then (case n % 2 when 0 then '${uuid(100)}' else '${
      uuid(101)
    }' end)::uuid end
     from generate_series(1, $1::integer) n`,
    [clients],
  );
  const opened = await LocalTable.open(
    pool,
    { schema: "public", table: "clients", id: "id" },
    PATHS,
  );
  assert("table" in opened);
  const { table } = opened;
  return {
    pool,
    table,
    async connect() {
      const client = await database.connect();
      return {
        query: (sql: string, parameters?: unknown[]) => client.query(sql, parameters),
        [Symbol.asyncDispose]: () => client.end(),
      };
    },
    read: () => table.readPage(pool, null, 1000),
    apply: (writes: readonly LocalWrite[]) =>
      pool.transaction((transaction) => applyLocalWrites(transaction, table, writes)),
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

function change(record: LocalRecord | undefined, values: Doc): LocalUpdate {
  assert(record !== undefined);
  return { op: "update", id: record.id, read: record.doc, values };
}

function done(record: LocalRecord | undefined): LocalResult {
  assert(record !== undefined);
  return { outcome: "done", doc: record.doc, token: record.token };
}

function outcomes(results: readonly { readonly outcome: string }[]): string[] {
  return results.map(({ outcome }) => outcome);
}

Deno.test("an update sets its columns alone and answers the record as the table holds it", async () => {
  await using db = await open();
  const [first] = await db.read();
  const [result] = await db.apply([
    change(first, { city: "Graz", first_name: null, groups: ["VIP"] }),
  ]);
  const [now] = await db.read();
  assertEquals(now?.doc, { ...first?.doc, city: "Graz", first_name: null, groups: ["VIP"] });
  assertEquals(result, done(now));
});

Deno.test("an update leaves a column that somebody edited since, and the rest of its record", async () => {
  await using db = await open();
  const [first, second] = await db.read();
  await using other = await db.connect();
  await other.query(`update public.clients set city = 'theirs' where id = $1`, [uuid(1)]);
  assertEquals(
    outcomes(
      await db.apply([
        change(first, { city: "ours", first_name: "ours" }),
        change(second, { city: "ours" }),
      ]),
    ),
    ["moved", "done"],
  );
  const [now] = await db.read();
  assertEquals(now?.doc, { ...first?.doc, city: "theirs" });
});

Deno.test("an edit of another column survives an update, and the token answered still shows it", async () => {
  await using db = await open();
  const [first] = await db.read();
  await using other = await db.connect();
  await other.query(`update public.clients set city = 'theirs' where id = $1`, [uuid(1)]);
  const [result] = await db.apply([change(first, { first_name: "ours" })]);
  assert(result?.outcome === "done");
  const [now] = await db.read();
  assertEquals(now?.doc, { ...first?.doc, city: "theirs", first_name: "ours" });
  assertEquals(result.doc, { ...first?.doc, first_name: "ours" });
  assertNotEquals(result.token, now?.token);
  await other.query(`update public.clients set city = 'City 1' where id = $1`, [uuid(1)]);
  assertEquals(result.token, (await db.read())[0]?.token);
});

Deno.test("a row in somebody's open transaction is not waited for", async () => {
  await using db = await open();
  const records = await db.read();
  await using other = await db.connect();
  await other.query("begin");
  await other.query(`update public.clients set phone = '1' where id = $1`, [uuid(1)]);
  await other.query(`delete from public.clients where id = $1`, [uuid(2)]);
  await other.query(`select from public.partners where id = $1 for update`, [uuid(101)]);
  const writes = [
    change(records[0], { city: "ours" }),
    { op: "delete" as const, id: uuid(2), read: records[1]?.doc ?? {} },
    change(records[2], { city: "ours", "partner.name": "ours" }),
    change(records[3], { city: "ours" }),
  ];
  assertEquals(outcomes(await db.apply(writes)), ["moved", "moved", "moved", "done"]);
  await other.query("rollback");
  assertEquals(outcomes(await db.apply(writes.slice(0, 3))), ["done", "done", "done"]);
});

Deno.test("a record that is gone has moved", async () => {
  await using db = await open();
  const [first, second] = await db.read();
  await db.pool.query(`delete from public.clients where id in ($1, $2)`, [uuid(1), uuid(2)]);
  assertEquals(
    await db.apply([
      change(first, { city: "ours" }),
      { op: "delete", id: uuid(2), read: second?.doc ?? {} },
    ]),
    [MOVED, MOVED],
  );
});

Deno.test("a delete goes ahead only if no mapped value was edited", async () => {
  await using db = await open();
  const [first, second, third] = await db.read();
  await db.pool.query(`update public.clients set groups = '{VIP}' where id = $1`, [uuid(1)]);
  await db.pool.query(`update public.clients set phone = 'not mapped' where id = $1`, [uuid(2)]);
  const { city: _, ...partly } = third?.doc ?? {};
  assertEquals(
    await db.apply([
      { op: "delete", id: uuid(1), read: first?.doc ?? {} },
      { op: "delete", id: uuid(2), read: second?.doc ?? {} },
      { op: "delete", id: uuid(3), read: partly },
    ]),
    [MOVED, { outcome: "done", doc: {}, token: "" }, MOVED],
  );
  assertEquals((await db.read()).map(({ id }) => id), [uuid(1), uuid(3), uuid(4)]);
});

Deno.test("an insert leaves null to the column's default and refers to nothing", async () => {
  await using db = await open();
  const results = await db.apply([
    {
      op: "insert",
      id: uuid(11),
      values: {
        email: "a@example.com",
        marketing_status: null,
        groups: null,
        "partner.name": "Even",
      },
    },
    {
      op: "insert",
      id: uuid(12),
      values: { email: null, marketing_status: "pending", groups: ["VIP"] },
    },
    { op: "insert", id: uuid(13), values: {} },
  ]);
  const [a, b, c] = await db.table.readByIds(db.pool, [uuid(11), uuid(12), uuid(13)]);
  assertEquals(results, [done(a), done(b), done(c)]);
  const nothing = { "partner.name": null, "partner.company": null, city: null, first_name: null };
  assertEquals([a?.doc, b?.doc], [
    { ...nothing, email: "a@example.com", marketing_status: "none", groups: [] },
    { ...nothing, email: null, marketing_status: "pending", groups: ["VIP"] },
  ]);
});

Deno.test("records the database refuses are rejected alone, whatever was to be done to them", async () => {
  await using db = await open(60);
  await db.pool.query(`create table public.orders (client_id uuid references public.clients)`);
  await db.pool.query(`insert into public.orders values ($1)`, [uuid(42)]);
  const records = await db.read();
  const writes: LocalWrite[] = records.map((record, index): LocalWrite => {
    if (index % 20 === 13) return change(record, { city: "new", marketing_status: "unheard of" });
    if (index === 7) return change(record, { city: "a NUL \u0000" });
    return index >= 40
      ? { op: "delete", id: record.id, read: record.doc }
      : change(record, { city: "new" });
  });
  for (let n = 0; n < 20; n++) {
    // The same id twice: the second of them is one too many.
    writes.push({ op: "insert", id: uuid(200 + Math.min(n, 18)), values: { city: "new" } });
  }
  const results = await db.apply(writes);
  const rejected = results.flatMap((result, index) =>
    result.outcome === "rejected" ? [`${index} ${result.code}`] : []
  );
  assertEquals(rejected, [
    "7 database_22P05",
    "13 database_23514",
    "33 database_23514",
    "41 database_23503",
    "53 database_23514",
    "79 database_23505",
  ]);
  assertEquals(results.filter(({ outcome }) => outcome === "done").length, 74);
  const now = await db.read();
  assertEquals(now.filter(({ doc }) => doc["city"] === "new").length, 56);
  assertEquals(now.length, 60 - 18 + 19);
});

Deno.test("what does not stem from the values is thrown, and nothing is written", async () => {
  await using db = await open();
  const [first] = await db.read();
  const error = await assertRejects(() =>
    db.pool.transaction(async (transaction) => {
      await transaction.query("set transaction read only");
      await applyLocalWrites(transaction, db.table, [
        { op: "insert", id: uuid(11), values: { city: "ours" } },
      ]);
    })
  );
  assertEquals(Reflect.get(Object(error), "code"), "25006");
  await assertRejects(
    () => db.apply([change(first, { town: "ours" })]),
    TypeError,
    "Cannot write 'town': it is not mapped",
  );
  assertEquals((await db.read()).length, 4);
});

Deno.test("a value of the record referred to is written there, once for all who want the same", async () => {
  await using db = await open(7);
  await db.pool.query(`
    create table public.edits (partner_id uuid);
    create function public.count_edit() returns trigger language plpgsql as $$
    begin insert into public.edits values (new.id); return new; end $$;
    create trigger count_edit after update on public.partners
      for each row execute function public.count_edit()`);
  const records = await db.read();
  const results = await db.apply([
    change(records[0], { "partner.name": "Same" }),
    change(records[2], { "partner.name": "Same", city: "Graz" }),
    change(records[4], { "partner.company": null }),
    change(records[1], { "partner.name": "One" }),
    change(records[3], { "partner.name": "Other", city: "Graz" }),
    change(records[5], { "partner.company": "Fine" }),
    change(records[6], { "partner.name": "Nobody's" }),
  ]);
  assertEquals(outcomes(results), ["done", "done", "done", "moved", "moved", "done", "moved"]);
  const now = await db.read();
  assertEquals(now.map(({ doc }) => [doc["partner.name"], doc["partner.company"], doc["city"]]), [
    ["Same", null, "City 1"],
    ["Even", "Fine", "City 2"],
    ["Same", null, "Graz"],
    ["Even", "Fine", "City 4"],
    ["Same", null, "City 5"],
    ["Even", "Fine", "City 6"],
    [null, null, "City 7"],
  ]);
  const edits = await db.pool.query(
    `select partner_id as id, count(*)::integer as n from public.edits group by 1 order by 1`,
  );
  assertEquals(edits, [{ id: uuid(100), n: 1 }, { id: uuid(101), n: 1 }]);
  // Each answered what it wrote itself: the other's edit of the shared partner is still to be seen.
  const told = results.map((result) => result.outcome === "done" ? result.doc : null);
  assertEquals(told[0], { ...records[0]?.doc, "partner.name": "Same" });
  assertEquals(told[4], null);
  assertEquals(told[2], { ...records[4]?.doc, "partner.company": null });
});

Deno.test("an edit of the record referred to is compared at the record that is referred to now", async () => {
  await using db = await open();
  const [first, second, third] = await db.read();
  await db.pool.query(`update public.partners set name = 'theirs' where id = $1`, [uuid(100)]);
  await db.pool.query(`update public.clients set partner_id = $1 where id = $2`, [
    uuid(100),
    uuid(3),
  ]);
  assertEquals(
    outcomes(
      await db.apply([
        change(first, { "partner.name": "ours" }),
        change(second, { "partner.name": "ours" }),
        change(third, { "partner.name": "ours" }),
      ]),
    ),
    ["done", "moved", "moved"],
  );
  assertEquals(await db.pool.query(`select name from public.partners order by id`), [
    { name: "theirs" },
    { name: "ours" },
  ]);
});

Deno.test("a refused value of a shared record is rejected for those who wanted it", async () => {
  await using db = await open(7);
  const records = await db.read();
  assertEquals(
    await db.apply([
      change(records[0], { "partner.name": null, city: "Graz" }),
      change(records[2], { "partner.company": "Fine" }),
      change(records[4], { "partner.name": null }),
    ]).then((results) => results.map((one) => one.outcome === "rejected" ? one.code : one.outcome)),
    ["database_23502", "done", "database_23502"],
  );
  const now = await db.read();
  assertEquals([now[0]?.doc, now[2]?.doc], [
    { ...records[0]?.doc, "partner.company": "Fine" },
    { ...records[2]?.doc, "partner.company": "Fine" },
  ]);
});

Deno.test("the number of statements does not grow with the number of writes", async () => {
  await using db = await open(400);
  const records = await db.read();
  const count = async (from: number, to: number) => {
    let statements = 0;
    const results = await db.pool.transaction((transaction) => {
      const counting: Database = {
        query(sql, parameters) {
          statements++;
          return transaction.query(sql, parameters);
        },
      };
      const writes = records.slice(from, to).flatMap((record, index): LocalWrite[] => [
        index % 3 === 0
          ? { op: "delete", id: record.id, read: record.doc }
          : index % 3 === 1
          ? change(record, { city: "new" })
          : change(record, { first_name: "new", "partner.company": "new" }),
        { op: "insert", id: uuid(1000 + from + index), values: { city: index % 2 ? "x" : null } },
      ]);
      return applyLocalWrites(counting, db.table, writes);
    });
    // Where one partner's company was new already, there is nothing to be written over.
    assertEquals(results.filter(({ outcome }) => outcome === "rejected"), []);
    return statements;
  };
  const few = await count(0, 6);
  await db.pool.query(
    `update public.partners set company = case name when 'Even' then 'E' else 'O' end`,
  );
  assertEquals(await count(100, 399), few);
  assert(few <= 20, `${few} statements`);
});

Deno.test("nothing is sent for no writes, and the lock timeout of the transaction is kept", async () => {
  await using db = await open();
  const [first] = await db.read();
  const silent: Database = { query: () => Promise.reject(new Error("Cannot be asked")) };
  assertEquals(await applyLocalWrites(silent, db.table, []), []);
  await db.pool.transaction(async (transaction) => {
    await transaction.query("set local lock_timeout = '7s'");
    await applyLocalWrites(transaction, db.table, [change(first, { city: "ours" })]);
    assertEquals(await transaction.query("show lock_timeout"), [{ lock_timeout: "7s" }]);
  });
});

Deno.test("the role of the functions has the privileges the writes need", async () => {
  await using db = await open();
  const [first, second] = await db.read();
  const results = await db.pool.transaction(async (transaction) => {
    await transaction.query("set local role service_role");
    return await applyLocalWrites(transaction, db.table, [
      change(first, { city: "ours", "partner.name": "ours" }),
      { op: "delete", id: uuid(2), read: second?.doc ?? {} },
      { op: "insert", id: uuid(11), values: { city: "ours" } },
    ]);
  });
  assertEquals(outcomes(results), ["done", "done", "done"]);
});
