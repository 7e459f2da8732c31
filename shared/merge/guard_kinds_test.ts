import { assertEquals } from "@std/assert";
import { CONSENT_RULE, pairRules, setRule, valueRule } from "../../tests/lib/merge_rules.ts";
import { type GuardCounts, type GuardKind, guardKinds, trippedGuard } from "./guard_kinds.ts";
import type { FieldChange, RecordPlan } from "./record_plan.ts";

const RULES = pairRules({ city: valueRule(), consent: CONSENT_RULE, tags: setRule("One") });

function kinds(...changes: Partial<FieldChange>[]): string[] {
  const plan: RecordPlan = {
    changes: changes.map((change) => ({
      field: "city",
      side: "remote",
      before: "x",
      after: "y",
      rule: "edit",
      ...change,
    })),
    conflicts: [],
    kept: [],
    decided: [],
    staleDecisions: [],
  };
  return [...guardKinds(plan, RULES)].sort();
}

Deno.test("guardKinds() names what is dangerous about a plan, on either side", () => {
  assertEquals(kinds(), []);
  for (const side of ["local", "remote"] as const) {
    assertEquals(kinds({ side }), ["updates"]);
    assertEquals(kinds({ side, after: null }), ["blanks", "updates"]);
    assertEquals(kinds({ side, before: null }), ["updates"]);
    assertEquals(kinds({ side, before: null, after: null }), ["updates"]);
    for (const after of ["unsubscribed", "bounced", "complained"]) {
      const lowered: Partial<FieldChange> = { side, field: "consent", before: "pending", after };
      assertEquals(kinds(lowered), ["unsubscribes", "updates"]);
    }
  }
  assertEquals(kinds({ field: "tags", before: ["One"], after: [] }), ["updates"]);
  assertEquals(kinds({ after: null }, { field: "consent", after: "bounced" }), [
    "blanks",
    "unsubscribes",
    "updates",
  ]);
  assertEquals(kinds({ after: "bounced" }), ["updates"]);
});

const LIMITS = {
  deletes: { percent: 5, floor: 20 },
  unsubscribes: { percent: 10, floor: 50 },
  blanks: { percent: 2, floor: 20 },
  updates: { percent: 50, floor: 500 },
};

function tripped(counts: Partial<GuardCounts>, linked: number, ...allowed: GuardKind[]) {
  const all = { deletes: 0, unsubscribes: 0, blanks: 0, updates: 0, ...counts };
  return trippedGuard(all, linked, LIMITS, new Set(allowed));
}

Deno.test("trippedGuard() trips over the floor and the share together", () => {
  assertEquals(tripped({}, 0), null);
  assertEquals(tripped({ deletes: 20 }, 0), null);
  assertEquals(tripped({ deletes: 21 }, 0), { kind: "deletes", count: 21, limit: 20 });
  assertEquals(tripped({ deletes: 21 }, 420), null);
  assertEquals(tripped({ deletes: 21 }, 419), { kind: "deletes", count: 21, limit: 20 });
  assertEquals(tripped({ deletes: 50 }, 1_000), null);
  assertEquals(tripped({ deletes: 51 }, 1_000), { kind: "deletes", count: 51, limit: 50 });
  for (const kind of ["unsubscribes", "blanks", "updates"] as const) {
    const limit = { unsubscribes: 1_000, blanks: 200, updates: 5_000 }[kind];
    assertEquals(tripped({ [kind]: limit }, 10_000), null);
    assertEquals(tripped({ [kind]: limit + 1 }, 10_000), { kind, count: limit + 1, limit });
  }
});

Deno.test("trippedGuard() lets through what an operator allowed, and nothing else", () => {
  const counts = { deletes: 100, updates: 1_000 };
  assertEquals(tripped(counts, 0)?.kind, "deletes");
  assertEquals(tripped(counts, 0, "deletes")?.kind, "updates");
  assertEquals(tripped(counts, 0, "unsubscribes", "blanks")?.kind, "deletes");
  assertEquals(tripped(counts, 0, "deletes", "updates"), null);
});
