/**
 * Why a slice stopped before its run was done, of its own accord.
 *
 * - `time_limit`, `cpu_limit`: its budget is used up
 * - `shutdown`: the runtime is about to end the isolate
 * - `paused`: a person asked for it
 */
export type StopReason = "time_limit" | "cpu_limit" | "shutdown" | "paused";
