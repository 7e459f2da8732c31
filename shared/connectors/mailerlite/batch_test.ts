import { assertEquals, assertRejects } from "@std/assert";
import { RemoteError } from "../remote_error.ts";
import { json, type Script, testContext } from "./_test_util.ts";
import { type BatchItem, readBatch, sendBatch } from "./batch.ts";
import { MailerLiteClient } from "./client.ts";

const read = (id: number): BatchItem => ({
  method: "GET",
  route: "/subscribers/{id}",
  path: `/subscribers/${id}`,
});
const upsert = (id: number): BatchItem => ({
  method: "POST",
  route: "/subscribers",
  path: "/subscribers",
  body: { email: `${id}@example.test` },
});

function setUp(script: Script) {
  const context = testContext(script);
  return { context, client: new MailerLiteClient(context) };
}

/** Paths of the calls in a request. */
function pathsOf(body: unknown): string[] {
  const { requests } = body as { requests: { path: string }[] };
  return requests.map(({ path }) => path);
}

/** Answers every call with its path, but for those `codes` names by path. */
function echo(codes: (path: string, request: number) => number = () => 200): Script {
  return ({ body, url }, number) =>
    url.pathname === "/api/batch"
      ? json({
        responses: pathsOf(body).map((path) => ({
          code: codes(path, number),
          body: path,
        })),
      })
      : json(url.pathname.slice(1), codes(url.pathname.slice(1), number));
}

Deno.test("sendBatch() sends calls in one request and answers in their order", async () => {
  const { context, client } = setUp(echo((path) => path.endsWith("2") ? 404 : 200));
  const answers = await sendBatch(client, [read(1), read(2), upsert(3)], true);
  assertEquals(answers, [
    { code: 200, body: "api/subscribers/1" },
    { code: 404, body: "api/subscribers/2" },
    { code: 200, body: "api/subscribers" },
  ]);
  assertEquals(context.sent[0]?.body, {
    requests: [
      { method: "GET", path: "api/subscribers/1" },
      { method: "GET", path: "api/subscribers/2" },
      {
        method: "POST",
        path: "api/subscribers",
        body: { email: "3@example.test" },
      },
    ],
  });
  assertEquals(context.timeouts, [120_000]);
});

Deno.test("sendBatch() sends one call as itself, and none not at all", async () => {
  const { context, client } = setUp(echo());
  await sendBatch(client, [read(1)], true);
  await sendBatch(client, [upsert(1)], false);
  assertEquals(await sendBatch(client, [], true), []);
  assertEquals(
    context.sent.map(({ method, url }) => `${method} ${url.pathname}`),
    ["GET /api/subscribers/1", "POST /api/subscribers"],
  );
  assertEquals(context.limiter.count("mailerlite:import"), 0);
});

Deno.test("sendBatch() counts a batch of upserts alone as an import", async () => {
  const { context, client } = setUp(echo());
  await sendBatch(client, [upsert(1), upsert(2), read(3)], false);
  assertEquals(context.limiter.count("mailerlite:import"), 0);
  await sendBatch(client, [upsert(1), upsert(2)], false);
  assertEquals(context.limiter.count("mailerlite:import"), 1);
});

Deno.test("sendBatch() takes an answer of another length for none", async () => {
  const short = () => json({ responses: [{ code: 200, body: {} }] });
  for (const repeatable of [true, false]) {
    const { client } = setUp(short);
    const error = await assertRejects(
      () => sendBatch(client, [read(1), read(2)], repeatable),
      RemoteError,
    );
    assertEquals(
      [error.kind, error.code],
      [repeatable ? "retryable" : "unknown_outcome", "remote_invalid_answer"],
    );
  }
});

Deno.test("readBatch() splits at fifty and keeps the order", async () => {
  const { context, client } = setUp(echo());
  const items = Array.from({ length: 120 }, (_, id) => read(id));
  const answers = await readBatch(client, items);
  assertEquals(
    answers.map(({ body }) => body),
    items.map(({ path }) => `api${path}`),
  );
  assertEquals(context.sent.map(({ body }) => pathsOf(body).length), [50, 50, 20]);
});

Deno.test("readBatch() asks again for those alone that met a passing trouble", async () => {
  const { context, client } = setUp(
    echo((path, request) => {
      if (path === "api/subscribers/1" && request < 3) return 429;
      if (path === "api/subscribers/3" && request < 2) return 500;
      return path === "api/subscribers/4" ? 404 : 200;
    }),
  );
  const answers = await readBatch(client, [1, 2, 3, 4].map(read));
  assertEquals(answers.map(({ code }) => code), [200, 200, 200, 404]);
  assertEquals(
    context.sent.map(({ url, body }) => body === null ? [url.pathname.slice(1)] : pathsOf(body)),
    [
      [1, 2, 3, 4].map((id) => `api/subscribers/${id}`),
      ["api/subscribers/1", "api/subscribers/3"],
      ["api/subscribers/1"],
    ],
  );
  assertEquals(context.slept, [500, 1000]);
});

Deno.test("readBatch() gives up on a trouble that does not pass", async () => {
  const { context, client } = setUp(
    echo((path) => path.endsWith("/1") ? 200 : 503),
  );
  const error = await assertRejects(
    () => readBatch(client, [read(1), read(2), read(3)]),
    RemoteError,
  );
  assertEquals([error.kind, error.status], ["retryable", 503]);
  assertEquals(context.sent.length, 5);
});

Deno.test("readBatch() stops at once where the credentials are refused", async () => {
  const { context, client } = setUp(echo(() => 401));
  const error = await assertRejects(
    () => readBatch(client, [read(1), read(2)]),
    RemoteError,
  );
  assertEquals([error.kind, context.sent.length], ["auth", 1]);
});
