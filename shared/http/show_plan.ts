import type { ItemPlan } from "../engine/plan_item.ts";
import type { Json } from "../merge/json.ts";

/** A plan as it may be shown: which fields go which way and by what rule, and no value. */
export function showPlan(plan: ItemPlan): { readonly [name: string]: Json } {
  const { aId, bId, kind } = plan.record;
  const record = { aId, bId, found: kind };
  switch (plan.kind) {
    case "merge":
      return {
        ...record,
        do: "merge",
        operations: plan.plan.changes.map(({ field, side, rule }) => ({
          field,
          side: side === "local" ? "supabase" : "remote",
          rule,
        })),
        conflicts: plan.plan.conflicts.map(({ field, reason }) => ({ field, reason })),
        kept: plan.plan.kept.map(({ field, reason }) => ({ field, reason })),
      };
    case "absence":
      return { ...record, do: plan.action, gone: plan.gone };
    case "excluded":
      return { ...record, do: "leave", reason: plan.reason };
    case "failed":
      return { ...record, do: "fail", reason: plan.code };
    default:
      return { ...record, do: plan.kind };
  }
}
