import { assert, assertEquals, assertFalse } from "@std/assert";
import { CONSENT_RULE, setRule, valueRule } from "../../tests/lib/merge_rules.ts";
import { decide, isCurrent } from "./decide.ts";
import type { Decision } from "./record_plan.ts";

const RULE = valueRule({ flow: "to_remote", mayBlank: false });
const TAGS = setRule("One", "Two");

function decision(options: Partial<Decision>): Decision {
  return { conflictId: 1, field: "city", choice: "local", value: null, a: "x", b: "y", ...options };
}

Deno.test("isCurrent() lets a decision count while the sides are as they were then", () => {
  for (const choice of ["local", "remote", "value"] as const) {
    const one = decision({ choice, value: "z" });
    assert(isCurrent(RULE, one, "x", "y"));
    assertFalse(isCurrent(RULE, one, "w", "y"));
    assertFalse(isCurrent(RULE, one, "x", "w"));
    assertFalse(isCurrent(RULE, one, "x", null));
  }
});

Deno.test("isCurrent() lets a decision count that was carried out in part, or unrecorded", () => {
  const value = decision({ choice: "value", value: "z" });
  for (const [a, b] of [["z", "y"], ["x", "z"], ["z", "z"]] as const) {
    assert(isCurrent(RULE, value, a, b));
  }
  assert(isCurrent(RULE, decision({ choice: "local" }), "x", "x"));
  assertFalse(isCurrent(RULE, decision({ choice: "local" }), "y", "y"));
  assert(isCurrent(RULE, decision({ choice: "remote" }), "y", "y"));
});

Deno.test("isCurrent() never lets anything be decided about consent", () => {
  for (const choice of ["local", "remote", "value"] as const) {
    const one = decision({ choice, value: "subscribed", a: "subscribed", b: "unsubscribed" });
    assertFalse(isCurrent(CONSENT_RULE, one, "subscribed", "unsubscribed"));
  }
});

Deno.test("isCurrent() does not take for a set what is none", () => {
  const one = decision({ choice: "value", value: "One", a: ["One"], b: [] });
  assertFalse(isCurrent(TAGS, one, ["One"], []));
  assert(isCurrent(TAGS, { ...one, value: ["Two", "Mine", "One"] }, ["One", "Two"], []));
});

Deno.test("decide() gives each side what was decided, above direction and blank rule", () => {
  const change = (side: "local" | "remote", before: string, after: string | null) => ({
    side,
    before,
    after,
    rule: "decision" as const,
  });
  const changes = (options: Partial<Decision>) => {
    const outcome = decide(RULE, false, decision(options), "x", "y");
    return outcome.kind === "changes" ? outcome.changes : outcome.kind;
  };
  assertEquals(changes({ choice: "local" }), [change("remote", "y", "x")]);
  assertEquals(changes({ choice: "remote" }), [change("local", "x", "y")]);
  assertEquals(changes({ choice: "value", value: "y" }), [change("local", "x", "y")]);
  assertEquals(changes({ choice: "value", value: null }), [
    change("local", "x", null),
    change("remote", "y", null),
  ]);
  assertEquals(decide(RULE, false, decision({ choice: "local" }), "x", "x"), { kind: "nothing" });
});

Deno.test("decide() never empties the key", () => {
  const blank = decision({ choice: "value", value: null });
  const refused = { kind: "conflict" as const, reason: "blank_not_allowed" as const };
  assertEquals(decide(RULE, true, blank, "x", "y"), refused);
  assertEquals(decide(RULE, true, decision({ choice: "local", a: null }), null, "y"), refused);
  assertEquals(decide(RULE, true, blank, null, null), { kind: "nothing" });
  assertEquals(decide(RULE, true, decision({ choice: "remote", a: null }), null, "y"), {
    kind: "changes",
    changes: [{ side: "local", before: null, after: "y", rule: "decision" }],
  });
});

Deno.test("decide() makes a set the managed names that were decided", () => {
  const sides = { a: ["One"], b: ["Two"] };
  assertEquals(decide(TAGS, false, decision({ ...sides, choice: "local" }), sides.a, sides.b), {
    kind: "changes",
    changes: [{ side: "remote", before: ["Two"], after: ["One"], rule: "decision" }],
  });
  const both = decision({ ...sides, choice: "value", value: ["Two", "Mine", "One"] });
  assertEquals(decide(TAGS, false, both, sides.a, sides.b), {
    kind: "changes",
    changes: [
      { side: "local", before: ["One"], after: ["One", "Two"], rule: "decision" },
      { side: "remote", before: ["Two"], after: ["One", "Two"], rule: "decision" },
    ],
  });
  assertEquals(decide(TAGS, false, both, ["One", "Two"], ["One", "Two"]), { kind: "nothing" });
});
