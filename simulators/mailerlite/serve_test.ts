import { assert, assertEquals, assertRejects } from "@std/assert";
import { ControlClient } from "./control_client.ts";
import type { JsonObject } from "./json.ts";
import { type ServedMailerLite, serveMailerLite, type ServeOptions } from "./serve.ts";

const HEADERS = { authorization: "Bearer simulator-token", "content-type": "application/json" };

async function served(
  options: ServeOptions,
  act: (server: ServedMailerLite, control: ControlClient) => Promise<void>,
): Promise<void> {
  const server = await serveMailerLite(options);
  try {
    await act(server, new ControlClient(server.url));
  } finally {
    await server.close();
  }
}

function post(server: ServedMailerLite, path: string, body: unknown): Promise<Response> {
  return fetch(`${server.url}/api/${path}`, {
    method: "POST",
    headers: HEADERS,
    body: JSON.stringify(body),
  });
}

function creates(server: ServedMailerLite): number {
  return server.simulator.history().filter((entry) => entry.kind === "subscriber.create").length;
}

/** Everything a raw connection gets as the answer to one request, until the server closes it. */
async function rawExchange(server: ServedMailerLite, path: string): Promise<string> {
  const { hostname, port } = new URL(server.url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const request =
    `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer simulator-token\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  let text = "";
  try {
    for await (const chunk of connection.readable) text += new TextDecoder().decode(chunk);
  } catch (error) {
    // A cut may arrive as a reset; what came before it still counts.
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
  return text;
}

Deno.test("the API is served with its headers, and links point back to the port", () =>
  served({}, async (server) => {
    const response = await post(server, "subscribers", { email: "Zoë@example.com" });
    assertEquals([response.status, response.headers.get("x-ratelimit-remaining")], [201, "119"]);
    assertEquals(
      ((await response.json()) as { data: JsonObject }).data["email"],
      "zoë@example.com",
    );
    const list = await fetch(`${server.url}/api/groups`, { headers: HEADERS });
    assertEquals(
      ((await list.json()) as { meta: JsonObject }).meta["path"],
      `${server.url}/api/groups`,
    );
    const gone = await fetch(`${server.url}/api/subscribers/1`, { method: "DELETE" });
    assertEquals([gone.status, await gone.text()], [401, '{"message":"Unauthenticated."}']);
  }));

Deno.test("a reset cuts the socket before a byte of an answer", () =>
  served({}, async (server) => {
    server.simulator.setFaults([{ effect: { kind: "reset", when: "before" } }]);
    assertEquals(await rawExchange(server, "/api/fields"), "");
    await assertRejects(() => post(server, "subscribers", { email: "a@example.com" }), TypeError);
    assertEquals(creates(server), 0);
  }));

Deno.test("a truncated answer promises more than it sends", () =>
  served({}, async (server) => {
    server.simulator.setFaults([{ path: "/fields", effect: { kind: "truncate", bytes: 40 } }]);
    const raw = await rawExchange(server, "/api/fields");
    const [head = "", body = ""] = raw.split("\r\n\r\n");
    const promised = Number(/content-length: (\d+)/i.exec(head)?.[1]);
    assertEquals([body.length, promised > 500], [40, true]);
    const response = await fetch(`${server.url}/api/fields`, { headers: HEADERS });
    await assertRejects(() => response.text(), TypeError);
  }));

Deno.test("a reset after the effect is met by the client's own repeat, which a rule can reset too", () =>
  served({}, async (server, control) => {
    // A connection that is in the pool is what makes Deno's fetch repeat the request.
    await (await post(server, "groups", { name: "VIP" })).json();
    await control.setFaults([{
      path: "/subscribers",
      times: 2,
      effect: { kind: "reset", when: "after" },
    }]);
    await assertRejects(() => post(server, "subscribers", { email: "a@example.com" }), TypeError);
    const [rule] = await control.faults();
    // Once by the request, once by the repeat: the client saw a single failure.
    assertEquals(rule?.hits, 2);
    assertEquals(creates(server), 1);
    await control.setFaults([]);
    const again = await post(server, "subscribers", { email: "a@example.com" });
    assertEquals(again.status, 200);
    await again.body?.cancel();
  }));

Deno.test("another process seeds, reads, counts, breaks and moves the clock", () =>
  served({ now: () => Date.UTC(2024, 0, 1) }, async (server, control) => {
    const lines = function* () {
      yield { group: "VIP" };
      yield { field: { name: "Score", type: "number" as const } };
      for (let n = 0; n < 12_000; n++) {
        yield { email: `p${n}@example.com`, groups: ["VIP"], fields: { score: n } };
      }
    };
    assertEquals(await control.seedMany(lines()), 12_000);
    let read = 0;
    for await (const row of control.readAll()) {
      if (read++ === 11_999) {
        assertEquals([row["email"], (row["fields"] as JsonObject)["score"]], [
          "p11999@example.com",
          11_999,
        ]);
      }
    }
    assertEquals(read, 12_000);
    assertEquals((await control.counts()).byStatus.active, 12_000);
    assertEquals(await control.seed({ groups: ["B"] }), {
      subscribers: 0,
      groups: { B: (await groups(server))["B"] ?? "" },
      fields: {},
    });
    assertEquals((await control.requests()).byRoute, { "GET /groups": 1 });
    await control.resetRequests();
    assertEquals((await control.requests()).total, 0);
    assertEquals(
      (await control.setSwitches({ subscribersPageMax: "clamp_100" })).subscribersPageMax,
      "clamp_100",
    );
    await control.setLimits({ perMinute: 7 });
    assertEquals((await control.advance(1000)).now, Date.UTC(2024, 0, 1, 0, 0, 1));
    await control.change("p1@example.com", {
      status: "unsubscribed",
      fields: { score: null },
      groups: [],
    });
    await control.remove("p2@example.com");
    assertEquals((await control.history()).map((entry) => entry.kind), [
      "subscriber.leave_group",
      "subscriber.update",
      "subscriber.delete",
    ]);
    await control.resetHistory();
    assertEquals(await control.history(), []);
    const response = await fetch(`${server.url}/api/subscribers?limit=500`, { headers: HEADERS });
    assertEquals([
      response.headers.get("x-ratelimit-remaining"),
      ((await response.json()) as { data: [] }).data.length,
    ], ["5", 100]);
  }));

async function groups(server: ServedMailerLite): Promise<Record<string, string>> {
  const response = await fetch(`${server.url}/api/groups`, { headers: HEADERS });
  const { data } = (await response.json()) as { data: { id: string; name: string }[] };
  return Object.fromEntries(data.map(({ id, name }) => [name, id]));
}

Deno.test("a wrong control request says what is wrong, without an address", () =>
  served({}, async (server, control) => {
    const twice = { subscribers: [{ email: "a@example.com" }, { email: "A@example.com" }] };
    const failure = await assertRejects(
      () => control.seed(twice),
      TypeError,
      "Cannot seed subscriber 1",
    );
    assert(!failure.message.includes("example.com"));
    await assertRejects(
      () => control.setSwitches(JSON.parse('{"batchCost":"x"}')),
      TypeError,
      'switch "batchCost"',
    );
    await assertRejects(
      () => control.change("nobody@example.com", {}),
      TypeError,
      "no such id or address",
    );
    const unknown = await fetch(`${server.url}/__control/nothing`);
    assertEquals([
      unknown.status,
      await unknown.text().then((text) => text.includes("choose from")),
    ], [404, true]);
  }));

Deno.test("webhooks go out over TCP by themselves", async () => {
  const got = Promise.withResolvers<JsonObject>();
  const receiver = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      got.resolve({ body: await request.text(), signed: request.headers.has("signature") });
      return new Response(null, { status: 204 });
    },
  );
  await served({}, async (server) => {
    const url = `http://127.0.0.1:${receiver.addr.port}/`;
    await (await post(server, "webhooks", { url, events: ["subscriber.created"] })).json();
    await (await post(server, "subscribers", { email: "a@example.com" })).json();
    const { body, signed } = await got.promise;
    assertEquals([String(body).includes('"event":"subscriber.created"'), signed], [true, true]);
    await server.simulator.pumpWebhooks();
  });
  await receiver.shutdown();
});

Deno.test("a taken port is an error, not a hang", () =>
  served({}, async (server) => {
    await assertRejects(() => serveMailerLite({ port: Number(new URL(server.url).port) }), Error);
  }));
