import { assert, assertEquals, assertRejects } from "@std/assert";
import { type TestDatabase, testDatabase } from "../../tests/lib/database.ts";
import { openDatabase } from "./database.ts";
import type { Database, DatabasePool } from "./database.ts";
import { LeaseLostError } from "./lease_lost_error.ts";
import { LocalTable } from "./local_table.ts";
import type { KeyedTable } from "./keyed_table.ts";
import { matchFreeByKey } from "./match_free.ts";
import type { Run } from "./run.ts";
import { insertRun } from "./runs.ts";
import {
  findSubjects,
  linksOf,
  noteSharedLinks,
  stageAbsent,
  stagedWork,
  stageFreeRecords,
} from "./subject_store.ts";

const TABLE: KeyedTable = { schema: "public", table: "clients", id: "id", keyColumn: "email" };
const PATHS = ["email", "first_name", "partner.name"];

function id(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
}

async function open(db: TestDatabase): Promise<{ pool: DatabasePool; local: LocalTable }> {
  const pool = openDatabase({ url: db.url, name: "test" });
  const opened = await LocalTable.open(pool, TABLE, PATHS);
  if ("missing" in opened) throw new Error("Cannot open the table");
  return { pool, local: opened.table };
}

async function addClient(database: Database, n: number, email: string): Promise<void> {
  await database.query(
    `insert into public.clients (id, email, first_name) values ($1, $2, 'Ann')`,
    [
      id(n),
      email,
    ],
  );
}

async function link(database: Database, n: number, bId: string, state = "linked"): Promise<number> {
  const rows = await database.query<{ id: number }>(
    `insert into public.integration_crosswalk (pair, a_id, b_id, link_state)
     values ('clients', $1, $2, $3) returning id::float8 as id`,
    [id(n), bId, state],
  );
  return rows[0]?.id ?? 0;
}

async function begin(database: Database): Promise<Run> {
  return await insertRun(database, {
    functionName: "smart-sync",
    pair: "clients",
    lane: crypto.randomUUID(),
    mode: "start",
    force: false,
    staleMs: 1,
    params: {},
    requestedBy: "test",
  });
}

const NOTHING = { keys: [], aIds: [], bIds: [] };

Deno.test("findSubjects() finds records by key in any case and spacing, one row each, and several that share one", async () => {
  await using db = await testDatabase(import.meta.url);
  const { pool, local } = await open(db);
  await using _pool = pool;
  await addClient(pool, 1, " \t\u00a0One@Example.com\u3000\r\n");
  await addClient(pool, 2, "two@example.com");
  await addClient(pool, 3, "TWO@example.com");
  const crosswalkId = await link(pool, 1, "11");
  await link(pool, 1, "12", "keep_apart");
  const keys = ["one@example.com", "two@example.com", "three@example.com"];
  const found = await findSubjects(pool, "clients", TABLE, local, { ...NOTHING, keys });
  const nothing = {
    crosswalkId: null,
    linkState: null,
    bId: null,
    shadowB: null,
    untouched: false,
  };
  assertEquals(
    found.toSorted((one, other) => `${one.ref}${one.aId}` < `${other.ref}${other.aId}` ? -1 : 1),
    [
      {
        ...nothing,
        by: "key",
        ref: "one@example.com",
        aId: id(1),
        aKey: "one@example.com",
        crosswalkId,
        linkState: "linked",
        bId: "11",
      },
      { ...nothing, by: "key", ref: "three@example.com", aId: null, aKey: null },
      { ...nothing, by: "key", ref: "two@example.com", aId: id(2), aKey: "two@example.com" },
      { ...nothing, by: "key", ref: "two@example.com", aId: id(3), aKey: "two@example.com" },
    ],
  );
});

Deno.test("findSubjects() finds records by the id of either side, also those that are gone", async () => {
  await using db = await testDatabase(import.meta.url);
  const { pool, local } = await open(db);
  await using _pool = pool;
  await addClient(pool, 1, "one@example.com");
  await addClient(pool, 2, "two@example.com");
  await link(pool, 1, "11");
  await link(pool, 3, "13");
  const named = { keys: [], aIds: [id(1), id(2), id(3), id(4)], bIds: ["11", "13", "14"] };
  const found = await findSubjects(pool, "clients", TABLE, local, named);
  const short = found.map(({ by, ref, aId, linkState, bId }) => [by, ref, aId, linkState, bId]);
  assertEquals(short.sort(), [
    ["a", id(1), id(1), "linked", "11"],
    ["a", id(2), id(2), null, null],
    ["a", id(3), null, "linked", "13"],
    ["a", id(4), null, null, null],
    ["b", "11", id(1), "linked", "11"],
    ["b", "13", null, "linked", "13"],
    ["b", "14", null, null, "14"],
  ]);
});

Deno.test("findSubjects() tells whether a record named by its id is as it was at the last agreement", async () => {
  await using db = await testDatabase(import.meta.url);
  const { pool, local } = await open(db);
  await using _pool = pool;
  const untouched = async () => {
    const named = { ...NOTHING, aIds: [id(1)] };
    const [found] = await findSubjects(pool, "clients", TABLE, local, named);
    return found?.untouched;
  };
  await addClient(pool, 1, "one@example.com");
  const crosswalkId = await link(pool, 1, "11");
  assertEquals(await untouched(), false);
  await pool.query(
    `insert into public.shadow_snapshots (crosswalk_id, a, b, a_token, b_token)
     select $1, r.doc, '{"email": "one@example.com"}', jsonb_hash_extended(r.doc, 0)::text, ''
     from (${local.select}) r`,
    [crosswalkId],
  );
  assertEquals(await untouched(), true);
  const [byKey] = await findSubjects(pool, "clients", TABLE, local, {
    ...NOTHING,
    keys: ["one@example.com"],
  });
  // Who is named by a person is looked at, whatever side A says.
  assertEquals([byKey?.untouched, byKey?.shadowB], [false, { email: "one@example.com" }]);
  await pool.query(`update public.clients set city = 'Rome'`);
  assertEquals(await untouched(), true);
  await pool.query(`update public.clients set first_name = 'Bea'`);
  assertEquals(await untouched(), false);
  await pool.query(`update public.clients set first_name = 'Ann'`);
  await pool.query(
    `insert into public.sync_conflicts (pair, record_key, field, reason, status, choice, resolved_at)
     values ('clients', 'cw:' || $1, 'email', 'both_changed', 'resolved', 'local', now())`,
    [crosswalkId],
  );
  assertEquals(await untouched(), false);
});

Deno.test("stageFreeRecords() also stages who shares a key and has no living link", async () => {
  await using db = await testDatabase(import.meta.url);
  const { pool } = await open(db);
  await using _pool = pool;
  for (const n of [1, 2, 3, 4, 5]) await addClient(pool, n, "Same@example.com");
  await link(pool, 2, "12");
  await link(pool, 3, "13", "b_missing");
  await link(pool, 4, "14", "keep_apart");
  await link(pool, 5, "15");
  const run = await begin(pool);
  const free = [{ aId: id(1), key: "same@example.com" }, { aId: id(5), key: "same@example.com" }];
  await stageFreeRecords(pool, run, TABLE, free, ["same@example.com"], [id(5)]);
  const staged = await pool.query(
    `select record_id, natural_key, state from public.sync_stage where run_id = $1 order by 1`,
    [run.id],
  );
  assertEquals(staged, [
    { record_id: id(1), natural_key: "same@example.com", state: "free" },
    { record_id: id(3), natural_key: "same@example.com", state: "orphan" },
    { record_id: id(4), natural_key: "same@example.com", state: "free" },
    { record_id: id(5), natural_key: "same@example.com", state: "orphan" },
  ]);
  await matchFreeByKey(pool, run, TABLE, "email");
  const work = await stagedWork(pool, run, 7);
  assertEquals(work.map(({ ordinal, kind, aId }) => [ordinal, kind, aId]), [
    [8, "held", id(1)],
    [9, "held", id(3)],
    [10, "held", id(4)],
    [11, "held", id(5)],
  ]);
});

Deno.test("what is staged is fenced: a worker that lost its run stages nothing", async () => {
  await using db = await testDatabase(import.meta.url);
  const { pool } = await open(db);
  await using _pool = pool;
  const run = await begin(pool);
  const lost = { ...run, fencing: run.fencing - 1 };
  await assertRejects(() => stageAbsent(pool, lost, ["1"]), LeaseLostError);
  await assertRejects(() => stageFreeRecords(pool, lost, TABLE, [], [], []), LeaseLostError);
  await noteSharedLinks(pool, lost, [{ aIds: ["1"], bIds: ["2"] }]);
  assertEquals(await pool.query(`select 1 from public.sync_stage`), []);
  assertEquals(await pool.query(`select 1 from public.sync_findings`), []);
  await stageAbsent(pool, run, ["1", "2"]);
  assertEquals(
    (await pool.query(`select 1 from public.sync_stage where state = 'absent'`)).length,
    2,
  );
});

Deno.test("linksOf() finds living links, and tells whether their record of side A is there", async () => {
  await using db = await testDatabase(import.meta.url);
  const { pool } = await open(db);
  await using _pool = pool;
  await addClient(pool, 1, "one@example.com");
  await link(pool, 1, "11");
  await link(pool, 2, "12");
  await link(pool, 3, "13", "unlinked");
  const found = await linksOf(pool, "clients", TABLE, ["11", "12", "13", "14"]);
  assertEquals(found.map(({ bId, hasA }) => [bId, hasA]).sort(), [["11", true], ["12", false]]);
});

Deno.test("findSubjects() looks addresses up through the index of the example's table", async () => {
  await using db = await testDatabase(import.meta.url);
  const { pool, local } = await open(db);
  await using _pool = pool;
  await pool.query(
    `insert into public.clients (email) select 'p' || n || '@example.com' from generate_series(1, 3000) n`,
  );
  await pool.query(`analyze public.clients`);
  let plan = "";
  const explained: Database = {
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      const rows = await pool.query<Record<string, string>>(`explain ${sql}`, parameters);
      plan = rows.map((row) => Object.values(row).join()).join("\n");
      return [] as Row[];
    },
  };
  await findSubjects(explained, "clients", TABLE, local, { ...NOTHING, keys: ["p7@example.com"] });
  assert(plan.includes("clients_key_idx"), plan);
});
