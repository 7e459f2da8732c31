import { assert, assertEquals } from "@std/assert";
import { backoffMs, retryAfterMs, throttledMs } from "./retry.ts";

const NOW = Date.UTC(2026, 10, 20, 12, 0, 0);

Deno.test("retryAfterMs() reads seconds and HTTP dates, and nothing else", () => {
  assertEquals(retryAfterMs("119", NOW), 119_000);
  assertEquals(retryAfterMs(" 0 ", NOW), 0);
  assertEquals(retryAfterMs("Fri, 20 Nov 2026 12:00:30 GMT", NOW), 30_000);
  assertEquals(retryAfterMs("Fri, 20 Nov 2026 11:59:00 GMT", NOW), 0);
  assertEquals(retryAfterMs("soon", NOW), null);
  assertEquals(retryAfterMs("", NOW), null);
  assertEquals(retryAfterMs(null, NOW), null);
});

Deno.test("retryAfterMs() waits for three minutes at the most", () => {
  assertEquals(retryAfterMs("86400", NOW), 180_000);
  assertEquals(retryAfterMs("Sat, 20 Nov 2027 12:00:00 GMT", NOW), 180_000);
});

Deno.test("throttledMs() assumes a whole window where a 429 does not say", () => {
  assertEquals(throttledMs(null, NOW), 60_000);
  assertEquals(throttledMs("7", NOW), 7_000);
});

Deno.test("backoffMs() is full jitter under a doubling ceiling", () => {
  assertEquals(backoffMs(1, 0), 0);
  assertEquals(backoffMs(1, 0.5), 500);
  assertEquals(backoffMs(3, 0.5), 2000);
  for (let attempt = 1; attempt < 40; attempt++) {
    assert(backoffMs(attempt, 0.999) <= 20_000);
  }
});
