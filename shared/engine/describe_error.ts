import { RemoteError } from "../connectors/remote_error.ts";
import { RateWaitError } from "../limits/rate_wait_error.ts";
import type { RunError } from "../store/run.ts";
import { ConfigurationError } from "./configuration_error.ts";
import { GuardError } from "./guard_error.ts";

/** How a failed slice leaves its run. */
export interface ErrorOutcome {
  readonly error: RunError;
  /** Whether the run can go on from where it is, once the cause is gone. */
  readonly resumable: boolean;
}

function textOf(error: object, name: string): string | null {
  const value: unknown = Reflect.get(error, name);
  return typeof value === "string" ? value : null;
}

/**
 * Turns what a slice threw into a reason that may be stored and shown.
 *
 * Only errors of our own keep their message. A driver's message can quote the
 * row it failed on, so of a foreign error only its class and code are kept.
 */
export function describeError(error: unknown): ErrorOutcome {
  if (error instanceof RateWaitError) {
    return { error: { code: error.code, message: error.message }, resumable: true };
  }
  if (error instanceof RemoteError) {
    const resumable = error.kind === "retryable" || error.kind === "unknown_outcome";
    return { error: { code: error.code, message: error.message }, resumable };
  }
  if (error instanceof ConfigurationError) {
    const details = error.issues.map((issue) => ({ path: issue.path, message: issue.message }));
    return { error: { code: error.code, message: error.message, details }, resumable: false };
  }
  if (!(error instanceof Error)) {
    return { error: { code: "internal_error", message: "Cannot go on" }, resumable: false };
  }
  const code = textOf(error, "code");
  if (textOf(error, "severity") !== null || isConnectionCode(code)) {
    return {
      error: { code: "database_error", message: `Cannot use the database: ${code ?? error.name}` },
      resumable: true,
    };
  }
  if (error instanceof GuardError) {
    const details = { ...error.tripped, linked: error.linked };
    return { error: { code: error.code, message: error.message, details }, resumable: false };
  }
  if (code === "missing_configuration" || code === "remote_empty" || code === "local_empty") {
    return { error: { code, message: error.message }, resumable: false };
  }
  return {
    error: { code: "internal_error", message: `Cannot go on: ${error.name}` },
    resumable: false,
  };
}

function isConnectionCode(code: string | null): boolean {
  return code !== null && /^E[A-Z]+$/.test(code);
}
