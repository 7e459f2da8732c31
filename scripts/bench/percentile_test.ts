import { assertEquals, assertThrows } from "@std/assert";
import { percentile } from "./percentile.ts";

Deno.test("percentile() is one of the values, in whatever order they come", () => {
  const values = [40, 10, 30, 20];
  assertEquals([25, 26, 50, 75, 99, 100].map((percent) => percentile(values, percent)), [
    10,
    20,
    20,
    30,
    40,
    40,
  ]);
  assertEquals(percentile([7], 50), 7);
  assertThrows(() => percentile([], 50), RangeError);
});
