import type { Database } from "./database.ts";

/** When a circuit opens and is tried again; each member is explained at the functions' parameters. */
export interface CircuitLimits {
  readonly failureThreshold: number;
  readonly windowMs: number;
  readonly cooldownMs: number;
  readonly maxCooldownMs: number;
  readonly probeLeaseMs: number;
}

type StateName = "closed" | "open" | "half_open";

type Entered =
  | { readonly decision: "allowed" }
  | { readonly decision: "probe"; readonly probe: string; readonly reason: string }
  | { readonly decision: "open"; readonly retryAfterMs: number; readonly reason: string };

interface EnterRow {
  readonly decision: "allowed" | "probe" | "open";
  readonly probe: string | null;
  readonly retry_after_ms: number;
  readonly reason: string | null;
}

interface StateRow {
  readonly state: StateName;
  readonly reason: string | null;
  readonly failures: number;
  readonly opened_at_ms: number | null;
  readonly next_probe_at_ms: number | null;
}

// The casts let the statements be planned without a prepared name, through a pooler
// too. Times come as numbers, because how a driver reads a date depends on settings.
const ENTER = `
select decision, probe, retry_after_ms, reason from public.sync_breaker_enter(
  p_subject => $1::text, p_window_ms => $2::integer, p_max_cooldown_ms => $3::integer,
  p_lease_ms => $4::integer, p_now => $5::bigint
)`;

const REPORT = `
select state, changed from public.sync_breaker_report(
  p_subject => $1::text, p_ok => $2::boolean, p_code => $3::text, p_probe => $4::uuid,
  p_threshold => $5::integer, p_window_ms => $6::integer, p_cooldown_ms => $7::integer,
  p_max_cooldown_ms => $8::integer, p_lease_ms => $9::integer, p_now => $10::bigint
)`;

const STATE = `
select state, reason, cardinality(failed_at) as failures,
  (extract(epoch from opened_at) * 1000)::double precision as opened_at_ms,
  (extract(epoch from next_probe_at) * 1000)::double precision as next_probe_at_ms
from public.sync_breaker_state(
  p_subject => $1::text, p_window_ms => $2::integer, p_max_cooldown_ms => $3::integer,
  p_lease_ms => $4::integer, p_now => $5::bigint
)`;

function only<Row>(rows: readonly Row[], name: string): Row {
  const row = rows[0];
  if (row === undefined) throw new Error(`Cannot guard: ${name} answered no row`);
  return row;
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

/** Circuits in the database, under `circuit_breaker` of `sync_state`. */
export class DatabaseCircuitBreakers {
  readonly #database: Database;
  readonly #now: (() => number) | null;

  /**
   * @param now Milliseconds since 1970, to let tests set the time; default the database's clock, the one all workers have in common.
   */
  constructor(database: Database, now: (() => number) | null = null) {
    this.#database = database;
    this.#now = now;
  }

  /** Asks for leave to call a subject, in one statement. */
  async enter(subject: string, limits: CircuitLimits): Promise<Entered> {
    const rows = await this.#database.query<EnterRow>(ENTER, this.#look(subject, limits));
    const row = only(rows, "sync_breaker_enter");
    const reason = row.reason ?? "unknown";
    if (row.decision === "allowed") return { decision: "allowed" };
    if (row.probe !== null) return { decision: "probe", probe: row.probe, reason };
    return { decision: "open", retryAfterMs: row.retry_after_ms, reason };
  }

  /** Tells what came of a call, in one statement. */
  async report(
    subject: string,
    limits: CircuitLimits,
    report: {
      readonly ok: boolean | null;
      readonly code: string | null;
      readonly probe: string | null;
    },
  ): Promise<{ state: StateName; changed: boolean }> {
    const rows = await this.#database.query<{ state: StateName; changed: boolean }>(REPORT, [
      subject,
      report.ok,
      report.code,
      report.probe,
      limits.failureThreshold,
      limits.windowMs,
      limits.cooldownMs,
      limits.maxCooldownMs,
      limits.probeLeaseMs,
      this.#now?.() ?? null,
    ]);
    return only(rows, "sync_breaker_report");
  }

  /** How a subject stands, without a lock. */
  async state(subject: string, limits: CircuitLimits): Promise<{
    state: StateName;
    reason: string | null;
    failures: number;
    openedAt: string | null;
    nextProbeAt: string | null;
  }> {
    const rows = await this.#database.query<StateRow>(STATE, this.#look(subject, limits));
    const row = only(rows, "sync_breaker_state");
    return {
      state: row.state,
      reason: row.reason,
      failures: row.failures,
      openedAt: iso(row.opened_at_ms),
      nextProbeAt: iso(row.next_probe_at_ms),
    };
  }

  #look(subject: string, limits: CircuitLimits): unknown[] {
    const { windowMs, maxCooldownMs, probeLeaseMs } = limits;
    return [subject, windowMs, maxCooldownMs, probeLeaseMs, this.#now?.() ?? null];
  }
}
