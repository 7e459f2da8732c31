import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  anyFlow,
  anyPlainState,
  anyRules,
  anyState,
  anyValueOf,
  FIELDS,
  NAMES,
} from "../../tests/lib/plan_cases.ts";
import { type RunOptions, TwoSides } from "../../tests/lib/two_sides.ts";
import { oneWayMark } from "./field_base.ts";
import { holdsName } from "./merge_set.ts";
import type { PairRules } from "./pair.ts";
import type { RecordPlan, RecordState } from "./record_plan.ts";
import { sameJson } from "./same_json.ts";

const RUNS = { numRuns: 5_000 };
const OWN_FORM = { values: { z: "y" }, refused: ["Three"] };

const anyForm = fc.constantFrom(undefined, OWN_FORM);
const anyOutcome: fc.Arbitrary<RunOptions> = fc.record({
  flow: anyFlow,
  local: fc.boolean(),
  remote: fc.constantFrom("done", "not_done", "silent"),
});

/** Both sides are done with: nothing to write, and what is equal on no side has a reason. */
function assertQuiet(sides: TwoSides): void {
  const { changes, conflicts, kept } = sides.plan();
  assertEquals(changes, []);
  const explained = new Set([...conflicts, ...kept].map(({ field }) => field));
  for (const field of FIELDS) {
    if (explained.has(field) || sides.base?.settled.includes(field)) continue;
    assertEquals(sides.a[field], sides.b[field], field);
    assertEquals(sides.base?.a[field], sides.a[field], field);
    assertEquals(sides.base?.b[field], sides.b[field], field);
  }
}

function assertShadowForm({ base }: TwoSides): void {
  const settled = base?.settled ?? [];
  for (const field of settled) {
    const marked = FIELDS.find((name) => oneWayMark(name) === field);
    if (marked !== undefined) assert(settled.includes(marked), `${marked} is marked, not settled`);
    else assert(!sameJson(base?.a[field], base?.b[field]), `${field} is settled and equal`);
  }
}

function held({ a, b, base }: TwoSides) {
  return { a, b, base };
}

/** The sides a run with these rules leaves, however it came to be. */
function twice(rules: PairRules, state: RecordState, ...runs: RunOptions[]): TwoSides {
  const sides = new TwoSides(rules, state);
  for (const run of runs) {
    sides.run(run);
    assertShadowForm(sides);
  }
  return sides;
}

Deno.test("a plan that was carried out leaves nothing to do", () => {
  fc.assert(
    fc.property(anyRules, anyState, anyForm, fc.constantFrom("done", "silent"), (...all) => {
      const [rules, state, form, remote] = all;
      const sides = new TwoSides(rules, state, form);
      sides.run({ remote });
      assertShadowForm(sides);
      // Not told of the remote's own form, the base has to be put right once.
      if (remote === "silent" && form !== undefined) sides.run();
      assertEquals(sides.plan().changes, []);
      if (form === undefined) assertQuiet(sides);
      const before = held(sides);
      sides.run();
      assertEquals(held(sides), before);
    }),
    RUNS,
  );
});

Deno.test("the shadow holds side A as it is now exactly where it says so", () => {
  fc.assert(
    fc.property(anyRules, anyState, anyOutcome, (rules, state, outcome) => {
      const sides = new TwoSides(rules, state);
      sides.run(outcome);
      assertEquals(sides.localClean, sameJson(sides.base?.a, sides.a));
    }),
    RUNS,
  );
});

Deno.test("a run each way reaches what one run both ways reaches", () => {
  fc.assert(
    fc.property(anyRules, anyState, fc.boolean(), (rules, state, isLocalFirst) => {
      const order = isLocalFirst
        ? [{ flow: "to_local" }, { flow: "to_remote" }] as const
        : [{ flow: "to_remote" }, { flow: "to_local" }] as const;
      assertEquals(held(twice(rules, state, ...order)), held(twice(rules, state, {})));
    }),
    RUNS,
  );
});

Deno.test("a run that did a part, and then the rest, reaches what one whole run reaches", () => {
  fc.assert(
    fc.property(anyRules, anyState, anyOutcome, (rules, state, part) => {
      const sides = twice(rules, state, part, {});
      assertEquals(held(sides), held(twice(rules, state, {})));
      assertQuiet(sides);
    }),
    RUNS,
  );
});

Deno.test("an edit at the remote between the read and the write is an edit to the next run", () => {
  const anyEdit = fc.constantFrom(...FIELDS).chain((field) =>
    fc.record({ field: fc.constant(field), value: anyValueOf(field) })
  );
  fc.assert(
    fc.property(anyRules, anyPlainState, anyOutcome, anyEdit, (rules, state, outcome, edit) => {
      const { field, value } = edit;
      const written = new TwoSides(rules, state).plan(outcome.flow).changes
        .find((change) => change.side === "remote" && change.field === field);
      fc.pre(written === undefined || field === "tags");
      const during = new TwoSides(rules, state);
      const after = new TwoSides(rules, state);
      const editIt = (sides: TwoSides, spared: RecordPlan["changes"][number] | undefined) => {
        sides.b[field] = field !== "tags" ? value : NAMES.filter((name) => {
          const isSent = spared !== undefined &&
            holdsName(spared.before, name) !== holdsName(spared.after, name);
          return holdsName(isSent ? sides.b[field] : value, name);
        });
      };
      during.run({ ...outcome, meanwhile: (sides) => editIt(sides, written) });
      after.run(outcome);
      editIt(after, written);
      assertEquals(held(during), held(after));
    }),
    RUNS,
  );
});

type Step =
  | { readonly kind: "edit"; readonly side: "a" | "b"; readonly record: TwoSides["a"] }
  | { readonly kind: "run"; readonly options: RunOptions };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("edit" as const),
    side: fc.constantFrom("a", "b"),
    record: fc.constantFrom(...FIELDS).chain((field) =>
      anyValueOf(field).map((value) => ({ [field]: value }))
    ),
  }),
  fc.record({ kind: fc.constant("run" as const), options: anyOutcome }),
);

Deno.test("any number of edits and runs, whole or in part, comes to rest", () => {
  fc.assert(
    fc.property(
      anyRules,
      anyState,
      anyForm,
      fc.array(anyStep, { maxLength: 12 }),
      (rules, state, form, steps) => {
        const sides = new TwoSides(rules, state, form);
        for (const step of steps) {
          if (step.kind === "edit") Object.assign(sides[step.side], step.record);
          else sides.run(step.options);
          assertShadowForm(sides);
        }
        sides.run();
        if (form === undefined) assertQuiet(sides);
        else sides.run();
        assertEquals(sides.plan().changes, []);
      },
    ),
    RUNS,
  );
});
