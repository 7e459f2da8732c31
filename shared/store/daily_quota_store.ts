import type { Database } from "./database.ts";

interface ReserveRow {
  readonly reservation: string | null;
  readonly granted: number;
  readonly used: number;
  readonly reserved: number;
  readonly reset_at_ms: number;
  readonly retry_after_ms: number;
}

interface StateRow {
  readonly used: number;
  readonly reserved: number;
  readonly reset_at_ms: number;
  readonly lost_at_ms: number | null;
}

// The casts let the statements be planned without a prepared name, through a pooler
// too. Times come as numbers, because how a driver reads a date depends on settings.
const RESERVE = `
select reservation, granted, used, reserved, retry_after_ms,
  (extract(epoch from reset_at) * 1000)::double precision as reset_at_ms
from public.sync_quota_reserve(
  p_name => $1::text, p_limit => $2::integer, p_want => $3::integer, p_all => $4::boolean,
  p_lease_ms => $5::integer, p_now => $6::bigint
)`;

const SETTLE = `
select public.sync_quota_settle(
  p_name => $1::text, p_limit => $2::integer, p_reservation => $3::uuid,
  p_used => $4::integer, p_now => $5::bigint
) as settled`;

const STATE = `
select used, reserved,
  (extract(epoch from reset_at) * 1000)::double precision as reset_at_ms,
  (extract(epoch from lost_at) * 1000)::double precision as lost_at_ms
from public.sync_quota_state(p_name => $1::text, p_limit => $2::integer, p_now => $3::bigint)`;

function only<Row>(rows: readonly Row[], name: string): Row {
  const row = rows[0];
  if (row === undefined) throw new Error(`Cannot count: ${name} answered no row`);
  return row;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** Daily quotas in the database, under `daily_quota` of `sync_state`. */
export class DatabaseDailyQuotas {
  readonly #database: Database;
  readonly #now: (() => number) | null;

  /**
   * @param now Milliseconds since 1970, to let tests set the time; default the database's clock, the one all workers have in common.
   */
  constructor(database: Database, now: (() => number) | null = null) {
    this.#database = database;
    this.#now = now;
  }

  /** Reserves a part of the day's quota, in one statement. */
  async reserve(
    name: string,
    limit: number,
    request: { readonly want: number; readonly all: boolean; readonly leaseMs: number },
  ): Promise<{
    reservation: string | null;
    granted: number;
    used: number;
    reserved: number;
    resetAt: string;
    retryAfterMs: number;
  }> {
    const { want, all, leaseMs } = request;
    const parameters = [name, limit, want, all, leaseMs, this.#now?.() ?? null];
    const rows = await this.#database.query<ReserveRow>(RESERVE, parameters);
    const { reset_at_ms, retry_after_ms, ...row } = only(rows, "sync_quota_reserve");
    return { ...row, resetAt: iso(reset_at_ms), retryAfterMs: retry_after_ms };
  }

  /** Counts what was used of a reservation, in one statement; false if it is not known any more. */
  async settle(name: string, limit: number, reservation: string, used: number): Promise<boolean> {
    const parameters = [name, limit, reservation, used, this.#now?.() ?? null];
    const rows = await this.#database.query<{ settled: boolean }>(SETTLE, parameters);
    return only(rows, "sync_quota_settle").settled;
  }

  /** How a quota stands, without a lock. */
  async state(name: string, limit: number): Promise<{
    limit: number;
    used: number;
    reserved: number;
    resetAt: string;
    lostAt: string | null;
  }> {
    const parameters = [name, limit, this.#now?.() ?? null];
    const rows = await this.#database.query<StateRow>(STATE, parameters);
    const { used, reserved, reset_at_ms, lost_at_ms } = only(rows, "sync_quota_state");
    return {
      limit,
      used,
      reserved,
      resetAt: iso(reset_at_ms),
      lostAt: lost_at_ms === null ? null : iso(lost_at_ms),
    };
  }
}
