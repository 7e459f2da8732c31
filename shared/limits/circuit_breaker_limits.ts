/** When a circuit opens, and how it is tried again. */
export interface CircuitBreakerLimits {
  /** Failures in the window that open it; default 3, at most 100. */
  readonly failureThreshold?: number;
  /** How long a failure counts, in ms; default 600000. */
  readonly windowMs?: number;
  /** The first cool-down, in ms; default 60000. It doubles while probes fail. */
  readonly cooldownMs?: number;
  /** The longest cool-down, in ms; default 900000. */
  readonly maxCooldownMs?: number;
  /**
   * How long a probe may take, in ms, before another caller becomes it; default
   * 60000. Longer than what is called takes, or two callers may try at once.
   */
  readonly probeLeaseMs?: number;
}

// The largest number of the database's integer.
const MOST_MS = 2_147_483_647;
const MOST_FAILURES = 100;

/**
 * Fills in what is left out.
 *
 * @throws {RangeError} If a number is not a positive integer or is too large, or the first cool-down is longer than the longest.
 */
export function circuitBreakerLimits(given: CircuitBreakerLimits): Required<CircuitBreakerLimits> {
  const limits = {
    failureThreshold: given.failureThreshold ?? 3,
    windowMs: given.windowMs ?? 600_000,
    cooldownMs: given.cooldownMs ?? 60_000,
    maxCooldownMs: given.maxCooldownMs ?? 900_000,
    probeLeaseMs: given.probeLeaseMs ?? 60_000,
  };
  for (const [name, value] of Object.entries(limits)) {
    const most = name === "failureThreshold" ? MOST_FAILURES : MOST_MS;
    if (!Number.isSafeInteger(value) || value < 1 || value > most) {
      throw new RangeError(
        `Cannot create a circuit breaker as '${name}' must be an integer from 1 to ${most}: current value is ${value}`,
      );
    }
  }
  if (limits.cooldownMs > limits.maxCooldownMs) {
    throw new RangeError(
      `Cannot create a circuit breaker as 'cooldownMs' must not be larger than the longest of ${limits.maxCooldownMs}: current value is ${limits.cooldownMs}`,
    );
  }
  return limits;
}
