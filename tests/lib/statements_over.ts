import type { Database } from "../../shared/store/database.ts";

/** Sends the statements of a store over one connection of the driver, or over a pool. */
export function statementsOver(
  client: { query(sql: string, parameters: unknown[]): Promise<{ rows: unknown[] }> },
): Database {
  return {
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      return (await client.query(sql, [...parameters])).rows as Row[];
    },
  };
}
