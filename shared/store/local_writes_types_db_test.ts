import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { testDatabase } from "../../tests/lib/database.ts";
import type { Doc } from "../merge/json.ts";
import { openDatabase } from "./database.ts";
import { LocalTable, type LocalTableName } from "./local_table.ts";
import { applyLocalWrites, type LocalResult, type LocalWrite } from "./local_writes.ts";

const SCHEMA = `
  create schema shop;
  create type shop.mood as enum ('sad', 'so so', 'it''s fine');
  create domain shop.short as text not null check (length(value) < 9);
  create table shop."Owner ""x""" (
    "Code" bigint primary key, "full name" text, "order" integer check ("order" < 100)
  );
  create table shop."order" (
    "Id" uuid primary key, "select" varchar(5), amount numeric(8, 2), born date,
    seen timestamptz, tags text[], open boolean not null default true, mood shop.mood,
    extra jsonb, big bigint, label shop.short default 'none',
    twice integer generated always as (length("select") * 2) stored,
    owner_id bigint references shop."Owner ""x""" ("Code"),
    helper_id bigint references shop."Owner ""x""" ("Code"),
    above_id uuid references shop."order" ("Id")
  );
  insert into shop."Owner ""x""" values (9007199254740993, 'Ann', 7), (9007199254740995, 'Ben', 8);
  insert into shop."order" ("Id", "select", amount, born, big, owner_id, helper_id, above_id)
  select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 's' || n, n / 2.0,
    '2026-01-01'::date + n, 9007199254740993, 9007199254740993, 9007199254740995,
    '00000000-0000-4000-8000-000000000001'
  from generate_series(1, 6) n`;
const NAME: LocalTableName = { schema: "shop", table: "order", id: "Id" };
const COLUMNS = ["select", "amount", "born", "seen", "tags", "open", "mood", "extra", "big"]
  .concat(["label", "twice"]);

function uuid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
}

async function open(paths: readonly string[], name = NAME, more = "") {
  const database = await testDatabase(import.meta.url);
  const pool = openDatabase({ url: database.url, name: "local-writes-types-test" });
  await pool.query(SCHEMA);
  if (more !== "") await pool.query(more);
  const opened = await LocalTable.open(pool, name, paths);
  assert("table" in opened);
  const { table } = opened;
  const read = () => table.readPage(pool, null, 1000);
  const apply = (writes: readonly LocalWrite[]) =>
    pool.transaction((transaction) => applyLocalWrites(transaction, table, writes));
  return {
    pool,
    read,
    apply,
    /** Writes values to the first records there are. */
    async update(...values: Doc[]): Promise<readonly LocalResult[]> {
      const records = await read();
      return await apply(values.map((one, index) => {
        const record = records[index];
        assert(record !== undefined);
        return { op: "update", id: record.id, read: record.doc, values: one };
      }));
    },
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

function told(results: readonly LocalResult[]): string[] {
  return results.map((result) => result.outcome === "rejected" ? result.code : result.outcome);
}

const VALUES: Doc = {
  select: `"a'b`,
  amount: "12.345",
  born: "2026-02-28",
  seen: "2026-01-02T03:04:05.678+02:00",
  tags: ["a,b", 'say "x"', null],
  open: false,
  mood: "it's fine",
  extra: { a: [1, null, "x"] },
  big: "9007199254740997",
  label: "short",
};
const STORED: Doc = { ...VALUES, amount: 12.35, big: 9007199254740996, twice: 8 };

Deno.test("values of every type are written as the column has them, and answered as they are stored", async () => {
  await using db = await open(COLUMNS);
  const [updated] = await db.update(VALUES);
  const [inserted] = await db.apply([{ op: "insert", id: uuid(11), values: VALUES }]);
  const records = await db.read();
  assert(updated?.outcome === "done" && inserted?.outcome === "done");
  assertEquals(inserted.doc, records.at(-1)?.doc);
  // The generated column was not written, so what has become of it is left to be seen.
  assertEquals(updated.doc, { ...records[0]?.doc, twice: 4 });
  const seen = String(records[0]?.doc["seen"]);
  assertEquals(new Date(seen).toISOString(), "2026-01-02T01:04:05.678Z");
  assertEquals(records[0]?.doc, { ...STORED, seen });
  assertEquals(
    await db.pool.query(`select big::text, amount::text from shop."order" where "Id" = $1`, [
      uuid(1),
    ]),
    [{ big: "9007199254740997", amount: "12.35" }],
  );
  // "open" and the domain of "label" take no null.
  const { open: _, label: __, ...nullable } = VALUES;
  const nulls = Object.fromEntries(Object.keys(nullable).map((path) => [path, null]));
  assertEquals(told(await db.update(nulls, { label: null })), ["done", "database_23502"]);
  assertEquals((await db.read())[0]?.doc, { ...nulls, open: false, label: "short", twice: null });
});

Deno.test("each value that its column cannot take is rejected with its own code", async () => {
  await using db = await open([...COLUMNS, "owner.order"]);
  const results = await db.update(
    { select: "too long", born: "2026-01-01" },
    { amount: "1e9" },
    { born: "2026-02-30" },
    { mood: "unheard of" },
    { open: null },
    { twice: 3 },
  );
  assertEquals(told(results), [
    "database_22001",
    "database_22003",
    "database_22008",
    "database_22P02",
    "database_23502",
    "database_428C9",
  ]);
  assertEquals(
    told(await db.update({ label: "far too long" }, { "owner.order": 100 }, { select: "fine" })),
    ["database_23514", "database_23514", "done"],
  );
  const inserted = await db.apply([
    { op: "insert", id: uuid(11), values: { twice: 3, select: "ok", open: null, mood: null } },
    { op: "insert", id: uuid(12), values: { open: "perhaps" } },
  ]);
  assertEquals(told(inserted), ["done", "database_22P02"]);
  assert(inserted[0]?.outcome === "done");
  assertEquals([inserted[0].doc["open"], inserted[0].doc["label"], inserted[0].doc["twice"]], [
    true,
    "none",
    4,
  ]);
});

Deno.test("a number too long for JavaScript is compared as far as it was read", async () => {
  await using db = await open(["big", "select"]);
  const [first, second, third] = await db.read();
  await db.pool.query(`update shop."order" set big = big + 4 where "Id" = $1`, [uuid(2)]);
  assertEquals(
    told(
      await db.apply([
        { op: "update", id: uuid(1), read: first?.doc ?? {}, values: { big: "1" } },
        { op: "update", id: uuid(2), read: second?.doc ?? {}, values: { big: "1" } },
        { op: "update", id: uuid(3), read: third?.doc ?? {}, values: { big: "2" } },
      ]),
    ),
    ["done", "moved", "done"],
  );
});

Deno.test("a record that two foreign keys lead to is one, with odd names and a long number for a key", async () => {
  await using db = await open(["owner.full name", "owner.order", "helper.full name", "select"]);
  await db.pool.query(`update shop."order" set helper_id = owner_id where "Id" = $1`, [uuid(2)]);
  const results = await db.update(
    { "owner.full name": "Same", "helper.full name": "Helper", select: "one" },
    { "helper.full name": "Same", "owner.full name": "Same" },
    { "owner.order": 9 },
  );
  assertEquals(told(results), ["done", "done", "done"]);
  assertEquals(
    await db.pool.query(
      `select "full name" as name, "order" as n from shop."Owner ""x""" order by 1`,
    ),
    [{ name: "Helper", n: 8 }, { name: "Same", n: 9 }],
  );
  assertEquals(
    told(
      await db.update({ "owner.order": 1 }, { "helper.full name": "Y", "owner.full name": "Z" }),
    ),
    ["done", "moved"],
  );
});

Deno.test("a record that others of its own table refer to is written by one of them alone", async () => {
  await using db = await open(["select", "amount", "above.select", "above.amount"]);
  assertEquals(
    told(
      await db.update(
        { select: "own", amount: 1 },
        { "above.select": "other" },
        { "above.amount": 1, select: "mine" },
      ),
    ),
    ["moved", "moved", "done"],
  );
  const [first, , third] = await db.read();
  assertEquals([first?.doc["select"], first?.doc["amount"], third?.doc["select"]], [
    "s1",
    1,
    "mine",
  ]);
});

Deno.test("what a trigger makes of a written column is answered, and what it does to another is left to be seen", async () => {
  await using db = await open(
    ["select", "mood", "amount"],
    NAME,
    `create function shop.tidy() returns trigger language plpgsql as $$
     begin
       new."select" := lower(new."select");
       if new.amount is distinct from old.amount then new.mood := 'sad'; end if;
       return new;
     end $$;
     create trigger tidy before update on shop."order" for each row execute function shop.tidy()`,
  );
  const before = await db.read();
  const [lower, foreign] = await db.update({ select: "ABC" }, { amount: 5 });
  const now = await db.read();
  assertEquals(lower, {
    outcome: "done",
    doc: { ...before[0]?.doc, select: "abc" },
    token: now[0]?.token ?? "",
  });
  assert(foreign?.outcome === "done");
  assertEquals(foreign.doc, { ...before[1]?.doc, amount: 5 });
  assertEquals(now[1]?.doc, { ...before[1]?.doc, amount: 5, mood: "sad" });
  assertNotEquals(foreign.token, now[1]?.token);
});

Deno.test("a record that a trigger refuses, or quietly keeps, is rejected alone", async () => {
  await using db = await open(
    ["select"],
    NAME,
    `create function shop.judge() returns trigger language plpgsql as $$
     begin
       if tg_op = 'DELETE' then
         return case when old."select" = 's1' then null else old end;
       elsif new."select" = 'quiet' then return null;
       elsif new."select" = 'loud' then raise exception 'no, not %', new."select";
       end if;
       return new;
     end $$;
     create trigger judge before insert or update or delete on shop."order"
       for each row execute function shop.judge();
     update shop."order" set above_id = null`,
  );
  const [first, second] = await db.read();
  assertEquals(
    told(
      await db.apply([
        { op: "delete", id: uuid(1), read: first?.doc ?? {} },
        { op: "delete", id: uuid(2), read: second?.doc ?? {} },
        { op: "insert", id: uuid(11), values: { select: "quiet" } },
        { op: "insert", id: uuid(12), values: { select: "loud" } },
        { op: "insert", id: uuid(13), values: { select: "fine" } },
      ]),
    ),
    ["database_02000", "done", "database_02000", "database_P0001", "done"],
  );
  const [kept] = await db.update({ select: "quiet" }, { select: "loud" });
  assertEquals(kept, { outcome: "done", doc: first?.doc ?? {}, token: first?.token ?? "" });
});

Deno.test("a constraint that is looked at only at the commit rejects its record, not the batch", async () => {
  await using db = await open(
    ["select"],
    NAME,
    `alter table shop."order" add unique ("select") deferrable initially deferred`,
  );
  assertEquals(
    told(await db.update({ select: "new" }, { select: "s5" }, { select: "s4" }, { select: "s3" })),
    ["done", "database_23505", "done", "done"],
  );
});

Deno.test("a view that takes writes is written through", async () => {
  await using db = await open(
    ["select", "amount"],
    { schema: "shop", table: "cheap", id: "Id" },
    `create view shop.cheap as select "Id", "select", amount, open from shop."order"
     where amount < 100 with check option;
     update shop."order" set above_id = null`,
  );
  const results = await db.update({ select: "new" }, { amount: 500 });
  const [, , third] = await db.read();
  const more = await db.apply([
    { op: "insert", id: uuid(11), values: { select: "in", amount: 1 } },
    { op: "insert", id: uuid(12), values: { select: "out", amount: 100 } },
    { op: "delete", id: uuid(3), read: third?.doc ?? {} },
  ]);
  assertEquals(told([...results, ...more]), [
    "done",
    "database_44000",
    "done",
    "database_44000",
    "done",
  ]);
});
