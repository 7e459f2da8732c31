import { assertEquals, assertThrows } from "@std/assert";
import { circuitBreakerLimits } from "./circuit_breaker_limits.ts";

Deno.test("circuitBreakerLimits() opens after 3 failures in 10 minutes and cools down for 1 to 15", () => {
  assertEquals(circuitBreakerLimits({}), {
    failureThreshold: 3,
    windowMs: 600_000,
    cooldownMs: 60_000,
    maxCooldownMs: 900_000,
    probeLeaseMs: 60_000,
  });
});

Deno.test("circuitBreakerLimits() refuses what is no limit", () => {
  const wrong = [
    { failureThreshold: 0 },
    { failureThreshold: 101 },
    { windowMs: 1.5 },
    { cooldownMs: -1 },
    { maxCooldownMs: Number.POSITIVE_INFINITY },
    { probeLeaseMs: Number.NaN },
    { windowMs: 2_147_483_648 },
  ];
  for (const limits of wrong) {
    assertThrows(
      () => circuitBreakerLimits(limits),
      RangeError,
      `'${Object.keys(limits)[0]}' must be an integer from 1 to `,
    );
  }
  assertThrows(
    () => circuitBreakerLimits({ cooldownMs: 2_000, maxCooldownMs: 1_000 }),
    RangeError,
    "'cooldownMs' must not be larger than the longest of 1000: current value is 2000",
  );
});
