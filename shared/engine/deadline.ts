import type { StopReason } from "./stop_reason.ts";

/** What a slice may use. */
export interface Budget {
  /** Milliseconds since some fixed point. */
  readonly now: () => number;
  /** Longest a slice may take, in ms. */
  readonly maxDurationMs: number;
  /** CPU time used since the slice began, in ms; see {@linkcode BusyMeter}. */
  readonly cpuUsedMs: () => number;
  /** CPU time a slice may use, in ms. */
  readonly maxCpuMs: number;
  /** Aborts when the runtime says that the isolate is about to end. */
  readonly shutdown: AbortSignal;
}

/** Tells a slice when to stop. */
export class Deadline {
  readonly #budget: Budget;
  readonly #startedAt: number;

  constructor(budget: Budget) {
    this.#budget = budget;
    this.#startedAt = budget.now();
  }

  /** Why the slice should stop now, or null. */
  reason(): StopReason | null {
    if (this.#budget.shutdown.aborted) return "shutdown";
    if (this.remainingMs() <= 0) return "time_limit";
    if (this.#budget.cpuUsedMs() >= this.#budget.maxCpuMs) return "cpu_limit";
    return null;
  }

  /** Time left, in ms; never below zero. */
  remainingMs(): number {
    return Math.max(0, this.#startedAt + this.#budget.maxDurationMs - this.#budget.now());
  }
}
