/** What one answer of the remote said about its rate limit. */
export interface RateObservation {
  /** Requests a window allows, as the remote says. */
  readonly limit: number | null;
  /** Requests left in the remote's present window. */
  readonly remaining: number | null;
  /** How long the remote wants to be left alone, in ms. */
  readonly retryAfterMs: number | null;
}

/** Leave to send one request. */
export interface Permit {
  /** Tells what came of it. Call once, when the answer has arrived or the request has failed. */
  settle(observation: RateObservation | null): void;
}

/** Hands out leave to send requests. */
export interface RateLimiter {
  /**
   * Waits until one request may be sent.
   *
   * @param bucket Name of the budget the request counts against.
   * @throws {RateWaitError} If the wait would be longer than the caller has.
   */
  take(bucket: string): Promise<Permit>;
}
