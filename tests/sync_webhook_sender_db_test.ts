/** From an edit in the remote to a row of the queue: the simulator's own sender in front of the real handler. */
import { assert, assertEquals, assertFalse } from "@std/assert";
import { syncWebhook } from "../shared/http/sync_webhook.ts";
import { MailerLiteClient } from "../shared/connectors/mailerlite/client.ts";
import { subscriberWebhook } from "../shared/connectors/mailerlite/webhook.ts";
import { registerWebhook } from "../shared/connectors/mailerlite/webhook_account.ts";
import type { MailerLiteSimulator } from "../simulators/mailerlite/mod.ts";
import config from "../sync.config.ts";
import { functionHarness, type Harness } from "./lib/function_harness.ts";

const ADDRESS = "http://project.test/functions/v1/sync-webhook";
const BATCH_WAITS_MS = 60_000;

interface World extends AsyncDisposable {
  readonly harness: Harness;
  readonly simulator: MailerLiteSimulator;
  /** The form of each body that was delivered. */
  readonly forms: string[];
  readonly answers: unknown[];
  /** What the function finds in its environment. */
  secret: string | undefined;
  /** Ids that must be in the queue. */
  readonly touched: Set<string>;
  /** Calls the API as its user would. */
  api(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>;
  /** Lets everything go out, with the retries of the first two minutes. */
  deliver(): Promise<void>;
  queued(): Promise<string[]>;
}

function formOf(body: string): string {
  const value = JSON.parse(body);
  return "events" in value ? "batched" : "type" in value ? "nested" : "flat";
}

async function world(): Promise<World> {
  const forms: string[] = [];
  const answers: unknown[] = [];
  let fetch: (request: Request) => Promise<Response> = () => Promise.reject(new TypeError("Early"));
  const harness = await functionHarness(import.meta.url, {
    simulator: {
      deliver: async (input, init) => {
        const request = new Request(input, init);
        forms.push(formOf(await request.clone().text()));
        const response = await fetch(request);
        answers.push(await response.clone().json());
        return response;
      },
    },
  });
  const { simulator } = harness;
  const runtime = harness.runtime();
  const state: World = {
    harness,
    simulator,
    forms,
    answers,
    secret: undefined,
    touched: new Set(),
    async api(method, path, body) {
      const response = await simulator.handle(
        new Request(`http://mailerlite.test/api/${path}`, {
          method,
          headers: { authorization: "Bearer simulator-token", "content-type": "application/json" },
          body: body === undefined ? null : JSON.stringify(body),
        }),
      );
      return response.status === 204 ? {} : (await response.json()).data;
    },
    async deliver() {
      await simulator.pumpWebhooks();
      for (const ms of [BATCH_WAITS_MS, 10_000, 100_000]) {
        simulator.advance(ms);
        await simulator.pumpWebhooks();
      }
    },
    async queued() {
      const rows = await harness.pool.query<{ record_id: string }>(
        `select record_id from public.sync_queue where pair = 'clients' and side = 'b' order by 1`,
      );
      return rows.map(({ record_id }) => record_id);
    },
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
  };
  const env = (name: string) =>
    name === "MAILERLITE_WEBHOOK_SECRET" ? state.secret : runtime.env(name);
  fetch = syncWebhook(config, { ...runtime, env }, { wake: () => Promise.resolve(null) });
  return state;
}

/** Registers as the command line does. */
async function register({ harness }: World): Promise<string> {
  const client = new MailerLiteClient({
    ...harness.runtime(),
    limiter: { take: () => Promise.resolve({ settle() {} }) },
    signal: new AbortController().signal,
  });
  return (await registerWebhook(client, ADDRESS, subscriberWebhook.events)).webhook.secret;
}

/** A life of a few people, in which every event that is asked for fires. */
async function live(world: World): Promise<void> {
  const { api, simulator, touched } = world;
  const { id: group } = await api("POST", "groups", { name: "VIP" });
  for (let n = 0; n < 12; n++) {
    const email = `canary-${n}@people.example.net`;
    const { id } = await api("POST", "subscribers", {
      email,
      fields: { name: "canary-name" },
      groups: [group],
    });
    touched.add(String(id));
    if (n % 6 === 0) await api("PUT", `subscribers/${id}`, { fields: { name: "canary-other" } });
    if (n % 6 === 1) await api("DELETE", `subscribers/${id}/groups/${group}`);
    if (n % 6 === 2) await api("PUT", `subscribers/${id}`, { status: "unsubscribed" });
    if (n % 6 === 3) simulator.change(String(id), { status: "bounced" });
    if (n % 6 === 4) simulator.change(String(id), { status: "junk" });
    if (n % 6 === 5) await api("DELETE", `subscribers/${id}`);
  }
}

function assertPrivate({ harness, answers }: World, rows: unknown): void {
  assertFalse(JSON.stringify([harness.log, answers, rows]).includes("canary"));
}

for (const deletedEventShape of ["nested", "flat"] as const) {
  Deno.test(`every event of the sender reaches the queue in batches, a deletion ${deletedEventShape}`, async () => {
    await using w = await world();
    w.simulator.setSwitches({ deletedEventShape });
    w.secret = await register(w);
    await live(w);
    await w.deliver();
    assertEquals(await w.queued(), [...w.touched].sort());
    assertEquals(new Set(w.forms), new Set(["batched"]));
    assert(w.simulator.webhookAttempts().every(({ outcome }) => outcome === 200));
    const reasons = await w.harness.pool.query<{ reason: string }>(
      `select reason from public.sync_queue`,
    );
    assert(reasons.some(({ reason }) => reason === "webhook:subscriber.deleted"));
    assertPrivate(w, await w.harness.pool.query(`select * from public.sync_queue`));
  });
}

Deno.test("a webhook that sends event by event fills the queue alike, doubled and out of order", async () => {
  await using w = await world();
  const events = [...subscriberWebhook.events.filter((event) => event !== "subscriber.deleted")];
  const { secret } = await w.api("POST", "webhooks", { url: ADDRESS, events });
  w.secret = String(secret);
  w.simulator.setWebhookKnobs({ duplicateEvery: 3, reorder: true });
  await live(w);
  await w.deliver();
  assertEquals(await w.queued(), [...w.touched].sort());
  assertEquals(new Set(w.forms), new Set(["flat", "nested"]));
  assertPrivate(w, await w.harness.pool.query(`select * from public.sync_queue`));
});

Deno.test("a second webhook's secret beside the first one's lets both in", async () => {
  await using w = await world();
  const first = await register(w);
  const { secret } = await w.api("POST", "webhooks", {
    url: `${ADDRESS}?second`,
    events: ["subscriber.created"],
  });
  w.secret = `${first},${secret}`;
  await live(w);
  await w.deliver();
  assertEquals(new Set(w.forms), new Set(["batched", "flat"]));
  assert(w.simulator.webhookAttempts().every(({ outcome }) => outcome === 200));
});

Deno.test("what was refused for want of the secret is taken when the sender tries again", async () => {
  await using w = await world();
  const secret = await register(w);
  await live(w);
  w.simulator.advance(BATCH_WAITS_MS);
  await w.simulator.pumpWebhooks();
  w.secret = "anotherone";
  w.simulator.advance(10_000);
  await w.simulator.pumpWebhooks();
  assertEquals(w.simulator.webhookAttempts().map(({ outcome }) => outcome), [500, 401]);
  assertEquals(await w.queued(), []);
  w.secret = secret;
  w.simulator.advance(100_000);
  await w.simulator.pumpWebhooks();
  assertEquals(w.simulator.webhookAttempts().map(({ outcome }) => outcome), [500, 401, 200]);
  assertEquals(await w.queued(), [...w.touched].sort());
});
