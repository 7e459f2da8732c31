import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { HttpError } from "./http_error.ts";
import { MAX_WEBHOOK_BYTES, readWebhookBody } from "./sync_webhook_body.ts";

const KIB = 1024;

/** A body without an end; counts what is taken of it. */
function endless() {
  const taken = { bytes: 0, cancelled: false };
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(new Uint8Array(16 * KIB));
      taken.bytes += 16 * KIB;
    },
    cancel() {
      taken.cancelled = true;
    },
  });
  return { stream, taken };
}

function post(body: BodyInit | null, headers: Record<string, string> = {}): Request {
  return new Request("http://project.test/functions/v1/sync-webhook", {
    method: "POST",
    headers,
    body,
  });
}

Deno.test("readWebhookBody() gives the bytes as they came", async () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
  assertEquals(new Uint8Array(await readWebhookBody(post(bytes))), bytes);
  assertEquals((await readWebhookBody(post(null))).byteLength, 0);
  const parts = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  assertEquals(new Uint8Array(await readWebhookBody(post(parts))), bytes);
});

Deno.test("readWebhookBody() takes a mebibyte and not a byte more", async () => {
  const most = new Uint8Array(MAX_WEBHOOK_BYTES);
  assertEquals((await readWebhookBody(post(most))).byteLength, MAX_WEBHOOK_BYTES);
  const error = await assertRejects(
    () => readWebhookBody(post(new Uint8Array(MAX_WEBHOOK_BYTES + 1))),
    HttpError,
  );
  assertEquals([error.status, error.code], [413, "body_too_large"]);
});

Deno.test("readWebhookBody() stops reading a body that does not end, whatever its header says", async () => {
  for (const announced of [{}, { "content-length": "10" }, { "content-length": "many" }]) {
    const { stream, taken } = endless();
    const error = await assertRejects(() => readWebhookBody(post(stream, announced)), HttpError);
    assertEquals(error.code, "body_too_large");
    assertLess(taken.bytes, MAX_WEBHOOK_BYTES + 64 * KIB);
    assert(taken.cancelled);
  }
});

Deno.test("readWebhookBody() does not wait for a body that announces itself as too large", async () => {
  const { stream, taken } = endless();
  const announced = { "content-length": String(2 * MAX_WEBHOOK_BYTES) };
  const error = await assertRejects(() => readWebhookBody(post(stream, announced)), HttpError);
  assertEquals(error.code, "body_too_large");
  assertLess(taken.bytes, 64 * KIB);
  assert(taken.cancelled);
});
