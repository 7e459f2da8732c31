import { assertEquals } from "@std/assert";
import type { JsonObject } from "./json.ts";
import { TestApi } from "./test_api.ts";

async function start(api: TestApi, subscribers: JsonObject[]): Promise<() => Promise<JsonObject>> {
  const group = await api.group("VIP");
  const { body } = await api.call("POST", `groups/${group}/import-subscribers`, { subscribers });
  const path = String(body["import_progress_url"]).split("/api/")[1] ?? "";
  return () => api.data("GET", path);
}

Deno.test("an import works off its rows as the clock goes", async () => {
  const api = new TestApi({ importRowsPerSecond: 100 });
  const progress = await start(
    api,
    Array.from({ length: 250 }, (_, n) => ({ email: `p${n}@example.com` })),
  );
  const seen: unknown[][] = [];
  for (const ms of [0, 1000, 1000, 500]) {
    api.simulator.advance(ms);
    const now = await progress();
    seen.push([now["processed"], now["percent"], now["done"], api.simulator.counts().subscribers]);
  }
  assertEquals(seen, [[0, 0, false, 0], [100, 40, false, 100], [200, 80, false, 200], [
    250,
    100,
    true,
    250,
  ]]);
  const last = await progress();
  assertEquals([last["imported"], last["updated"], last["errored"]], [250, 0, 0]);
  assertEquals(last["finished_at"], "2024-08-13T09:49:53.000000Z");
});

Deno.test("an import tells new, changed, unchanged, doubled, broken and unsubscribed rows apart", async () => {
  const api = new TestApi({ switches: { importSamples: "filled" } });
  api.simulator.seed({
    groups: ["VIP"],
    subscribers: [
      { email: "same@example.com", groups: ["VIP"] },
      { email: "old@example.com", fields: { name: "Old" } },
      { email: "gone@example.com", status: "unsubscribed" },
    ],
  });
  const [group] = (await api.call("GET", "groups")).body["data"] as JsonObject[];
  const subscribers = [
    { email: "NEW@example.com", fields: { name: "New" } },
    { email: "new@example.com" },
    { email: "old@example.com", fields: { name: "Changed" } },
    { email: "same@example.com" },
    { email: "gone@example.com", status: "active" },
    { email: "no address" },
  ];
  await api.call("POST", `groups/${group?.["id"]}/import-subscribers`, { subscribers });
  api.simulator.advance(1000);
  const [done = {}] = (await api.call("GET", "subscribers/import")).body["data"] as JsonObject[];
  assertEquals(["total", "imported", "updated", "errored"].map((key) => done[key]), [6, 1, 1, 4]);
  const counts = ["changed", "unchanged", "duplicate", "unsubscribed", "invalid"].map((key) =>
    done[`${key}_count`]
  );
  assertEquals(counts, [1, 1, 1, 1, 1]);
  const created = await api.data("GET", "subscribers/new@example.com");
  assertEquals([created["source"], (created["groups"] as JsonObject[]).length], ["import", 1]);
  assertEquals((await api.data("GET", "subscribers/gone@example.com"))["status"], "unsubscribed");
});

Deno.test("imports have a limit of five a minute beside the global one", async () => {
  const api = new TestApi();
  const group = await api.group("VIP");
  const post = () =>
    api.call("POST", `groups/${group}/import-subscribers`, {
      subscribers: [{ email: "a@example.com" }],
    });
  const statuses: number[] = [];
  for (let n = 0; n < 6; n++) statuses.push((await post()).status);
  assertEquals(statuses, [200, 200, 200, 200, 200, 429]);
  assertEquals((await api.call("GET", "fields")).headers.get("x-ratelimit-remaining"), "112");
  api.simulator.advance(60_000);
  assertEquals((await post()).status, 200);
});

Deno.test("an empty import and one into no group are refused", async () => {
  const api = new TestApi();
  assertEquals(
    (await api.call("POST", "groups/1/import-subscribers", { subscribers: [] })).status,
    404,
  );
  const group = await api.group("VIP");
  assertEquals(
    (await api.call("POST", `groups/${group}/import-subscribers`, { subscribers: [] })).status,
    422,
  );
});
