import { type DatabaseFault, DatabaseUnhealthyError } from "./db_health_error.ts";
import type { DatabaseProbe, DatabaseVitals } from "./db_health_probe.ts";

/** What a check of the database needs from outside. */
export interface DatabaseCheckDeps {
  readonly probe: DatabaseProbe;
  /** A clock in ms that is never set back, `performance.now` say. */
  readonly monotonic: () => number;
  /** Waits; ends early, and leaves no timer behind, when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** What a database has to hold to. */
export interface DatabaseHealthLimits {
  /** The longest an answer may take, connecting included, in ms; default 2000. */
  readonly maxLatencyMs?: number;
  /** The largest share of the connections that may be in use, from 0 to 1; default 0.9. */
  readonly maxUsedShare?: number;
  /** When to stop waiting for an answer, in ms; default 10000. */
  readonly timeoutMs?: number;
}

/** What a check found. */
export type DatabaseHealth =
  | { readonly healthy: true; readonly latencyMs: number }
  | {
    readonly healthy: false;
    readonly code: DatabaseFault;
    /** The same in words, with the numbers. */
    readonly detail: string;
    readonly latencyMs: number;
  };

// What the server and the pooler refuse a connection with when there are too many
// (PostgreSQL, Appendix A: too_many_connections).
const TOO_MANY_CONNECTIONS = "53300";

interface Fault {
  readonly code: DatabaseFault;
  readonly detail: string;
}

/**
 * Asks the database one statement and tells whether it is fit to work with: what
 * makes work impossible comes first, what makes it slow comes last.
 *
 * @throws {RangeError} If a limit is not usable.
 */
export async function checkDatabase(
  deps: DatabaseCheckDeps,
  limits: DatabaseHealthLimits = {},
): Promise<DatabaseHealth> {
  const { maxLatencyMs = 2_000, maxUsedShare = 0.9, timeoutMs = 10_000 } = limits;
  requirePositive("maxLatencyMs", maxLatencyMs, Number.MAX_SAFE_INTEGER);
  requirePositive("maxUsedShare", maxUsedShare, 1);
  requirePositive("timeoutMs", timeoutMs, 2_147_483_647);
  const startedAt = deps.monotonic();
  const found = await ask(deps, timeoutMs);
  const latencyMs = Math.round(deps.monotonic() - startedAt);
  const fault = "vitals" in found ? judge(found.vitals, maxUsedShare) : found;
  if (fault !== null) return { healthy: false, ...fault, latencyMs };
  if (latencyMs > maxLatencyMs) {
    const detail = `it took ${latencyMs} ms to answer and may take ${maxLatencyMs}`;
    return { healthy: false, code: "slow", detail, latencyMs };
  }
  return { healthy: true, latencyMs };
}

/**
 * As {@linkcode checkDatabase}, for callers that cannot go on without.
 *
 * @returns How long it took to answer, in ms.
 * @throws {DatabaseUnhealthyError} If the database is not fit to work with.
 */
export async function requireHealthyDatabase(
  deps: DatabaseCheckDeps,
  limits: DatabaseHealthLimits = {},
): Promise<number> {
  const health = await checkDatabase(deps, limits);
  if (!health.healthy) throw new DatabaseUnhealthyError(health.code, health.detail);
  return health.latencyMs;
}

async function ask(
  { probe, sleep }: DatabaseCheckDeps,
  timeoutMs: number,
): Promise<{ readonly vitals: DatabaseVitals } | Fault> {
  const timer = new AbortController();
  const answer = probe.vitals().then((vitals) => ({ vitals }), refusal);
  const silence = sleep(timeoutMs, timer.signal).then((): Fault => (
    { code: "unreachable", detail: `it has not answered for ${timeoutMs} ms` }
  ));
  try {
    return await Promise.race([answer, silence]);
  } finally {
    timer.abort();
  }
}

function refusal(error: unknown): Fault {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : null;
  if (code === TOO_MANY_CONNECTIONS) {
    return { code: "connections", detail: "it has no connection left" };
  }
  // A driver's message may hold the connection string; its code does not.
  const why = typeof code === "string" && /^\w{1,40}$/.test(code) ? code : "no code";
  return { code: "unreachable", detail: `it does not answer (${why})` };
}

function judge(vitals: DatabaseVitals, maxUsedShare: number): Fault | null {
  if (vitals.inRecovery) return { code: "recovery", detail: "it is a standby or in recovery" };
  if (vitals.readOnly) return { code: "read_only", detail: "it is read-only" };
  const { usedConnections, maxConnections } = vitals;
  if (usedConnections > maxConnections * maxUsedShare) {
    const detail = `${usedConnections} of ${maxConnections} connections are in use`;
    return { code: "connections", detail };
  }
  return null;
}

function requirePositive(name: string, value: number, most: number): void {
  if (value > 0 && value <= most) return;
  throw new RangeError(
    `Cannot check the database as '${name}' must be above 0 and at most ${most}: current value is ${value}`,
  );
}
