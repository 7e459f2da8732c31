/** An environment variable that is missing or cannot be used. Carries its name, never its value. */
export class MissingConfigurationError extends Error {
  override readonly name = "MissingConfigurationError";
  readonly code = "missing_configuration";
  constructor(
    /** The name of the variable. */
    readonly variable: string,
    /** What the variable has to be, such as `the API token`. */
    wanted: string,
  ) {
    super(
      `Cannot call the remote: the environment variable ${variable} is not ${wanted}`,
    );
  }
}
