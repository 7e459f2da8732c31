/** A subject failed too often lately. Nothing was tried. */
export class CircuitOpenError extends Error {
  override readonly name = "CircuitOpenError";
  readonly code = "circuit_open";
  constructor(
    readonly subject: string,
    /** When to try again, in ms from now. */
    readonly retryAfterMs: number,
    /** The code of the last failure. */
    readonly reason: string,
  ) {
    super(
      `Cannot call '${subject}' as its circuit is open after '${reason}': it is tried again in ${
        Math.ceil(retryAfterMs / 1000)
      } s`,
    );
  }
}
