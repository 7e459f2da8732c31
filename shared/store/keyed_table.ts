import { identifier } from "./identifier.ts";
import { canonicalKey } from "./key_sql.ts";
import type { LocalTableName } from "./local_table.ts";

/** Side A's table as matching needs it. */
export interface KeyedTable extends LocalTableName {
  /** The column records are first matched by. */
  readonly keyColumn: string;
}

/** SQL for the key of a row `t`. */
export function keyOf(table: KeyedTable): string {
  return canonicalKey(`t.${identifier(table.keyColumn)}`);
}

/** SQL for the table's whole name. */
export function tableOf(table: LocalTableName): string {
  return `${identifier(table.schema)}.${identifier(table.table)}`;
}
