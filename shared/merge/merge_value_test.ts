import { assertEquals } from "@std/assert";
import { valueRule } from "../../tests/lib/merge_rules.ts";
import type { FieldBase } from "./field_base.ts";
import type { Json } from "./json.ts";
import { mergeValue } from "./merge_value.ts";
import type { ValueRule } from "./pair.ts";

type Base = readonly [a: Json, b: Json] | readonly [a: Json, b: Json, settled: "settled"] | null;

function baseOf(base: Base): FieldBase | null {
  return base === null ? null : { a: base[0], b: base[1], settled: base[2] !== undefined };
}

/** The outcome in a word: where the value goes and why, or why it does not. */
function merged(rule: ValueRule, base: Base, a: Json, b: Json, isKey = false): string {
  const outcome = mergeValue(rule, isKey, baseOf(base), a, b);
  if (outcome.kind === "nothing") return "nothing";
  if (outcome.kind !== "changes") return `${outcome.kind} ${outcome.reason}`;
  const [change] = outcome.changes;
  assertEquals(change?.before, change?.side === "local" ? a : b);
  assertEquals(change?.after, change?.side === "local" ? b : a);
  return `${change?.side} ${change?.rule}`;
}

type Row = [base: Base, a: Json, b: Json, outcome: string];

function assertRows(rule: ValueRule, rows: readonly Row[], isKey = false): void {
  for (const [base, a, b, outcome] of rows) {
    assertEquals(merged(rule, base, a, b, isKey), outcome, JSON.stringify([base, a, b]));
  }
}

const ANY_WINS = ["local", "remote", "manual"] as const;

Deno.test("mergeValue() does nothing where the sides agree, whatever stood there before", () => {
  for (const wins of ANY_WINS) {
    for (const flow of ["both", "to_local", "to_remote"] as const) {
      assertRows(valueRule({ wins, flow }), [
        [null, "x", "x", "nothing"],
        [["x", "x"], "x", "x", "nothing"],
        [["x", "x"], "y", "y", "nothing"],
        [["x", "y", "settled"], null, null, "nothing"],
      ]);
    }
  }
});

Deno.test("mergeValue() passes an edit of one side on, whoever wins", () => {
  for (const wins of ANY_WINS) {
    assertRows(valueRule({ wins }), [
      [["x", "x"], "y", "x", "remote edit"],
      [["x", "x"], "x", "y", "local edit"],
      [[null, null], "y", null, "remote edit"],
      [["x", null], "z", null, "remote edit"],
      [["x", "y", "settled"], "x", "z", "local edit"],
    ]);
  }
});

Deno.test("mergeValue() asks a person when a value was edited on which the sides never agreed", () => {
  assertRows(valueRule({ wins: "manual" }), [
    [["x", "y"], "z", "y", "conflict first_link"],
    [["x", "y"], "x", "z", "conflict first_link"],
  ]);
  for (const wins of ["local", "remote"] as const) {
    assertRows(valueRule({ wins }), [[["x", "y"], "z", "y", "remote edit"]]);
  }
});

Deno.test("mergeValue() asks a person at the first edit of what a one-way rule kept apart, once it flows both ways", () => {
  const base = { a: "x", b: "y", settled: true, keptApart: true };
  const outcome = (rule: ValueRule, a: Json, b: Json) => mergeValue(rule, false, base, a, b);
  const open = valueRule({ wins: "manual" });
  const asked = { kind: "conflict", reason: "first_link" } as const;
  assertEquals(outcome(open, "z", "y"), asked);
  assertEquals(outcome(open, "x", "z"), asked);
  assertEquals(outcome(open, "x", "y"), { kind: "nothing" });
  for (const wins of ["local", "remote"] as const) {
    assertEquals(outcome(valueRule({ wins }), "z", "y").kind, "changes");
  }
  // Still one-way, what was edited against its way stays, and its source goes on.
  const oneWay = valueRule({ wins: "manual", flow: "to_remote" });
  assertEquals(outcome(oneWay, "x", "z"), { kind: "kept", reason: "one_way" });
  assertEquals(outcome(oneWay, "z", "y").kind, "changes");
});

Deno.test("mergeValue() lets the policy decide where both sides were edited apart", () => {
  const rows = (outcome: string): Row[] => [
    [["x", "x"], "y", "z", outcome],
    [["x", "y"], "y", "x", outcome],
    [["x", "y", "settled"], "y", "x", outcome],
  ];
  assertRows(valueRule({ wins: "local" }), rows("remote wins_local"));
  assertRows(valueRule({ wins: "remote" }), rows("local wins_remote"));
  assertRows(valueRule({ wins: "manual" }), rows("conflict both_changed"));
});

Deno.test("mergeValue() fills the blank side of a first link, and lets the policy decide the rest", () => {
  for (const base of [null, ["y", "z"], ["y", null], [null, "z"]] as const) {
    const [a, b] = base ?? ["y", "z"];
    const outcomes = a === null
      ? ["local first_fill", "local first_fill", "local first_fill"]
      : b === null
      ? ["remote first_fill", "remote first_fill", "remote first_fill"]
      : ["remote wins_local", "local wins_remote", "conflict first_link"];
    for (const [i, wins] of ANY_WINS.entries()) {
      assertRows(valueRule({ wins }), [[base, a, b, outcomes[i] ?? ""]]);
    }
  }
});

Deno.test("mergeValue() leaves a settled difference until somebody edits it", () => {
  assertRows(valueRule(), [
    [["x", "y", "settled"], "x", "y", "nothing"],
    [["x", null, "settled"], "x", null, "nothing"],
    [["x", "y", "settled"], "z", "y", "remote edit"],
  ]);
});

Deno.test("mergeValue() never lets a one-way field travel against its way", () => {
  for (const wins of ANY_WINS) {
    assertRows(valueRule({ flow: "to_remote", wins, mayBlank: true }), [
      [["x", "x"], "y", "x", "remote edit"],
      [["x", "x"], "x", "y", "kept one_way"],
      [["x", "x"], "x", null, "kept one_way"],
      [["x", "x"], "y", "z", "remote wins_local"],
      [["x", "x"], null, "z", "remote wins_local"],
      [null, "x", "y", "remote wins_local"],
      [null, "x", null, "remote first_fill"],
      [null, null, "y", "kept one_way"],
    ]);
    assertRows(valueRule({ flow: "to_local", wins }), [
      [["x", "x"], "y", "x", "kept one_way"],
      [["x", "x"], "x", "y", "local edit"],
      [["x", "x"], "y", "z", "local wins_remote"],
      [null, "x", "y", "local wins_remote"],
      [null, "x", null, "kept one_way"],
      [null, null, "y", "local first_fill"],
    ]);
  }
});

Deno.test("mergeValue() empties a field only where it may, and never the key", () => {
  const rows = (edit: string, wins: string): Row[] => [
    [["x", "x"], null, "x", edit],
    [["x", "x"], null, "y", wins],
  ];
  const refused = "conflict blank_not_allowed";
  assertRows(valueRule({ mayBlank: true }), rows("remote edit", "remote wins_local"));
  assertRows(valueRule({ mayBlank: false }), rows(refused, refused));
  assertRows(valueRule({ mayBlank: true }), rows(refused, refused), true);
  assertRows(valueRule({ mayBlank: false }), [[["x", "x"], "y", "x", "remote edit"]], true);
  assertRows(valueRule({ mayBlank: false, wins: "remote" }), [
    [["x", "x"], "x", null, refused],
    [["x", "x"], "y", null, refused],
    [["x", "x"], null, "y", "local wins_remote"],
  ]);
});
