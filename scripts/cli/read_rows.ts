/**
 * Reading rows of a project's tables, checked, and more of them than one answer holds.
 *
 * @module
 */
import type { z } from "zod";
import type { RowQuery } from "./row_query.ts";
import { LookError, type SyncClient } from "./sync_client.ts";

/** Rows a request asks for: what a hosted Data API gives at most unless it is told otherwise. */
const PAGE_ROWS = 1_000;

/** Ids in one request, so that its address stays short. */
const IDS_A_REQUEST = 100;

/** Reads rows of a known form. @throws {LookError} also if they are not of that form */
export async function readRows<T>(
  client: Pick<SyncClient, "select">,
  query: RowQuery,
  schema: z.ZodType<T>,
): Promise<T[]> {
  const rows = await client.select(query);
  return rows.map((row) => {
    const parsed = schema.safeParse(row);
    if (parsed.success) return parsed.data;
    const path = parsed.error.issues[0]?.path.join(".") ?? "";
    throw new LookError(
      `Cannot read ${query.table}: '${path}' is not of the known form; apply the migrations`,
    );
  });
}

/**
 * Reads all rows, page by page, by keyset: in the order of a column of which no
 * value comes twice. A page may be shorter than what was asked for, so only an
 * empty one is the end.
 *
 * @param keyOf The column's value in a row.
 */
export async function* readAllRows<T>(
  client: Pick<SyncClient, "select">,
  query: Omit<RowQuery, "order" | "limit">,
  schema: z.ZodType<T>,
  column: string,
  keyOf: (row: T) => string | number,
): AsyncGenerator<T[]> {
  const { where = [] } = query;
  let after: string | number | null = null;
  for (;;) {
    const page: T[] = await readRows(client, {
      ...query,
      where: after === null ? where : [...where, [column, "gt", after]],
      order: { column },
      limit: PAGE_ROWS,
    }, schema);
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    after = keyOf(last);
  }
}

/**
 * Reads the rows of which a column holds one of the values, however many these
 * are. Of one value there may be ten rows at most.
 */
export async function readRowsOf<T>(
  client: Pick<SyncClient, "select">,
  query: Omit<RowQuery, "order" | "limit">,
  schema: z.ZodType<T>,
  column: string,
  values: readonly (string | number)[],
): Promise<T[]> {
  const rows: T[] = [];
  for (let from = 0; from < values.length; from += IDS_A_REQUEST) {
    const some = values.slice(from, from + IDS_A_REQUEST);
    const where = [...query.where ?? [], [column, "in", some] as const];
    rows.push(...await readRows(client, { ...query, where }, schema));
  }
  return rows;
}
