import type { Json } from "../merge/json.ts";
import type { HttpError } from "./http_error.ts";

// The headers supabase-js sends. Credentials travel in headers, not in cookies,
// so any origin may ask.
const CORS_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "authorization, x-client-info, apikey, content-type",
  "access-control-allow-methods": "POST, OPTIONS",
  "access-control-expose-headers": "retry-after",
};

/** Answers with JSON. */
export function respond(
  status: number,
  body: Json,
  headers: Record<string, string> = {},
): Response {
  return Response.json(body, { status, headers: { ...CORS_HEADERS, ...headers } });
}

/** Answers a browser that asks whether it may ask. */
export function respondToPreflight(): Response {
  return new Response(null, { status: 204, headers: CORS_HEADERS });
}

/** Answers with an error: `{ code, message, hint, details }`. */
export function respondWithError(error: HttpError): Response {
  const { hint, details, retryAfterMs } = error.options;
  const headers: Record<string, string> = retryAfterMs === undefined
    ? {}
    : { "retry-after": String(Math.ceil(retryAfterMs / 1000)) };
  return respond(
    error.status,
    { code: error.code, message: error.message, hint: hint ?? null, details: details ?? null },
    headers,
  );
}
