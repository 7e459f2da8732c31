import type { Database } from "./database.ts";

interface VitalsRow {
  readonly used: number;
  readonly most: number;
  readonly read_only: boolean;
  readonly in_recovery: boolean;
}

// A role without pg_monitor sees of other roles' sessions whose they are and in
// which database, but not of what kind. It counts background workers that use a
// database too: a few too many, which errs on the safe side.
//
// alter database and alter role reach a session only when it begins. A pool, and
// a pooler even more, holds sessions from before: through them writing still
// works, at random. So what the next session would be told counts too; of several
// settings, the one for role and database wins, then the role's, then the database's.
const VITALS = `
select
  (
    select count(*)::integer from pg_stat_activity
    where backend_type = 'client backend'
      or (backend_type is null and usesysid is not null and datid is not null)
  ) as used,
  current_setting('max_connections')::integer
    - current_setting('superuser_reserved_connections')::integer
    - coalesce(current_setting('reserved_connections', true)::integer, 0) as most,
  current_setting('transaction_read_only')::boolean
    or current_setting('default_transaction_read_only')::boolean
    or coalesce((
      select split_part(c.entry, '=', 2)::boolean
      from pg_db_role_setting s
      cross join unnest(s.setconfig) as c (entry)
      where split_part(c.entry, '=', 1) = 'default_transaction_read_only'
        and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
        and s.setrole in (0, (select oid from pg_roles where rolname = session_user))
      order by s.setrole <> 0 desc, s.setdatabase <> 0 desc
      limit 1
    ), false) as read_only,
  pg_is_in_recovery() as in_recovery`;

/** Asks the database how it is. */
export class DatabaseHealthProbe {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Connections, and whether it takes writes, in one statement. */
  async vitals(): Promise<{
    usedConnections: number;
    maxConnections: number;
    readOnly: boolean;
    inRecovery: boolean;
  }> {
    const [row] = await this.#database.query<VitalsRow>(VITALS);
    if (row === undefined) throw new Error("Cannot check the database: it answered no row");
    return {
      usedConnections: row.used,
      maxConnections: row.most,
      readOnly: row.read_only,
      inRecovery: row.in_recovery,
    };
  }
}
