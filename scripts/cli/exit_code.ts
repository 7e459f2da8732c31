/** What the commands exit with. */
export const EXIT_CODE = {
  /** What was asked for was done. */
  ok: 0,
  /** The run failed, or stopped before its end. */
  failedRun: 1,
  /** Nothing could be looked at or started: bad usage, no project, refused. */
  couldNotLook: 2,
} as const;

/** One of the codes of {@linkcode EXIT_CODE}. */
export type ExitCode = typeof EXIT_CODE[keyof typeof EXIT_CODE];
