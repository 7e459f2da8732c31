import { describeError } from "../engine/describe_error.ts";
import type { RunError } from "../store/run.ts";
import type { ErrorCode } from "./error_codes.ts";
import { HttpError, type HttpErrorOptions } from "./http_error.ts";

const HINTS: Partial<Record<ErrorCode, string>> = {
  invalid_configuration: "Mend sync.config.ts at the paths in details.issues, then deploy again",
  missing_configuration: "Set it with supabase secrets set",
  remote_error: "See details.reason; the next call goes on where this one stopped",
  rate_limited: "Call again later; nothing is lost",
  database_unhealthy: "Check SYNC_DB_URL or SUPABASE_DB_URL and that the migrations are applied",
};

function codeOf(code: string): ErrorCode {
  switch (code) {
    case "invalid_configuration":
    case "missing_configuration":
    case "rate_limited":
    case "internal_error":
      return code;
    case "database_error":
      return "database_unhealthy";
    default:
      return "remote_error";
  }
}

/** Turns the stored reason of a failed run into an answer. */
export function runErrorToHttp(error: RunError, runId: string | null): HttpError {
  const code = codeOf(error.code);
  const hint = HINTS[code];
  const options: HttpErrorOptions = {
    ...(hint === undefined ? {} : { hint }),
    details: {
      runId,
      reason: error.code,
      ...(error.details === undefined ? {} : { issues: error.details }),
    },
  };
  return new HttpError(code, error.message, options);
}

/** Turns anything thrown into an answer that tells no more than it may. */
export function toHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  return runErrorToHttp(describeError(error).error, null);
}
