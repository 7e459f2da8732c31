import { assertEquals, assertRejects } from "@std/assert";
import { RemoteError } from "../remote_error.ts";
import { UnreadableRecordsError } from "../unreadable_records_error.ts";
import { json, subscriber, testContext } from "./_test_util.ts";
import { MailerLiteClient } from "./client.ts";
import { findSubscribers, getSubscribers } from "./read.ts";

/** A server that knows subscribers by the last part of a path. */
function setUp(known: Record<string, unknown>) {
  const answer = (path: string) => {
    const row = known[decodeURIComponent(path.split("/").at(-1) ?? "")];
    return row === undefined
      ? { code: 404, body: { message: "No query results" } }
      : { code: 200, body: { data: row } };
  };
  const context = testContext(({ body, url }) => {
    if (url.pathname !== "/api/batch") {
      const { code, body } = answer(url.pathname);
      return json(body, code);
    }
    const { requests } = body as { requests: { path: string }[] };
    return json({ responses: requests.map(({ path }) => answer(path)) });
  });
  return { context, client: new MailerLiteClient(context) };
}

Deno.test("getSubscribers() answers in the order asked, null where there is none", async () => {
  const { context, client } = setUp({
    1: subscriber("1"),
    2: subscriber("2", { deleted_at: "2026-01-01 00:00:00" }),
    3: subscriber("3"),
  });
  const ids = ["3", "9", "1", "2", "3", "ann@example.test", ""];
  const records = await getSubscribers(client, ids);
  assertEquals(
    records.map((record) => record?.id ?? null),
    ["3", null, "1", null, "3", null, null],
  );
  assertEquals(context.sent.length, 1);
  assertEquals(await getSubscribers(client, []), []);
  assertEquals(context.sent.length, 1);
});

Deno.test("getSubscribers() says which records it cannot read, and takes none for absent", async () => {
  const { client } = setUp({
    1: subscriber("1", { status: "new word" }),
    2: subscriber("2"),
    3: subscriber("3", { groups: null }),
  });
  const error = await assertRejects(
    () => getSubscribers(client, ["1", "2", "3"]),
    UnreadableRecordsError,
  );
  assertEquals(error.indexes, [0, 2]);
  assertEquals([error.kind, error.code], ["rejected", "unreadable_record"]);
});

Deno.test("getSubscribers() refuses an answer about somebody else", async () => {
  const { client } = setUp({ 1: subscriber("2"), 2: subscriber("1") });
  const error = await assertRejects(
    () => getSubscribers(client, ["1", "2"]),
    RemoteError,
  );
  assertEquals(error.code, "remote_invalid_answer");
});

Deno.test("getSubscribers() does not take a refusal for absence", async () => {
  const context = testContext(() => json({}, 400));
  const error = await assertRejects(
    () => getSubscribers(new MailerLiteClient(context), ["1"]),
    RemoteError,
  );
  assertEquals([error.kind, error.status], ["rejected", 400]);
});

Deno.test("findSubscribers() encodes addresses and looks up none that is no address", async () => {
  const email = "o'brien+a/b@example.test";
  const { context, client } = setUp({ [email]: subscriber("1", { email }) });
  const keys = [` ${email.toUpperCase()}`, "", "12345", "nobody@example.test"];
  const found = await findSubscribers(client, keys);
  assertEquals(found.map((records) => records.map(({ id }) => id)), [
    ["1"],
    [],
    [],
    [],
  ]);
  assertEquals(context.sent[0]?.body, {
    requests: [
      { method: "GET", path: "api/subscribers/o'brien%2Ba%2Fb%40example.test" },
      { method: "GET", path: "api/subscribers/nobody%40example.test" },
    ],
  });
});

Deno.test("findSubscribers() finds nobody under an address that is not theirs", async () => {
  const old = "old@example.test";
  const { client } = setUp({
    [old]: subscriber("1", { email: "new@example.test" }),
  });
  assertEquals(await findSubscribers(client, [old]), [[]]);
});
