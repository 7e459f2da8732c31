/** One thing wrong in a configuration, and where. */
export interface ConfigurationIssue {
  /** Where in `sync.config.ts`, such as `clients.fields.city.local`. */
  readonly path: string;
  readonly message: string;
}

/** A configuration that cannot be used. Nothing was read or written with it. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly code = "invalid_configuration";
  constructor(readonly issues: readonly ConfigurationIssue[]) {
    super(
      `Cannot use sync.config.ts: ${
        issues.map((issue) => `${issue.path}: ${issue.message}`).join("; ")
      }`,
    );
  }
}
