import { assert, assertEquals } from "@std/assert";
import { testDatabase } from "../../tests/lib/database.ts";
import { type DatabasePool, openDatabase } from "./database.ts";
import { LocalTable, type LocalTableName } from "./local_table.ts";

const SCHEMA = `
  create schema shop;
  create table shop.owner (code uuid primary key, "full name" text, "order" integer);
  create table shop."Group" (
    "Id" uuid primary key, "select" text, amount numeric, born date, tags text[],
    owner_id uuid references shop.owner (code), loose_id uuid
  );
  insert into shop.owner values ('00000000-0000-4000-8000-0000000000aa', 'A"nn', 7);
  insert into shop."Group"
  select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 's' || n, n / 2.0,
    '2026-01-01'::date + n, array['x', n::text],
    case when n % 2 = 0 then '00000000-0000-4000-8000-0000000000aa'::uuid end, null
  from generate_series(1, 5) n`;
const NAME: LocalTableName = { schema: "shop", table: "Group", id: "Id" };

async function open() {
  const database = await testDatabase(import.meta.url);
  const pool = openDatabase({ url: database.url, name: "local-table-test" });
  await pool.query(SCHEMA);
  return {
    pool,
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

async function openTable(pool: DatabasePool, paths: string[], name = NAME): Promise<LocalTable> {
  const opened = await LocalTable.open(pool, name, paths);
  assert("table" in opened);
  return opened.table;
}

async function missing(pool: DatabasePool, paths: string[], name = NAME): Promise<string[]> {
  const opened = await LocalTable.open(pool, name, paths);
  return "missing" in opened
    ? opened.missing.map(({ path, message }) => `${path}: ${message}`)
    : [];
}

Deno.test("LocalTable names everything that is not there", async () => {
  await using db = await open();
  assertEquals(
    await missing(db.pool, ["select", "town", "owner.order", "owner.town", "loose.x", "nobody.x"]),
    [
      "town: there is no column 'town' in 'shop.Group'",
      "owner.town: there is no column 'town' in 'shop.owner'",
      "loose.x: there is no foreign key 'loose_id' in 'shop.Group'",
      "nobody.x: there is no foreign key 'nobody_id' in 'shop.Group'",
    ],
  );
  assertEquals(await missing(db.pool, [], { ...NAME, table: "group" }), [
    ": there is no table 'shop.group'",
  ]);
  assertEquals(await missing(db.pool, [], { ...NAME, id: "select" }), [
    "select: 'Group.select' must be a uuid column",
  ]);
});

Deno.test("LocalTable reads columns and what a foreign key leads to, whatever they are called", async () => {
  await using db = await open();
  const table = await openTable(db.pool, ["select", "amount", "born", "tags", "owner.order"]);
  const [, second] = await table.readPage(db.pool, null, 10);
  assertEquals(second?.doc, {
    select: "s2",
    amount: 1,
    born: "2026-01-03",
    tags: ["x", "2"],
    "owner.order": 7,
  });
  assertEquals(await table.count(db.pool), 5);
});

Deno.test("LocalTable pages through every record once, in the order of ids", async () => {
  await using db = await open();
  const table = await openTable(db.pool, ["select"]);
  const seen: unknown[] = [];
  for (let after: string | null = null;;) {
    const page = await table.readPage(db.pool, after, 2);
    seen.push(...page.map(({ doc }) => doc["select"]));
    const last = page.at(-1);
    if (last === undefined) break;
    after = last.id;
  }
  assertEquals(seen, ["s1", "s2", "s3", "s4", "s5"]);
});

Deno.test("a record's token changes with what is mapped, here and through a foreign key, and with nothing else", async () => {
  await using db = await open();
  const table = await openTable(db.pool, ["select", "owner.order"]);
  const tokens = async () => (await table.readPage(db.pool, null, 10)).map(({ token }) => token);
  const before = await tokens();
  await db.pool.query(`update shop."Group" set amount = 99`);
  assertEquals(await tokens(), before);
  await db.pool.query(`update shop."Group" set "select" = 'changed' where "select" = 's1'`);
  await db.pool.query(`update shop.owner set "order" = 8`);
  assertEquals((await tokens()).map((token, i) => token === before[i]), [
    false,
    false,
    true,
    false,
    true,
  ]);
});

Deno.test("LocalTable finds records by their ids, with the token a page gives them", async () => {
  await using db = await open();
  const table = await openTable(db.pool, ["select", "owner.order"]);
  const page = await table.readPage(db.pool, null, 10);
  const ids = page.map(({ id }) => id);
  const nobody = "00000000-0000-4000-8000-0000000000ff";
  const wanted = [ids[3] ?? "", nobody, ids[1] ?? ""];
  assertEquals(await table.readByIds(db.pool, wanted), [page[1], page[3]]);
  assertEquals([...await table.exists(db.pool, wanted)].sort(), [ids[1], ids[3]]);
  assertEquals(await table.readByIds(db.pool, []), []);
  assertEquals(await table.exists(db.pool, []), new Set());
});

Deno.test("LocalTable tells where its paths stand and what they reach through", async () => {
  await using db = await open();
  await db.pool.query(`
    create table shop.land (id uuid primary key, name text) partition by hash (id);
    create table shop.land_0 partition of shop.land for values with (modulus 1, remainder 0);
    alter table shop."Group" add column land_id uuid references shop.land,
      add column n integer generated always as (1) stored`);
  const table = await openTable(db.pool, ["select", "n", "land.name", "owner.full name"]);
  assertEquals(
    table.references.map(({ head, column, source, key }) => [head, column, source, key]),
    [
      ["land", "land_id", `"shop"."land"`, "id"],
      ["owner", "owner_id", `"shop"."owner"`, "code"],
    ],
  );
  assertEquals(
    [...table.places].map(([path, { type, readOnly, reference }]) => [
      path,
      type,
      readOnly,
      reference?.head ?? null,
    ]),
    [
      ["select", "pg_catalog.text", false, null],
      ["n", "pg_catalog.int4", true, null],
      ["land.name", "pg_catalog.text", false, "land"],
      ["owner.full name", "pg_catalog.text", false, "owner"],
    ],
  );
  assertEquals([table.source, table.id, table.deferred], [`"shop"."Group"`, "Id", false]);
});

Deno.test("LocalTable gives records prints that differ wherever their documents do", async () => {
  await using db = await open();
  await db.pool.query(`
    create extension if not exists citext;
    create domain shop.word as text;
    create table shop.kinds (
      id uuid primary key default gen_random_uuid(), t text, c citext, w shop.word, f char(4), n numeric,
      i bigint, b boolean, d date, z timestamptz, x double precision, j json, k jsonb, l text[], y bytea
    );
    insert into shop.kinds default values;
    insert into shop.kinds (t, c, w, f, n, i, b, d, z, x, j, k, l, y) values
      ('a', 'a', 'a', 'a', 1, 1, true, '2026-01-01', '2026-01-01 00:00Z', 1, '{"a":1}', '{"a":1}', '{a}', 'a');
    insert into shop.kinds (t) values (''), ('A'), ('a '), ('1');
    insert into shop.kinds (c) values (''), ('A'), ('a');
    insert into shop.kinds (w) values ('A'), ('a');
    insert into shop.kinds (f) values ('A'), ('a');
    insert into shop.kinds (n) values (1), (1.5), ('NaN');
    insert into shop.kinds (i) values (0), (1), (4294967296), (-1);
    insert into shop.kinds (b) values (true), (false);
    insert into shop.kinds (d) values ('2026-01-01'), ('infinity');
    insert into shop.kinds (z) values ('2026-01-01 00:00Z'), ('2026-01-01 00:00:00.000001Z'), ('1999-12-31 23:59:59.999999Z');
    insert into shop.kinds (x) values (1), (1.0000000000000002);
    insert into shop.kinds (j) values ('1'), ('{"a":1}'), ('{"a":2}');
    insert into shop.kinds (k) values ('""'), ('1'), ('{"a":1}'), ('{"a":2}'), ('[]');
    insert into shop.kinds (l) values ('{}'), ('{a}'), ('{A}'), ('{a,null}');
    insert into shop.kinds (y) values (''), ('a'), ('A');`);
  const paths = ["t", "c", "w", "f", "n", "i", "b", "d", "z", "x", "j", "k", "l", "y"];
  const table = await openTable(db.pool, paths, { schema: "shop", table: "kinds", id: "id" });
  const rows = await db.pool.query<{ docs: number; prints: number; n: number }>(
    `select count(*)::integer as n, count(distinct doc)::integer as docs,
       count(distinct print)::integer as prints from (${table.select}) r`,
  );
  const [{ n = 0, docs = 0, prints = 0 } = {}] = rows;
  assertEquals([n, docs, prints], [44, 44, 44]);
});
