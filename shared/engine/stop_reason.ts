/**
 * Why a slice stopped before its run was done, of its own accord.
 *
 * - `time_limit`, `cpu_limit`: its budget is used up
 * - `record_limit`: it has looked at as many records as the caller allowed
 * - `rate_limit`: the remote's budget is used up for longer than the slice has
 * - `shutdown`: the runtime is about to end the isolate
 * - `paused`: a person asked for it
 */
export type StopReason =
  | "time_limit"
  | "cpu_limit"
  | "record_limit"
  | "rate_limit"
  | "shutdown"
  | "paused";
