import { assertEquals } from "@std/assert";
import { setRule } from "../../tests/lib/merge_rules.ts";
import type { FieldBase } from "./field_base.ts";
import { mergeName, mergeSet } from "./merge_set.ts";

const RULE = setRule("One", "Two", "Three");

function agreed(...names: string[]): FieldBase {
  return { a: names, b: names, settled: false };
}

Deno.test("mergeSet() keeps an addition of one side and a removal of the other", () => {
  assertEquals(mergeSet(RULE, agreed("One", "Two"), ["One", "Two", "Three"], ["Two"]), {
    kind: "changes",
    changes: [
      {
        side: "local",
        before: ["One", "Two", "Three"],
        after: ["Two", "Three"],
        rule: "set_merge",
      },
      { side: "remote", before: ["Two"], after: ["Two", "Three"], rule: "set_merge" },
    ],
  });
});

Deno.test("mergeSet() names one side where only one has to change, in the order of the rule", () => {
  assertEquals(mergeSet(RULE, agreed(), ["Three", "One"], ["One"]), {
    kind: "changes",
    changes: [{ side: "remote", before: ["One"], after: ["One", "Three"], rule: "set_merge" }],
  });
  assertEquals(mergeSet(RULE, agreed("Two"), ["Two"], []), {
    kind: "changes",
    changes: [{ side: "local", before: ["Two"], after: [], rule: "set_merge" }],
  });
});

Deno.test("mergeSet() joins both sides of a first link", () => {
  for (const base of [null, { a: ["Two"], b: ["One"], settled: false }]) {
    assertEquals(mergeSet(RULE, base, ["Two"], ["One"]), {
      kind: "changes",
      changes: [
        { side: "local", before: ["Two"], after: ["One", "Two"], rule: "set_merge" },
        { side: "remote", before: ["One"], after: ["One", "Two"], rule: "set_merge" },
      ],
    });
  }
});

Deno.test("mergeSet() leaves what is not managed, what agrees, and what is settled", () => {
  assertEquals(mergeSet(RULE, agreed(), ["Mine"], []), { kind: "nothing" });
  assertEquals(mergeSet(RULE, agreed("One"), ["Two"], ["Two"]), { kind: "nothing" });
  const settled = { a: ["One"], b: [], settled: true };
  assertEquals(mergeSet(RULE, settled, ["One"], []), { kind: "nothing" });
  assertEquals(mergeSet(RULE, settled, ["One", "Two"], []), {
    kind: "changes",
    changes: [{ side: "remote", before: [], after: ["Two"], rule: "set_merge" }],
  });
});

Deno.test("mergeName() follows the side that changed, and keeps the name where both or neither did", () => {
  const rows: [baseA: boolean, baseB: boolean, inA: boolean, inB: boolean, a: boolean][] = [
    [false, false, true, false, true],
    [false, false, false, true, true],
    [true, true, false, true, false],
    [true, true, true, false, false],
    [true, false, true, false, true],
    [true, false, false, true, true],
    [false, true, false, false, false],
    [true, false, true, true, true],
  ];
  for (const [baseA, baseB, inA, inB, present] of rows) {
    const base = { a: baseA ? ["One"] : [], b: baseB ? ["One"] : [], settled: false };
    assertEquals(mergeName(base, "One", inA, inB), { a: present, b: present });
  }
});

Deno.test("mergeName() keeps a name that was added and removed at once, settled or not", () => {
  const base = { a: ["One"], b: [], settled: true };
  assertEquals(mergeName(base, "One", true, false), { a: true, b: false });
  assertEquals(mergeName(base, "One", false, true), { a: true, b: true });
});
