import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { JsonObject } from "./json.ts";
import { TestApi } from "./test_api.ts";

const UPSERT = { email: "ada@example.com" };

function creates(api: TestApi): number {
  return api.simulator.history().filter((entry) => entry.kind === "subscriber.create").length;
}

Deno.test("after and times script a rule, and rules in a row follow each other", async () => {
  const api = new TestApi();
  api.simulator.setFaults([
    { method: "GET", path: "/fields", after: 1, times: 1, effect: { kind: "status", status: 500 } },
    {
      path: "^/api/fields\\?page=",
      effect: { kind: "status", status: 503, headers: { "retry-after": "7" }, body: { a: 1 } },
    },
  ]);
  const statuses: number[] = [];
  for (const path of ["fields", "fields", "fields", "groups", "fields?page=1"]) {
    statuses.push((await api.call("GET", path)).status);
  }
  assertEquals(statuses, [200, 500, 200, 200, 503]);
  const last = await api.call("GET", "fields?page=2");
  assertEquals([last.text, last.headers.get("retry-after")], ['{"a":1}', "7"]);
  assertEquals(api.simulator.faults().map(({ seen, hits }) => [seen, hits]), [[5, 1], [2, 2]]);
});

Deno.test("latency waits on the given clock and adds up with what follows", async () => {
  const api = new TestApi();
  api.simulator.setFaults([
    { effect: { kind: "latency", ms: 1500 } },
    { effect: { kind: "latency", ms: 500 } },
    { effect: { kind: "status", status: 502 } },
  ]);
  assertEquals((await api.call("GET", "fields")).status, 502);
  assertEquals(api.slept, [2000]);
});

Deno.test("a reset before the effect rejects like fetch and writes nothing", async () => {
  const api = new TestApi();
  api.simulator.setFaults([{
    method: "POST",
    times: 1,
    effect: { kind: "reset", when: "before" },
  }]);
  await assertRejects(() => api.call("POST", "subscribers", UPSERT), TypeError, "connection reset");
  assertEquals(creates(api), 0);
  assertEquals((await api.call("POST", "subscribers", UPSERT)).status, 201);
});

Deno.test("a reset after the effect rejects too, but the subscriber is there", async () => {
  const api = new TestApi();
  api.simulator.setFaults([{ method: "POST", times: 1, effect: { kind: "reset", when: "after" } }]);
  await assertRejects(() => api.call("POST", "subscribers", UPSERT), TypeError, "connection reset");
  assertEquals(creates(api), 1);
  assertEquals((await api.call("POST", "subscribers", UPSERT)).status, 200);
  assertEquals(api.simulator.requestReport().byStatus, { reset: 1, "200": 1 });
});

Deno.test("a status after the effect lies about a write that took place", async () => {
  const api = new TestApi();
  api.simulator.setFaults([{
    method: "POST",
    times: 1,
    effect: { kind: "status", status: 500, when: "after" },
  }]);
  const { status, headers } = await api.call("POST", "subscribers", UPSERT);
  assertEquals([status, headers.get("x-ratelimit-remaining")], [500, "119"]);
  assertEquals(creates(api), 1);
});

Deno.test("an HTML page comes without rate headers and takes no quota", async () => {
  const api = new TestApi();
  api.simulator.setFaults([{ times: 1, effect: { kind: "html", status: 502 } }]);
  const { status, text, headers } = await api.call("GET", "fields");
  assertEquals([status, text.startsWith("<!DOCTYPE html>"), headers.get("x-ratelimit-limit")], [
    502,
    true,
    null,
  ]);
  assertEquals((await api.call("GET", "fields")).headers.get("x-ratelimit-remaining"), "119");
});

Deno.test("a truncated body breaks off while it is read, after the effect", async () => {
  const api = new TestApi();
  api.simulator.setFaults([{ method: "POST", times: 1, effect: { kind: "truncate", bytes: 10 } }]);
  const response = await api.simulator.handle(api.request("POST", "subscribers", UPSERT));
  assertEquals(response.status, 201);
  await assertRejects(() => response.text(), TypeError, "error reading a body");
  assertEquals(creates(api), 1);
});

Deno.test("a scripted 429 takes nothing from the window", async () => {
  const api = new TestApi();
  api.simulator.setFaults([{ times: 1, effect: { kind: "rate_limit", retryAfter: 13 } }]);
  const { status, headers } = await api.call("GET", "fields");
  assertEquals([status, headers.get("retry-after"), headers.get("x-ratelimit-remaining")], [
    429,
    "13",
    "0",
  ]);
  assertEquals((await api.call("GET", "fields")).headers.get("x-ratelimit-remaining"), "119");
});

Deno.test("single items of a batch can be refused inside a 200, with or without effect", async () => {
  const api = new TestApi();
  api.simulator.setFaults([
    {
      item: true,
      method: "POST",
      after: 1,
      times: 1,
      effect: { kind: "rate_limit", retryAfter: 5 },
    },
    {
      item: true,
      method: "POST",
      after: 2,
      times: 1,
      effect: { kind: "status", status: 500, when: "after" },
    },
  ]);
  const upsert = (n: number) => ({
    method: "POST",
    path: "api/subscribers",
    body: { email: `p${n}@example.com` },
  });
  const { status, body } = await api.call("POST", "batch", { requests: [1, 2, 3, 4].map(upsert) });
  const codes = (body["responses"] as JsonObject[]).map((item) => item["code"]);
  assertEquals([status, codes], [200, [201, 429, 500, 201]]);
  assertEquals(await api.emails("subscribers"), [
    "p4@example.com",
    "p3@example.com",
    "p1@example.com",
  ]);
});

Deno.test("a rule that cannot work is refused when it is set", () => {
  const { simulator } = new TestApi();
  assertThrows(
    () => simulator.setFaults([{ item: true, effect: { kind: "reset", when: "before" } }]),
    TypeError,
    'Cannot set a fault "reset" on batch items',
  );
  assertThrows(
    () => simulator.setFaults([{ path: "(", effect: { kind: "latency", ms: 1 } }]),
    SyntaxError,
  );
});
