import { isForbidding } from "./consent_order.ts";
import type { PairRules } from "./pair.ts";
import type { RecordPlan } from "./record_plan.ts";

/** A dangerous kind of change that a run may make only so many of. */
export type GuardKind = keyof PairRules["limits"];

/** Records per kind that a run is about to change. */
export type GuardCounts = Readonly<Record<GuardKind, number>>;

/** A limit that a run would break. */
export interface TrippedGuard {
  readonly kind: GuardKind;
  readonly count: number;
  /** The most records that would have been let through. */
  readonly limit: number;
}

// The worst first: a run that breaks two limits is told about the worse one.
const KINDS: readonly GuardKind[] = ["deletes", "unsubscribes", "blanks", "updates"];

/** The kinds of change in the plan of one record. Only absence deletes, so `deletes` is never among them. */
export function guardKinds(plan: RecordPlan, rules: PairRules): Set<Exclude<GuardKind, "deletes">> {
  const kinds = new Set<Exclude<GuardKind, "deletes">>();
  for (const { field, before, after } of plan.changes) {
    kinds.add("updates");
    const kind = rules.fields[field]?.kind;
    if (kind === "consent" && isForbidding(after)) kinds.add("unsubscribes");
    if (kind === "value" && before !== null && after === null) kinds.add("blanks");
  }
  return kinds;
}

/**
 * Tells which limit a run would break. A limit is broken by more records than its
 * floor that are also more than its share of the linked ones.
 *
 * @param linked Linked records of the pair.
 * @param allowed Kinds that an operator has allowed for this run, without limit.
 */
export function trippedGuard(
  counts: GuardCounts,
  linked: number,
  limits: PairRules["limits"],
  allowed: ReadonlySet<GuardKind>,
): TrippedGuard | null {
  for (const kind of KINDS) {
    const { percent, floor } = limits[kind];
    const limit = Math.max(floor, Math.floor((percent * linked) / 100));
    if (counts[kind] > limit && !allowed.has(kind)) return { kind, count: counts[kind], limit };
  }
  return null;
}
