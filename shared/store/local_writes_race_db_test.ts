import { assert, assertEquals } from "@std/assert";
import { testDatabase } from "../../tests/lib/database.ts";
import { type Database, openDatabase } from "./database.ts";
import { type LocalRecord, LocalTable } from "./local_table.ts";
import { applyLocalWrites, type LocalResult, type LocalWrite } from "./local_writes.ts";

const PATHS = ["email", "city", "country", "partner.name"];

async function open() {
  const database = await testDatabase(import.meta.url);
  const pool = openDatabase({
    url: database.url,
    name: "local-writes-race-test",
    statementTimeoutMs: 10_000,
  });
  await pool.query(`
    insert into public.partners (id, name)
    select md5('p' || n)::uuid, 'before' from generate_series(1, 40) n;
    insert into public.clients (id, email, city, country, partner_id)
    select md5('c' || n)::uuid, n || '@example.com', 'before', 'before', md5('p' || n)::uuid
    from generate_series(1, 40) n`);
  const opened = await LocalTable.open(
    pool,
    { schema: "public", table: "clients", id: "id" },
    PATHS,
  );
  assert("table" in opened);
  return {
    pool,
    table: opened.table,
    async connect() {
      const client = await database.connect();
      return {
        query: (sql: string, parameters?: unknown[]) => client.query(sql, parameters),
        [Symbol.asyncDispose]: () => client.end(),
      };
    },
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

function done(record: LocalRecord | undefined): LocalResult {
  assert(record !== undefined);
  return { outcome: "done", doc: record.doc, token: record.token };
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && Reflect.get(error, "code") === code;
}

/** What a user does to a client, and what must be true of it if they could. */
const USERS: Record<string, { sql: string; overwritten: boolean; expected: string }> = {
  "the column that is written": {
    sql: `update public.clients set city = 'theirs' where id = $1`,
    overwritten: true,
    expected: "theirs before before",
  },
  "another column": {
    sql: `update public.clients set country = 'theirs' where id = $1`,
    overwritten: false,
    expected: "ours theirs ours",
  },
  "the partner": {
    sql: `update public.partners set name = 'theirs'
      where id = (select partner_id from public.clients where id = $1)`,
    overwritten: true,
    expected: "before before theirs",
  },
  "all of it": {
    sql: `delete from public.clients where id = $1`,
    overwritten: true,
    expected: "",
  },
};

for (const [what, { sql, overwritten, expected }] of Object.entries(USERS)) {
  Deno.test(`between any two statements, a user who edits ${what} is refused or respected`, async () => {
    await using db = await open();
    await using user = await db.connect();
    await user.query("set lock_timeout = '20ms'");
    const seen = { before: 0, after: 0 };
    const records = await db.table.readPage(db.pool, null, 40);
    // The first round only counts the statements of a batch that nobody disturbs.
    let undisturbed = 0;
    for (let at = -1; at < undisturbed; at++) {
      const record = records[at + 1];
      assert(record !== undefined);
      let edited = false;
      const results = await db.pool.transaction(async (transaction) => {
        let statements = 0;
        const watched: Database = {
          async query(text, parameters) {
            if (statements++ === at) {
              try {
                await user.query(sql, [record.id]);
                edited = true;
              } catch (error) {
                if (!hasCode(error, "55P03")) throw error;
              }
            }
            if (at === -1) undisturbed = statements;
            return await transaction.query(text, parameters);
          },
        };
        return await applyLocalWrites(watched, db.table, [{
          op: "update",
          id: record.id,
          read: record.doc,
          values: { city: "ours", "partner.name": "ours" },
        }]);
      });
      const [result] = results;
      const [now] = await db.table.readByIds(db.pool, [record.id]);
      const values = now === undefined
        ? ""
        : [now.doc["city"], now.doc["country"], now.doc["partner.name"]].join(" ");
      if (edited) {
        seen.before++;
        assertEquals(values, expected, `an edit before statement ${at}`);
        assertEquals(result?.outcome, overwritten ? "moved" : "done");
        if (result?.outcome === "done") assert(result.token !== now?.token);
      } else {
        seen.after++;
        assertEquals(values, "ours before ours", `an edit before statement ${at}`);
        assertEquals(result, done(now));
      }
    }
    assert(seen.before > 0 && seen.after > 3, JSON.stringify(seen));
  });
}

Deno.test("a value that somebody is about to take is not waited for", async () => {
  await using db = await open();
  await db.pool.query(`create unique index on public.clients (email)`);
  await using user = await db.connect();
  await user.query("begin");
  await user.query(`insert into public.clients (email) values ('taken@example.com')`);
  const records = await db.table.readPage(db.pool, null, 40);
  const writes = records.map((record, index): LocalWrite => ({
    op: "update",
    id: record.id,
    read: record.doc,
    values: { email: index === 17 ? "taken@example.com" : `${index}@new.example` },
  }));
  const insert: LocalWrite = {
    op: "insert",
    id: "00000000-0000-4000-8000-000000000001",
    values: { email: "taken@example.com" },
  };
  const apply = (wanted: LocalWrite[]) =>
    db.pool.transaction((transaction) => applyLocalWrites(transaction, db.table, wanted));
  const results = await apply([...writes, insert]);
  assertEquals(
    results.flatMap((result, index) => result.outcome === "done" ? [] : [[index, result.outcome]]),
    [[17, "moved"], [40, "moved"]],
  );
  await user.query("commit");
  const again = await apply([...writes.slice(17, 18), insert]);
  const rejected = { outcome: "rejected", code: "database_23505" } as const;
  assertEquals(again, [rejected, rejected]);
});

Deno.test("where every write has to wait, the batch gives up soon", async () => {
  await using db = await open();
  await db.pool.query(`
    create table public.totals (n integer);
    insert into public.totals values (0);
    create function public.add_up() returns trigger language plpgsql as $$
    begin update public.totals set n = n + 1; return new; end $$;
    create trigger add_up before update on public.clients
      for each row execute function public.add_up()`);
  await using user = await db.connect();
  await user.query("begin");
  await user.query("update public.totals set n = n");
  const records = await db.table.readPage(db.pool, null, 40);
  let refused = 0;
  const results = await db.pool.transaction((transaction) => {
    const watched: Database = {
      query(text, parameters) {
        if (text.startsWith("rollback to")) refused++;
        return transaction.query(text, parameters);
      },
    };
    return applyLocalWrites(
      watched,
      db.table,
      records.map(({ id, doc }) => ({ op: "update", id, read: doc, values: { city: "ours" } })),
    );
  });
  assertEquals(new Set(results.map(({ outcome }) => outcome)), new Set(["moved"]));
  assert(refused < 25, `${refused} waits`);
  await user.query("rollback");
});
