import pg from "pg";
import { bytesQuery } from "./bytes_query.ts";

/** A connection that statements are sent over. */
export interface Database {
  /** Sends one statement and returns its rows. */
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
}

/** A pool of connections that is closed when it is disposed of. */
export interface DatabasePool extends Database, AsyncDisposable {
  /** Runs `work` in one transaction on one connection; rolled back if it throws. */
  transaction<Result>(
    work: (database: Database) => Promise<Result>,
  ): Promise<Result>;
}

/** How a pool is opened. */
export interface DatabaseOptions {
  readonly url: string;
  /** Shown in `pg_stat_activity`. */
  readonly name: string;
  /** Connections at most; default 3. */
  readonly max?: number;
  /** Longest a statement may take, in ms; default 120000. */
  readonly statementTimeoutMs?: number;
}

function ignore(): void {}

/**
 * Opens a pool. Connects on first use.
 *
 * Every isolate has its own, so it is small: the project's connections are
 * `isolates × max`. Statements are sent without names, because a transaction
 * pooler hands each one to another backend.
 */
export function openDatabase(options: DatabaseOptions): DatabasePool {
  const pool = new pg.Pool({
    connectionString: options.url,
    application_name: options.name,
    max: options.max ?? 3,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 30_000,
    query_timeout: options.statementTimeoutMs ?? 120_000,
  });
  // An idle connection that the server closes emits here; unheard, it would end the process.
  pool.on("error", ignore);
  return {
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      const hasBytes = parameters.some((parameter) => parameter instanceof Uint8Array);
      // A pool answers a query object with a promise too; its types know of streams only.
      const answer: unknown = hasBytes
        ? pool.query(bytesQuery(sql, parameters))
        : pool.query(sql, [...parameters]);
      return (await (answer as Promise<pg.QueryResult>)).rows as Row[];
    },
    async transaction(work) {
      const client = await pool.connect();
      // As above, for a connection that is in use: the statement under way fails, which is enough.
      client.on("error", ignore);
      let broken: Error | undefined;
      try {
        await client.query("begin");
        const result = await work({
          async query<Row>(sql: string, parameters: readonly unknown[] = []) {
            return (await client.query(sql, [...parameters])).rows as Row[];
          },
        });
        await client.query("commit");
        return result;
      } catch (error) {
        // A connection that cannot even roll back is thrown away, not reused.
        await client.query("rollback").catch((cause: unknown) => {
          broken = cause instanceof Error ? cause : new Error("Cannot roll back");
        });
        throw error;
      } finally {
        client.off("error", ignore);
        client.release(broken);
      }
    },
    async [Symbol.asyncDispose]() {
      await pool.end();
    },
  };
}
