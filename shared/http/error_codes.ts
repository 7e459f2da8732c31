/**
 * Every code an answer can carry, with its HTTP status. `docs/errors.md` has the
 * same table in words; a test keeps them equal.
 */
export const ERROR_STATUS = {
  invalid_request: 400,
  invalid_cursor: 400,
  unauthorized: 401,
  forbidden: 403,
  no_run: 404,
  method_not_allowed: 405,
  already_running: 409,
  run_paused: 409,
  local_empty: 409,
  body_too_large: 413,
  daily_quota_exceeded: 429,
  internal_error: 500,
  invalid_configuration: 500,
  missing_configuration: 500,
  remote_error: 502,
  circuit_open: 503,
  database_unhealthy: 503,
  rate_limited: 503,
} as const;

/** One of the codes of {@linkcode ERROR_STATUS}. */
export type ErrorCode = keyof typeof ERROR_STATUS;
