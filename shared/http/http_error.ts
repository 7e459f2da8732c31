import type { Json } from "../merge/json.ts";
import { ERROR_STATUS, type ErrorCode } from "./error_codes.ts";

/** What the caller is told besides code and message. */
export interface HttpErrorOptions {
  /** What to do about it. */
  readonly hint?: string;
  /** Structured facts: ids, paths, codes. Never a value a person entered. */
  readonly details?: Json;
  /** When to try again, in ms from now. */
  readonly retryAfterMs?: number;
}

/** An answer that is an error. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: number;
  constructor(readonly code: ErrorCode, message: string, readonly options: HttpErrorOptions = {}) {
    super(message);
    this.status = ERROR_STATUS[code];
  }
}
