import { assert, assertEquals, assertFalse } from "@std/assert";
import { CONSENT_RULE, pairRules, setRule, valueRule } from "../../tests/lib/merge_rules.ts";
import { changedSince, planAbsence } from "./plan_absence.ts";

Deno.test("planAbsence() does as the policy says, but deletes nothing that was edited", () => {
  for (const policy of ["mark", "unlink", "unsubscribe"] as const) {
    for (const edited of [true, false]) {
      assertEquals(planAbsence(policy, edited), { action: policy });
    }
  }
  assertEquals(planAbsence("delete", false), { action: "delete" });
  assertEquals(planAbsence("delete", true), { action: "conflict" });
});

Deno.test("changedSince() sees an edit of any mapped field, and of no other", () => {
  const rules = pairRules({ key: valueRule(), consent: CONSENT_RULE, tags: setRule("One") });
  const base = { key: "k", consent: "none", tags: ["One"] };
  assertFalse(changedSince(rules, base, { ...base, other: "x" }));
  assert(changedSince(rules, base, { ...base, key: null }));
  assert(changedSince(rules, base, { ...base, consent: "subscribed" }));
  assert(changedSince(rules, base, { ...base, tags: [] }));
});

Deno.test("changedSince() takes a field that the base does not know for edited unless it is blank", () => {
  const rules = pairRules({ key: valueRule(), city: valueRule(), tags: setRule("One") });
  assertFalse(changedSince(rules, { key: "k" }, { key: "k", city: null, tags: [] }));
  assert(changedSince(rules, { key: "k" }, { key: "k", city: "x", tags: [] }));
  assert(changedSince(rules, { key: "k" }, { key: "k", city: null, tags: ["One"] }));
});
