import type { CircuitBreakerLimits } from "../../shared/limits/circuit_breaker_limits.ts";
import type {
  CircuitBreakerStore,
  CircuitReport,
  CircuitState,
  EnterAnswer,
  ReportAnswer,
} from "../../shared/limits/circuit_breaker_store.ts";

type Limits = Required<CircuitBreakerLimits>;

interface Circuit {
  /** Since when it has not been closed; null while it is. */
  openedAt: number | null;
  reason: string | null;
  failedAt: number[];
  nextProbeAt: number;
  cooldownMs: number;
  probe: string | null;
  /** Whether somebody has been let in to try since it was opened last. */
  tried: boolean;
}

/**
 * What the functions of the circuit breaker should do, written for reading, in
 * memory. Tests compare the database with it, and use it where a database would
 * only be slow.
 */
export class CircuitBreakerModel implements CircuitBreakerStore {
  readonly #now: () => number;
  readonly #circuits = new Map<string, Circuit>();
  #probes = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  enter(subject: string, limits: Limits): Promise<EnterAnswer> {
    const circuit = this.#circuit(subject, limits);
    const now = this.#now();
    if (circuit.openedAt === null) return Promise.resolve({ decision: "allowed" });
    const reason = circuit.reason ?? "unknown";
    if (circuit.nextProbeAt > now) {
      const retryAfterMs = circuit.nextProbeAt - now;
      return Promise.resolve({ decision: "open", retryAfterMs, reason });
    }
    const probe = `probe ${++this.#probes}`;
    circuit.probe = probe;
    circuit.tried = true;
    circuit.nextProbeAt = now + limits.probeLeaseMs;
    return Promise.resolve({ decision: "probe", probe, reason });
  }

  report(subject: string, limits: Limits, report: CircuitReport): Promise<ReportAnswer> {
    const circuit = this.#circuit(subject, limits);
    const before = circuit.openedAt;
    const decided = report.probe === null
      ? this.#ordinary(circuit, limits, report)
      : report.probe === circuit.probe && this.#probe(circuit, limits, report);
    const { state } = this.#look(circuit);
    return Promise.resolve({ state, changed: decided && (before !== null || state === "open") });
  }

  state(subject: string, limits: Limits): Promise<CircuitState> {
    return Promise.resolve(this.#look(this.#circuit(subject, limits)));
  }

  #ordinary(circuit: Circuit, limits: Limits, { ok, code }: CircuitReport): boolean {
    if (circuit.openedAt !== null || ok !== false) return false;
    circuit.failedAt.push(this.#now());
    circuit.reason = code;
    if (circuit.failedAt.length < limits.failureThreshold) return false;
    circuit.openedAt = this.#now();
    this.#coolDown(circuit, limits.cooldownMs);
    return true;
  }

  #probe(circuit: Circuit, limits: Limits, { ok, code }: CircuitReport): boolean {
    circuit.probe = null;
    if (ok === null) {
      circuit.nextProbeAt = this.#now();
      return false;
    }
    if (ok) {
      circuit.openedAt = null;
      circuit.failedAt = [];
      circuit.reason = null;
      return true;
    }
    circuit.failedAt.push(this.#now());
    circuit.reason = code;
    this.#coolDown(circuit, Math.min(circuit.cooldownMs * 2, limits.maxCooldownMs));
    return true;
  }

  #coolDown(circuit: Circuit, ms: number): void {
    circuit.tried = false;
    circuit.cooldownMs = ms;
    circuit.nextProbeAt = this.#now() + ms;
  }

  #circuit(subject: string, { windowMs }: Limits): Circuit {
    const circuit = this.#circuits.get(subject) ?? {
      openedAt: null,
      reason: null,
      failedAt: [],
      nextProbeAt: 0,
      cooldownMs: 0,
      probe: null,
      tried: false,
    };
    this.#circuits.set(subject, circuit);
    circuit.failedAt = circuit.failedAt.filter((at) => at > this.#now() - windowMs);
    if (circuit.openedAt === null && circuit.failedAt.length === 0) circuit.reason = null;
    return circuit;
  }

  #look(circuit: Circuit): CircuitState {
    const { openedAt, nextProbeAt, reason, failedAt, tried } = circuit;
    if (openedAt === null) {
      const failures = failedAt.length;
      return { state: "closed", reason, failures, openedAt: null, nextProbeAt: null };
    }
    return {
      state: tried || nextProbeAt <= this.#now() ? "half_open" : "open",
      reason,
      failures: failedAt.length,
      openedAt: new Date(openedAt).toISOString(),
      nextProbeAt: new Date(nextProbeAt).toISOString(),
    };
  }
}
