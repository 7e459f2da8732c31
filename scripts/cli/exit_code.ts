/** What the commands exit with. */
export const EXIT_CODE = {
  /** What was asked for was done. */
  ok: 0,
  /** The run failed or stopped before its end, the sides differ, or something waits for a person. */
  failedRun: 1,
  /** Nothing could be looked at or started: bad usage, no project, refused. */
  couldNotLook: 2,
  /** A limit on dangerous changes stopped the run. */
  guarded: 3,
} as const;

/** One of the codes of {@linkcode EXIT_CODE}. */
export type ExitCode = typeof EXIT_CODE[keyof typeof EXIT_CODE];
