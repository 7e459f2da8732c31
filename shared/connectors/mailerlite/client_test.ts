import { assertEquals, assertRejects } from "@std/assert";
import { RateWaitError } from "../../limits/rate_wait_error.ts";
import { RemoteError } from "../remote_error.ts";
import { json, type Script, testContext } from "./_test_util.ts";
import { type ApiRequest, MailerLiteClient } from "./client.ts";

const GET: ApiRequest = {
  method: "GET",
  route: "/subscribers/{id}",
  path: "/subscribers/ann%40example.test",
  repeatable: true,
};
const WRITE: ApiRequest = {
  method: "POST",
  route: "/batch",
  path: "/batch",
  body: { requests: [] },
  repeatable: false,
};

function setUp(script: Script, overrides = {}) {
  const context = testContext(script, overrides);
  return { context, client: new MailerLiteClient(context) };
}

async function failure(client: MailerLiteClient, request: ApiRequest) {
  return await assertRejects(() => client.send(request), RemoteError);
}

const html = (status: number) =>
  new Response("<html>ann@example.test</html>", {
    status,
    headers: { "content-type": "text/html" },
  });

/** A server that does not answer. */
const silent = (signal: AbortSignal) =>
  new Promise<Response>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });

/** A body that breaks off. */
const cutOff = () =>
  new Response(
    new ReadableStream({
      start: (stream) => {
        stream.enqueue(new TextEncoder().encode('{"data":['));
        stream.error(new TypeError("connection reset"));
      },
    }),
    { headers: { "content-type": "application/json" } },
  );

Deno.test("send() sends what the API asks for on every call", async () => {
  const { context, client } = setUp(() => json({ data: 1 }));
  const answer = await client.send({ ...WRITE, body: { a: [null] } });
  assertEquals(answer, { status: 200, body: { data: 1 } });
  const [request] = context.sent;
  assertEquals(request?.url.href, "https://mailerlite.test/api/batch");
  assertEquals(request?.body, { a: [null] });
  assertEquals(request?.headers.get("authorization"), "Bearer test-token");
  assertEquals(request?.headers.get("accept"), "application/json");
  assertEquals(request?.headers.get("content-type"), "application/json");
  assertEquals(request?.headers.get("x-version"), "2026-11-20");
  assertEquals(context.timeouts, [30_000]);
});

Deno.test("send() settles the permit once, with what the headers said", async () => {
  const headers = { "x-ratelimit-limit": "120", "X-RateLimit-Remaining": "77" };
  const { context, client } = setUp(() => json({}, 200, headers));
  await client.send(GET);
  assertEquals(context.limiter.taken, [{
    bucket: "mailerlite",
    settled: [{ limit: 120, remaining: 77, retryAfterMs: null }],
  }]);
});

Deno.test("send() reads the whole body before it settles the permit", async () => {
  let release = () => {};
  const { context, client } = setUp(() =>
    new Response(
      new ReadableStream({
        start: (stream) => {
          release = () => {
            stream.enqueue(new TextEncoder().encode("{}"));
            stream.close();
          };
        },
      }),
      { headers: { "content-type": "application/json" } },
    )
  );
  const sending = client.send(GET);
  while (context.sent.length === 0) await Promise.resolve();
  for (let i = 0; i < 100; i++) await Promise.resolve();
  assertEquals(context.limiter.taken[0]?.settled, []);
  release();
  await sending;
  assertEquals(context.limiter.taken[0]?.settled.length, 1);
});

Deno.test("send() repeats a read after every passing trouble, with jitter between", async () => {
  const troubles = [
    () => new TypeError("connection reset"),
    () => html(502),
    cutOff,
    () => json({ message: "Server Error" }, 500),
    () => json({ data: 1 }),
  ];
  const { context, client } = setUp((_, number) => {
    const trouble = troubles[number - 1];
    return trouble === undefined ? new Error("too many") : trouble();
  });
  assertEquals((await client.send(GET)).body, { data: 1 });
  assertEquals(context.slept, [500, 1000, 2000, 4000]);
  assertEquals(
    context.limiter.taken.map(({ settled }) => settled.length),
    [1, 1, 1, 1, 1],
  );
});

Deno.test("send() gives up after five attempts", async () => {
  const { context, client } = setUp(() => json({}, 503));
  const error = await failure(client, GET);
  assertEquals(context.sent.length, 5);
  assertEquals(
    [error.kind, error.code, error.status],
    ["retryable", "remote_unavailable", 503],
  );
});

Deno.test("send() never repeats a write whose fate is unknown", async () => {
  const troubles: [() => Response | Error, string][] = [
    [() => new TypeError("connection reset"), "remote_unreachable"],
    [() => html(502), "remote_unavailable"],
    [() => html(200), "remote_invalid_answer"],
    [cutOff, "remote_unreachable"],
    [() => json({}, 500), "remote_unavailable"],
    [() => json({}, 408), "remote_timeout"],
    [
      () =>
        new Response('{"responses":[{', {
          headers: { "content-type": "application/json" },
        }),
      "remote_invalid_answer",
    ],
  ];
  for (const [trouble, code] of troubles) {
    const { context, client } = setUp(() => trouble());
    const error = await failure(client, WRITE);
    assertEquals(
      [error.kind, error.code, context.sent.length],
      ["unknown_outcome", code, 1],
    );
  }
});

Deno.test("send() repeats a write that was turned away for certain", async () => {
  const { context, client } = setUp((_, number) =>
    number === 1 ? json({}, 429, { "retry-after": "7" }) : json({ ok: true })
  );
  assertEquals((await client.send(WRITE)).body, { ok: true });
  // The limiter was told, and does the waiting.
  assertEquals(context.slept, []);
  assertEquals(context.limiter.taken.map(({ settled }) => settled), [
    [{ limit: null, remaining: null, retryAfterMs: 7000 }],
    [{ limit: null, remaining: null, retryAfterMs: null }],
  ]);
});

Deno.test("send() takes a 429 that names no wait for a whole window", async () => {
  const { context, client } = setUp(() => json({}, 429));
  const error = await failure(client, GET);
  assertEquals(
    [error.kind, error.code, error.retryAfterMs],
    ["retryable", "remote_rate_limited", 60_000],
  );
  assertEquals(context.sent.length, 5);
  assertEquals(context.slept, []);
  for (const { settled } of context.limiter.taken) {
    assertEquals(settled[0]?.retryAfterMs, 60_000);
  }
});

Deno.test("send() leaves the wait a 503 asks for to the limiter", async () => {
  const { context, client } = setUp((_, number) => number === 1 ? html(503) : json({}));
  await client.send(GET);
  assertEquals(context.slept, [500]);
  const withHeader = setUp((_, number) =>
    number === 1 ? json({}, 503, { "retry-after": "600" }) : json({})
  );
  await withHeader.client.send(GET);
  assertEquals(withHeader.context.slept, []);
  assertEquals(
    withHeader.context.limiter.taken[0]?.settled[0]?.retryAfterMs,
    180_000,
  );
});

Deno.test("send() takes an import from both budgets, and its numbers for neither's", async () => {
  const headers = { "x-ratelimit-limit": "5", "x-ratelimit-remaining": "0" };
  const { context, client } = setUp((_, number) =>
    number === 1 ? json({}, 429, { ...headers, "retry-after": "40" }) : json({}, 200, headers)
  );
  await client.send({ ...WRITE, isImport: true });
  const nothing = { limit: null, remaining: null, retryAfterMs: null };
  assertEquals(context.limiter.taken, [
    {
      bucket: "mailerlite:import",
      settled: [{ ...nothing, retryAfterMs: 40_000 }],
    },
    { bucket: "mailerlite", settled: [nothing] },
    { bucket: "mailerlite:import", settled: [nothing] },
    { bucket: "mailerlite", settled: [nothing] },
  ]);
});

Deno.test("send() gives the one permit back when it cannot have the other", async () => {
  const settled: string[] = [];
  const limiter = {
    take: (bucket: string) =>
      bucket === "mailerlite"
        ? Promise.reject(new RateWaitError(bucket, 5000))
        : Promise.resolve({ settle: () => void settled.push(bucket) }),
  };
  const context = testContext(() => json({}));
  const client = new MailerLiteClient({ ...context, limiter });
  await assertRejects(
    () => client.send({ ...WRITE, isImport: true }),
    RateWaitError,
  );
  assertEquals(settled, ["mailerlite:import"]);
  assertEquals(context.sent.length, 0);
});

Deno.test("send() times out by the given clock", async () => {
  const { context, client } = setUp((_, __, signal) => silent(signal), {
    timeout: () => AbortSignal.abort(),
  });
  const error = await failure(client, { ...WRITE, timeoutMs: 120_000 });
  assertEquals([error.kind, error.code], ["unknown_outcome", "remote_timeout"]);
  const read = await failure(client, GET);
  assertEquals([read.kind, read.code], ["retryable", "remote_timeout"]);
  for (const { settled } of context.limiter.taken) assertEquals(settled, [null]);
});

Deno.test("send() stops when the caller has to, and says whether something was sent", async () => {
  const { context, client } = setUp((_, __, signal) => {
    context.stop.abort();
    return silent(signal);
  });
  const during = await failure(client, WRITE);
  assertEquals([during.kind, during.code], ["unknown_outcome", "aborted"]);
  const before = await failure(client, WRITE);
  assertEquals([before.kind, before.code], ["retryable", "aborted"]);
  assertEquals(context.sent.length, 1);
});

Deno.test("send() stops while it waits for a permit, and gives the late permit back", async () => {
  const settled: unknown[] = [];
  let grant = () => {};
  const limiter = {
    take: () =>
      new Promise<{ settle: (seen: unknown) => void }>((resolve) => {
        grant = () => resolve({ settle: (seen) => void settled.push(seen) });
      }),
  };
  const context = testContext(() => json({}));
  const client = new MailerLiteClient({ ...context, limiter });
  const sending = failure(client, GET);
  context.stop.abort();
  assertEquals((await sending).code, "aborted");
  grant();
  await Promise.resolve();
  await Promise.resolve();
  assertEquals(settled, [null]);
  assertEquals(context.sent.length, 0);
});

Deno.test("send() stops while it waits between attempts", async () => {
  const { context, client } = setUp(() => json({}, 500), {
    sleep: () => {
      context.stop.abort();
      return new Promise(() => {});
    },
  });
  assertEquals((await failure(client, GET)).code, "aborted");
  assertEquals(context.sent.length, 1);
});

Deno.test("send() parses no body that is not JSON, and none that is not whole", async () => {
  const bodies = [
    html(200),
    new Response("{}", { headers: { "content-type": "text/plain" } }),
    new Response("", { headers: { "content-type": "application/json" } }),
    new Response('{"a":', { headers: { "content-type": "application/json" } }),
    new Response("{}"),
  ];
  for (const body of bodies) {
    const { context, client } = setUp(() => body.clone());
    assertEquals((await failure(client, GET)).code, "remote_invalid_answer");
    assertEquals(context.sent.length, 5);
  }
});

Deno.test("send() follows no redirect", async () => {
  const { context, client } = setUp(() =>
    new Response(null, {
      status: 307,
      headers: { location: "https://elsewhere.test/" },
    })
  );
  const error = await failure(client, GET);
  assertEquals([error.kind, error.status], ["rejected", 307]);
  assertEquals(context.sent[0]?.redirect, "manual");
  assertEquals(context.sent.length, 1);
});

Deno.test("send() answers a refusal only where it is asked to", async () => {
  const body = { message: "x", errors: { email: ["taken"] } };
  const { client } = setUp(() => json(body, 422));
  assertEquals((await failure(client, GET)).code, "rejected_email");
  assertEquals(await client.send({ ...GET, refusalIsAnswer: true }), {
    status: 422,
    body,
  });
  const refused = setUp(() => json({ message: "Unauthenticated." }, 401));
  const error = await failure(refused.client, {
    ...GET,
    refusalIsAnswer: true,
  });
  assertEquals([error.kind, error.code], ["auth", "remote_unauthorized"]);
  assertEquals(refused.context.sent.length, 1);
});

Deno.test("no message of send() holds an address, an id, the body or the token", async () => {
  const scripts: Script[] = [
    () => new TypeError("error for url (https://x/subscribers/ann%40example.test)"),
    () => html(500),
    () => json({ message: "ann@example.test" }, 422),
    () => json({ message: "ann@example.test" }, 401),
    () => html(200),
  ];
  for (const script of scripts) {
    const { client } = setUp(script);
    for (const request of [GET, { ...GET, repeatable: false }]) {
      const error = await failure(client, request);
      assertEquals(/ann|example|token/.test(error.message), false);
      assertEquals(error.message.includes("GET /subscribers/{id}"), true);
      assertEquals(error.cause, undefined);
    }
  }
});
