import type { PairRules } from "../merge/pair.ts";
import type { Database } from "../store/database.ts";
import { guardedSince, tryLockLimits } from "../store/run_store.ts";
import type { Batch } from "./batch.ts";
import { countKinds } from "./guard.ts";
import type { ItemPlan } from "./plan_item.ts";

// Every batch updates, and its limit is far above what a few at once could do beyond it.
function isDangerous(plan: ItemPlan, rules: PairRules): boolean {
  const { deletes, unsubscribes, blanks } = countKinds([plan], rules);
  return deletes !== undefined || unsubscribes !== undefined || blanks !== undefined;
}

/**
 * Counts anew what a day's calls have done towards their limits, and keeps others from adding to
 * it until the batch is over: two calls at once would each do all that is left.
 *
 * @param locks The transaction that holds the locks of the batch.
 * @returns The plans that have to wait, as another call is at such ones at this moment.
 */
export async function shareLimits(
  batch: Batch,
  locks: Database,
  plans: readonly ItemPlan[],
): Promise<readonly ItemPlan[]> {
  const { slice, run, guard, sharesLimits } = batch;
  if (!sharesLimits) return [];
  const dangerous = plans.filter((plan) => isDangerous(plan, slice.deps.pair.rules));
  if (dangerous.length === 0) return [];
  if (!(await tryLockLimits(locks, run))) return dangerous;
  guard.recount((await guardedSince(locks, run)).counts);
  return [];
}
