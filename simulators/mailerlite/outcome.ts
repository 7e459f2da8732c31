import type { Answer } from "./answers.ts";

/** A request as it reached the simulator, over TCP or in process. */
export interface Incoming {
  readonly method: string;
  /** Path and query, `/api/subscribers?limit=5`. */
  readonly target: string;
  readonly authorization: string | null;
  /** `http://127.0.0.1:1234`, for links when no base URL is set. */
  readonly origin: string;
  readonly body: string;
}

/** A complete answer: headers in lower case. */
export interface CompleteAnswer {
  readonly kind: "answer";
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string | null;
}

/** What comes back to the client. */
export type Outcome =
  | CompleteAnswer
  /** The connection is cut without an answer. */
  | { readonly kind: "reset" }
  /** The answer is cut after `bytes` of its body. */
  | { readonly kind: "truncated"; readonly answer: CompleteAnswer; readonly bytes: number };

/** The header set of an answer, as recorded by the official SDKs. */
export function complete(
  from: Answer,
  headers: Readonly<Record<string, string>>,
): CompleteAnswer {
  const all: Record<string, string> = { ...headers };
  if (from.body !== null) all["content-type"] = "application/json";
  return {
    kind: "answer",
    status: from.status,
    headers: { ...all, ...from.headers },
    body: from.body,
  };
}

const encoder = new TextEncoder();

/** Turns an outcome into what `fetch` gives: a response, or a rejection with a TypeError. */
export function toResponse(outcome: Outcome, url: string): Response {
  if (outcome.kind === "reset") {
    throw new TypeError(`error sending request for url (${url}): connection reset by peer`);
  }
  if (outcome.kind === "answer") {
    return new Response(outcome.body, { status: outcome.status, headers: outcome.headers });
  }
  const { answer, bytes } = outcome;
  const whole = encoder.encode(answer.body ?? "");
  let sent = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent) controller.error(new TypeError("error reading a body from connection"));
      else controller.enqueue(whole.slice(0, Math.max(bytes, 1)));
      sent = true;
    },
  });
  const headers = { ...answer.headers, "content-length": String(whole.length) };
  return new Response(body, { status: answer.status, headers });
}
