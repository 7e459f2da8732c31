import { HttpError } from "./http_error.ts";

/** Bytes the body of a webhook may have: a batch of a thousand events and more. */
export const MAX_WEBHOOK_BYTES = 1_048_576;

function tooLarge(): HttpError {
  return new HttpError(
    "body_too_large",
    `Cannot read the request: its body is larger than ${MAX_WEBHOOK_BYTES} bytes`,
  );
}

/**
 * Reads the body of a webhook as it came, to the byte: that is what is signed.
 *
 * @throws {HttpError} If it is too large; no more of it is read than it takes to tell.
 */
export async function readWebhookBody(request: Request): Promise<ArrayBuffer> {
  if (request.body === null) return new ArrayBuffer(0);
  // Who announces too much is not waited for; who announces too little is counted.
  if (Number(request.headers.get("content-length")) > MAX_WEBHOOK_BYTES) {
    await request.body.cancel();
    throw tooLarge();
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body) {
    size += chunk.byteLength;
    if (size > MAX_WEBHOOK_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  const whole = new ArrayBuffer(size);
  const bytes = new Uint8Array(whole);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
