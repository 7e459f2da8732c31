import { RemoteError } from "../remote_error.ts";
import { rejectionCode } from "./rejection.ts";

/** What went wrong with one attempt. */
export type Mishap =
  | {
    /** No answer came, or only a part of one. */
    readonly kind: "lost";
    readonly code: "aborted" | "remote_timeout" | "remote_unreachable";
  }
  | {
    /** An answer with a 2xx status came, and it is not JSON. */
    readonly kind: "garbled";
    readonly status: number;
  }
  | {
    readonly kind: "refused";
    readonly status: number;
    readonly retryAfterMs: number | null;
    /** The parsed body, if it was JSON. */
    readonly body: unknown;
  };

/** A failed attempt, judged. */
export interface Failure {
  readonly error: RemoteError;
  /** Whether another attempt makes sense and does no harm. */
  readonly again: boolean;
}

/** The statuses that say the request was turned away before anything was done. */
const NOT_DONE: ReadonlySet<number> = new Set([425, 429]);

/** Tells whether a status is a passing trouble. */
export function isPassing(status: number): boolean {
  return status === 408 || NOT_DONE.has(status) || status >= 500;
}

/** The code of a status that is not 2xx. */
export function codeOf(status: number, body: unknown): string {
  if (status === 401) return "remote_unauthorized";
  if (status === 403) return "remote_forbidden";
  if (status === 404) return "remote_not_found";
  if (status === 408) return "remote_timeout";
  if (status === 429) return "remote_rate_limited";
  if (status === 425 || status >= 500) return "remote_unavailable";
  return rejectionCode(body);
}

/**
 * Judges a failed attempt. What a failed attempt leaves behind depends on the
 * call: for one that may be repeated it does not matter, for any other "no
 * answer" and "500" both mean that it may have been done.
 *
 * @param call Method and route, for the message.
 */
export function failureOf(
  repeatable: boolean,
  call: string,
  mishap: Mishap,
): Failure {
  // Messages hold neither the cause nor the body: fetch's own message repeats
  // the URL, and an address may be part of it.
  if (mishap.kind === "lost") {
    const what = mishap.code === "aborted"
      ? "stopped while it was under way"
      : mishap.code === "remote_timeout"
      ? "no answer in time"
      : "the connection failed";
    return ambiguous(repeatable, mishap.code, `${call} failed: ${what}`, null);
  }
  if (mishap.kind === "garbled") {
    const message = `${call} failed: the answer with status ${mishap.status}` +
      " is not JSON";
    const code = "remote_invalid_answer";
    return ambiguous(repeatable, code, message, mishap.status);
  }
  const { status, retryAfterMs, body } = mishap;
  const code = codeOf(status, body);
  const message = `${call} failed: status ${status} (${code})`;
  if (isPassing(status) && !NOT_DONE.has(status)) {
    return ambiguous(repeatable, code, message, status, retryAfterMs);
  }
  const kind = NOT_DONE.has(status)
    ? "retryable"
    : status === 401 || status === 403
    ? "auth"
    : "rejected";
  return {
    error: new RemoteError(kind, code, message, status, retryAfterMs),
    again: kind === "retryable",
  };
}

function ambiguous(
  repeatable: boolean,
  code: string,
  message: string,
  status: number | null,
  retryAfterMs: number | null = null,
): Failure {
  const kind = repeatable ? "retryable" : "unknown_outcome";
  return {
    error: new RemoteError(kind, code, message, status, retryAfterMs),
    again: repeatable && code !== "aborted",
  };
}
