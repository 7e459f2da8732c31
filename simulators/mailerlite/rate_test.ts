import { assertEquals } from "@std/assert";
import { RateWindow } from "./rate_window.ts";
import { TestApi } from "./test_api.ts";

const left = async (api: TestApi) =>
  Number((await api.call("GET", "fields")).headers.get("x-ratelimit-remaining"));

Deno.test("43 calls in 7 s count down from 119 to 77 without a refill (mailerlite-nodejs tapes)", async () => {
  const api = new TestApi();
  const seen: number[] = [];
  for (let n = 0; n < 43; n++) {
    seen.push(await left(api));
    api.simulator.advance(160);
  }
  assertEquals(seen, Array.from({ length: 43 }, (_, n) => 119 - n));
});

Deno.test("the window opens with the first request and refills whole after 60 s (mailerlite-java fixtures)", async () => {
  const api = new TestApi();
  api.simulator.advance(30_000);
  assertEquals([await left(api), await left(api)], [119, 118]);
  api.simulator.advance(59_999);
  assertEquals(await left(api), 117);
  api.simulator.advance(1);
  assertEquals(await left(api), 119);
});

Deno.test("request 121 is refused with the documented body, and every kind of answer counts", async () => {
  const api = new TestApi();
  for (const path of ["nowhere", "subscribers/1", "groups"]) await api.call("POST", path, {});
  for (let n = 3; n < 120; n++) await api.call("GET", "fields");
  api.simulator.advance(1500);
  const { status, text, headers } = await api.call("GET", "fields");
  assertEquals([status, text], [429, '{"message":"Too Many Attempts."}']);
  assertEquals(
    ["x-ratelimit-limit", "x-ratelimit-remaining", "retry-after"].map((name) => headers.get(name)),
    [
      "120",
      "0",
      "59",
    ],
  );
  api.simulator.advance(58_500);
  assertEquals(await left(api), 119);
});

Deno.test("limits can be switched off and changed while running", async () => {
  const api = new TestApi({ limits: { enabled: false, perMinute: 2, importsPerMinute: 1 } });
  assertEquals([await left(api), await left(api), await left(api)], [2, 2, 2]);
  api.simulator.setLimits({ enabled: true, perMinute: 3 });
  assertEquals([await left(api), await left(api), await left(api)], [2, 1, 0]);
  assertEquals((await api.call("GET", "fields")).status, 429);
});

Deno.test("a take that does not fit takes nothing", () => {
  const window = new RateWindow(10);
  assertEquals(window.take(0, 8).remaining, 2);
  assertEquals(window.take(10, 3), { allowed: false, limit: 10, remaining: 2, resetMs: 59_990 });
  assertEquals(window.take(20, 2).allowed, true);
});
