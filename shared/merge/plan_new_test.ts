import { assertEquals } from "@std/assert";
import { CONSENT_RULE, pairRules, setRule, valueRule } from "../../tests/lib/merge_rules.ts";
import { CONSENT_STATUSES } from "./consent.ts";
import { planNewLocal, planNewRemote } from "./plan_new.ts";

const RULES = pairRules({
  key: valueRule(),
  city: valueRule(),
  note: valueRule({ flow: "to_local" }),
  rank: valueRule({ flow: "to_remote" }),
  consent: CONSENT_RULE,
  tags: setRule("One", "Two"),
});

const RECORD = {
  key: "k",
  city: null,
  note: "n",
  rank: "1",
  consent: "subscribed",
  tags: ["Two", "Mine"],
};

const FREE = { suppressed: false };

Deno.test("planNewRemote() creates with what is not blank and flows there", () => {
  assertEquals(planNewRemote(RULES, RECORD, FREE), {
    kind: "create",
    fields: { key: "k", rank: "1", consent: "subscribed" },
    sets: { tags: ["Two"] },
  });
  const sourced = pairRules({ ...RULES.fields, key: valueRule({ flow: "to_local" }) });
  assertEquals(planNewRemote(sourced, { ...RECORD, consent: "pending", tags: null }, FREE), {
    kind: "create",
    fields: { key: "k", rank: "1", consent: "pending" },
    sets: { tags: [] },
  });
});

Deno.test("planNewRemote() creates nobody who has not said that they may be written to", () => {
  for (const consent of [...CONSENT_STATUSES, null]) {
    const plan = planNewRemote(RULES, { ...RECORD, consent }, FREE);
    const expected = consent === "subscribed" || consent === "pending" ? "create" : "consent";
    assertEquals(plan.kind === "create" ? plan.kind : plan.reason, expected);
  }
  const { consent: _, ...unmapped } = RULES.fields;
  assertEquals(planNewRemote(pairRules(unmapped), RECORD, FREE), {
    kind: "excluded",
    reason: "no_consent",
  });
});

Deno.test("planNewRemote() excludes by policy, without a key, and who left before", () => {
  const ignoring = pairRules(RULES.fields, { onNewLocal: "ignore" });
  assertEquals(planNewRemote(ignoring, RECORD, FREE), { kind: "excluded", reason: "policy" });
  assertEquals(planNewRemote(RULES, { ...RECORD, key: null }, FREE), {
    kind: "excluded",
    reason: "no_key",
  });
  assertEquals(planNewRemote(RULES, {}, FREE), { kind: "excluded", reason: "no_key" });
  assertEquals(planNewRemote(RULES, RECORD, { suppressed: true }), {
    kind: "excluded",
    reason: "suppressed",
  });
});

Deno.test("planNewLocal() takes a record over with its consent, without what only flows away", () => {
  for (const consent of CONSENT_STATUSES) {
    assertEquals(planNewLocal(RULES, { ...RECORD, consent, tags: ["Two"] }), {
      kind: "create",
      record: { key: "k", city: null, note: "n", consent, tags: ["Two"] },
    });
  }
  const sourced = pairRules({ key: valueRule({ flow: "to_remote" }), tags: setRule("One") });
  assertEquals(planNewLocal(sourced, { key: "k" }), {
    kind: "create",
    record: { key: "k", tags: [] },
  });
});

Deno.test("planNewLocal() excludes by policy and without a key", () => {
  const ignoring = pairRules(RULES.fields, { onNewRemote: "ignore" });
  assertEquals(planNewLocal(ignoring, RECORD), { kind: "excluded", reason: "policy" });
  for (const record of [{ ...RECORD, key: null }, {}]) {
    assertEquals(planNewLocal(RULES, record), { kind: "excluded", reason: "no_key" });
  }
});
