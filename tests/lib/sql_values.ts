/** Small statements that tests of SQL functions share. */
// @ts-types="npm:@types/pg@8.23.1"
import type pg from "pg";

/** Something that runs statements: a pool or a connection. */
export type Queryable = Pick<pg.Pool, "query">;

/** The one value of an expression. */
export async function value(
  database: Queryable,
  expression: string,
  ...values: readonly unknown[]
): Promise<unknown> {
  const { rows } = await database.query<{ value: unknown }>(
    `select (${expression}) as value`,
    [...values],
  );
  return rows[0]?.value;
}

/**
 * Adds a run of enterprise-sync, unless the columns say otherwise; one that is over ended when it
 * started.
 *
 * @returns Its id.
 */
export async function addRun(
  database: Queryable,
  columns: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const given: Record<string, unknown> = {
    function: "enterprise-sync",
    lane: "both",
    pair: "clients",
    status: "completed",
    requested_by: "test",
    ...columns,
  };
  if (given["status"] === "completed" || given["status"] === "failed") {
    given["ended_at"] ??= given["started_at"] ?? "now";
  }
  const names = Object.keys(given);
  const { rows } = await database.query<{ id: string }>(
    `insert into public.sync_runs (${names.join(", ")})
     values (${names.map((_, index) => `$${index + 1}`).join(", ")}) returning id`,
    Object.values(given),
  );
  return rows[0]?.id ?? "";
}

/** Does something in a transaction that is undone at the end. */
export async function undone(
  client: pg.Client,
  work: () => Promise<void>,
): Promise<void> {
  await client.query("begin");
  try {
    await work();
  } finally {
    await client.query("rollback");
  }
}
