import { assertEquals, assertThrows } from "@std/assert";
import { bucketLimits } from "./bucket_limits.ts";

Deno.test("bucketLimits() takes a tenth of the budget at a time, at least 1", () => {
  assertEquals(bucketLimits("remote", { budget: 120 }), {
    budget: 120,
    windowMs: 60_000,
    block: 12,
    lifeMs: 8_000,
    flightMs: 10_000,
  });
  assertEquals(bucketLimits("remote:import", { budget: 5 }).block, 1);
  assertEquals(bucketLimits("remote", { budget: 10_000 }).block, 20);
});

Deno.test("bucketLimits() refuses what is no budget", () => {
  const wrong = [
    { budget: 0 },
    { budget: 1.5 },
    { budget: Number.NaN },
    { budget: 120, windowMs: 0 },
    { budget: 120, block: -1 },
    { budget: 120, lifeMs: 0.5 },
    { budget: 120, flightMs: Number.POSITIVE_INFINITY },
  ];
  for (const limits of wrong) {
    assertThrows(
      () => bucketLimits("remote", limits),
      RangeError,
      "must be a positive integer: current value is",
    );
  }
  assertThrows(
    () => bucketLimits("remote", { budget: 5, block: 6 }),
    RangeError,
    "'block' must not be larger than the budget of 5: current value is 6",
  );
});
