import { type CircuitBreakerLimits, circuitBreakerLimits } from "./circuit_breaker_limits.ts";
import { CircuitOpenError } from "./circuit_breaker_open_error.ts";
import type { CircuitBreakerStore, CircuitState } from "./circuit_breaker_store.ts";

/** What a {@linkcode CircuitBreaker} needs from outside. */
export interface CircuitBreakerOptions extends CircuitBreakerLimits {
  /** The circuits all workers share. */
  readonly store: CircuitBreakerStore;
  /** Is told when a report of this worker opened or closed a circuit. What it throws is ignored. */
  readonly onChange?: (subject: string, state: "closed" | "open", code: string | null) => void;
  /**
   * Is told when {@linkcode CircuitBreaker.run} could not report. The work's own
   * outcome stands; a probe that is not reported ends with its lease.
   */
  readonly onReportError?: (subject: string, error: unknown) => void;
}

/** Leave to call a subject. */
export interface CircuitPass {
  readonly subject: string;
  /** Set if this is the one caller that tries whether the subject is back: it has to report. */
  readonly probe: string | null;
}

/** What a call told about its subject. */
export type CircuitOutcome =
  | { readonly kind: "succeeded" }
  /** The subject failed, not a single record. The code is shown to people. */
  | { readonly kind: "failed"; readonly code: string }
  /** It ended before the subject could show anything, or for a reason of the caller's own. */
  | { readonly kind: "undecided" };

/**
 * Leaves a subject alone, a remote or the database, while it fails: after some
 * failures within a window nobody calls it, then one caller among all workers
 * tries, and its success lets everybody in again. The circuits are in the
 * database, so they outlive a worker and are the same for all of them.
 *
 * A success of an ordinary call is not reported: it would cost a statement each,
 * and failures are forgotten with the window alone.
 *
 * Semantics after `CircuitBreaker` of the Deno standard library
 * (`@std/async/unstable-circuit-breaker`), with one probe and a doubling cool-down.
 *
 * ```ts ignore
 * const breaker = new CircuitBreaker({ store });
 * const page = await breaker.run("remote:crm", () => fetchPage(cursor), (error) =>
 *   error instanceof RemoteError && error.kind === "retryable" ? error.code : null);
 * ```
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  readonly #limits: Required<CircuitBreakerLimits>;

  /** @throws {RangeError} If a limit is not usable. */
  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
    this.#limits = circuitBreakerLimits(options);
  }

  /**
   * Asks for leave to call a subject.
   *
   * @param subject `remote:<connector>` or `database`.
   * @throws {CircuitOpenError} If it is to be left alone.
   */
  async enter(subject: string): Promise<CircuitPass> {
    const answer = await this.#options.store.enter(subject, this.#limits);
    switch (answer.decision) {
      case "allowed":
        return { subject, probe: null };
      case "probe":
        return { subject, probe: answer.probe };
      case "open":
        throw new CircuitOpenError(subject, answer.retryAfterMs, answer.reason);
    }
  }

  /**
   * Tells what came of a call. A probe's first report counts, and none after its
   * lease where another caller has become the probe.
   */
  async report(pass: CircuitPass, outcome: CircuitOutcome): Promise<void> {
    if (pass.probe === null && outcome.kind !== "failed") return;
    const code = outcome.kind === "failed" ? outcome.code : null;
    const ok = outcome.kind === "undecided" ? null : outcome.kind === "succeeded";
    const { store, onChange } = this.#options;
    const report = { ok, code, probe: pass.probe };
    const { state, changed } = await store.report(pass.subject, this.#limits, report);
    if (!changed || state === "half_open") return;
    try {
      onChange?.(pass.subject, state, code);
    } catch {
      // Whoever listens must not change what happens.
    }
  }

  /**
   * Does the work if the subject may be called, and reports what came of it.
   *
   * @param failureCode Of what the work threw, the code if the subject failed; null if the subject is not to blame, for a single record that was refused, say.
   * @throws {CircuitOpenError} If the subject is to be left alone; the work is not begun then. Otherwise, what the work throws.
   */
  async run<Result>(
    subject: string,
    work: (pass: CircuitPass) => Promise<Result>,
    failureCode: (error: unknown) => string | null,
  ): Promise<Result> {
    const pass = await this.enter(subject);
    let result: Result;
    try {
      result = await work(pass);
    } catch (error) {
      const code = failureCode(error);
      await this.#tryReport(pass, code === null ? { kind: "undecided" } : { kind: "failed", code });
      throw error;
    }
    await this.#tryReport(pass, { kind: "succeeded" });
    return result;
  }

  /** How a subject stands at this moment. */
  async state(subject: string): Promise<CircuitState> {
    return await this.#options.store.state(subject, this.#limits);
  }

  async #tryReport(pass: CircuitPass, outcome: CircuitOutcome): Promise<void> {
    try {
      await this.report(pass, outcome);
    } catch (error) {
      try {
        this.#options.onReportError?.(pass.subject, error);
      } catch {
        // As above.
      }
    }
  }
}
