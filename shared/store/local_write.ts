import type { Doc } from "../merge/json.ts";

/** A new record of side A. */
export interface LocalInsert {
  readonly op: "insert";
  /** A uuid made by the caller, so that the link can be written in the same transaction. */
  readonly id: string;
  /** Values by path. Paths with a dot are passed over: a new record refers to nothing. */
  readonly values: Doc;
}

/** New values for a record of side A, or for the records it refers to. */
export interface LocalUpdate {
  readonly op: "update";
  readonly id: string;
  /** The record as it was read. */
  readonly read: Doc;
  /** The new values by path; null empties a column. */
  readonly values: Doc;
}

/** A record of side A that goes. */
export interface LocalDelete {
  readonly op: "delete";
  readonly id: string;
  /** The record as it was read. */
  readonly read: Doc;
}

/** One write on side A. Values are raw: as the table's columns have them in JSON. */
export type LocalWrite = LocalInsert | LocalUpdate | LocalDelete;

/**
 * What became of a write.
 *
 * - `done`: written. For an insert, `doc` and `token` are those of the record as the table holds
 *   it. For an update they are those of the record as it was read, with what the table now holds in
 *   the columns that were written: so an edit somebody made to another column meanwhile is not in
 *   them, and is seen as an edit by whoever looks next. For a delete they are empty.
 * - `moved`: not written. A value is no longer the one that was read, the row is gone or locked by
 *   somebody, or another write of the batch wants something else of the same row.
 * - `rejected`: not written, because the database refuses it. `code` is its SQLSTATE behind
 *   `database_`; the database's message is kept back, since it can quote the row.
 */
export type LocalResult =
  | { readonly outcome: "done"; readonly doc: Doc; readonly token: string }
  | { readonly outcome: "moved" }
  | { readonly outcome: "rejected"; readonly code: string };
