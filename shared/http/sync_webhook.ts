/**
 * The sync-webhook function: takes what a remote tells by itself for a hint, puts
 * the records it is about into the queue, and wakes the function that reads them.
 *
 * @module
 */
import { MissingConfigurationError } from "../connectors/missing_configuration_error.ts";
import type { WebhookReceiver } from "../connectors/webhook.ts";
import type { SyncConfig } from "../engine/config.ts";
import { ConfigurationError } from "../engine/configuration_error.ts";
import type { Json } from "../merge/json.ts";
import { enqueue, type QueueEntry } from "../store/queue_store.ts";
import { callSelf } from "./call_self.ts";
import { HttpError } from "./http_error.ts";
import { respond, respondWithError } from "./respond.ts";
import type { Runtime } from "./runtime.ts";
import { readWebhookBody } from "./sync_webhook_body.ts";
import { toHttpError } from "./to_http_error.ts";

/** The function that reads the records of the queue. */
const READER = "smart-sync";

/** Wakes whoever reads the queue; null if that worked, else why not. */
export type Wake = (runtime: Runtime) => Promise<string | null>;

/** What may be exchanged. */
export interface SyncWebhookOptions {
  /** Default: calls smart-sync of this project. */
  readonly wake?: Wake;
}

/** Who may send, each with the names of the pairs it is about. */
type Receivers = ReadonlyMap<WebhookReceiver, readonly string[]>;

function receiversOf(config: SyncConfig): Receivers {
  const found = new Map<WebhookReceiver, string[]>();
  for (const { name, remote: { connector } } of Object.values(config.pairs)) {
    if (connector.webhook === undefined) continue;
    const pairs = found.get(connector.webhook);
    if (pairs === undefined) found.set(connector.webhook, [name]);
    else pairs.push(name);
  }
  if (found.size > 0) return found;
  throw new HttpError(
    "invalid_configuration",
    "Cannot take webhooks: no pair of sync.config.ts has a connector that understands them",
  );
}

function notConfigured(error: MissingConfigurationError): HttpError {
  const { variable } = error;
  return new HttpError(
    "missing_configuration",
    `Cannot check who is asking: the environment variable ${variable} is not set`,
    { hint: `Set it with supabase secrets set ${variable}=…`, details: { variable } },
  );
}

/** Those of the receivers whose remote signed this, usually one. */
async function signedFor(
  receivers: Receivers,
  { env }: Runtime,
  headers: Headers,
  body: ArrayBuffer,
): Promise<Receivers> {
  const signed = new Map<WebhookReceiver, readonly string[]>();
  let missing: MissingConfigurationError | null = null;
  for (const [receiver, pairs] of receivers) {
    try {
      if (await receiver.verify(env, headers, body)) signed.set(receiver, pairs);
    } catch (error) {
      if (!(error instanceof MissingConfigurationError)) throw error;
      missing ??= error;
    }
  }
  if (signed.size > 0) return signed;
  if (missing !== null) throw notConfigured(missing);
  throw new HttpError(
    "unauthorized",
    "Cannot let the caller in: the signature is missing or wrong",
    { hint: "Check that the webhook's secret is among those in the function's environment" },
  );
}

function parse(body: ArrayBuffer): Json {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    // The parser's message quotes the text it stumbled over.
    throw new HttpError("invalid_request", "Cannot read the request: its body is not valid JSON");
  }
}

async function receive(
  config: SyncConfig,
  runtime: Runtime,
  wake: Wake,
  request: Request,
): Promise<Response> {
  if (request.method !== "POST") {
    throw new HttpError("method_not_allowed", "Cannot use the request: its method is not POST", {
      hint: "This is where a remote system sends its webhooks",
    });
  }
  const raw = await readWebhookBody(request);
  const signed = await signedFor(receiversOf(config), runtime, request.headers, raw);
  // Only now, because it tells of the configuration.
  if (config.issues.length > 0) throw new ConfigurationError(config.issues);
  const body = parse(raw);
  const counts = { received: 0, queued: 0, ignored: 0, unreadable: 0 };
  const entries: QueueEntry[] = [];
  for (const [receiver, pairs] of signed) {
    const { hints, ignored, unreadable } = receiver.read(body);
    counts.received += hints.length + ignored + unreadable;
    counts.queued += hints.length;
    counts.ignored += ignored;
    counts.unreadable += unreadable;
    for (const { id, event } of hints) {
      const entry = { side: "b", recordId: id, reason: `webhook:${event}` } as const;
      for (const pair of pairs) entries.push({ pair, ...entry });
    }
  }
  const rows = entries.length === 0 ? 0 : await enqueue(runtime.database(), entries);
  runtime.log("info", "webhook_received", { ...counts, rows });
  if (counts.queued > 0) runtime.inBackground(wakeReader(runtime, wake));
  return respond(200, { ok: true, ...counts });
}

/** The hints are safe in the queue: without this they wait for the next schedule. */
async function wakeReader(runtime: Runtime, wake: Wake): Promise<void> {
  let reason: string | null;
  try {
    reason = await wake(runtime);
  } catch (error) {
    reason = error instanceof Error ? error.name : "unknown";
  }
  if (reason !== null) runtime.log("warn", "cannot_wake", { target: READER, reason });
}

/**
 * Makes the `fetch` of sync-webhook. A request is let in by its signature alone;
 * it is answered as soon as its records are in the queue:
 * `{ ok, received, queued, ignored, unreadable }`, counts of events, of which the
 * first is the sum of the others.
 */
export function syncWebhook(
  config: SyncConfig,
  runtime: Runtime,
  options: SyncWebhookOptions = {},
): (request: Request) => Promise<Response> {
  const wake = options.wake ?? ((runtime) => callSelf(runtime, READER, {}));
  return async (request) => {
    try {
      return await receive(config, runtime, wake, request);
    } catch (error) {
      const known = toHttpError(error);
      // Refusals too: the sender drops them in silence, so nobody else would tell
      // that a secret is wrong.
      runtime.log(known.status >= 500 ? "error" : "warn", "webhook_refused", {
        code: known.code,
        error: error instanceof Error ? error.name : "unknown",
      });
      return respondWithError(known);
    }
  };
}
