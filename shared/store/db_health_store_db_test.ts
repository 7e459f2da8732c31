import { assert, assertEquals } from "@std/assert";
import { checkDatabase, type DatabaseHealthLimits } from "../limits/db_health.ts";
import { type TestDatabase, testDatabase } from "../../tests/lib/database.ts";
import { statementsOver } from "../../tests/lib/statements_over.ts";
import { type Database, openDatabase } from "./database.ts";
import { DatabaseHealthProbe } from "./db_health_store.ts";

async function check(database: Database, limits?: DatabaseHealthLimits) {
  return await checkDatabase({
    probe: new DatabaseHealthProbe(database),
    monotonic: () => performance.now(),
    // Nothing here waits for a database that is silent.
    sleep: (_, signal) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve())),
  }, limits);
}

function open(db: TestDatabase, url = db.url) {
  return openDatabase({ url, name: "health-test", max: 1 });
}

async function faultOf(database: Database, limits?: DatabaseHealthLimits) {
  const health = await check(database, limits);
  return health.healthy ? null : health.code;
}

async function connections(database: Database): Promise<number> {
  return (await new DatabaseHealthProbe(database).vitals()).usedConnections;
}

Deno.test("a database that takes writes and has room is healthy", async () => {
  await using db = await testDatabase(import.meta.url);
  await using pool = open(db);
  const health = await check(pool);
  assert(health.healthy && health.latencyMs >= 0);
  const { rows } = await db.pool.query(
    `select current_setting('max_connections')::integer
       - current_setting('superuser_reserved_connections')::integer
       - current_setting('reserved_connections')::integer as most`,
  );
  const { maxConnections, inRecovery } = await new DatabaseHealthProbe(pool).vitals();
  assertEquals([maxConnections, inRecovery], [rows[0].most, false]);
});

Deno.test("a database that is set read-only is found so, by new sessions and by older ones", async () => {
  await using db = await testDatabase(import.meta.url);
  await using older = open(db);
  assertEquals(await faultOf(older), null);
  await db.pool.query(`alter database ${db.name} set default_transaction_read_only = on`);
  await using newer = open(db);
  assertEquals(await faultOf(newer), "read_only");
  assertEquals(await faultOf(older), "read_only");
  await db.pool.query(`alter database ${db.name} reset default_transaction_read_only`);
  assertEquals(await faultOf(older), null);
});

Deno.test("a setting of another database or role makes nobody read-only, one for this role wins", async () => {
  await using db = await testDatabase(import.meta.url);
  await using other = await testDatabase(import.meta.url);
  await using pool = open(db);
  await other.pool.query(`alter database ${other.name} set default_transaction_read_only = on`);
  const { rows } = await db.pool.query("select current_user as me");
  const role = JSON.stringify(rows[0].me);
  const set = (who: string, value: string) =>
    db.pool.query(
      `alter role ${who} in database ${db.name} set default_transaction_read_only = ${value}`,
    );
  await set("service_role", "on");
  assertEquals(await faultOf(pool), null);
  await set(role, "yes");
  assertEquals(await faultOf(pool), "read_only");
  await db.pool.query(`alter database ${db.name} set default_transaction_read_only = on`);
  await set(role, "off");
  assertEquals(await faultOf(pool), null);
});

Deno.test("a session that may only read is found so", async () => {
  await using db = await testDatabase(import.meta.url);
  await using pool = open(db);
  await pool.query("set default_transaction_read_only = on");
  assertEquals(await faultOf(pool), "read_only");
});

Deno.test("connections of the whole server count, by what they may use", async () => {
  await using db = await testDatabase(import.meta.url);
  await using pool = open(db);
  const before = await connections(pool);
  assert(before > 0);
  // Other tests come and go on the same server, so many more are opened than they could close.
  const more = await Promise.all(Array.from({ length: 60 }, () => db.connect()));
  try {
    assert(await connections(pool) >= before + 20);
    const health = await check(pool, { maxUsedShare: 0.01 });
    assert(!health.healthy && health.code === "connections");
    assert(/^\d+ of \d+ connections are in use$/.test(health.detail), health.detail);
  } finally {
    await Promise.all(more.map((client) => client.end()));
  }
});

Deno.test("a role without rights on the statistics counts the same connections", async () => {
  await using db = await testDatabase(import.meta.url);
  const client = await db.connect();
  const asked = statementsOver(client);
  try {
    // In one transaction the statistics stand still, so that both see the same sessions.
    await client.query("begin");
    const all = await connections(asked);
    await client.query("set local role service_role");
    const { rows } = await client.query(
      "select count(*)::integer as hidden from pg_stat_activity where backend_type is null",
    );
    assert(rows[0].hidden > 0, "the role sees everything, so this shows nothing");
    assertEquals(await connections(asked), all);
    await client.query("rollback");
  } finally {
    await client.end();
  }
});

Deno.test("a server that does not answer is unreachable, one that has no connection left says so", async () => {
  await using db = await testDatabase(import.meta.url);
  const nowhere = new URL(db.url);
  nowhere.port = "1";
  await using gone = open(db, nowhere.href);
  const health = await check(gone);
  assert(!health.healthy && health.code === "unreachable");
  assertEquals(health.detail, "it does not answer (ECONNREFUSED)");

  const role = `health_${crypto.randomUUID().slice(0, 8)}`;
  await db.pool.query(`create role ${role} login password 'p' connection limit 0`);
  try {
    const narrow = new URL(db.url);
    narrow.username = role;
    narrow.password = "p";
    await using full = open(db, narrow.href);
    assertEquals(await faultOf(full), "connections");
  } finally {
    await db.pool.query(`drop role ${role}`);
  }
});
