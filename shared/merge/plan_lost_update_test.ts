import { assert } from "@std/assert";
import fc from "fast-check";
import { anyFlow, anyPlainState, anyRules, anyValueOf, NAMES } from "../../tests/lib/plan_cases.ts";
import { type RunOptions, TwoSides } from "../../tests/lib/two_sides.ts";
import type { Json } from "./json.ts";
import { holdsName } from "./merge_set.ts";
import type { RecordPlan } from "./record_plan.ts";
import { sameJson } from "./same_json.ts";

type Side = "a" | "b";

interface Edit {
  readonly side: Side;
  readonly field: string;
  readonly value: Json;
}

interface Step {
  readonly edits: readonly Edit[];
  /** Made at the remote while the run is under way. */
  readonly meanwhile: Edit;
  readonly run: RunOptions;
}

const anyEdit: fc.Arbitrary<Edit> = fc.constantFrom("city", "phone", "tags").chain((field) =>
  fc.record({
    side: fc.constantFrom<Side>("a", "b"),
    field: fc.constant(field),
    value: anyValueOf(field),
  })
);

const anyStep: fc.Arbitrary<Step> = fc.record({
  edits: fc.array(anyEdit, { maxLength: 2 }),
  meanwhile: anyEdit,
  run: fc.record({
    flow: anyFlow,
    local: fc.boolean(),
    remote: fc.constantFrom("done", "not_done", "silent"),
  }),
});

/** Edits that have not reached the other side yet, and have not been overruled. */
class Ledger {
  readonly open = new Set<string>();
  readonly #sides: TwoSides;
  overruled = 0;

  constructor(sides: TwoSides) {
    this.#sides = sides;
  }

  edit({ side, field, value }: Edit): void {
    const { base } = this.#sides;
    for (const [name, was, is] of this.#parts(field, this.#sides[side][field] ?? null, value)) {
      if (sameJson(was, is) || base === null) continue;
      const agreed = this.#part(field, name, base[side][field]);
      const other = this.#part(field, name, base[side === "a" ? "b" : "a"][field]);
      // Where nothing was agreed on, there is nothing an edit is made upon.
      if (!sameJson(agreed, other)) continue;
      const entry = `${side} ${field} ${name}`;
      if (sameJson(agreed, is)) this.open.delete(entry);
      else this.open.add(entry);
    }
    this.#sides[side][field] = value;
    this.#close(field);
  }

  carriedOut(plan: RecordPlan, options: RunOptions): void {
    for (const { field, side, before, after, rule } of plan.changes) {
      if (side === "local" ? !options.local : options.remote === "not_done") continue;
      for (const [name, was, is] of this.#parts(field, before, after)) {
        if (sameJson(was, is)) continue;
        const entry = `${side === "local" ? "a" : "b"} ${field} ${name}`;
        const isPolicy = rule === "wins_local" || rule === "wins_remote" || this.#isOneWay(field);
        assert(isPolicy || !this.open.has(entry), `${entry} is overwritten by ${rule}`);
        if (this.open.delete(entry)) this.overruled++;
      }
    }
    for (const { field, reason } of plan.kept) {
      if (reason === "one_way") this.open.delete(`a ${field} `), this.open.delete(`b ${field} `);
    }
    for (const field of ["city", "phone", "tags"]) this.#close(field);
  }

  /** What stands on both sides has arrived. */
  #close(field: string): void {
    const { a, b } = this.#sides;
    for (const [name, inA, inB] of this.#parts(field, a[field] ?? null, b[field] ?? null)) {
      if (!sameJson(inA, inB)) continue;
      this.open.delete(`a ${field} ${name}`);
      this.open.delete(`b ${field} ${name}`);
    }
  }

  #isOneWay(field: string): boolean {
    const rule = this.#sides.rules.fields[field];
    return rule?.kind === "value" && rule.flow !== "both";
  }

  #part(field: string, name: string, value: Json | undefined): Json {
    return field === "tags" ? holdsName(value, name) : value ?? null;
  }

  // A set counts name by name.
  #parts(field: string, one: Json, other: Json): [name: string, one: Json, other: Json][] {
    const names = field === "tags" ? NAMES : [""];
    return names.map((name) => [
      name,
      this.#part(field, name, one),
      this.#part(field, name, other),
    ]);
  }
}

Deno.test("no edit is lost over any number of runs, whole or in part, and edits during them", () => {
  let overruled = 0;
  let left = 0;
  fc.assert(
    fc.property(
      anyRules,
      anyPlainState,
      fc.array(anyStep, { minLength: 1, maxLength: 8 }),
      (rules, state, steps) => {
        const sides = new TwoSides(rules, { ...state, a: { ...state.a }, b: { ...state.b } });
        sides.run();
        const ledger = new Ledger(sides);
        for (const { edits, meanwhile, run } of steps) {
          for (const edit of edits) ledger.edit(edit);
          const plan = sides.plan(run.flow);
          const isFree = !plan.changes.some(({ field, side }) =>
            field === meanwhile.field && side === "remote"
          );
          // The edit is made upon the base that was read, not on the one of this run.
          sides.run({
            ...run,
            meanwhile: () => isFree && ledger.edit({ ...meanwhile, side: "b" }),
          });
          ledger.carriedOut(plan, run);
        }
        const plan = sides.run();
        ledger.carriedOut(plan, { local: true, remote: "done" });
        const inConflict = new Set(plan.conflicts.map(({ field }) => field));
        for (const entry of ledger.open) {
          assert(inConflict.has(entry.split(" ")[1] ?? ""), `${entry} is nowhere`);
          left++;
        }
        overruled += ledger.overruled;
      },
    ),
    { numRuns: 5_000 },
  );
  assert(overruled > 100 && left > 100, "both sides were rarely edited at once");
});
