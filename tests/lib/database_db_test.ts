import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { testDatabase } from "./database.ts";

Deno.test("testDatabase gives a migrated database of its own and drops it", async () => {
  let left = "";
  await using watcher = await testDatabase(import.meta.url);
  {
    await using database = await testDatabase(import.meta.url);
    left = database.name;
    assertNotEquals(database.name, watcher.name);
    const { rows } = await database.pool.query<{ tables: string }>(
      "select count(*)::text as tables from pg_tables where schemaname = 'public'",
    );
    assert(Number(rows[0]?.tables) > 0);
    const client = await database.connect();
    await client.query("create table public.only_here ()");
    await client.end();
  }
  const { rows } = await watcher.pool.query(
    "select to_regclass('public.only_here') as other, (select count(*)::int from pg_database where datname = $1) as left",
    [left],
  );
  assertEquals(rows, [{ other: null, left: 0 }]);
});
