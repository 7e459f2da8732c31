import type { ConnectorContext } from "../connector.ts";
import type { RemoteError } from "../remote_error.ts";
import type { Json } from "../../merge/json.ts";
import { abortable } from "./abortable.ts";
import { type MailerLiteConfig, readConfig } from "./config.ts";
import { failureOf } from "./failure.ts";
import { settlePermits, takePermits } from "./permits.ts";
import { backoffMs, MAX_ATTEMPTS, retryAfterMs, throttledMs } from "./retry.ts";

// Pins the API's behaviour to what this client was written against; without it
// the newest version answers (MailerLite docs, Getting started, Versioning).
const API_VERSION = "2026-11-20";

const TIMEOUT_MS = 30_000;

/** How long a batch may take, in ms: its items are worked off while the client waits. */
export const BATCH_TIMEOUT_MS = 120_000;

/** One call of the API. */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** The path without ids, for messages: `/subscribers/{id}`. */
  readonly route: string;
  /** The path below the base URL, with its query. */
  readonly path: string;
  readonly body?: Json;
  /**
   * Whether the call may be sent again when nobody knows what became of it. A
   * POST says so for itself: a batch of reads may, a batch of writes may not.
   */
  readonly repeatable: boolean;
  /** Whether it also counts against the budget of imports; default no. */
  readonly isImport?: boolean;
  /** Whether a 2xx body is wanted as its bytes, unparsed; default no. */
  readonly raw?: boolean;
  /** How long one attempt may take, in ms; default 30,000. */
  readonly timeoutMs?: number;
  /** Whether a refusal of what this call asks for (400, 404, 422) is an answer and not an error; default no. */
  readonly refusalIsAnswer?: boolean;
}

/** What the API answered. */
export interface ApiAnswer {
  readonly status: number;
  /** The parsed body, or its bytes if asked for; null where it is empty, undefined where it is not JSON. */
  readonly body: unknown;
}

type Attempt =
  | { readonly answer: ApiAnswer }
  | {
    readonly error: RemoteError;
    readonly again: boolean;
    /** Whether the limiter knows how long to wait, and will. */
    readonly limited: boolean;
  };

/**
 * Sends calls to MailerLite: with leave from the limiter, a timeout, and further
 * attempts where these are safe.
 *
 * Deno's `fetch` repeats a request once by itself when a reused connection is
 * reset, a POST included. So "not repeated" means "not repeated by this client",
 * and whatever is sent has to bear being done twice. What this connector sends
 * does: an upsert is keyed by the address, an update sets values, an assignment
 * to a group and a delete are either done or not.
 */
export class MailerLiteClient {
  readonly #context: ConnectorContext;
  readonly #config: MailerLiteConfig;

  /** @throws {MissingConfigurationError} If the environment lacks the API key. */
  constructor(context: ConnectorContext) {
    this.#context = context;
    this.#config = readConfig(context.env);
  }

  /**
   * Sends one call, at most five times.
   *
   * @returns The answer: one with a 2xx status and a whole body, or a refusal if that is asked for.
   * @throws {RemoteError} If there is none.
   * @throws {RateWaitError} If the rate limit makes the caller wait longer than it has.
   */
  async send(request: ApiRequest): Promise<ApiAnswer> {
    for (let attempt = 1;; attempt++) {
      const result = await this.#attempt(request);
      if ("answer" in result) return result.answer;
      if (!result.again || attempt >= MAX_ATTEMPTS) throw result.error;
      if (!result.limited) await this.pause(attempt);
    }
  }

  /** Waits before the attempt that follows number `attempt`, counted from 1. */
  async pause(attempt: number): Promise<void> {
    const { sleep, random, signal } = this.#context;
    const ms = backoffMs(attempt, random());
    await abortable(() => sleep(ms), signal, "the next attempt");
  }

  async #attempt(request: ApiRequest): Promise<Attempt> {
    const { signal, limiter, now } = this.#context;
    const call = `${request.method} ${request.route}`;
    const isImport = request.isImport ?? false;
    const permits = await takePermits(limiter, isImport, signal, call);
    const timeout = this.#timeout(request.timeoutMs ?? TIMEOUT_MS);
    let response: Response | null = null;
    let bytes: Uint8Array;
    try {
      response = await this.#fetch(request, timeout);
      // Read to the end before the permit is settled: a body that breaks off is
      // a failure of this request.
      bytes = new Uint8Array(await response.arrayBuffer());
    } catch {
      const code = signal.aborted
        ? "aborted"
        : timeout.aborted
        ? "remote_timeout"
        : "remote_unreachable";
      const lost = { kind: "lost", code } as const;
      return { ...failureOf(request.repeatable, call, lost), limited: false };
    } finally {
      settlePermits(permits, response, now());
    }
    return this.#judge(request, call, response, bytes);
  }

  #timeout(ms: number): AbortSignal {
    return this.#context.timeout?.(ms) ?? AbortSignal.timeout(ms);
  }

  #fetch(request: ApiRequest, timeout: AbortSignal): Promise<Response> {
    const { fetch, signal } = this.#context;
    return fetch(`${this.#config.baseUrl}${request.path}`, {
      method: request.method,
      headers: {
        authorization: `Bearer ${this.#config.apiKey}`,
        accept: "application/json",
        "content-type": "application/json",
        "x-version": API_VERSION,
      },
      // Followed, a redirect would carry the token to wherever it points.
      redirect: "manual",
      signal: AbortSignal.any([signal, timeout]),
      body: request.body === undefined ? null : JSON.stringify(request.body),
    });
  }

  #judge(
    request: ApiRequest,
    call: string,
    response: Response,
    bytes: Uint8Array,
  ): Attempt {
    const { status, headers } = response;
    const read = response.ok && request.raw === true ? wholeBody : parseBody;
    const body = status === 204 ? null : read(headers.get("content-type"), bytes);
    if (response.ok) {
      if (body !== undefined) return { answer: { status, body } };
      const garbled = { kind: "garbled", status } as const;
      return {
        ...failureOf(request.repeatable, call, garbled),
        limited: false,
      };
    }
    const header = headers.get("retry-after");
    const now = this.#context.now();
    const wait = status === 429 ? throttledMs(header, now) : retryAfterMs(header, now);
    const refused = {
      kind: "refused",
      status,
      retryAfterMs: wait,
      body,
    } as const;
    const failure = failureOf(request.repeatable, call, refused);
    if (failure.error.kind === "rejected" && request.refusalIsAnswer === true) {
      return { answer: { status, body } };
    }
    return { ...failure, limited: wait !== null };
  }
}

// A proxy in front of the API answers in HTML, with any status.
function isJson(contentType: string | null): boolean {
  return /^application\/(?:[\w.-]+\+)?json\b/i.test(contentType ?? "");
}

/** The parsed body; undefined where it is not whole, or not JSON. */
function parseBody(contentType: string | null, bytes: Uint8Array): unknown {
  if (!isJson(contentType)) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

/** The bytes of an object; undefined where they are none from end to end. */
function wholeBody(contentType: string | null, bytes: Uint8Array): Uint8Array | undefined {
  const isWhole = bytes.at(0) === 0x7b && bytes.at(-1) === 0x7d;
  return isJson(contentType) && isWhole ? bytes : undefined;
}
