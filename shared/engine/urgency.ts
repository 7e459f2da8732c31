import type { ConnectorContext } from "../connectors/connector.ts";
import type { PairRules } from "../merge/pair.ts";
import type { Batch } from "./batch.ts";
import type { ItemPlan } from "./plan_item.ts";

/** Whether a plan takes somebody's consent away at the remote, which must not wait for bulk work. */
function lowersConsent(plan: ItemPlan, rules: PairRules): boolean {
  if (plan.kind === "absence") return plan.gone === "local" && plan.action === "unsubscribe";
  return plan.kind === "merge" &&
    plan.plan.changes.some(({ side, field }) =>
      side === "remote" && rules.fields[field]?.kind === "consent"
    );
}

/** How to reach the remote about some plans: ahead of other work where consent is among them. */
export function remoteFor(
  { slice }: Pick<Batch, "slice">,
  plans: readonly ItemPlan[],
): ConnectorContext {
  const { rules } = slice.deps.pair;
  return plans.some((plan) => lowersConsent(plan, rules)) ? slice.urgent : slice.remote;
}
