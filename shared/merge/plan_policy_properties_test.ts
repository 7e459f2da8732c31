import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { valueRule } from "../../tests/lib/merge_rules.ts";
import {
  about,
  anyFlow,
  anyPlainState,
  anyRules,
  anyState,
  FIELDS,
} from "../../tests/lib/plan_cases.ts";
import { fieldBase } from "./field_base.ts";
import type { FieldRule, PairRules } from "./pair.ts";
import { planRecord } from "./plan_record.ts";
import type { Flow, RecordPlan, RecordState } from "./record_plan.ts";
import { sameJson } from "./same_json.ts";

const OTHER = { local: "remote", remote: "local" } as const;

function mirroredFlow(flow: Flow): Flow {
  return flow === "both" ? flow : flow === "to_local" ? "to_remote" : "to_local";
}

function mirroredRule(rule: FieldRule): FieldRule {
  if (rule.kind !== "value") return rule;
  const wins = rule.wins === "manual" ? rule.wins : OTHER[rule.wins];
  return { ...rule, wins, flow: mirroredFlow(rule.flow) };
}

function mirroredState(state: RecordState): RecordState {
  const { base, a, b, decisions } = state;
  return {
    ...state,
    base: base === null ? null : { ...base, a: base.b, b: base.a },
    a: b,
    b: a,
    decisions: decisions.map((decision) => ({
      ...decision,
      a: decision.b,
      b: decision.a,
      choice: decision.choice === "value" ? decision.choice : OTHER[decision.choice],
    })),
  };
}

function mirroredPlan(plan: RecordPlan): RecordPlan {
  return {
    ...plan,
    changes: plan.changes.map((change) => ({
      ...change,
      side: OTHER[change.side],
      rule: change.rule === "wins_local"
        ? "wins_remote"
        : change.rule === "wins_remote"
        ? "wins_local"
        : change.rule,
    })),
    conflicts: plan.conflicts.map(({ base, a, b, ...rest }) => ({
      ...rest,
      base: base === null ? null : { a: base.b, b: base.a },
      a: b,
      b: a,
    })),
  };
}

/** In one order: of a field that changes on both sides, either may be named first. */
function inOrder(plan: RecordPlan): RecordPlan {
  const place = ({ field, side }: RecordPlan["changes"][number]) => `${field} ${side}`;
  return {
    ...plan,
    changes: plan.changes.toSorted((one, two) => place(one) < place(two) ? -1 : 1),
  };
}

Deno.test("swapped sides under mirrored policies give the mirrored plan", () => {
  fc.assert(
    fc.property(anyRules, anyState, anyFlow, (all, some, flow) => {
      // Consent is no mirror: the remote can only be told `unsubscribed`.
      const { consent: _, ...fields } = all.fields;
      const rules: PairRules = { ...all, fields };
      const mirror: PairRules = {
        ...all,
        fields: Object.fromEntries(
          Object.entries(fields).map(([field, rule]) => [field, mirroredRule(rule)]),
        ),
      };
      const state = { ...some, localRefusals: {}, keySuppressed: false };
      assertEquals(
        inOrder(planRecord(mirror, mirroredState(state), mirroredFlow(flow))),
        inOrder(mirroredPlan(planRecord(rules, state, flow))),
      );
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("the policy of one field changes nothing about another", () => {
  fc.assert(
    fc.property(anyRules, anyRules, anyState, anyFlow, (rules, other, state, flow) => {
      const plan = planRecord(rules, state, flow);
      const city = other.fields["city"] ?? valueRule();
      const changed = planRecord({ ...rules, fields: { ...rules.fields, city } }, state, flow);
      for (const field of FIELDS) {
        if (field !== "city") assertEquals(about(changed, field), about(plan, field));
      }
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("the policy of who wins shows only where both sides have something to say", () => {
  fc.assert(
    fc.property(anyRules, anyRules, anyPlainState, (rules, other, state) => {
      const [city, wins] = [rules.fields["city"], other.fields["city"]];
      if (city?.kind !== "value" || wins?.kind !== "value") return;
      const fields = { ...rules.fields, city: { ...city, wins: wins.wins } };
      const one = about(planRecord(rules, state, "both"), "city");
      const two = about(planRecord({ ...rules, fields }, state, "both"), "city");
      const base = fieldBase(state.base, "city");
      const isOneSided = base !== null && (sameJson(base.a, base.b) || base.settled) &&
        (sameJson(base.a, state.a["city"]) !== sameJson(base.b, state.b["city"]));
      if (isOneSided) assertEquals(one, two);
    }),
    { numRuns: 5_000 },
  );
});
