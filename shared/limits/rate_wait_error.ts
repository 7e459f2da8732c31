/** The rate limit would make the caller wait longer than it has. Nothing was sent. */
export class RateWaitError extends Error {
  override readonly name = "RateWaitError";
  readonly code = "rate_limited";
  constructor(readonly bucket: string, readonly waitMs: number) {
    super(
      `Cannot send now: the budget '${bucket}' is free again in ${Math.ceil(waitMs / 1000)} s`,
    );
  }
}
