/** That no statement of a two-way run handles more rows than in proportion to the records. */
import { assert, assertEquals } from "@std/assert";
import { explainedPool } from "./lib/explained_pool.ts";
import { equalPeople, type TwoWayWorld, twoWayWorld } from "./lib/two_way_world.ts";

const PEOPLE = 2_000;

/**
 * Steps of the longest plan, times the rows each of them has for a record. A plan
 * that compares every record with every other handles some hundred times as many.
 */
const ROWS_A_RECORD = 100;

async function syncExplained(
  world: TwoWayWorld,
  body: Readonly<Record<string, unknown>>,
): Promise<number> {
  const pool = explainedPool(world.pool);
  const { updatesApplied, done } = await world.sync(body, { database: () => pool });
  assert(done, "the run is not done");
  assert(pool.statements.length > 20, "the statements were not seen");
  const tooMany = pool.statements.filter(({ rows }) => rows > PEOPLE * ROWS_A_RECORD)
    .map(({ sql, rows }) => `${rows} rows: ${sql.replaceAll(/\s+/g, " ").slice(0, 120)}`);
  assertEquals(tooMany, []);
  return updatesApplied;
}

Deno.test("the first run of all, without a backfill, costs in proportion to the records", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE), { backfill: false });
  assertEquals(await syncExplained(world, { maxRecords: 100_000 }), 0);
});

Deno.test("a run over many edits costs in proportion to the records", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE));
  for (let n = 1; n <= PEOPLE; n++) world.editSubscriber(n, { fields: { city: "Rome" } });
  const override = { guards: ["updates"], reason: "a test" };
  assertEquals(await syncExplained(world, { maxRecords: 100_000, override }), PEOPLE);
});
