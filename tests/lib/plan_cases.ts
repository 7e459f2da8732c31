import fc from "fast-check";
import { CONSENT_STATUSES } from "../../shared/merge/consent.ts";
import type { Json } from "../../shared/merge/json.ts";
import type { CanonicalRecord, PairRules, ValueRule } from "../../shared/merge/pair.ts";
import type {
  ConflictReason,
  Decision,
  Flow,
  RecordPlan,
  RecordState,
} from "../../shared/merge/record_plan.ts";
import { CONSENT_RULE, pairRules, setRule, valueRule } from "./merge_rules.ts";

/** The names the set field of {@linkcode anyRules} manages. */
export const NAMES = ["One", "Two", "Three"];

/** The fields of {@linkcode anyRules}. */
export const FIELDS = ["key", "city", "phone", "consent", "tags"] as const;

/** A run's direction. */
export const anyFlow: fc.Arbitrary<Flow> = fc.constantFrom("both", "to_local", "to_remote");

const anyValueRule: fc.Arbitrary<ValueRule> = fc.record({
  wins: fc.constantFrom<ValueRule["wins"]>("local", "remote", "manual"),
  flow: fc.oneof({ weight: 2, arbitrary: fc.constant<Flow>("both") }, anyFlow),
  mayBlank: fc.boolean(),
}).map(valueRule);

/** Rules with every policy of a value field, a consent and a set. */
export const anyRules: fc.Arbitrary<PairRules> = fc
  .tuple(anyValueRule, anyValueRule, anyValueRule)
  .map(([key, city, phone]) =>
    pairRules({ key, city, phone, consent: CONSENT_RULE, tags: setRule(...NAMES) })
  );

// Few values, so that edits meet; null is one of them.
const anyText: fc.Arbitrary<Json> = fc.constantFrom(null, "x", "y", "z");
const anyStatus: fc.Arbitrary<Json> = fc.constantFrom(...CONSENT_STATUSES);
const anySet: fc.Arbitrary<Json> = fc.subarray(NAMES);

/** Any canonical value of a field of {@linkcode anyRules}. */
export function anyValueOf(field: string): fc.Arbitrary<Json> {
  return field === "consent" ? anyStatus : field === "tags" ? anySet : anyText;
}

/** A field of both sides: one tree disturbed twice, since unrelated ones would rarely overlap. */
interface FieldCase {
  baseA: Json;
  baseB: Json;
  settled: boolean;
  a: Json;
  b: Json;
}

function anyFieldCase(values: fc.Arbitrary<Json>): fc.Arbitrary<FieldCase> {
  const oftenKept = fc.option(values.map((value) => ({ value })), { nil: undefined, freq: 2 });
  return fc.record({
    baseA: values,
    other: oftenKept,
    settled: fc.boolean(),
    a: oftenKept,
    b: oftenKept,
  })
    .map(({ baseA, other, settled, a, b }) => {
      const baseB = other === undefined ? baseA : other.value;
      return {
        baseA,
        baseB,
        settled: settled && JSON.stringify(baseA) !== JSON.stringify(baseB),
        a: a === undefined ? baseA : a.value,
        b: b === undefined ? baseB : b.value,
      };
    });
}

function anyDecisions(a: CanonicalRecord, b: CanonicalRecord): fc.Arbitrary<Decision[]> {
  const anyDecision = fc.constantFrom(...FIELDS).chain((field) =>
    fc.record({
      conflictId: fc.integer({ min: 1, max: 1_000_000 }),
      field: fc.constant(field),
      choice: fc.constantFrom<Decision["choice"]>("local", "remote", "value"),
      value: anyValueOf(field),
      a: fc.oneof({ weight: 4, arbitrary: fc.constant(a[field] ?? null) }, anyValueOf(field)),
      b: fc.oneof({ weight: 4, arbitrary: fc.constant(b[field] ?? null) }, anyValueOf(field)),
    })
  );
  return fc.uniqueArray(anyDecision, { maxLength: 2, selector: ({ conflictId }) => conflictId });
}

const anyRefusals: fc.Arbitrary<Record<string, ConflictReason>> = fc.oneof(
  { weight: 5, arbitrary: fc.constant({}) },
  fc.dictionary(
    fc.constantFrom(...FIELDS),
    fc.constantFrom<ConflictReason>("shared_reference", "no_reference"),
    { minKeys: 1, maxKeys: 2 },
  ),
);

function pick(cases: Record<string, FieldCase>, part: "a" | "b" | "baseA" | "baseB") {
  const record: CanonicalRecord = {};
  for (const [field, one] of Object.entries(cases)) record[field] = one[part];
  return record;
}

/** One linked record in any state, without decisions and refusals. */
export const anyPlainState: fc.Arbitrary<RecordState> = fc.record({
  isNew: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
  cases: fc.record({
    key: anyFieldCase(anyText),
    city: anyFieldCase(anyText),
    phone: anyFieldCase(anyText),
    consent: anyFieldCase(anyStatus),
    tags: anyFieldCase(anySet),
  }),
}).map(({ isNew, cases }) => ({
  base: isNew ? null : {
    a: pick(cases, "baseA"),
    b: pick(cases, "baseB"),
    settled: Object.entries(cases).filter(([, { settled }]) => settled).map(([field]) => field),
  },
  a: pick(cases, "a"),
  b: pick(cases, "b"),
  decisions: [],
  localRefusals: {},
}));

/** One linked record in any state. */
export const anyState: fc.Arbitrary<RecordState> = anyPlainState.chain((state) =>
  fc.record({
    decisions: anyDecisions(state.a, state.b),
    localRefusals: anyRefusals,
    keySuppressed: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  })
    .map((rest) => ({ ...state, ...rest }))
);

/** What a plan says about one field. */
export function about(plan: RecordPlan, field: string) {
  return {
    changes: plan.changes.filter((change) => change.field === field),
    conflicts: plan.conflicts.filter((conflict) => conflict.field === field),
    kept: plan.kept.filter((kept) => kept.field === field),
  };
}
