import { assertEquals } from "@std/assert";
import { politeLimiter } from "./polite_limiter.ts";

function limited(requests: number) {
  const clock = { now: 0 };
  const limiter = politeLimiter({
    now: () => clock.now,
    sleep: (ms) => {
      clock.now += ms;
      return Promise.resolve();
    },
    requests,
    windowMs: 60_000,
  });
  return { clock, limiter };
}

Deno.test("politeLimiter() lets no window have more than its share", async () => {
  const { clock, limiter } = limited(3);
  const sent: number[] = [];
  for (let n = 0; n < 20; n++) {
    (await limiter.take("requests")).settle(null);
    sent.push(clock.now);
    clock.now += 10;
  }
  for (const from of sent) {
    const inWindow = sent.filter((at) => at >= from && at < from + 60_000).length;
    assertEquals(inWindow <= 3, true);
  }
});

Deno.test("politeLimiter() waits as long as the remote asks", async () => {
  const { clock, limiter } = limited(100);
  const permit = await limiter.take("requests");
  permit.settle({ limit: 120, remaining: 0, retryAfterMs: 7_000 });
  await limiter.take("requests");
  assertEquals(clock.now, 7_000);
});
