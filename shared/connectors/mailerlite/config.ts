import { MissingConfigurationError } from "../missing_configuration_error.ts";

/** Where the API is when nothing else is said (MailerLite docs, Getting started). */
const DEFAULT_URL = "https://connect.mailerlite.com/api";

/** How the API is reached. */
export interface MailerLiteConfig {
  readonly apiKey: string;
  /** Without a slash at the end. */
  readonly baseUrl: string;
}

/**
 * Reads `MAILERLITE_API_KEY` and `MAILERLITE_API_URL`.
 *
 * @throws {MissingConfigurationError} If the key is missing, or either cannot be used.
 */
export function readConfig(
  env: (name: string) => string | undefined,
): MailerLiteConfig {
  const apiKey = (env("MAILERLITE_API_KEY") ?? "").trim();
  // What a header cannot carry would fail later, inside fetch, in an error
  // message that repeats the token.
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new MissingConfigurationError("MAILERLITE_API_KEY", "an API token");
  }
  const baseUrl = (env("MAILERLITE_API_URL") ?? "").trim() || DEFAULT_URL;
  if (!/^https?:\/\/[^\s?#@]+$/.test(baseUrl)) {
    throw new MissingConfigurationError(
      "MAILERLITE_API_URL",
      "an http or https URL without credentials, query and fragment",
    );
  }
  return { apiKey, baseUrl: baseUrl.replace(/\/+$/, "") };
}
