import { assertEquals, assertRejects } from "@std/assert";
import { RateWaitError } from "../../limits/rate_wait_error.ts";
import type { RemoteSchema, WriteOp } from "../connector.ts";
import { RemoteError } from "../remote_error.ts";
import { json, type Script, type SentRequest, subscriber, testContext } from "./_test_util.ts";
import { MailerLiteClient } from "./client.ts";
import { writeSubscribers } from "./write.ts";

const SCHEMA: RemoteSchema = {
  fields: [],
  sets: { groups: { VIP: ["11"], Clients: ["12"], Old: ["13"] } },
  start: "",
};

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}

type Answer = { code: number; body: unknown };
type Items = (call: Call, request: number) => Answer;

function callsOf(request: SentRequest): Call[] {
  if (request.url.pathname !== "/api/batch") {
    const path = (request.url.pathname + request.url.search).slice(1);
    return [{ method: request.method, path, body: request.body }];
  }
  return (request.body as { requests: Call[] }).requests;
}

function server(answer: Items): Script {
  return (request, number) => {
    const answers = callsOf(request).map((call) => answer(call, number));
    const [only] = answers;
    return request.url.pathname !== "/api/batch" && only !== undefined
      ? json(only.body, only.code)
      : json({ total: answers.length, responses: answers });
  };
}

function setUp(script: Script, schema = SCHEMA, avoidImport?: boolean) {
  const context = testContext(script);
  const client = new MailerLiteClient(context);
  const write = (...ops: WriteOp[]) => writeSubscribers(client, schema, ops, avoidImport);
  return { context, write };
}

const ok = (id: string, over: Record<string, unknown> = {}, code = 200): Answer => ({
  code,
  body: { data: subscriber(id, over) },
});

const idIn = (path: string) => path.split("/")[2] ?? "";
const update = (id: string, fields = {}, groups = {}): WriteOp => ({
  op: "update",
  id,
  fields: { "fields.name": "B", ...fields },
  sets: { groups: { add: [], remove: [], ...groups } },
});
const create = (email: string, fields = {}): WriteOp => ({
  op: "create",
  fields: { email, ...fields },
  sets: {},
});

/** Does as it is told. */
const good: Items = ({ method, path, body }) => {
  if (method === "DELETE") return { code: 204, body: null };
  if (path === "api/subscribers") {
    const { email } = body as { email: string };
    return ok(String(email.length), { email }, 201);
  }
  return ok(idIn(path));
};

const outcomes = (results: readonly { outcome: string; code?: string }[]) =>
  results.map(({ outcome, code }) => code === undefined ? outcome : `${outcome} ${code}`);

Deno.test("writeSubscribers() answers one result an operation, in their order", async () => {
  const { context, write } = setUp(server(good));
  const results = await write(
    { op: "delete", id: "3" },
    create("a@b.test"),
    update("4"),
    update("5", { status: "subscribed" }),
  );
  assertEquals(outcomes(results), [
    "ok",
    "ok",
    "ok",
    "rejected status_not_writable",
  ]);
  const [deleted, created, updated] = results;
  assertEquals(deleted, { outcome: "ok", id: "3", record: null, created: false });
  assertEquals(created?.outcome === "ok" && [created.id, created.created], [
    "8",
    true,
  ]);
  assertEquals(updated?.outcome === "ok" && updated.record?.id, "4");
  assertEquals(context.sent.length, 1);
});

Deno.test("writeSubscribers() sends nothing for nothing", async () => {
  const { context, write } = setUp(server(good));
  assertEquals(await write(), []);
  assertEquals(outcomes(await write(update("5", { source: "x" }))), [
    "rejected unsupported_path",
  ]);
  assertEquals(context.sent.length, 0);
});

Deno.test("one refused call fails its own operation alone", async () => {
  const { write } = setUp(server((call) => {
    switch (idIn(call.path)) {
      case "2":
        return {
          code: 422,
          body: { message: "x", errors: { "fields.name": ["y"] } },
        };
      case "3":
        return { code: 404, body: { message: "No query results" } };
      case "4":
        return { code: 429, body: { message: "Too Many Attempts." } };
      case "5":
        return { code: 500, body: "<html>" };
      default:
        return ok(idIn(call.path));
    }
  }));
  assertEquals(
    outcomes(await write(...["1", "2", "3", "4", "5", "6"].map((id) => update(id)))),
    [
      "ok",
      "rejected rejected_fields.name",
      "not_found remote_not_found",
      "retryable remote_rate_limited",
      "retryable remote_unavailable",
      "ok",
    ],
  );
});

Deno.test("a batch that is lost leaves every operation of it unknown, and the rest unsent", async () => {
  for (
    const lose of [
      () => new TypeError("connection reset"),
      () => json({ responses: [] }),
      () => new Response("<html>", { status: 502 }),
    ]
  ) {
    const { context, write } = setUp((request, number) => {
      if (number === 2) return lose();
      return server(good)(request, number, AbortSignal.abort());
    });
    const ops = Array.from({ length: 120 }, (_, i) => update(String(i + 1)));
    const results = await write(...ops);
    const count = (outcome: string) =>
      results.filter((result) => result.outcome === outcome).length;
    assertEquals([count("ok"), count("unknown"), count("retryable")], [50, 50, 20]);
    assertEquals(context.sent.length, 2);
  }
});

Deno.test("a single lost create is unknown, and a single lost update is sent again", async () => {
  const script: Script = (request, number) =>
    number === 1 ? new TypeError("reset") : server(good)(request, number, AbortSignal.abort());
  const first = setUp(script);
  assertEquals(outcomes(await first.write(create("a@b.test"))), [
    "unknown remote_unreachable",
  ]);
  assertEquals(first.context.sent.length, 1);
  const second = setUp(script);
  assertEquals(outcomes(await second.write(update("1"))), ["ok"]);
  assertEquals(second.context.sent.length, 2);
});

Deno.test("writeSubscribers() throws only where nothing was sent and nothing can be", async () => {
  const refused = setUp(() => json({ message: "Unauthenticated." }, 401));
  const error = await assertRejects(
    () => refused.write(update("1"), update("2")),
    RemoteError,
  );
  assertEquals(error.kind, "auth");

  const later = setUp((request, number, signal) =>
    number === 1 ? server(good)(request, number, signal) : json({}, 401)
  );
  const ops = Array.from({ length: 60 }, (_, i) => update(String(i + 1)));
  const results = await later.write(...ops);
  assertEquals(outcomes(results).slice(48, 52), [
    "ok",
    "ok",
    "retryable remote_unauthorized",
    "retryable remote_unauthorized",
  ]);
});

Deno.test("writes that the rate limit holds back are retryable, with the wait", async () => {
  const context = testContext(server(good));
  let taken = 0;
  const limiter = {
    take: (bucket: string) =>
      ++taken > 1
        ? Promise.reject(new RateWaitError(bucket, 42_000))
        : Promise.resolve({ settle: () => {} }),
  };
  const client = new MailerLiteClient({ ...context, limiter });
  const ops = Array.from({ length: 51 }, (_, i) => update(String(i + 1)));
  const results = await writeSubscribers(client, SCHEMA, ops);
  assertEquals(results[50], {
    outcome: "retryable",
    code: "rate_limited",
    retryAfterMs: 42_000,
  });
  await assertRejects(
    () => writeSubscribers(client, SCHEMA, [update("1")]),
    RateWaitError,
  );
});

Deno.test("a limiter that fails after something was sent takes no result along", async () => {
  const context = testContext(
    server((call, request) =>
      call.method === "POST" ? { code: 200, body: null } : good(call, request)
    ),
  );
  let taken = 0;
  const limiter = {
    take: () =>
      ++taken > 1
        ? Promise.reject(new Error("the database is gone"))
        : Promise.resolve({ settle: () => {} }),
  };
  const client = new MailerLiteClient({ ...context, limiter });
  // The second batch is not sent, and the create of the first is not read back.
  const ops = [create("a@b.test"), ...Array.from({ length: 50 }, (_, i) => update(String(i + 1)))];
  const results = await writeSubscribers(client, SCHEMA, ops);
  assertEquals(outcomes([results[0], results[1], results[50]].flatMap((one) => one ?? [])), [
    "unknown created_unconfirmed",
    "ok",
    "retryable not_sent",
  ]);
  assertEquals(context.sent.length, 1);
  await assertRejects(
    () => writeSubscribers(client, SCHEMA, [update("1")]),
    Error,
    "the database is gone",
  );
});

Deno.test("groups are added and removed, and the record shows them whatever the order of execution", async () => {
  const { context, write } = setUp(server(({ method, path }) => {
    if (path.includes("/groups/")) {
      return method === "POST"
        ? { code: 200, body: { data: { id: "11", name: "VIP" } } }
        : { code: 404, body: { message: "" } };
    }
    return ok("5", { groups: [{ name: "Old" }, { name: "Kept" }] });
  }));
  const groups = { add: ["VIP"], remove: ["Old", "Clients"] };
  const [result] = await write(update("5", {}, groups));
  assertEquals(
    result?.outcome === "ok" && result.record?.doc.groups,
    ["Kept", "VIP"],
  );
  assertEquals(context.sent.length, 1);
});

Deno.test("an operation is as certain as the least certain of its calls", async () => {
  const cases: [Record<string, number>, string][] = [
    [{ POST: 404 }, "rejected group_missing"],
    [{ POST: 500 }, "retryable remote_unavailable"],
    [{ POST: 404, PUT: 404 }, "not_found remote_not_found"],
    [{ POST: 422, PUT: 503 }, "retryable remote_unavailable"],
    [{ PUT: 422 }, "rejected remote_rejected"],
    [{}, "ok"],
  ];
  for (const [codes, expected] of cases) {
    const { write } = setUp(server(({ method }) => ({
      ...ok("5"),
      code: codes[method] ?? 200,
    })));
    const groups = { add: ["VIP"] };
    assertEquals(outcomes(await write(update("5", {}, groups))), [expected]);
  }
});

Deno.test("a status that was not applied is told, a stricter one stands", async () => {
  const cases = [
    ["unsubscribed", "ok"],
    ["bounced", "ok"],
    ["junk", "ok"],
    ["active", "rejected status_not_applied"],
    ["unconfirmed", "rejected status_not_applied"],
  ] as const;
  for (const [status, expected] of cases) {
    const { write } = setUp(server(() => ok("5", { status })));
    const results = await write(update("5", { status: "unsubscribed" }));
    assertEquals(outcomes(results), [expected]);
  }
});

Deno.test("an unsubscribed address is refused by its key", async () => {
  const { write } = setUp(server(() => ({
    code: 422,
    body: {
      message: "This subscriber is unsubscribed and cannot be imported",
      errors: { email: ["This subscriber is unsubscribed"] },
      subscriber: "123",
    },
  })));
  assertEquals(outcomes(await write(create("a@b.test"))), [
    "rejected rejected_email",
  ]);
});

Deno.test("an update answered about somebody else is unknown, one answered illegibly is done", async () => {
  const other = setUp(server(() => ok("6")));
  assertEquals(outcomes(await other.write(update("5"))), [
    "unknown remote_invalid_answer",
  ]);
  const illegible = setUp(server(() => ok("5", { status: "new word" })));
  const [result] = await illegible.write(update("5"));
  assertEquals(result, { outcome: "ok", id: "5", record: null, created: false });
});

Deno.test("creates that are answered without subscribers are read back by address", async () => {
  for (const avoidImport of [true, false]) {
    const { context, write } = setUp(
      server(({ method, path }) => {
        if (method === "POST") return { code: 200, body: null };
        const email = decodeURIComponent(path.split("/").at(-1) ?? "");
        if (email === "b@b.test") return { code: 404, body: {} };
        return ok("7", { email });
      }),
      SCHEMA,
      avoidImport,
    );
    const results = await write(create("a@b.test"), create("b@b.test"));
    assertEquals(outcomes(results), ["ok", "unknown created_unconfirmed"]);
    assertEquals(results[0]?.outcome === "ok" && results[0].id, "7");
    assertEquals(context.sent.length, 2);
    assertEquals(
      context.limiter.count("mailerlite:import"),
      avoidImport ? 0 : 1,
    );
  }
});

Deno.test("a create answered about another address is read back, not believed", async () => {
  const { write } = setUp(server(({ method, path, body }) => {
    if (method === "GET") {
      const email = decodeURIComponent(path.split("/").at(-1) ?? "");
      return ok(email === "a@b.test" ? "1" : "2", { email });
    }
    const { email } = body as { email: string };
    const swapped = email === "a@b.test" ? "b@b.test" : "a@b.test";
    return ok(swapped === "a@b.test" ? "1" : "2", { email: swapped }, 201);
  }));
  const results = await write(create("A@b.test "), create("b@b.test"));
  assertEquals(
    results.map((result) => result.outcome === "ok" && result.id),
    ["1", "2"],
  );
});

Deno.test("creates whose read-back fails are unknown, and what else was done is still told", async () => {
  const { write } = setUp(
    server(({ method }) =>
      method === "GET"
        ? { code: 500, body: null }
        : method === "PUT"
        ? ok("5")
        : { code: 200, body: null }
    ),
  );
  assertEquals(outcomes(await write(update("5"), create("a@b.test"))), [
    "ok",
    "unknown created_unconfirmed",
  ]);
});

Deno.test("few creates take a read along, so that they are no import", async () => {
  const { context, write } = setUp(server(good));
  await write(create("a@b.test"), create("bb@b.test"));
  assertEquals(
    callsOf(context.sent[0] as SentRequest).map(({ method, path }) => `${method} ${path}`),
    ["POST api/subscribers", "POST api/subscribers", "GET api/groups?limit=1"],
  );
  assertEquals(context.limiter.count("mailerlite:import"), 0);
});

Deno.test("a create that failed with a server's error may have been done, an update may be sent again", async () => {
  for (const [code, wanted] of [[500, "unknown"], [408, "unknown"], [429, "retryable"]] as const) {
    const { write } = setUp(
      server((call) =>
        call.path.includes("groups?") ? good(call, 1) : { code, body: { message: "no" } }
      ),
    );
    const results = await write(
      create("new@example.com"),
      create("other@example.com"),
      update("1"),
    );
    assertEquals(results.map(({ outcome }) => outcome), [wanted, wanted, "retryable"]);
  }
});

Deno.test("an address that was not applied is told", async () => {
  const { write } = setUp(server(({ path }) => ok(idIn(path), { email: "old@example.com" })));
  const [ignored, untouched] = await write(
    update("1", { email: "new@example.com" }),
    update("2"),
  );
  assertEquals(ignored, {
    outcome: "rejected",
    code: "email_not_applied",
    retryAfterMs: null,
  });
  assertEquals(untouched?.outcome, "ok");
});
