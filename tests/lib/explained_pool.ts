/**
 * A pool that asks PostgreSQL about every statement how many rows it handled on its
 * way, which tells a bad plan on any machine, and does not depend on the time.
 *
 * @module
 */
import type { Database, DatabasePool } from "../../shared/store/database.ts";

/** A statement, and the rows that all steps of its plan handled. */
export interface ExplainedStatement {
  readonly sql: string;
  readonly rows: number;
}

/** A pool under observation. */
export interface ExplainedPool extends DatabasePool {
  /** The statements so far. */
  readonly statements: readonly ExplainedStatement[];
}

interface PlanNode {
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Join Filter"?: number;
  readonly "Rows Removed by Index Recheck"?: number;
  readonly Plans?: readonly PlanNode[];
}

function rowsOf(node: PlanNode): number {
  const own = node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0) +
    (node["Rows Removed by Join Filter"] ?? 0) + (node["Rows Removed by Index Recheck"] ?? 0);
  return own * node["Actual Loops"] +
    (node.Plans ?? []).reduce((sum, inner) => sum + rowsOf(inner), 0);
}

const EXPLAIN = "explain (analyze, timing off, format json)";

class Undone extends Error {}

/** Watches what goes through a pool. Each statement is carried out, undone, and carried out again. */
export function explainedPool(pool: DatabasePool): ExplainedPool {
  const statements: ExplainedStatement[] = [];

  async function explain(
    database: Database,
    sql: string,
    parameters: readonly unknown[],
  ): Promise<void> {
    if (!/^\s*(select|with|insert|update|delete)\b/i.test(sql)) return;
    await database.query("savepoint explained");
    const [answer] = await database.query<{ "QUERY PLAN": readonly { Plan: PlanNode }[] }>(
      `${EXPLAIN} ${sql}`,
      parameters,
    );
    await database.query("rollback to savepoint explained");
    const plan = answer?.["QUERY PLAN"][0]?.Plan;
    if (plan !== undefined) statements.push({ sql, rows: rowsOf(plan) });
  }

  return {
    statements,
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      await pool.transaction(async (database) => {
        await explain(database, sql, parameters);
        throw new Undone();
      }).catch((error: unknown) => {
        if (!(error instanceof Undone)) throw error;
      });
      return await pool.query<Row>(sql, parameters);
    },
    transaction: (work) =>
      pool.transaction((database) =>
        work({
          async query<Row>(sql: string, parameters: readonly unknown[] = []) {
            await explain(database, sql, parameters);
            return await database.query<Row>(sql, parameters);
          },
        })
      ),
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}
