import { assertEquals, assertFalse, assertRejects } from "@std/assert";
import { TestApi } from "../../../simulators/mailerlite/test_api.ts";
import { RemoteError } from "../remote_error.ts";
import { json, testContext } from "./_test_util.ts";
import { MailerLiteClient } from "./client.ts";
import { subscriberWebhook } from "./webhook.ts";
import { listWebhooks, registerWebhook, removeWebhook } from "./webhook_account.ts";

const URL_A = "https://project.test/functions/v1/sync-webhook";
const { events } = subscriberWebhook;

function world() {
  const api = new TestApi();
  const env = new Map([["MAILERLITE_API_KEY", "simulator-token"]]);
  const context = testContext(() => new Error("Nobody may be asked"), {
    fetch: async (input, init) => await api.simulator.handle(new Request(input, init)),
    env: (name) => env.get(name),
  });
  return { api, client: new MailerLiteClient(context) };
}

Deno.test("registerWebhook() registers an address with every event, in batches", async () => {
  const { api, client } = world();
  const { webhook, outcome, doubles } = await registerWebhook(client, URL_A, events);
  assertEquals([outcome, doubles], ["created", []]);
  const row = await api.data("GET", `webhooks/${webhook.id}`);
  assertEquals([row["url"], row["events"], row["enabled"], row["batchable"], row["secret"]], [
    URL_A,
    [...events],
    true,
    true,
    webhook.secret,
  ]);
});

Deno.test("registerWebhook() brings the webhook of the same address up to date instead of adding one", async () => {
  const { api, client } = world();
  const old = await api.data("POST", "webhooks", {
    url: "https://PROJECT.test/functions/v1/sync-webhook",
    events: ["subscriber.created"],
    enabled: false,
  });
  await api.data("POST", "webhooks", { url: "https://other.test/", events: events.slice(0, 1) });
  const first = await registerWebhook(client, URL_A, events);
  const second = await registerWebhook(client, URL_A, events);
  for (const { webhook, outcome, doubles } of [first, second]) {
    assertEquals([webhook.id, webhook.secret, outcome, doubles], [
      old["id"],
      old["secret"],
      "updated",
      [],
    ]);
    assertEquals([webhook.events, webhook.enabled], [[...events], true]);
  }
  assertEquals(api.simulator.counts().webhooks, 2);
});

Deno.test("registerWebhook() tells of further webhooks of the address, and leaves them alone", async () => {
  const { api, client } = world();
  const older = await api.data("POST", "webhooks", { url: URL_A, events: events.slice(0, 1) });
  const newer = await api.data("POST", "webhooks", { url: URL_A, events: events.slice(0, 1) });
  const { webhook, doubles } = await registerWebhook(client, URL_A, events);
  assertEquals([webhook.id, doubles], [newer["id"], [older["id"]]]);
  assertEquals((await api.data("GET", `webhooks/${older["id"]}`))["events"], events.slice(0, 1));
});

Deno.test("registerWebhook() may be done again when nobody knows what became of it", async () => {
  const { api, client } = world();
  api.simulator.setFaults([{
    method: "POST",
    path: "/webhooks",
    effect: { kind: "reset", when: "after" },
  }]);
  const error = await assertRejects(() => registerWebhook(client, URL_A, events), RemoteError);
  assertEquals(error.kind, "unknown_outcome");
  api.simulator.setFaults([]);
  assertEquals((await registerWebhook(client, URL_A, events)).outcome, "updated");
  assertEquals(api.simulator.counts().webhooks, 1);
});

Deno.test("listWebhooks() reads every page, and what the last call of each came to", async () => {
  const { api, client } = world();
  for (let n = 0; n < 51; n++) {
    await api.call("POST", "webhooks", {
      url: `https://project.test/${n}`,
      events: events.slice(0, 1),
    });
  }
  api.receive = () => 503;
  await api.subscriber("a@example.com");
  await api.simulator.pumpWebhooks();
  const webhooks = await listWebhooks(client);
  assertEquals(webhooks.length, 51);
  assertEquals(new Set(webhooks.map(({ url }) => url)).size, 51);
  for (const { lastResponse, lastFiredAt, blocked } of webhooks) {
    assertEquals([lastResponse, lastFiredAt, blocked], ["503", "2024-08-13 09:49:51", false]);
  }
});

Deno.test("removeWebhook() removes one, and says where there is none", async () => {
  const { api, client } = world();
  const { webhook } = await registerWebhook(client, URL_A, events);
  await removeWebhook(client, webhook.id);
  assertEquals(api.simulator.counts().webhooks, 0);
  const error = await assertRejects(() => removeWebhook(client, webhook.id), RemoteError);
  assertEquals(error.code, "remote_not_found");
});

Deno.test("an answer of another form is refused without quoting it", async () => {
  const row = { id: "1", url: URL_A, events: [], enabled: true, secret: 4711 };
  const context = testContext(() => json({ data: [row], meta: { last_page: 1 } }));
  const error = await assertRejects(() => listWebhooks(new MailerLiteClient(context)), RemoteError);
  assertEquals(error.code, "remote_invalid_answer");
  assertFalse(error.message.includes("4711"));
});
