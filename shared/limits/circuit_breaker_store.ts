import type { CircuitBreakerLimits } from "./circuit_breaker_limits.ts";

/**
 * - `closed`: everybody may call
 * - `open`: nobody may
 * - `half_open`: one caller tries, which is the probe; the others wait for what comes of it
 */
export type CircuitStateName = "closed" | "open" | "half_open";

/** How a subject stands at this moment. */
export interface CircuitState {
  readonly state: CircuitStateName;
  /** The code of the last failure that counts; `state_damaged` if what was stored could not be read. */
  readonly reason: string | null;
  /** Failures in the window. */
  readonly failures: number;
  /** Since when it has not been closed, ISO 8601. */
  readonly openedAt: string | null;
  /** From when on the next caller becomes the probe, ISO 8601. */
  readonly nextProbeAt: string | null;
}

/** Whether a subject may be called. */
export type EnterAnswer =
  | { readonly decision: "allowed" }
  | {
    readonly decision: "probe";
    /** Names the probe; its report carries it. */
    readonly probe: string;
    readonly reason: string;
  }
  | {
    readonly decision: "open";
    /** When to ask again, in ms from now. */
    readonly retryAfterMs: number;
    readonly reason: string;
  };

/** What came of a call. */
export interface CircuitReport {
  /** Null if it told nothing about the subject: a probe gives its place back. */
  readonly ok: boolean | null;
  /** Why it is not ok. */
  readonly code: string | null;
  /** Null for an ordinary call. */
  readonly probe: string | null;
}

/** What a report did. */
export interface ReportAnswer {
  readonly state: CircuitStateName;
  /** Whether this report opened or closed it. */
  readonly changed: boolean;
}

/** The circuits that all workers share. Each method is one atomic step. */
export interface CircuitBreakerStore {
  /** Asks for leave to call. */
  enter(subject: string, limits: Required<CircuitBreakerLimits>): Promise<EnterAnswer>;
  /** Tells what came of it. */
  report(
    subject: string,
    limits: Required<CircuitBreakerLimits>,
    report: CircuitReport,
  ): Promise<ReportAnswer>;
  /** Looks, and changes nothing. */
  state(subject: string, limits: Required<CircuitBreakerLimits>): Promise<CircuitState>;
}
