/** Which rows of a project's tables to read. @module */

/** A row as the Data API answers it. */
export type Row = Record<string, unknown>;

/** One condition on a column. */
export type RowFilter =
  | readonly [
    column: string,
    operator: "eq" | "neq" | "gt" | "gte" | "lt" | "is" | "ilike",
    value: string | number | boolean | null,
  ]
  | readonly [
    column: string,
    operator: "in" | "contains",
    value: readonly (string | number)[],
  ];

/** Which rows to read. */
export interface RowQuery {
  /** Default `public`. */
  readonly schema?: string;
  readonly table: string;
  /** Columns in the Data API's own notation, which reaches through foreign keys. */
  readonly columns: string;
  /** All of them hold. */
  readonly where?: readonly RowFilter[];
  readonly order?: { readonly column: string; readonly descending?: boolean };
  readonly limit?: number;
}
