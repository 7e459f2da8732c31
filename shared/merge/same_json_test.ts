import { assert, assertFalse } from "@std/assert";
import { sameJson } from "./same_json.ts";

Deno.test("sameJson() compares by content, and takes a missing value for null", () => {
  assert(sameJson(undefined, null));
  assert(sameJson("x", "x"));
  assert(sameJson(["x", "y"], ["x", "y"]));
  assert(sameJson([], []));
  assertFalse(sameJson(["x", "y"], ["y", "x"]));
  assertFalse(sameJson([], null));
  assertFalse(sameJson("1", 1));
  assertFalse(sameJson("[]", []));
  assertFalse(sameJson(false, null));
});

Deno.test("sameJson() compares records whatever the order of their fields", () => {
  assert(sameJson({ a: "1", b: { c: ["x"], d: null } }, { b: { d: null, c: ["x"] }, a: "1" }));
  assertFalse(sameJson({ a: "1", b: "2" }, { a: "1", b: "3" }));
  assertFalse(sameJson({ a: "1", b: null }, { a: "1", c: null }));
  assertFalse(sameJson({ a: "1" }, { a: "1", b: "2" }));
  assertFalse(sameJson({}, []));
  assertFalse(sameJson({ 0: "x", length: 1 }, ["x"]));
});
