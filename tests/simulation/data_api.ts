/**
 * The project as the command line sees it, without the servers in between.
 *
 * @module
 */
import { localPaths, type LocalReader } from "../../scripts/cli/local_reader.ts";
import type { RowFilter } from "../../scripts/cli/row_query.ts";
import { DataApiError, type SyncClient } from "../../scripts/cli/sync_client.ts";
import type { Pair } from "../../shared/engine/pair.ts";
import type { DatabasePool } from "../../shared/store/database.ts";
import { LocalTable } from "../../shared/store/local_table.ts";
import type { SimulatedDatabase } from "./simulated_database.ts";

const OPERATORS: Partial<Record<RowFilter[1], string>> = {
  eq: "=",
  neq: "<>",
  gt: ">",
};

/** Tables and functions of the database, as the Data API gives them. */
export function dataApi(database: SimulatedDatabase): SyncClient {
  const unused = () => Promise.reject(new Error("Cannot ask this: nobody has needed it yet"));
  return {
    readStatus: unused,
    call: unused,
    count: unused,
    async select({ table, columns, where = [], order, limit }) {
      const conditions = where.map(([column, operator], n) => {
        const sign = OPERATORS[operator];
        if (sign === undefined) {
          throw new Error(`Cannot select: nobody has asked for ${operator} yet`);
        }
        return `${column} ${sign} $${n + 1}`;
      });
      const rows = await database.pool.query<{ row: Record<string, unknown> }>(
        `select to_jsonb(t) as row from (
           select ${columns} from public.${table}
           where ${["true", ...conditions].join(" and ")}
           order by ${order?.column ?? 1} limit ${limit ?? "all"}) t`,
        where.map(([, , value]) => value),
      );
      return rows.map(({ row }) => row);
    },
    async rpc(name, args) {
      const names = Object.keys(args).map((each, n) => `${each} => $${n + 1}`);
      const rows = await database.asUser(
        `select * from public.${name}(${names.join(", ")})`,
        Object.values(args),
      ).catch((error: unknown) => {
        const code = error instanceof Error ? Reflect.get(error, "code") : null;
        if (typeof code !== "string") throw error;
        throw new DataApiError("Cannot write: the database refused it", code);
      });
      if (rows === null) throw new DataApiError("Cannot write: a lock is in the way", "55P03");
      return rows;
    },
  };
}

/** Side A as the command line reads it. */
export async function localReader(pool: DatabasePool, pair: Pair): Promise<LocalReader> {
  const opened = await LocalTable.open(pool, pair.local, localPaths(pair));
  if ("missing" in opened) throw new Error("Cannot read side A: a mapped column does not exist");
  return {
    readPage: (afterId) => opened.table.readPage(pool, afterId, 1000),
    readByIds: (ids) => opened.table.readByIds(pool, ids),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
