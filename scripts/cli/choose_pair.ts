import { requirePair, type SyncConfig } from "../../shared/engine/config.ts";
import { ConfigurationError } from "../../shared/engine/configuration_error.ts";
import type { Pair } from "../../shared/engine/pair.ts";
import { LookError } from "./sync_client.ts";

/**
 * The pair of `sync.config.ts` that a command works on.
 *
 * @param name Without it, the only one there is.
 * @throws {LookError} If the configuration has an issue, or the pair is not in it.
 */
export function choosePair(config: SyncConfig, name?: string): Pair {
  try {
    return requirePair(config, name);
  } catch (error) {
    if (error instanceof ConfigurationError) throw new LookError(error.message);
    throw error;
  }
}
