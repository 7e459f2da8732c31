import { assertEquals } from "@std/assert";
import { CONSENT_RULE, pairRules, valueRule } from "../../tests/lib/merge_rules.ts";
import { planRecord } from "./plan_record.ts";
import type { Base, Decision, Flow, RecordState } from "./record_plan.ts";
import { type PlanDone, shadowAfter } from "./shadow_after.ts";

const RULES = pairRules({
  city: valueRule(),
  name: valueRule({ wins: "manual" }),
  note: valueRule({ flow: "to_remote" }),
  consent: CONSENT_RULE,
});

const AGREED = { city: "x", name: "n", note: "o", consent: "subscribed" };

function agreed(settled: readonly string[] = []): Base {
  return { a: AGREED, b: AGREED, settled };
}

const DONE: PlanDone = { local: true, remote: null };
const NOT_DONE: PlanDone = { local: false, remote: "not_done" };

function shadow(
  base: Base | null,
  a: Partial<typeof AGREED>,
  b: Partial<typeof AGREED>,
  done: PlanDone,
  options: { flow?: Flow; decisions?: Decision[] } = {},
) {
  const state: RecordState = {
    base,
    a: { ...AGREED, ...a },
    b: { ...AGREED, ...b },
    decisions: options.decisions ?? [],
    localRefusals: {},
  };
  return shadowAfter(RULES, state, planRecord(RULES, state, options.flow ?? "both"), done);
}

Deno.test("shadowAfter() records what the sides agree on without a write", () => {
  const both = { ...AGREED, city: "y" };
  assertEquals(shadow(agreed(["city"]), { city: "y" }, { city: "y" }, NOT_DONE), {
    a: both,
    b: both,
    settled: [],
    localClean: true,
  });
});

Deno.test("shadowAfter() records a value sent as the remote answered it", () => {
  const sent = { a: { ...AGREED, city: "Kiel " }, settled: [], localClean: true };
  const edit = { city: "Kiel " };
  assertEquals(shadow(agreed(), edit, {}, DONE), { ...sent, b: sent.a });
  assertEquals(shadow(agreed(), edit, {}, { local: false, remote: { city: "Kiel " } }), {
    ...sent,
    b: sent.a,
  });
  for (const city of ["KIEL", null]) {
    assertEquals(shadow(agreed(), edit, {}, { local: false, remote: { city } }), {
      ...sent,
      b: { ...AGREED, city },
      settled: ["city"],
    });
  }
});

Deno.test("shadowAfter() keeps what was read where nothing was sent, whatever was answered", () => {
  const answer = { ...AGREED, city: "y", name: "edited meanwhile", consent: "bounced" };
  const both = { ...AGREED, city: "y" };
  assertEquals(shadow(agreed(), { city: "y" }, {}, { local: true, remote: answer }), {
    a: both,
    b: both,
    settled: [],
    localClean: true,
  });
});

Deno.test("shadowAfter() records a value written on side A", () => {
  const both = { ...AGREED, city: "y", consent: "bounced" };
  const done = { local: true, remote: "not_done" } as const;
  assertEquals(shadow(agreed(), {}, { city: "y", consent: "bounced" }, done), {
    a: both,
    b: both,
    settled: [],
    localClean: true,
  });
});

Deno.test("shadowAfter() leaves the base where a write was not done, and side A to be looked at", () => {
  const base = { a: AGREED, b: { ...AGREED, city: "w" }, settled: ["city"] };
  assertEquals(shadow(base, { city: "y" }, { city: "w", name: "m" }, NOT_DONE), {
    ...base,
    localClean: false,
  });
  assertEquals(shadow(base, {}, { city: "w", name: "m" }, NOT_DONE), { ...base, localClean: true });
  assertEquals(shadow(agreed(["city"]), { city: "y" }, {}, NOT_DONE).settled, []);
});

Deno.test("shadowAfter() records the sides as they stand where a first link was not done", () => {
  assertEquals(shadow(null, { city: "y" }, { city: "z" }, NOT_DONE), {
    a: { ...AGREED, city: "y" },
    b: { ...AGREED, city: "z" },
    settled: [],
    localClean: true,
  });
});

Deno.test("shadowAfter() leaves the base under a conflict and under what goes the other way", () => {
  const sides = [{ name: "a", city: "y" }, { name: "b" }] as const;
  const stays = { ...agreed(), localClean: false };
  assertEquals(shadow(agreed(), ...sides, DONE, { flow: "to_local" }), stays);
  assertEquals(shadow(null, ...sides, DONE, { flow: "to_local" }), {
    a: { ...AGREED, name: "a", city: "y" },
    b: { ...AGREED, name: "b" },
    settled: [],
    localClean: true,
  });
});

Deno.test("shadowAfter() settles what is kept for good", () => {
  const a = { note: "o", consent: "none" };
  const b = { note: "p", consent: "pending" };
  assertEquals(shadow(agreed(), a, b, DONE), {
    a: { ...AGREED, ...a },
    b: { ...AGREED, ...b },
    settled: ["note", "note (one way)", "consent"],
    localClean: true,
  });
  const forbids = [{ consent: "complained" }, { consent: "bounced" }] as const;
  assertEquals(shadow(agreed(), ...forbids, DONE).settled, ["consent"]);
});

Deno.test("shadowAfter() settles a bounce of ours that the remote knows as an unsubscription", () => {
  assertEquals(shadow(agreed(), { consent: "bounced" }, {}, DONE), {
    a: { ...AGREED, consent: "bounced" },
    b: { ...AGREED, consent: "unsubscribed" },
    settled: ["consent"],
    localClean: true,
  });
});

Deno.test("shadowAfter() leaves settled what nobody touched", () => {
  const base = { a: AGREED, b: { ...AGREED, city: "w" }, settled: ["city"] };
  assertEquals(shadow(base, {}, { city: "w" }, DONE), { ...base, localClean: true });
});

Deno.test("shadowAfter() lets a half of a decision look like an edit to the other side", () => {
  const decisions: Decision[] = [
    { conflictId: 1, field: "name", choice: "value", value: "v", a: "a", b: "b" },
  ];
  const sides = [{ name: "a" }, { name: "b" }] as const;
  const half = { a: { ...AGREED, name: "a" }, b: { ...AGREED, name: "b" }, settled: [] };
  const onlyLocal = { local: true, remote: "not_done" } as const;
  const onlyRemote = { local: false, remote: null } as const;
  assertEquals(shadow(agreed(), ...sides, onlyLocal, { decisions }), {
    ...half,
    localClean: false,
  });
  assertEquals(shadow(agreed(), ...sides, onlyRemote, { decisions }), {
    ...half,
    localClean: true,
  });
  assertEquals(shadow(agreed(), ...sides, DONE, { decisions, flow: "to_local" }).a, half.a);
  assertEquals(shadow(agreed(), ...sides, NOT_DONE, { decisions }), {
    ...agreed(),
    localClean: false,
  });
  const both = { ...AGREED, name: "v" };
  assertEquals(shadow(agreed(), ...sides, DONE, { decisions }), {
    a: both,
    b: both,
    settled: [],
    localClean: true,
  });
});
