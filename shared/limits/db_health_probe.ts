/** What the database says of itself. */
export interface DatabaseVitals {
  /** Connections in use, on the whole server. */
  readonly usedConnections: number;
  /** Connections there are for everybody: without those kept for superusers. */
  readonly maxConnections: number;
  /** Whether a transaction that begins now can only read. */
  readonly readOnly: boolean;
  /** Whether the server is a standby or restores a backup. */
  readonly inRecovery: boolean;
}

/** Asks the database, in one statement. */
export interface DatabaseProbe {
  vitals(): Promise<DatabaseVitals>;
}
