import { assertEquals } from "@std/assert";
import { CONSENT_RULE, pairRules, setRule, valueRule } from "../../tests/lib/merge_rules.ts";
import { planRecord } from "./plan_record.ts";
import type { Decision, RecordState } from "./record_plan.ts";

const RULES = pairRules({
  key: valueRule({ wins: "manual" }),
  city: valueRule({ wins: "manual" }),
  phone: valueRule({ wins: "remote" }),
  consent: CONSENT_RULE,
  tags: setRule("One", "Two"),
});

const AGREED = { key: "k", city: "x", phone: "1", consent: "subscribed", tags: ["One"] };

function state(options: Partial<RecordState> = {}): RecordState {
  return {
    base: { a: AGREED, b: AGREED, settled: [] },
    a: AGREED,
    b: AGREED,
    decisions: [],
    localRefusals: {},
    ...options,
  };
}

const NOTHING = { changes: [], conflicts: [], kept: [], decided: [], staleDecisions: [] };

const CONFLICT = { a: { ...AGREED, city: "y" }, b: { ...AGREED, city: "z" } };

function decision(options: Partial<Decision> = {}): Decision {
  return { conflictId: 7, field: "city", choice: "local", value: null, a: "y", b: "z", ...options };
}

Deno.test("planRecord() plans nothing for a record that is in agreement", () => {
  for (const flow of ["both", "to_local", "to_remote"] as const) {
    assertEquals(planRecord(RULES, state(), flow), NOTHING);
  }
});

Deno.test("planRecord() merges each field by its own rule, in the order of the rules", () => {
  const a = { ...AGREED, city: "y", consent: "pending", tags: [] };
  const b = { ...AGREED, city: "z", phone: "2", consent: "bounced", tags: ["One", "Two"] };
  assertEquals(planRecord(RULES, state({ a, b }), "both"), {
    ...NOTHING,
    changes: [
      { field: "phone", side: "local", before: "1", after: "2", rule: "edit" },
      {
        field: "consent",
        side: "local",
        before: "pending",
        after: "bounced",
        rule: "consent_lowered",
      },
      { field: "tags", side: "local", before: [], after: ["Two"], rule: "set_merge" },
      {
        field: "tags",
        side: "remote",
        before: ["One", "Two"],
        after: ["Two"],
        rule: "set_merge",
      },
    ],
    conflicts: [
      { field: "city", base: { a: "x", b: "x" }, a: "y", b: "z", reason: "both_changed" },
    ],
  });
});

Deno.test("planRecord() keeps what goes the other way, and a conflict is one in any direction", () => {
  const a = { ...CONFLICT.a, tags: ["One", "Two"], consent: "unsubscribed" };
  const b = { ...CONFLICT.b, tags: [] };
  const plan = planRecord(RULES, state({ a, b }), "to_local");
  assertEquals(plan.changes, [
    { field: "tags", side: "local", before: ["One", "Two"], after: ["Two"], rule: "set_merge" },
  ]);
  assertEquals(plan.kept, [
    { field: "consent", reason: "direction" },
    { field: "tags", reason: "direction" },
  ]);
  assertEquals(plan.conflicts.map(({ field }) => field), ["city"]);
});

Deno.test("planRecord() takes a field that the base does not know for a first link", () => {
  const { city: _, ...old } = AGREED;
  const plan = planRecord(
    RULES,
    state({ ...CONFLICT, base: { a: old, b: old, settled: [] } }),
    "both",
  );
  assertEquals(plan.conflicts, [
    { field: "city", base: null, a: "y", b: "z", reason: "first_link" },
  ]);
});

Deno.test("planRecord() makes a conflict of what cannot be written on side A", () => {
  const localRefusals = { phone: "shared_reference", tags: "no_reference" } as const;
  const b = { ...AGREED, phone: "2", tags: [] };
  const refused = planRecord(RULES, state({ b, localRefusals }), "both");
  assertEquals(refused.changes, []);
  assertEquals(refused.conflicts, [
    { field: "phone", base: { a: "1", b: "1" }, a: "1", b: "2", reason: "shared_reference" },
    { field: "tags", base: { a: ["One"], b: ["One"] }, a: ["One"], b: [], reason: "no_reference" },
  ]);
  const free = planRecord(RULES, state({ a: b, localRefusals }), "both");
  assertEquals(free.changes.map(({ field, side }) => [field, side]), [
    ["phone", "remote"],
    ["tags", "remote"],
  ]);
});

Deno.test("planRecord() gives nobody who may be written to the key of somebody who left", () => {
  const moved = { ...AGREED, key: "left@x" };
  const plan = (some: Partial<RecordState>) =>
    planRecord(RULES, state({ keySuppressed: true, ...some }), "both");
  const decisions = [decision({ field: "key", choice: "local", a: "left@x", b: AGREED.key })];
  for (const some of [{ a: moved }, { a: moved, decisions }]) {
    const { changes, conflicts, decided } = plan(some);
    assertEquals([changes, decided], [[], []]);
    assertEquals(conflicts.map(({ field, reason }) => [field, reason]), [[
      "key",
      "suppressed_key",
    ]]);
  }
  // Who has left as well may have it; and what the remote took over on its own stands there already.
  const gone = { consent: "unsubscribed" };
  assertEquals(plan({ a: { ...moved, ...gone } }).conflicts, []);
  assertEquals(plan({ a: moved, b: { ...AGREED, ...gone } }).conflicts, []);
  assertEquals(plan({ b: moved }).conflicts, []);
});

Deno.test("planRecord() carries a decision out instead of the conflict, also where the sides agree", () => {
  const decided = planRecord(RULES, state({ ...CONFLICT, decisions: [decision()] }), "both");
  assertEquals(decided, {
    ...NOTHING,
    changes: [{ field: "city", side: "remote", before: "z", after: "y", rule: "decision" }],
    decided: [7],
  });
  const same = [decision({ a: "x", b: "x" })];
  assertEquals(planRecord(RULES, state({ decisions: same }), "both"), { ...NOTHING, decided: [7] });
});

Deno.test("planRecord() reports as stale what no longer fits, and merges as usual", () => {
  const stale = [
    decision({ a: "w" }),
    decision({ conflictId: 8, field: "gone" }),
    decision({ conflictId: 9, field: "consent", a: "subscribed", b: "subscribed" }),
  ];
  const plan = planRecord(RULES, state({ ...CONFLICT, decisions: stale }), "both");
  assertEquals([plan.decided, plan.staleDecisions], [[], [7, 8, 9]]);
  assertEquals(plan.conflicts.length, 1);
});

Deno.test("planRecord() lets the newest of two decisions count", () => {
  const two = [decision({ conflictId: 8 }), decision({ choice: "remote" })];
  for (const decisions of [two, two.toReversed()]) {
    const plan = planRecord(RULES, state({ ...CONFLICT, decisions }), "both");
    assertEquals(plan.changes.map(({ side }) => side), ["remote"]);
    assertEquals([plan.decided, plan.staleDecisions], [[8], [7]]);
  }
});

Deno.test("planRecord() leaves waiting a decision that this run cannot carry out", () => {
  const decisions = [decision({ choice: "value", value: "w" })];
  const half = planRecord(RULES, state({ ...CONFLICT, decisions }), "to_remote");
  assertEquals(half, {
    ...NOTHING,
    changes: [{ field: "city", side: "remote", before: "z", after: "w", rule: "decision" }],
    kept: [{ field: "city", reason: "direction" }],
  });
  const localRefusals = { city: "shared_reference" } as const;
  const refused = planRecord(RULES, state({ ...CONFLICT, decisions, localRefusals }), "both");
  assertEquals([refused.changes, refused.decided, refused.staleDecisions], [[], [], []]);
  assertEquals(refused.conflicts.map(({ reason }) => reason), ["shared_reference"]);
});
