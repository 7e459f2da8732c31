/**
 * How a failed call is to be treated.
 *
 * - `retryable`: nothing was changed; the same call may succeed later
 * - `rejected`: the remote refused it, and would again
 * - `auth`: the credentials are refused; no call will succeed
 * - `unknown_outcome`: a write may or may not have happened; read before trying again
 */
export type RemoteErrorKind =
  | "retryable"
  | "rejected"
  | "auth"
  | "unknown_outcome";

/** A call to a remote system that failed. Carries codes, statuses and paths, never a value. */
export class RemoteError extends Error {
  override readonly name = "RemoteError";
  constructor(
    readonly kind: RemoteErrorKind,
    /** Machine-readable, such as `remote_unauthorized`. */
    readonly code: string,
    message: string,
    readonly status: number | null = null,
    /** How long the remote wants to be left alone, in ms. */
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
  }
}
