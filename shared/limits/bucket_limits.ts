/** The budget of one bucket. */
export interface BucketLimits {
  /** Requests the remote allows in a window. */
  readonly budget: number;
  /** Length of the window, in ms; default 60000. */
  readonly windowMs?: number;
  /**
   * Tokens taken from the database at a time, at most; default a tenth of the
   * budget, from 1 to 20. Smaller wastes statements, larger keeps tokens from
   * other workers.
   */
  readonly block?: number;
  /**
   * How long a block may be used without asking again, in ms; default 8000. That
   * is how late a worker may hear of a pause that another was told.
   */
  readonly lifeMs?: number;
  /**
   * Longest time between leave to send and the request's arrival at the remote,
   * in ms; default 10000. Not the time until the answer: only tokens of a worker
   * that was killed come back by it.
   */
  readonly flightMs?: number;
}

/**
 * Fills in what is left out.
 *
 * @throws {RangeError} If a number is not a positive integer, or a block is larger than the budget.
 */
export function bucketLimits(
  bucket: string,
  given: BucketLimits,
): Required<BucketLimits> {
  const limits = {
    budget: given.budget,
    windowMs: given.windowMs ?? 60_000,
    block: given.block ?? Math.min(Math.max(Math.floor(given.budget / 10), 1), 20),
    lifeMs: given.lifeMs ?? 8_000,
    flightMs: given.flightMs ?? 10_000,
  };
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(
        `Cannot limit bucket '${bucket}' as '${name}' must be a positive integer: current value is ${value}`,
      );
    }
  }
  if (limits.block > limits.budget) {
    throw new RangeError(
      `Cannot limit bucket '${bucket}' as 'block' must not be larger than the budget of ${limits.budget}: current value is ${limits.block}`,
    );
  }
  return limits;
}
