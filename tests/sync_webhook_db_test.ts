/** sync-webhook as a remote sees it: signed requests, the real handler, a real database. */
import { assert, assertEquals, assertFalse, assertLess } from "@std/assert";
import fc from "fast-check";
import { mailerlite } from "../shared/connectors/mailerlite/mod.ts";
import { defineSync, pair } from "../shared/engine/config.ts";
import type { Runtime } from "../shared/http/runtime.ts";
import { syncWebhook, type Wake } from "../shared/http/sync_webhook.ts";
import { hmacSha256Hex } from "../simulators/mailerlite/encoding.ts";
import config from "../sync.config.ts";
import { functionHarness, type Harness } from "./lib/function_harness.ts";
import { seededRandom } from "./lib/seeded_random.ts";

const ADDRESS = "http://project.test/functions/v1/sync-webhook";
const SECRET = "Qb7ZpX3kTa";
const CANARY = "canary-4f1b@people.example.net";

/** How long the sender waits for an answer, in ms (MailerLite docs, Webhooks). */
const SENDER_WAITS_MS = 3_000;

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly ms: number;
}

/** A function with its secret; without a `wake` of the test's own, nobody is woken. */
function receiver(
  harness: Harness,
  { secret = SECRET, wake = () => Promise.resolve(null), definition = config, ...overrides }:
    & { secret?: string; wake?: Wake; definition?: typeof config }
    & Partial<Runtime> = {},
) {
  const runtime = harness.runtime(overrides);
  const env = (name: string) => name === "MAILERLITE_WEBHOOK_SECRET" ? secret : runtime.env(name);
  return syncWebhook(definition, { ...runtime, env }, { wake });
}

async function signed(body: string, secret = SECRET): Promise<RequestInit> {
  return {
    method: "POST",
    headers: {
      "content-type": "application/json",
      signature: await hmacSha256Hex(secret, body),
    },
    body,
  };
}

async function call(
  fetch: (request: Request) => Promise<Response>,
  init: RequestInit,
): Promise<Answer> {
  const started = performance.now();
  const response = await fetch(new Request(ADDRESS, init));
  const ms = performance.now() - started;
  return { status: response.status, body: await response.json(), ms };
}

const flat = (id: string, event = "subscriber.updated") => ({
  id,
  email: CANARY,
  status: "active",
  fields: { name: CANARY, city: CANARY },
  event,
  account_id: 1,
});

const nested = (id: string, type = "subscriber.added_to_group") => ({
  type,
  subscriber: { id, email: CANARY, fields: { name: CANARY } },
  group: { id: "7", name: "VIP" },
  account_id: 1,
});

async function queue(harness: Harness): Promise<{ record_id: string; reason: string }[]> {
  return await harness.pool.query(
    `select pair, side, record_id, reason, attempts from public.sync_queue order by pair, record_id`,
  );
}

const row = (record_id: string, event: string, name = "clients") => ({
  pair: name,
  side: "b",
  record_id,
  reason: `webhook:${event}`,
  attempts: 0,
});

Deno.test("sync-webhook queues the record of a flat, a nested and every batched event", async () => {
  await using harness = await functionHarness(import.meta.url);
  const fetch = receiver(harness);
  const bodies = [
    flat("101", "subscriber.created"),
    nested("102"),
    { events: [flat("103"), nested("104"), flat("103", "subscriber.unsubscribed")], total: 3 },
  ];
  for (const [index, body] of bodies.entries()) {
    const n = index === 2 ? 3 : 1;
    const { status, body: answer } = await call(fetch, await signed(JSON.stringify(body)));
    assertEquals(status, 200);
    assertEquals(answer, { ok: true, received: n, queued: n, ignored: 0, unreadable: 0 });
  }
  assertEquals(await queue(harness), [
    row("101", "subscriber.created"),
    row("102", "subscriber.added_to_group"),
    row("103", "subscriber.unsubscribed"),
    row("104", "subscriber.added_to_group"),
  ]);
});

Deno.test("sync-webhook counts what it leaves alone and what it cannot read, and takes the rest", async () => {
  await using harness = await functionHarness(import.meta.url);
  let woken = 0;
  const wake = () => {
    woken++;
    return Promise.resolve(null);
  };
  const fetch = receiver(harness, { wake });
  const campaign = { id: "9", name: "News", event: "campaign.sent", account_id: 1 };
  // The id as a number, as text: JSON.stringify would round it here already.
  const numbered = `{"event":"subscriber.updated","id":121212121212121213}`;
  const body = `{"events":[${JSON.stringify(campaign)},${numbered},null,` +
    `${JSON.stringify({ event: "subscriber.eaten", id: "1" })},${
      JSON.stringify(flat("5"))
    }],"total":5}`;
  const { status, body: answer } = await call(fetch, await signed(body));
  assertEquals(status, 200);
  assertEquals(answer, { ok: true, received: 5, queued: 1, ignored: 2, unreadable: 2 });
  assertEquals((await queue(harness)).map(({ record_id }) => record_id), ["5"]);
  assertEquals(woken, 1);

  for (const nothing of [JSON.stringify(campaign), numbered, `{"events":[],"total":0}`, "[]"]) {
    assertEquals((await call(fetch, await signed(nothing))).status, 200);
  }
  assertEquals([(await queue(harness)).length, woken], [1, 1]);
});

Deno.test("sync-webhook refuses a signature that is missing, wrong or cut, and stores nothing", async () => {
  await using harness = await functionHarness(import.meta.url);
  const fetch = receiver(harness, { secret: `another99x,${SECRET}` });
  const body = JSON.stringify(flat("1"));
  const right = await hmacSha256Hex(SECRET, body);
  const signatures = [
    null,
    "",
    right.slice(0, 63),
    right.slice(0, 8),
    `${right}0`,
    right.toUpperCase(),
    await hmacSha256Hex("another99", body),
    "0".repeat(64),
    await hmacSha256Hex(`another99x,${SECRET}`, body),
    await hmacSha256Hex(SECRET, `${body} `),
  ];
  for (const signature of signatures) {
    const headers: Record<string, string> = signature === null ? {} : { signature };
    const { status, body: answer } = await call(fetch, { method: "POST", headers, body });
    assertEquals([status, answer["code"]], [401, "unauthorized"], signature ?? "none");
  }
  assertEquals(await queue(harness), []);
  // Each secret of the list opens, so that one can follow the other.
  for (const secret of [SECRET, "another99x"]) {
    assertEquals((await call(fetch, await signed(body, secret))).status, 200);
  }
});

Deno.test("sync-webhook refuses every request of which anything was changed on its way", async () => {
  await using harness = await functionHarness(import.meta.url);
  const database = () => {
    throw new TypeError("Nothing may be stored");
  };
  const fetch = receiver(harness, { database, log: () => {} });
  const ids = fc.stringMatching(/^[1-9]\d{17}$/);
  await fc.assert(
    fc.asyncProperty(ids, ids, fc.nat(), fc.boolean(), async (id, other, where, ofBody) => {
      fc.pre(id !== other);
      const body = JSON.stringify(flat(id));
      const signature = await hmacSha256Hex(SECRET, body);
      const at = where % signature.length;
      const digit = ((parseInt(signature.charAt(at), 16) + 1 + where % 15) % 16).toString(16);
      const { status } = await call(fetch, {
        method: "POST",
        headers: {
          signature: ofBody ? signature : signature.slice(0, at) + digit + signature.slice(at + 1),
        },
        body: ofBody ? JSON.stringify(flat(other)) : body,
      });
      assertEquals(status, 401);
    }),
    { numRuns: 200 },
  );
});

Deno.test("sync-webhook says which variable is missing, before it looks at a signature", async () => {
  await using harness = await functionHarness(import.meta.url);
  for (const secret of ["", " , "]) {
    const fetch = receiver(harness, { secret });
    for (const init of [await signed("{}"), { method: "POST", body: "{}" }]) {
      const { status, body } = await call(fetch, init);
      assertEquals([status, body["code"]], [500, "missing_configuration"]);
      assertEquals(body["details"], { variable: "MAILERLITE_WEBHOOK_SECRET" });
      assert(String(body["message"]).includes("MAILERLITE_WEBHOOK_SECRET"));
    }
  }
});

Deno.test("sync-webhook refuses what is no JSON only after a good signature, and what is not POST", async () => {
  await using harness = await functionHarness(import.meta.url);
  const fetch = receiver(harness);
  for (const body of ["", "{", "subscriber.created", `{"id":"${CANARY}"`]) {
    const { status, body: answer } = await call(fetch, await signed(body));
    assertEquals([status, answer["code"]], [400, "invalid_request"]);
    assertFalse(JSON.stringify(answer).includes(CANARY));
    assertEquals((await call(fetch, { method: "POST", body })).status, 401);
  }
  for (const method of ["GET", "PUT", "DELETE", "OPTIONS"]) {
    const { status, body } = await call(fetch, { method });
    assertEquals([status, body["code"]], [405, "method_not_allowed"]);
  }
});

Deno.test("sync-webhook refuses a body of 2 MB at once, signed or not", async () => {
  await using harness = await functionHarness(import.meta.url);
  const fetch = receiver(harness);
  const body = JSON.stringify({ events: [flat("1")], padding: "x".repeat(2_000_000) });
  for (const init of [await signed(body), { method: "POST", body }]) {
    const { status, body: answer, ms } = await call(fetch, init);
    assertEquals([status, answer["code"]], [413, "body_too_large"]);
    assertLess(ms, 1_000);
  }
  assertEquals(await queue(harness), []);
});

Deno.test("sync-webhook refuses a configuration it cannot use, and tells a stranger nothing of it", async () => {
  await using harness = await functionHarness(import.meta.url);
  const local = { table: "clients", id: "id", naturalKey: "email" };
  const fields = { email: { local: "email", remote: "email" } };
  const remote = mailerlite.subscribers();
  const good = pair({ local, remote, fields });
  const wrong = pair({ local, remote, fields: { city: { local: "city", remote: "status" } } });
  const fetch = receiver(harness, { definition: defineSync({ good, wrong }) });
  const stranger = await call(fetch, { method: "POST", body: "{}" });
  assertEquals(stranger.status, 401);
  const known = await call(fetch, await signed("{}"));
  assertEquals([known.status, known.body["code"]], [500, "invalid_configuration"]);
  assert(JSON.stringify(known.body).includes("wrong"));

  const { webhook: _, ...deaf } = remote.connector;
  const definition = defineSync({
    good: pair({ local, remote: { ...remote, connector: deaf }, fields }),
  });
  const { status, body } = await call(receiver(harness, { definition }), await signed("{}"));
  assertEquals([status, body["code"]], [500, "invalid_configuration"]);
});

Deno.test("sync-webhook queues a record for every pair whose connector understands the sender", async () => {
  await using harness = await functionHarness(import.meta.url);
  const local = { table: "clients", id: "id", naturalKey: "email" };
  const fields = { email: { local: "email", remote: "email" } };
  const remote = mailerlite.subscribers();
  const { webhook: _, ...deaf } = remote.connector;
  const definition = defineSync({
    one: pair({ local, remote, fields }),
    two: pair({ local, remote: mailerlite.subscribers({ managedGroups: ["VIP"] }), fields }),
    deaf: pair({ local, remote: { ...remote, connector: deaf }, fields }),
  });
  const fetch = receiver(harness, { definition });
  const body = { events: [flat("1"), flat("2"), flat("1")], total: 3 };
  const { body: answer } = await call(fetch, await signed(JSON.stringify(body)));
  assertEquals(answer, { ok: true, received: 3, queued: 3, ignored: 0, unreadable: 0 });
  assertEquals(
    await queue(harness),
    ["one", "two"].flatMap((name) => ["1", "2"].map((id) => row(id, "subscriber.updated", name))),
  );
});

Deno.test("sync-webhook takes a replay for another hint: one row, its first time, no error", async () => {
  await using harness = await functionHarness(import.meta.url);
  const fetch = receiver(harness);
  const init = await signed(JSON.stringify({ events: [flat("1"), nested("2")], total: 2 }));
  const times = async () =>
    await harness.pool.query(
      `select record_id, enqueued_at::text, not_before::text from public.sync_queue order by 1`,
    );
  const first = await call(fetch, init);
  const before = await times();
  for (let n = 0; n < 5; n++) assertEquals((await call(fetch, init)).body, first.body);
  assertEquals(await times(), before);
  assertEquals(before.length, 2);
});

Deno.test("sync-webhook answers 503 while the database is gone, so that the sender tries again", async () => {
  await using harness = await functionHarness(import.meta.url);
  const gone = () => {
    throw Object.assign(new Error(`connect ECONNREFUSED ${CANARY}`), { code: "ECONNREFUSED" });
  };
  const init = await signed(JSON.stringify(flat("1")));
  const { status, body } = await call(receiver(harness, { database: gone }), init);
  assertEquals([status, body["code"]], [503, "database_unhealthy"]);
  assertFalse(JSON.stringify([body, harness.log]).includes(CANARY));
  assertEquals((await call(receiver(harness), init)).status, 200);
});

Deno.test("sync-webhook wakes smart-sync once a request, behind its answer, and only logs a failure", async () => {
  await using harness = await functionHarness(import.meta.url);
  const runtime = harness.runtime();
  const env = (name: string) => name === "MAILERLITE_WEBHOOK_SECRET" ? SECRET : runtime.env(name);
  const fetch = syncWebhook(config, { ...runtime, env });
  const calls: { url: string; key: string | null; body: unknown }[] = [];
  let finish = (_status: number) => {};
  harness.self = async (request) => {
    const { url, headers } = request;
    const finished = new Promise<number>((resolve) => finish = resolve);
    calls.push({ url, key: headers.get("apikey"), body: await request.json() });
    return Response.json({}, { status: await finished });
  };
  const body = JSON.stringify({ events: [flat("1"), flat("2"), nested("3")], total: 3 });
  const answer = await call(fetch, await signed(body));
  // It is answered although whoever was woken has not said a word.
  assertEquals([answer.status, harness.background.length], [200, 1]);
  finish(200);
  await Promise.all(harness.background);
  assertEquals(calls, [{
    url: "http://project.test/functions/v1/smart-sync",
    key: "sb_secret_harness",
    body: {},
  }]);
  assertFalse(harness.log.some(({ event }) => event === "cannot_wake"));

  assertEquals((await call(fetch, await signed(body))).status, 200);
  finish(404);
  await Promise.all(harness.background);
  assertEquals(harness.log.filter(({ event }) => event === "cannot_wake"), [{
    level: "warn",
    event: "cannot_wake",
    fields: { target: "smart-sync", reason: "status_404" },
  }]);

  const throwing = receiver(harness, { wake: () => Promise.reject(new RangeError(CANARY)) });
  assertEquals((await call(throwing, await signed(body))).status, 200);
  await Promise.all(harness.background);
  assertEquals(harness.log.at(-1)?.fields, { target: "smart-sync", reason: "RangeError" });
});

/** A number from 0 up to, and not with, `n`. */
const below = (random: () => number, n: number) => Math.floor(random() * n);

function shuffle<Item>(items: readonly Item[], random: () => number): Item[] {
  return items.map((item) => [random(), item] as const).sort(([a], [b]) => a - b)
    .map(([, item]) => item);
}

Deno.test("a storm of 5,000 events with a fifth of them doubled leaves one row a record, each request in time", async () => {
  await using harness = await functionHarness(import.meta.url);
  const random = seededRandom(5_000);
  const ids = Array.from({ length: 4_000 }, (_, n) => String(121212121212000000n + BigInt(n)));
  const doubled = Array.from({ length: 1_000 }, () => ids[below(random, ids.length)] ?? "");
  const events = shuffle([...ids, ...doubled], random)
    .map((id) => random() < 0.5 ? flat(id) : nested(id));
  const requests: RequestInit[] = [];
  for (let at = 0; at < events.length;) {
    // From one event a request to a thousand, the largest batch the simulator knows.
    const size = random() < 0.7 ? 1 : random() < 0.98 ? 1 + below(random, 50) : 1_000;
    const part = events.slice(at, at + size);
    const body = part.length === 1 ? part[0] : { events: part, total: part.length };
    requests.push(await signed(JSON.stringify(body)));
    at += size;
  }
  assert(requests.length > 200, `${requests.length} requests`);

  const fetch = receiver(harness);
  const totals = { received: 0, queued: 0, ignored: 0, unreadable: 0 };
  let slowest = 0;
  const pending = [...requests];
  const sender = async () => {
    for (let init = pending.pop(); init !== undefined; init = pending.pop()) {
      const { status, body, ms } = await call(fetch, init);
      assertEquals(status, 200);
      for (const name of ["received", "queued", "ignored", "unreadable"] as const) {
        totals[name] += Number(body[name]);
      }
      slowest = Math.max(slowest, ms);
    }
  };
  await Promise.all(Array.from({ length: 8 }, sender));
  assertEquals(totals, { received: 5_000, queued: 5_000, ignored: 0, unreadable: 0 });
  assertLess(slowest, SENDER_WAITS_MS);
  const rows = await queue(harness);
  assertEquals(rows.map(({ record_id }) => record_id), ids);

  // And all of it once more, backwards: the same rows.
  pending.push(...requests.toReversed());
  await Promise.all(Array.from({ length: 8 }, sender));
  assertEquals((await queue(harness)).map(({ record_id }) => record_id), ids);
  assertFalse(JSON.stringify([harness.log, await queue(harness)]).includes("canary"));
});
