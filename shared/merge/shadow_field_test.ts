import { assertEquals } from "@std/assert";
import { setRule } from "../../tests/lib/merge_rules.ts";
import type { FieldBase } from "./field_base.ts";
import { setAfter, type SideAfter, valueAfter } from "./shadow_field.ts";

const RULE = setRule("One", "Two", "Three");

/** A side that was read and left alone. */
function read(...names: string[]): SideAfter {
  return { read: names, wanted: undefined, written: false, held: names };
}

/** A side that was to hold other names. */
function wanted(before: SideAfter, names: string[], held: string[] | "not_done"): SideAfter {
  const isDone = held !== "not_done";
  return { read: before.read, wanted: names, written: isDone, held: isDone ? held : before.held };
}

function after(base: FieldBase | null, a: SideAfter, b: SideAfter, isKept = false) {
  return setAfter(RULE, { base, a, b, isConflict: false, kept: isKept ? "direction" : null });
}

function agreed(...names: string[]): FieldBase {
  return { a: names, b: names, settled: false };
}

Deno.test("setAfter() records names that were done, and leaves due those that were not", () => {
  // One was added on side A, Two was removed there; Three was added at the remote.
  const a = read("One");
  const b = read("Two", "Three");
  const all = ["One", "Three"];
  const base = agreed("Two");
  assertEquals(after(base, wanted(a, all, all), wanted(b, all, all)), agreed(...all));
  assertEquals(
    after(base, wanted(a, all, all), wanted(b, all, "not_done")),
    agreed("Two", "Three"),
  );
  assertEquals(after(base, wanted(a, all, "not_done"), wanted(b, all, all)), agreed("One"));
  assertEquals(after(base, wanted(a, all, all), b, true), agreed("Two", "Three"));
  assertEquals(after(base, a, wanted(b, all, all), true), agreed("One"));
  assertEquals(after(base, a, b, true), agreed("Two"));
});

Deno.test("setAfter() leaves a first link due by showing the name on no side", () => {
  assertEquals(after(null, read("One"), read("Two", "Three"), true), agreed());
  const drifted = { a: ["One"], b: [], settled: false };
  assertEquals(after(drifted, read("One"), read(), true), agreed());
});

Deno.test("setAfter() settles a name that the remote answered without doing it", () => {
  const b = wanted(read(), ["One", "Two"], ["One"]);
  assertEquals(after(agreed(), read("One", "Two"), b), {
    a: ["One", "Two"],
    b: ["One"],
    settled: true,
  });
});

Deno.test("setAfter() keeps apart what is settled and what is due", () => {
  const base = { a: ["One"], b: [], settled: true };
  // Two is new on side A and sent; Three is new at the remote and this run does not go there.
  const sent = wanted(read("Three"), ["Two", "Three"], ["Two", "Three"]);
  assertEquals(after(base, read("One", "Two"), sent, true), {
    a: ["One", "Two"],
    b: ["Two"],
    settled: true,
  });
});

Deno.test("setAfter() lets a half of a decision look like an edit to the other side", () => {
  // Decided: neither side is to hold One, and both are to hold Two.
  const side = read("One");
  const base = agreed("One");
  const due = wanted(side, ["Two"], "not_done");
  const done = wanted(side, ["Two"], ["Two"]);
  assertEquals(after(base, done, due), agreed("One"));
  assertEquals(after(base, due, done), agreed("One"));
  assertEquals(after(base, due, due), agreed("One"));
  assertEquals(after(base, done, done), agreed("Two"));
  assertEquals(after(base, done, wanted(side, ["Two"], ["One"])), {
    a: ["Two"],
    b: ["One"],
    settled: true,
  });
});

Deno.test("setAfter() takes no answer for a name that was not sent", () => {
  const b = wanted(read("Three"), ["One", "Three"], ["One", "Two"]);
  assertEquals(after(agreed("Three"), read("One", "Three"), b), agreed("One", "Three"));
});

Deno.test("setAfter() and valueAfter() leave the base under a conflict", () => {
  for (const base of [agreed("One"), { a: ["One"], b: [], settled: true }]) {
    const field = { base, a: read("Two"), b: read(), isConflict: true, kept: null };
    assertEquals(setAfter(RULE, field), base);
    assertEquals(valueAfter(field), base);
  }
});
