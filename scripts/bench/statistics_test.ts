import { assertEquals, assertThrows } from "@std/assert";
import { median } from "./statistics.ts";

Deno.test("median() is the middle, whatever the order", () => {
  assertEquals(median([10, 9, 100]), 10);
  assertEquals(median([4, 1, 3, 2]), 2.5);
  assertEquals(median([7]), 7);
  assertThrows(() => median([]), RangeError);
});
