import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { anyFlow, anyRules, anyState } from "../../tests/lib/plan_cases.ts";
import { fieldBase } from "./field_base.ts";
import type { PairRules } from "./pair.ts";
import { planRecord } from "./plan_record.ts";
import type { RecordPlan, RecordState } from "./record_plan.ts";
import { sameJson } from "./same_json.ts";

/** Everything a plan can say, by kind of field. What is not here must never be said. */
const OUTCOMES = [
  "value change local decision",
  "value change local edit",
  "value change local first_fill",
  "value change local wins_remote",
  "value change remote decision",
  "value change remote edit",
  "value change remote first_fill",
  "value change remote wins_local",
  "value conflict blank_not_allowed",
  "value conflict both_changed",
  "value conflict first_link",
  "value conflict no_reference",
  "value conflict shared_reference",
  "value conflict suppressed_key",
  "value kept direction",
  "value kept no_reference",
  "value kept one_way",
  "value nothing agreed",
  "value nothing settled",
  "value changed and kept",
  "value decided",
  "value decided, nothing to do",
  "value stale",
  "value waiting",
  "set change local decision",
  "set change local set_merge",
  "set change remote decision",
  "set change remote set_merge",
  "set conflict no_reference",
  "set conflict shared_reference",
  "set kept direction",
  "set nothing agreed",
  "set nothing settled",
  "set changed and kept",
  "set decided",
  "set decided, nothing to do",
  "set stale",
  "set waiting",
  "consent change local consent_lowered",
  "consent change remote consent_lowered",
  "consent conflict no_reference",
  "consent conflict shared_reference",
  "consent kept consent_both_forbid",
  "consent kept consent_never_raised",
  "consent kept direction",
  "consent nothing agreed",
  "consent stale",
];

function* outcomes(rules: PairRules, state: RecordState, plan: RecordPlan): Iterable<string> {
  for (const [field, { kind }] of Object.entries(rules.fields)) {
    const changes = plan.changes.filter((change) => change.field === field);
    const conflict = plan.conflicts.find((conflict) => conflict.field === field);
    const kept = plan.kept.find((kept) => kept.field === field);
    for (const { side, rule } of changes) yield `${kind} change ${side} ${rule}`;
    if (conflict !== undefined) yield `${kind} conflict ${conflict.reason}`;
    if (kept !== undefined) yield `${kind} kept ${kept.reason}`;
    if (kept !== undefined && changes.length > 0) yield `${kind} changed and kept`;
    const isNothing = changes.length === 0 && conflict === undefined && kept === undefined;
    if (isNothing) {
      const differ = !sameJson(state.a[field], state.b[field]);
      const isSettled = fieldBase(state.base, field)?.settled === true;
      yield `${kind} nothing ${differ ? isSettled ? "settled" : "unexplained" : "agreed"}`;
    }
    for (const { conflictId } of state.decisions.filter((decision) => decision.field === field)) {
      const isStale = plan.staleDecisions.includes(conflictId);
      const isDecided = plan.decided.includes(conflictId);
      if (isStale && isDecided) yield `${kind} decided and stale`;
      else if (isStale) yield `${kind} stale`;
      else if (isDecided) yield `${kind} decided${isNothing ? ", nothing to do" : ""}`;
      else yield `${kind} waiting`;
    }
  }
}

Deno.test("planRecord() says everything it can say, and nothing else", () => {
  const cases = fc.sample(fc.tuple(anyRules, anyState, anyFlow), { numRuns: 20_000, seed: 1 });
  const reached = new Set<string>();
  for (const [rules, state, flow] of cases) {
    for (const outcome of outcomes(rules, state, planRecord(rules, state, flow))) {
      reached.add(outcome);
    }
  }
  assertEquals([...reached].sort(), OUTCOMES.toSorted());
});
