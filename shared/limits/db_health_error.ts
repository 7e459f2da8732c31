/**
 * What is wrong with a database.
 *
 * - `slow`: it answers, but takes too long
 * - `connections`: nearly all connections are in use
 * - `read_only`: it takes no writes; Supabase does that to a project whose disk is full
 * - `recovery`: the server is a standby or restores a backup
 * - `unreachable`: it does not answer
 */
export type DatabaseFault = "slow" | "connections" | "read_only" | "recovery" | "unreachable";

/** The database is not fit to work with. */
export class DatabaseUnhealthyError extends Error {
  override readonly name = "DatabaseUnhealthyError";
  readonly code = "database_unhealthy";
  constructor(
    readonly reason: DatabaseFault,
    /** The same in words, with the numbers. */
    detail: string,
  ) {
    super(`Cannot work with the database: ${detail}`);
  }
}
