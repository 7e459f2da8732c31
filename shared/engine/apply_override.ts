import type { GuardKind } from "../merge/guard_kinds.ts";
import type { DatabasePool } from "../store/database.ts";
import { setOverride } from "../store/override_store.ts";
import type { Run } from "../store/run.ts";
import { allowedKinds } from "./batch_config.ts";

/** What an operator allows a run, and why. */
export interface Override {
  readonly guards: readonly GuardKind[];
  readonly reason: string;
  /** Who: a key's name or a user's id. */
  readonly by: string;
}

/**
 * Lets a run break limits from now on, whichever of its calls says so. What it may
 * already is not logged again, so a caller may send the same with every call.
 *
 * @param afresh Whether what earlier calls were allowed is forgotten: a dry run that looks anew.
 * @throws {LeaseLostError} If another worker holds the run.
 */
export async function applyOverride(
  pool: DatabasePool,
  run: Run,
  override: Override | null,
  afresh: boolean,
): Promise<Run> {
  const before = allowedKinds(run);
  const kept = afresh ? [] : [...before];
  const added = [...new Set(override?.guards)].filter((kind) => !kept.includes(kind));
  if (added.length === 0 && kept.length === before.size) return run;
  if (override === null) return await setOverride(pool, run, null, null);
  const { reason, by } = override;
  const isReal = run.params["dryRun"] !== true;
  return await setOverride(
    pool,
    run,
    { guards: [...kept, ...added], reason },
    isReal ? { guards: added, reason, by } : null,
  );
}
