import type { Json } from "../merge/json.ts";
import { HttpError } from "./http_error.ts";

/** Bytes a request's body may have. The largest request there is, a hundred addresses, has a tenth of it. */
export const MAX_BODY_BYTES = 65_536;

async function readText(request: Request): Promise<string> {
  if (request.body === null) return "";
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Counted while it comes in: content-length is what the caller says.
  for await (const chunk of request.body) {
    size += chunk.byteLength;
    if (size > MAX_BODY_BYTES) {
      throw new HttpError(
        "body_too_large",
        `Cannot read the request: its body is larger than ${MAX_BODY_BYTES} bytes`,
      );
    }
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new HttpError("invalid_request", "Cannot read the request: its body is not UTF-8");
  }
}

/**
 * Reads a request's body as JSON; none at all counts as `{}`, which is what
 * `functions.invoke` sends without a body.
 *
 * @throws {HttpError} If it is too large, not UTF-8 or not JSON.
 */
export async function readBody(request: Request): Promise<Json> {
  const text = await readText(request);
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the text it stumbled over.
    throw new HttpError("invalid_request", "Cannot read the request: its body is not valid JSON");
  }
}
