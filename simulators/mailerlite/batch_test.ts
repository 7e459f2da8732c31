import { assertEquals } from "@std/assert";
import type { JsonObject } from "./json.ts";
import { TestApi } from "./test_api.ts";

const upsert = (n: number) => ({
  method: "POST",
  path: "api/subscribers",
  body: { email: `p${n}@example.com` },
});

async function run(
  api: TestApi,
  requests: unknown[],
): Promise<{ codes: unknown[]; body: JsonObject }> {
  const { status, body } = await api.call("POST", "batch", { requests });
  assertEquals(status, 200);
  return { codes: (body["responses"] as JsonObject[]).map((item) => item["code"]), body };
}

Deno.test("items are answered in the order sent, and a failing one stops nothing", async () => {
  const api = new TestApi();
  const { codes, body } = await run(api, [
    upsert(1),
    { method: "POST", path: "/api/subscribers", body: { email: "no" } },
    { method: "get", path: "api/subscribers/p1@example.com" },
    { method: "DELETE", path: "api/groups/1" },
    { method: "PATCH", path: "api/groups" },
    upsert(1),
  ]);
  assertEquals(codes, [201, 422, 200, 404, 405, 200]);
  assertEquals([body["total"], body["successful"], body["failed"]], [6, 3, 3]);
});

Deno.test("GET parameters work in the path and in the body (mailerlite-nodejs tapes, batch)", async () => {
  const api = new TestApi();
  api.simulator.seed({
    subscribers: [{ email: "a@example.com" }, { email: "b@example.com", status: "junk" }],
  });
  const { body } = await run(api, [
    { method: "GET", path: "api/subscribers?filter[status]=junk&limit=1" },
    { method: "GET", path: "api/subscribers", body: { filter: { status: "junk" }, limit: 1 } },
  ]);
  const [first, second] = body["responses"] as JsonObject[];
  assertEquals(first, second);
  const rows = (second?.["body"] as JsonObject)["data"] as JsonObject[];
  assertEquals(rows.map((row) => row["email"]), ["b@example.com"]);
});

Deno.test("a malformed envelope is refused by path, webhooks and batches inside are too", async () => {
  const api = new TestApi();
  const requests = [{ path: "api/groups" }, { method: "GET", path: "groups" }, {
    method: "GET",
    path: "api/webhooks",
  }, {
    method: "POST",
    path: "api/batch",
  }];
  const { status, body } = await api.call("POST", "batch", { requests });
  assertEquals(status, 422);
  assertEquals(Object.keys(body["errors"] as JsonObject), [
    "requests.0.method",
    "requests.1.path",
    "requests.2.path",
    "requests.3.path",
  ]);
  assertEquals((await api.call("POST", "batch", {})).status, 422);
});

Deno.test("a batch of upserts alone falls under the import limit, and over it does nothing", async () => {
  const api = new TestApi();
  for (let n = 0; n < 5; n++) await run(api, [upsert(n)]);
  const sixth = await api.call("POST", "batch", { requests: [upsert(6), upsert(7)] });
  assertEquals([sixth.status, sixth.body["message"]], [
    429,
    "You're being rate limited on import creation.",
  ]);
  assertEquals(sixth.headers.get("retry-after"), "60");
  assertEquals(api.simulator.counts().subscribers, 5);
  const mixed = await run(api, [upsert(6), { method: "GET", path: "api/groups?limit=1" }]);
  assertEquals(mixed.codes, [201, 200]);
  api.simulator.advance(60_000);
  assertEquals((await run(api, [upsert(7)])).codes, [201]);
});

Deno.test("requests count a batch once and its items apart", async () => {
  const api = new TestApi();
  await run(api, [upsert(1), upsert(2), {
    method: "PUT",
    path: "api/subscribers/p1@example.com",
    body: {},
  }]);
  await api.call("GET", "subscribers/p1@example.com");
  await api.call("GET", "nowhere");
  const report = api.simulator.requestReport();
  assertEquals(report.byRoute, { "POST /batch": 1, "GET /subscribers/{id}": 1, "GET unknown": 1 });
  assertEquals(report.batchItems, { "POST /subscribers": 2, "PUT /subscribers/{id}": 1 });
  assertEquals([report.total, report.byStatus], [3, { "200": 2, "404": 1 }]);
  api.simulator.resetRequests();
  assertEquals(api.simulator.requests(), {});
});
