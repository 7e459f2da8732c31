import { assert, assertEquals } from "@std/assert";
import { hmacSha256Hex } from "./encoding.ts";
import { type JsonObject, parseBody } from "./json.ts";
import { TestApi } from "./test_api.ts";

const ALL = [
  "subscriber.created",
  "subscriber.updated",
  "subscriber.unsubscribed",
  "subscriber.added_to_group",
  "subscriber.removed_from_group",
  "subscriber.bounced",
  "subscriber.spam_reported",
  "subscriber.active",
];

interface Listener {
  readonly hook: JsonObject;
  readonly bodies: string[];
  readonly signatures: string[];
}

async function listen(api: TestApi, rest: JsonObject = {}, status = 200): Promise<Listener> {
  const bodies: string[] = [];
  const signatures: string[] = [];
  api.receive = (body, signature) => {
    bodies.push(body);
    signatures.push(signature);
    return status;
  };
  const hook = await api.data("POST", "webhooks", {
    url: "https://example.com/hook",
    events: ALL,
    ...rest,
  });
  return { hook, bodies, signatures };
}

const kind = (body: string) => parseBody(body)["event"] ?? parseBody(body)["type"];

Deno.test("events of a subscriber's life go out in order, each in its form (Activepieces trigger samples)", async () => {
  const api = new TestApi();
  const group = await api.group("VIP");
  const { bodies } = await listen(api);
  const id = await api.subscriber("a@example.com", { groups: [group] });
  await api.call("PUT", `subscribers/${id}`, { fields: { name: "Ada" } });
  await api.call("PUT", `subscribers/${id}`, { fields: { name: "Ada" } });
  await api.call("DELETE", `subscribers/${id}/groups/${group}`);
  await api.call("PUT", `subscribers/${id}`, { status: "unsubscribed" });
  api.simulator.change(id, { status: "bounced" });
  await api.simulator.pumpWebhooks();
  assertEquals(bodies.map(kind), [
    "subscriber.created",
    "subscriber.added_to_group",
    "subscriber.updated",
    "subscriber.removed_from_group",
    "subscriber.unsubscribed",
    "subscriber.bounced",
  ]);
  const [flat, nested] = bodies.map(parseBody);
  assertEquals([flat?.["email"], flat?.["created_at"]], [
    "a@example.com",
    "2024-08-13T09:49:51.000000Z",
  ]);
  assertEquals(["deleted_at", "forget_at", "location"].map((key) => flat?.[key]), [
    null,
    null,
    null,
  ]);
  assertEquals([flat?.["api_version"], typeof flat?.["account_id"], flat?.["groups"]], [
    "2025-05",
    "number",
    undefined,
  ]);
  assertEquals(nested?.["group"], { id: group, name: "VIP" });
  assertEquals((nested?.["subscriber"] as JsonObject)["id"], id);
});

Deno.test("the signature is the hex HMAC of the raw body under the webhook's secret (MailerLite docs, Webhooks)", async () => {
  const api = new TestApi();
  const { hook, bodies, signatures } = await listen(api);
  await api.subscriber("a@example.com", { fields: { name: "Zoë/1" } });
  await api.simulator.pumpWebhooks();
  assertEquals(signatures, [await hmacSha256Hex(String(hook["secret"]), bodies[0] ?? "")]);
  assert(/^[0-9a-f]{64}$/.test(signatures[0] ?? ""));
  // RFC 4231, test case 2.
  assertEquals(
    await hmacSha256Hex("Jefe", "what do ya want for nothing?"),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  );
});

Deno.test("a failing receiver is tried four times, after 10, 100 and 1000 s", async () => {
  const api = new TestApi();
  const { hook, bodies } = await listen(api, {}, 500);
  await api.subscriber("a@example.com");
  const tries: number[] = [];
  for (const ms of [0, 9_999, 1, 99_999, 1, 999_999, 1, 5_000_000]) {
    api.simulator.advance(ms);
    tries.push(await api.simulator.pumpWebhooks());
  }
  assertEquals(tries, [1, 0, 1, 0, 1, 0, 1, 0]);
  assertEquals(new Set(bodies).size, 1);
  assertEquals(api.simulator.webhookAttempts().map((attempt) => attempt.attempt), [1, 2, 3, 4]);
  const { response_code, last_fired_at } = await api.data("GET", `webhooks/${hook["id"]}`);
  assertEquals([response_code, last_fired_at], [500, "2024-08-13 10:08:21"]);
});

Deno.test("a receiver that does not answer in time has failed", async () => {
  const api = new TestApi({ webhookTimeoutMs: 1, deliver: () => new Promise<Response>(() => {}) });
  await listen(api);
  await api.subscriber("a@example.com");
  await api.simulator.pumpWebhooks();
  assertEquals(api.simulator.webhookAttempts().map((attempt) => attempt.outcome), ["failed"]);
  assertEquals(api.simulator.nextWebhookInMs(), 10_000);
});

Deno.test("a batchable webhook collects for a minute", async () => {
  const api = new TestApi();
  const { bodies } = await listen(api, {
    batchable: true,
    events: ["subscriber.created", "subscriber.deleted"],
  });
  const id = await api.subscriber("a@example.com");
  api.simulator.advance(30_000);
  await api.call("DELETE", `subscribers/${id}`);
  assertEquals(await api.simulator.pumpWebhooks(), 0);
  api.simulator.advance(30_000);
  assertEquals(await api.simulator.pumpWebhooks(), 1);
  const { events, total } = parseBody(bodies[0] ?? "");
  assertEquals(total, 2);
  assertEquals((events as JsonObject[]).map((event) => event["event"] ?? event["type"]), [
    "subscriber.created",
    "subscriber.deleted",
  ]);
});

Deno.test("knobs duplicate, lose and reorder deliveries", async () => {
  const api = new TestApi();
  const { bodies } = await listen(api);
  const three = async (
    knobs: Parameters<typeof api.simulator.setWebhookKnobs>[0],
    prefix: string,
  ) => {
    api.simulator.setWebhookKnobs({ dropEvery: 0, duplicateEvery: 0, reorder: false, ...knobs });
    bodies.length = 0;
    for (let n = 0; n < 3; n++) await api.subscriber(`${prefix}${n}@example.com`);
    await api.simulator.pumpWebhooks();
    return bodies.map((body) => String(parseBody(body)["email"]).charAt(1));
  };
  assertEquals(await three({ duplicateEvery: 3 }, "a"), ["0", "1", "2", "2"]);
  assertEquals(await three({ dropEvery: 3 }, "b"), ["0", "1"]);
  assertEquals(await three({ reorder: true }, "c"), ["2", "1", "0"]);
});

Deno.test("webhooks are checked, changed, disabled and removed", async () => {
  const api = new TestApi();
  const { hook, bodies } = await listen(api);
  const wrong = await api.call("POST", "webhooks", {
    url: "nowhere",
    events: ["subscriber.eaten"],
  });
  assertEquals(Object.keys(wrong.body["errors"] as JsonObject), ["url", "events.0"]);
  const needsBatch = await api.call("POST", "webhooks", {
    url: "https://example.com",
    events: ["subscriber.deleted"],
  });
  assertEquals(Object.keys(needsBatch.body["errors"] as JsonObject), ["batchable"]);
  const path = `webhooks/${hook["id"]}`;
  // Recorded: an empty list of events is accepted.
  assertEquals((await api.data("PUT", path, { events: [] }))["events"], []);
  await api.call("PUT", path, { events: ALL, enabled: false });
  await api.subscriber("a@example.com");
  assertEquals(await api.simulator.pumpWebhooks(), 0);
  assertEquals((await api.call("DELETE", path)).status, 204);
  assertEquals([(await api.call("GET", path)).status, bodies], [404, []]);
});

Deno.test("seeding fires nothing", async () => {
  const api = new TestApi();
  await listen(api);
  api.simulator.seed({ subscribers: [{ email: "a@example.com", groups: ["VIP"] }] });
  assertEquals(await api.simulator.pumpWebhooks(), 0);
});
