import { type GuardKind, guardKinds, trippedGuard } from "../merge/guard_kinds.ts";
import type { PairRules } from "../merge/pair.ts";
import type { Guard } from "./batch.ts";
import { GuardError } from "./guard_error.ts";
import type { ItemPlan } from "./plan_item.ts";

const KINDS: readonly GuardKind[] = ["deletes", "unsubscribes", "blanks", "updates"];

/** Records of a kind that are remembered, to tell of when a limit stops the run. */
const TOLD_RECORDS = 1000;

function kindsOf(plan: ItemPlan, rules: PairRules): ReadonlySet<GuardKind> {
  if (plan.kind === "merge") return guardKinds(plan.plan, rules);
  const kinds = new Set<GuardKind>();
  // A link that is given up counts as a delete, whatever the policy makes of it:
  // many of them at once are the sign of a mishap on the other side.
  if (plan.kind === "absence" && plan.action !== "conflict") {
    kinds.add("deletes");
    if (plan.action === "unsubscribe") kinds.add("unsubscribes");
  }
  return kinds;
}

/** How many records of each dangerous kind plans are about to change. */
export function countKinds(
  plans: readonly ItemPlan[],
  rules: PairRules,
): Partial<Record<GuardKind, number>> {
  const added: Partial<Record<GuardKind, number>> = {};
  for (const plan of plans) {
    for (const kind of kindsOf(plan, rules)) added[kind] = (added[kind] ?? 0) + 1;
  }
  return added;
}

/**
 * Makes the guard of a run.
 *
 * @param linked Linked records, which the limits are a share of.
 * @param before Counters as {@linkcode guardCounters} makes them: what the run has counted so far.
 * @param allowed Kinds that an operator has allowed for this run.
 * @param earlier What earlier calls of the run have counted, as {@linkcode Guard.told} has it.
 */
export function runGuard(
  rules: PairRules,
  linked: number,
  before: Readonly<Record<string, number>>,
  allowed: ReadonlySet<GuardKind>,
  earlier: Partial<Guard["told"]> = {},
): Guard {
  const counts = countsOf(before);
  const told: Record<GuardKind, number[]> = {
    deletes: [],
    unsubscribes: [],
    blanks: [],
    updates: [],
  };
  for (const kind of KINDS) told[kind].push(...earlier[kind] ?? []);
  return {
    counts,
    told,
    recount(now) {
      Object.assign(counts, countsOf(now));
    },
    count(plans) {
      for (const plan of plans) {
        for (const kind of kindsOf(plan, rules)) {
          counts[kind]++;
          if (told[kind].length < TOLD_RECORDS) told[kind].push(plan.record.ordinal);
        }
      }
    },
    check() {
      const tripped = trippedGuard(counts, linked, rules.limits, allowed);
      if (tripped !== null) throw new GuardError(tripped, linked);
    },
    add(plans) {
      const added = countKinds(plans, rules);
      const next = { ...counts };
      for (const kind of KINDS) next[kind] += added[kind] ?? 0;
      const tripped = trippedGuard(next, linked, rules.limits, allowed);
      if (tripped !== null) throw new GuardError(tripped, linked);
      Object.assign(counts, next);
      return added;
    },
  };
}

/** The run's counter of a kind: its own, since "updates" counts writes. */
function counterOf(kind: GuardKind): string {
  return `guarded_${kind}`;
}

/** What counters of a run say of each kind. */
function countsOf(counters: Readonly<Record<string, number>>): Record<GuardKind, number> {
  const counts = { deletes: 0, unsubscribes: 0, blanks: 0, updates: 0 };
  for (const kind of KINDS) counts[kind] = counters[counterOf(kind)] ?? 0;
  return counts;
}

/** What was counted of each kind, as counters of the run. */
export function guardCounters(
  counts: Partial<Record<GuardKind, number>>,
): Record<string, number> {
  return Object.fromEntries(
    KINDS.flatMap((kind) => counts[kind] === undefined ? [] : [[counterOf(kind), counts[kind]]]),
  );
}

/**
 * Whether so many records could break a limit, whatever is planned for each. If not,
 * there is no need to plan them all before the first is written.
 *
 * @param before Counters of what the run has counted so far: it may have begun anew.
 */
export function mayTrip(
  rules: PairRules,
  linked: number,
  records: number,
  before: Readonly<Record<string, number>>,
): boolean {
  const most = countsOf(before);
  for (const kind of KINDS) most[kind] += records;
  return trippedGuard(most, linked, rules.limits, new Set()) !== null;
}

/** The most records of any kind that no limit can stop: with fewer there is nothing to guard. */
export function leastFloor(rules: PairRules): number {
  return Math.min(...KINDS.map((kind) => rules.limits[kind].floor));
}
