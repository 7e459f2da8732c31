import { assert, assertEquals, assertGreater } from "@std/assert";
import fc from "fast-check";
import { testDatabase } from "../../tests/lib/database.ts";
import { type Database, type DatabasePool, openDatabase } from "./database.ts";
import type { KeyedTable } from "./keyed_table.ts";
import { keysOfNobodyElse, matchFreeByKey } from "./match_free.ts";
import type { Run } from "./run.ts";
import { insertRun } from "./runs.ts";

const TABLE: KeyedTable = { schema: "public", table: "clients", id: "id", keyColumn: "email" };

/** Somebody on either side or both, or who was. */
interface Person {
  readonly client: string | null;
  readonly link: string | null;
  readonly base: readonly [string, string] | null;
  readonly a: string | null;
  readonly b: string | null;
  readonly key: string;
}

const key = fc.constantFrom("ann", "bea", "cid", "dan", "eve");
const person: fc.Arbitrary<Person> = fc.record({
  client: fc.option(key),
  link: fc.option(fc.constantFrom("linked", "linked", "unlinked", "b_missing", "keep_apart")),
  base: fc.option(fc.tuple(key, key)),
  a: fc.option(fc.constantFrom("free", "free", "orphan", "pair")),
  b: fc.option(fc.constantFrom("free", "free", "orphan", "pair", "absent")),
  key,
});

function clientId(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
}

async function begin(pool: DatabasePool): Promise<Run> {
  return await insertRun(pool, {
    functionName: "enterprise-sync",
    pair: "clients",
    lane: "both",
    mode: "start",
    force: false,
    staleMs: 1,
    params: {},
    requestedBy: "test",
  });
}

async function stage(
  database: Database,
  run: Run,
  side: string,
  id: string,
  to: string,
  on: string,
) {
  await database.query(
    `insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token, state)
     values ($1, $2, $3::"char", $4, $5, 'null', '', $6)`,
    [run.id, run.epoch, side, id, on, to],
  );
}

async function add(database: Database, run: Run, n: number, person: Person): Promise<void> {
  const { client, link, base, a, b } = person;
  if (client !== null) {
    await database.query(`insert into public.clients (id, email) values ($1, $2)`, [
      clientId(n),
      ` ${client.toUpperCase()}`,
    ]);
  }
  if (link !== null) {
    const [{ id } = { id: 0 }] = await database.query<{ id: number }>(
      `insert into public.integration_crosswalk (pair, a_id, b_id, link_state)
       values ('clients', $1, $2, $3) returning id::float8 as id`,
      [clientId(n), String(n), link],
    );
    if (base !== null) {
      const [before, after] = base.map((email) => JSON.stringify({ email }));
      await database.query(
        `insert into public.shadow_snapshots (crosswalk_id, a, b, settled, a_token, b_token, version)
         values ($1, $2, $3, '{}', '', '', 1)`,
        [id, before, after],
      );
    }
  }
  if (a !== null) await stage(database, run, "a", clientId(n), a, client ?? person.key);
  if (b !== null) await stage(database, run, "b", String(n), b, person.key);
}

/** What matching leaves behind; nothing of it stays. */
async function matched(pool: DatabasePool, run: Run, ofNobodyElse: readonly string[]) {
  let left: unknown;
  const undone = new Error("undone");
  await pool.transaction(async (database) => {
    const known = await matchFreeByKey(database, run, TABLE, "email", ofNobodyElse);
    const stage = await database.query(
      `select side, record_id, state, partner_id from public.sync_stage order by side, record_id`,
    );
    const findings = await database.query(
      `select kind, a_ids, b_ids from public.sync_findings order by kind, a_ids, b_ids`,
    );
    left = { known, stage, findings };
    throw undone;
  }).catch((error) => assert(error === undone));
  return left;
}

Deno.test("what nobody else has needs no look: matching ends the same with and without being told", async () => {
  await using db = await testDatabase(import.meta.url);
  await using pool = openDatabase({ url: db.url, name: "test" });
  await pool.query(`delete from public.clients`);
  const run = await begin(pool);
  let told = 0;
  let untold = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(person, { minLength: 1, maxLength: 8 }), async (people) => {
      await pool.query(
        `truncate public.clients, public.integration_crosswalk, public.sync_stage cascade`,
      );
      for (const [n, one] of people.entries()) await add(pool, run, n, one);
      const keys = await keysOfNobodyElse(pool, run, TABLE, "email");
      assertEquals(await matched(pool, run, keys), await matched(pool, run, []));
      const free = people.filter(({ a, b }) => a === "free" || b === "free");
      told += keys.length;
      if (free.length > 0 && keys.length === 0) untold++;
    }),
    { numRuns: 100 },
  );
  assertGreater(told, 30);
  assertGreater(untold, 10);
});

Deno.test("keysOfNobodyElse() tells of none where there are too many to hand over", async () => {
  await using db = await testDatabase(import.meta.url);
  await using pool = openDatabase({ url: db.url, name: "test" });
  const run = await begin(pool);
  await pool.query(
    `insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token, state)
     select $1, $2, 'b', n::text, n || '@example.com', 'null', '', 'free' from generate_series(1, 1000) n`,
    [run.id, run.epoch],
  );
  assertEquals((await keysOfNobodyElse(pool, run, TABLE, "email")).length, 1000);
  await stage(pool, run, "b", "1001", "free", "1001@example.com");
  assertEquals(await keysOfNobodyElse(pool, run, TABLE, "email"), []);
});
