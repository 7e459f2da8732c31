import { describeError } from "../engine/describe_error.ts";
import { CircuitOpenError } from "../limits/circuit_breaker_open_error.ts";
import { QuotaExceededError } from "../limits/daily_quota_exceeded_error.ts";
import { DatabaseUnhealthyError } from "../limits/db_health_error.ts";
import type { RunError } from "../store/run.ts";
import type { ErrorCode } from "./error_codes.ts";
import { HttpError, type HttpErrorOptions } from "./http_error.ts";

const HINTS: Partial<Record<ErrorCode, string>> = {
  invalid_configuration: "Mend sync.config.ts at the paths in details.issues, then deploy again",
  missing_configuration: "Set it with supabase secrets set",
  remote_error: "See details.reason; the next call goes on where this one stopped",
  local_empty:
    "Nothing was written. If local.table in sync.config.ts is right, restore its records",
  rate_limited: "Call again later; nothing is lost",
  database_unhealthy: "Check SYNC_DB_URL or SUPABASE_DB_URL and that the migrations are applied",
};

function codeOf(code: string): ErrorCode {
  switch (code) {
    case "invalid_configuration":
    case "missing_configuration":
    case "local_empty":
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

/** Answers of the guards that stand before the work. */
function refusalToHttp(error: unknown): HttpError | null {
  if (error instanceof CircuitOpenError) {
    const { retryAfterMs, reason } = error;
    return new HttpError("circuit_open", error.message, {
      hint: "Nothing was tried; it is tried again by itself. The reason is in details",
      details: { reason, retryAfterMs },
      retryAfterMs,
    });
  }
  if (error instanceof QuotaExceededError) {
    const { limit, used, reserved, resetAt, retryAfterMs } = error;
    return new HttpError("daily_quota_exceeded", error.message, {
      hint: "Nothing is lost: the next day, or the nightly run, goes on with it",
      details: { limit, used, reserved, resetAt },
      retryAfterMs,
    });
  }
  if (error instanceof DatabaseUnhealthyError) {
    return new HttpError("database_unhealthy", error.message, {
      hint: "Nothing was tried; look at the database's load and disk",
      details: { reason: error.reason },
      retryAfterMs: 30_000,
    });
  }
  return null;
}

/** Turns anything thrown into an answer that tells no more than it may. */
export function toHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  const refusal = refusalToHttp(error);
  if (refusal !== null) return refusal;
  return runErrorToHttp(describeError(error).error, null);
}
