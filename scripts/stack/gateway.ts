/** One origin for the whole project, as on the platform. */
import type { Functions } from "./functions.ts";
import type { Lite } from "./lite.ts";
import { problem } from "./problem.ts";
import type { Tokens } from "./tokens.ts";

/** What stands behind the gateway. */
export interface Backends {
  lite: Lite;
  functions: Functions;
  tokens: Tokens;
}

/** Answers a request to the project's origin. */
export async function route(request: Request, backends: Backends): Promise<Response> {
  const url = new URL(request.url);
  if (/^\/(rest|auth)\/v1(\/|$)/.test(url.pathname)) {
    const headers = await backends.tokens.forLite(request.headers);
    // Not a copy of the request: that would tie it to the caller's abort signal, which Deno also fires after an answer.
    const { method, body } = request;
    return await backends.lite.fetch(new Request(url, { method, headers, body }));
  }
  // A function sees its own name as the first part of the path, as it does on the platform.
  const path = /^\/functions\/v1(\/([^/]+).*)$/.exec(url.pathname);
  if (path?.[1] !== undefined && path[2] !== undefined) {
    const headers = await backends.tokens.forFunctions(request.headers);
    return await backends.functions.forward(path[2], path[1] + url.search, request, headers);
  }
  await request.body?.cancel();
  return problem(404, "not_found", "Cannot find anything at this address", {
    hint: "The stack answers at /rest/v1, /auth/v1 and /functions/v1/<name>",
  });
}
