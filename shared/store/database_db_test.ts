import { assertEquals, assertRejects } from "@std/assert";
import { testDatabase } from "../../tests/lib/database.ts";
import { openDatabase } from "./database.ts";

Deno.test("transaction() commits what succeeds and rolls back what throws", async () => {
  await using database = await testDatabase(import.meta.url);
  await using pool = openDatabase({ url: database.url, name: "database-test", max: 1 });
  await pool.query(`create table t (n integer)`);
  await pool.transaction((tx) => tx.query(`insert into t values (1)`));
  await assertRejects(
    () =>
      pool.transaction(async (tx) => {
        await tx.query(`insert into t values (2)`);
        throw new RangeError("Changed my mind");
      }),
    RangeError,
  );
  assertEquals(await pool.query(`select n from t`), [{ n: 1 }]);
});

Deno.test("a pool survives the server closing its connections, idle or at work", async () => {
  await using database = await testDatabase(import.meta.url);
  await using pool = openDatabase({ url: database.url, name: "database-test", max: 1 });
  const client = await database.connect();
  const kill = async (where: string) =>
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'database-test' and datname = current_database() and ${where}`,
    );
  await pool.query(`select 1`);
  await kill("state = 'idle'");
  // The pool may or may not have heard yet; either way the second try works.
  await pool.query(`select 1`).catch(() => {});
  assertEquals(await pool.query(`select 1 as n`), [{ n: 1 }]);

  await assertRejects(() =>
    pool.transaction(async (tx) => {
      await kill("state <> 'idle'");
      await tx.query(`select 1`);
    })
  );
  assertEquals(await pool.query(`select 1 as n`), [{ n: 1 }]);
  await client.end();
});
