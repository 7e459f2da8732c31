/** What a {@linkcode QuotaExceededError} tells. */
export interface QuotaExcess {
  readonly want: number;
  readonly limit: number;
  readonly used: number;
  readonly reserved: number;
  readonly resetAt: string;
  readonly retryAfterMs: number;
}

/** The day's quota has too little left. Nothing was reserved. */
export class QuotaExceededError extends Error {
  override readonly name = "QuotaExceededError";
  readonly code = "daily_quota_exceeded";
  readonly limit: number;
  readonly used: number;
  /** In the hands of workers; what they do not use comes back before the reset. */
  readonly reserved: number;
  /** When the next day begins, ISO 8601. */
  readonly resetAt: string;
  /** Until then, in ms from now. */
  readonly retryAfterMs: number;

  constructor(readonly quota: string, excess: QuotaExcess) {
    const { want, limit, used, reserved, resetAt, retryAfterMs } = excess;
    super(
      `Cannot take ${want} of the daily quota '${quota}': ${used} of ${limit} are used, ${reserved} reserved; a new day begins at ${resetAt}`,
    );
    this.limit = limit;
    this.used = used;
    this.reserved = reserved;
    this.resetAt = resetAt;
    this.retryAfterMs = retryAfterMs;
  }
}
