import type { Database, DatabasePool } from "./database.ts";

/**
 * Runs statements that join whole sets of records, in one transaction.
 *
 * Without nested loops: a stage that was filled a moment ago has no statistics, and
 * a plan that took it for a handful of rows read it once for each of 24,000 links,
 * which took minutes instead of a tenth of a second. And without compiling: a join
 * that can only be nested counts as endlessly dear then, and would seem worth it.
 */
export async function withWholeSets<Result>(
  pool: DatabasePool,
  work: (database: Database) => Promise<Result>,
): Promise<Result> {
  return await pool.transaction(async (database) => {
    await database.query("set local enable_nestloop = off; set local jit = off");
    return await work(database);
  });
}
