import type { z } from "zod";
import type { Log } from "../engine/log.ts";
import type { Json } from "../merge/json.ts";
import { authenticate, type Caller, type Role } from "./authenticate.ts";
import { HttpError } from "./http_error.ts";
import { readBody } from "./read_body.ts";
import { respond, respondToPreflight, respondWithError } from "./respond.ts";
import { toHttpError } from "./to_http_error.ts";

/** A successful answer. */
export interface Answer {
  readonly status: number;
  readonly body: { readonly [name: string]: Json };
}

/** What makes one function different from another. */
export interface Endpoint<Body> {
  readonly schema: z.ZodType<Body>;
  /** The least role that may ask this. */
  readonly roleFor: (body: Body) => Role;
  readonly handle: (body: Body, caller: Caller, request: Request) => Promise<Answer>;
  readonly log: Log;
}

// A key is quoted back only if it looks like one: an address put where a key
// belongs would otherwise stand in the answer.
function issuePath(path: readonly PropertyKey[]): string {
  const text = path.map(String).join(".");
  return text === "" ? "(body)" : text;
}

function unknownKeys(keys: readonly string[]): string {
  const plain = keys.filter((key) => /^[A-Za-z_][A-Za-z0-9_]{0,40}$/.test(key));
  const named = plain.map((key) => `'${key}'`).join(", ");
  return named === "" ? "unknown key" : `unknown key ${named}`;
}

function parse<Body>(schema: z.ZodType<Body>, body: Json): Body {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map((issue) => ({
    path: issuePath(issue.path),
    message: issue.code === "unrecognized_keys" ? unknownKeys(issue.keys) : issue.message,
  }));
  throw new HttpError("invalid_request", "Cannot use the request: some fields are wrong", {
    hint: "Mend the fields listed in details.fields",
    details: { fields },
  });
}

async function answer<Body>(endpoint: Endpoint<Body>, request: Request): Promise<Response> {
  if (request.method !== "POST") {
    throw new HttpError("method_not_allowed", "Cannot use the request: its method is not POST", {
      hint: "Call it with supabase.functions.invoke, which sends POST",
    });
  }
  const caller = await authenticate(request);
  const body = parse(endpoint.schema, await readBody(request));
  if (caller.role === "viewer" && endpoint.roleFor(body) === "operator") {
    throw new HttpError("forbidden", "Cannot let a viewer do this: it takes an operator", {
      hint: "Set app_metadata.sync_role to operator",
    });
  }
  const { status, body: json } = await endpoint.handle(body, caller, request);
  return respond(status, json);
}

/**
 * Makes the `fetch` of a function: CORS, method, credentials, body and errors are
 * dealt with here, once for all functions.
 */
export function handler<Body>(endpoint: Endpoint<Body>): (request: Request) => Promise<Response> {
  return async (request) => {
    if (request.method === "OPTIONS") return respondToPreflight();
    try {
      return await answer(endpoint, request);
    } catch (error) {
      const known = toHttpError(error);
      if (known.status >= 500) {
        endpoint.log("error", "request_failed", {
          code: known.code,
          error: error instanceof Error ? error.name : "unknown",
        });
      }
      return respondWithError(known);
    }
  };
}
