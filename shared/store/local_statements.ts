/**
 * Statements that write many rows at once. Rows with the same columns share one;
 * those of all columns together are sent as one, so that no record costs a round trip.
 *
 * @module
 */
import type { Json } from "../merge/json.ts";
import type { Database } from "./database.ts";
import { identifier } from "./identifier.ts";

/** A table, and the column its rows are told apart by. */
export interface RowTarget {
  /** The table as SQL names it. */
  readonly source: string;
  readonly key: string;
  readonly keyType: string;
}

/** A value for a column. */
export interface Cell {
  readonly column: string;
  readonly type: string;
  readonly value: Json;
}

/** The values of one row. */
export interface RowCells {
  readonly key: string;
  readonly cells: readonly Cell[];
}

interface Group {
  readonly columns: readonly Cell[];
  readonly rows: Record<string, Json>[];
}

function groupByColumns(rows: readonly RowCells[]): Group[] {
  const groups = new Map<string, Group>();
  for (const { key, cells } of rows) {
    const columns = cells.toSorted((a, b) => a.column < b.column ? -1 : 1);
    const name = JSON.stringify(columns.map(({ column }) => column));
    const group = groups.get(name) ?? { columns, rows: [] };
    groups.set(name, group);
    group.rows.push({
      key,
      ...Object.fromEntries(columns.map(({ value }, index) => [`c${index}`, value])),
    });
  }
  return [...groups.values()];
}

// The types are those of the columns without their lengths, which the assignment checks.
function recordset(target: RowTarget, columns: readonly Cell[], parameter: number): string {
  const names = columns.map(({ type }, index) => `, c${index} ${type}`).join("");
  return `jsonb_to_recordset($${parameter}::jsonb) as n (key ${target.keyType}${names})`;
}

async function sendTogether(
  database: Database,
  groups: readonly Group[],
  statementOf: (columns: readonly Cell[], parameter: number) => string,
): Promise<void> {
  const statements = groups.map(({ columns }, index) => statementOf(columns, index + 1));
  const [first = ""] = statements;
  const sql = statements.length === 1
    ? first
    : `with ${statements.map((one, index) => `g${index} as (${one})`).join(",\n")} select 1`;
  await database.query(sql, groups.map(({ rows }) => JSON.stringify(rows)));
}

/** Sets cells of rows that exist. No key may be there twice. */
export async function updateRows(
  database: Database,
  target: RowTarget,
  rows: readonly RowCells[],
): Promise<void> {
  const groups = groupByColumns(rows.filter(({ cells }) => cells.length > 0));
  if (groups.length === 0) return;
  await sendTogether(database, groups, (columns, parameter) => {
    const set = columns.map(({ column }, index) => `${identifier(column)} = n.c${index}`);
    return `update ${target.source} t set ${set.join(", ")} ` +
      `from ${recordset(target, columns, parameter)} where t.${identifier(target.key)} = n.key`;
  });
}

/** Adds rows. Columns that a row has no cell for get their default. */
export async function insertRows(
  database: Database,
  target: RowTarget,
  rows: readonly RowCells[],
): Promise<void> {
  await sendTogether(database, groupByColumns(rows), (columns, parameter) => {
    const names = columns.map(({ column }) => `, ${identifier(column)}`).join("");
    const values = columns.map((_, index) => `, n.c${index}`).join("");
    return `insert into ${target.source} (${identifier(target.key)}${names}) ` +
      `select n.key${values} from ${recordset(target, columns, parameter)}`;
  });
}

/** Removes rows. */
export async function deleteRows(
  database: Database,
  target: RowTarget,
  keys: readonly string[],
): Promise<void> {
  await database.query(
    `delete from ${target.source} t where t.${
      identifier(target.key)
    } = any ($1::${target.keyType}[])`,
    [keys],
  );
}
