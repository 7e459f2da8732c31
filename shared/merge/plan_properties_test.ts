import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  about,
  anyFlow,
  anyPlainState,
  anyRules,
  anyState,
  FIELDS,
  NAMES,
} from "../../tests/lib/plan_cases.ts";
import { TwoSides } from "../../tests/lib/two_sides.ts";
import { isForbidding, isStricter } from "./consent_order.ts";
import { fieldBase } from "./field_base.ts";
import { holdsName } from "./merge_set.ts";
import { planRecord } from "./plan_record.ts";
import type { RecordState } from "./record_plan.ts";
import { sameJson } from "./same_json.ts";

const RUNS = { numRuns: 5_000 };

function isUnedited(state: RecordState, field: string): boolean {
  const base = fieldBase(state.base, field);
  return base !== null && sameJson(base.a, state.a[field]) && sameJson(base.b, state.b[field]);
}

Deno.test("a field never edited is neither written nor in conflict", () => {
  fc.assert(
    fc.property(anyRules, anyPlainState, anyFlow, (rules, state, flow) => {
      const plan = planRecord(rules, state, flow);
      for (const field of FIELDS) {
        const base = fieldBase(state.base, field);
        if (base === null || !isUnedited(state, field)) continue;
        if (!sameJson(base.a, base.b) && (!base.settled || field === "consent")) continue;
        assertEquals(about(plan, field), { changes: [], conflicts: [], kept: [] });
      }
    }),
    RUNS,
  );
});

Deno.test("only mapped fields are written, and only where they become different", () => {
  fc.assert(
    fc.property(anyRules, anyState, anyFlow, (rules, state, flow) => {
      const unmapped = {
        ...state,
        a: { ...state.a, other: "a" },
        b: { ...state.b, other: "b" },
      };
      const plan = planRecord(rules, unmapped, flow);
      for (const { field, side, before, after } of plan.changes) {
        assert(Object.hasOwn(rules.fields, field));
        assertEquals(before, (side === "local" ? state.a : state.b)[field]);
        assert(!sameJson(before, after));
        assert(flow === "both" || flow === `to_${side}`);
      }
      assertEquals(plan, planRecord(rules, state, flow));
    }),
    RUNS,
  );
});

Deno.test("an edit overwrites nothing but what it was made upon; anything else is policy", () => {
  fc.assert(
    fc.property(anyRules, anyPlainState, anyFlow, (rules, state, flow) => {
      for (const change of planRecord(rules, state, flow).changes) {
        const rule = rules.fields[change.field];
        if (rule?.kind !== "value") continue;
        const base = fieldBase(state.base, change.field);
        const from = change.side === "local" ? "remote" : "local";
        assert(rule.flow === "both" || rule.flow === `to_${change.side}`);
        if (change.rule === "edit") {
          assertEquals(change.before, change.side === "local" ? base?.a : base?.b);
        } else if (change.rule === "first_fill") {
          assertEquals(change.before, null);
        } else {
          assertEquals(change.rule, `wins_${from}`);
          assert(rule.flow === `to_${change.side}` || rule.flow === "both" && rule.wins === from);
        }
      }
    }),
    RUNS,
  );
});

Deno.test("every edit stands on both sides, or is in conflict, kept, or overruled by policy", () => {
  fc.assert(
    fc.property(anyRules, anyState, anyFlow, (rules, state, flow) => {
      const sides = new TwoSides(rules, state);
      const plan = sides.run({ flow });
      for (const field of ["key", "city", "phone"]) {
        const base = fieldBase(state.base, field);
        for (const side of ["a", "b"] as const) {
          const edited = state[side][field] ?? null;
          if (base !== null && sameJson(edited, base[side])) continue;
          const { changes, conflicts, kept } = about(plan, field);
          const overruled = changes.some(({ side: written, rule }) =>
            written === (side === "a" ? "local" : "remote") && rule !== "edit"
          );
          const stands = sameJson(sides.a[field], edited) && sameJson(sides.b[field], edited);
          assert(stands || conflicts.length > 0 || kept.length > 0 || overruled, field);
        }
      }
    }),
    RUNS,
  );
});

Deno.test("edits that agree are recorded without a write", () => {
  fc.assert(
    fc.property(anyRules, anyPlainState, anyFlow, (rules, state, flow) => {
      const alike = { ...state, b: state.a };
      const sides = new TwoSides(rules, alike);
      const plan = sides.run({ flow, local: false, remote: "not_done" });
      assertEquals([plan.changes, plan.conflicts, plan.kept], [[], [], []]);
      assertEquals(sides.base, { a: state.a, b: state.a, settled: [] });
      assert(sides.localClean);
    }),
    RUNS,
  );
});

Deno.test("no plan allows more than there was, whatever was decided", () => {
  fc.assert(
    fc.property(anyRules, anyState, anyFlow, (rules, state, flow) => {
      const plan = planRecord(rules, state, flow);
      for (const { side, before, after, rule } of about(plan, "consent").changes) {
        assertEquals(rule, "consent_lowered");
        assert(isForbidding(after));
        assert(!isForbidding(before) || side === "local" && isStricter(after, before));
      }
      for (const { conflictId, field } of state.decisions) {
        if (field === "consent") assert(plan.staleDecisions.includes(conflictId));
      }
    }),
    RUNS,
  );
});

Deno.test("what one side forbids, both forbid after a run both ways", () => {
  fc.assert(
    fc.property(anyRules, anyPlainState, (rules, state) => {
      const sides = new TwoSides(rules, state);
      sides.run();
      const forbade = isForbidding(state.a["consent"]) || isForbidding(state.b["consent"]);
      for (const { consent } of [sides.a, sides.b]) assertEquals(isForbidding(consent), forbade);
    }),
    RUNS,
  );
});

Deno.test("a set keeps what was added and removed on either side", () => {
  fc.assert(
    fc.property(anyRules, anyPlainState, (rules, state) => {
      const base = fieldBase(state.base, "tags");
      fc.pre(base !== null && sameJson(base.a, base.b));
      const sides = new TwoSides(rules, state);
      sides.run();
      for (const name of NAMES) {
        const was = holdsName(base?.a, name);
        const wasEdited = holdsName(state.a["tags"], name) !== was ||
          holdsName(state.b["tags"], name) !== was;
        assertEquals(holdsName(sides.a["tags"], name), wasEdited ? !was : was);
        assertEquals(sides.a["tags"], sides.b["tags"]);
      }
    }),
    RUNS,
  );
});
