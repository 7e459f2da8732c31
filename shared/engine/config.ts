/**
 * The form of `sync.config.ts`, the one file a user edits.
 *
 * @module
 */
import { checkPair } from "./check_pair.ts";
import { ConfigurationError, type ConfigurationIssue } from "./configuration_error.ts";
import type { ConsentInput, Pair, PairInput, SetInput } from "./pair.ts";

/** What `sync.config.ts` exports. */
export interface SyncConfig {
  readonly pairs: Readonly<Record<string, Pair>>;
  readonly issues: readonly ConfigurationIssue[];
}

/** Joins a table and a remote. */
export function pair(input: PairInput): PairInput {
  return input;
}

/** The field that holds what a person allows. Sync may lower it and never raises it. */
export function consent(
  input: { readonly local: string; readonly remote: string },
): ConsentInput {
  return { kind: "consent", ...input };
}

/** A field that holds a set of names; both sides' adds and removes are kept. */
export function set(
  input: { readonly local: string; readonly remote: string },
): SetInput {
  return { kind: "set", ...input };
}

/**
 * Checks the pairs and makes the configuration.
 *
 * It does not throw: a function whose configuration throws while it is loaded
 * cannot say why, and the platform answers `BOOT_ERROR`. Call
 * {@linkcode requireValid} before use.
 */
export function defineSync(
  pairs: Readonly<Record<string, PairInput>>,
): SyncConfig {
  const issues: ConfigurationIssue[] = [];
  const checked: Record<string, Pair> = {};
  for (const [name, input] of Object.entries(pairs)) {
    const result = checkPair(name, input);
    if ("issues" in result) issues.push(...result.issues);
    else checked[name] = result.pair;
  }
  if (Object.keys(pairs).length === 0) {
    issues.push({ path: "(root)", message: "no pair is defined" });
  }
  return { pairs: checked, issues };
}

/**
 * Returns the pair to work on.
 *
 * @param name Name of the pair; without it, the only one there is.
 * @throws {ConfigurationError} If the configuration has any issue, or the pair is not in it.
 */
export function requirePair(config: SyncConfig, name?: string): Pair {
  if (config.issues.length > 0) throw new ConfigurationError(config.issues);
  const names = Object.keys(config.pairs);
  const chosen = name ?? (names.length === 1 ? names[0] : undefined);
  const found = chosen === undefined ? undefined : config.pairs[chosen];
  if (found === undefined) {
    throw new ConfigurationError([{
      path: "(root)",
      message: name === undefined
        ? "name a pair, as there is more than one"
        : "there is no pair of that name",
    }]);
  }
  return found;
}
