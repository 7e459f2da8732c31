import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DailyQuotaModel } from "../../tests/lib/daily_quota_model.ts";
import { DailyQuota, type DailyQuotaOptions } from "./daily_quota.ts";
import { QuotaExceededError } from "./daily_quota_exceeded_error.ts";

const NOON = Date.UTC(2026, 10, 21, 12);
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** Workers that share one quota on one clock. */
function shared(start = NOON) {
  let now = start;
  const store = new DailyQuotaModel(() => now);
  return {
    pass: (ms: number) => {
      now += ms;
    },
    worker: (options: Partial<DailyQuotaOptions> = {}) => new DailyQuota({ store, ...options }),
  };
}

Deno.test("reserve() grants 5000 records a day to all workers together", async () => {
  const { worker } = shared();
  assertEquals((await worker().reserve(3_000)).granted, 3_000);
  assertEquals((await worker().reserve(3_000)).granted, 2_000);
  const error = await assertRejects(
    () => worker().reserve(1),
    QuotaExceededError,
    "Cannot take 1 of the daily quota 'records': 0 of 5000 are used, 5000 reserved; a new day begins at 2026-11-22T00:00:00.000Z",
  );
  const { code, limit, used, reserved, resetAt, retryAfterMs } = error;
  assertEquals({ code, limit, used, reserved, resetAt, retryAfterMs }, {
    code: "daily_quota_exceeded",
    limit: 5_000,
    used: 0,
    reserved: 5_000,
    resetAt: "2026-11-22T00:00:00.000Z",
    retryAfterMs: 12 * HOUR_MS,
  });
});

Deno.test("reserve() grants all or nothing when asked to", async () => {
  const { worker } = shared();
  const quota = worker({ limit: 10 });
  await quota.reserve(4, { all: true });
  await assertRejects(() => quota.reserve(7, { all: true }), QuotaExceededError);
  assertEquals((await quota.reserve(6, { all: true })).granted, 6);
});

Deno.test("settle() returns what was not used, once", async () => {
  const { worker } = shared();
  const quota = worker({ limit: 10 });
  const reservation = await quota.reserve(8);
  await quota.settle(reservation, 3);
  await quota.settle(reservation, 3);
  const { used, reserved } = await quota.state();
  assertEquals([used, reserved], [3, 0]);
  assertEquals((await quota.reserve(10)).granted, 7);
});

Deno.test("a reservation that is never settled comes back after 10 minutes", async () => {
  const { worker, pass } = shared();
  const quota = worker({ limit: 10 });
  await quota.reserve(10);
  pass(10 * MINUTE_MS - 1);
  await assertRejects(() => quota.reserve(1), QuotaExceededError);
  pass(1);
  assertEquals((await quota.reserve(10)).granted, 10);
});

Deno.test("a reservation made before midnight does not count on the next day", async () => {
  const { worker, pass } = shared(Date.UTC(2026, 10, 21, 23, 59));
  const quota = worker({ limit: 10 });
  const reservation = await quota.reserve(10);
  pass(MINUTE_MS);
  assertEquals((await quota.reserve(10)).granted, 10);
  await quota.settle(reservation, 10);
  const { used, reserved, resetAt } = await quota.state();
  assertEquals([used, reserved, resetAt], [0, 10, "2026-11-23T00:00:00.000Z"]);
});

Deno.test("a daily quota refuses numbers that count nothing", async () => {
  const { worker } = shared();
  for (const limit of [0, -1, 1.5, Number.NaN]) {
    assertThrows(() => worker({ limit }), RangeError, "'limit' must be an integer from 1 to ");
  }
  assertThrows(() => worker({ leaseMs: 86_400_001 }), RangeError, "'leaseMs'");
  const quota = worker();
  for (const want of [0, -1, 0.5, Number.POSITIVE_INFINITY]) {
    await assertRejects(() => quota.reserve(want), RangeError, "'want' must be an integer");
  }
  const reservation = await quota.reserve(5);
  for (const used of [-1, 6, 1.5]) {
    await assertRejects(
      () => quota.settle(reservation, used),
      RangeError,
      `'used' must be an integer from 0 to 5: current value is ${used}`,
    );
  }
});
