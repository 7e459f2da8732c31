import { z } from "zod";
import type { Json } from "../../merge/json.ts";
import type { WebhookHint, WebhookReading, WebhookReceiver } from "../webhook.ts";
import { isSigned, webhookSecrets } from "./webhook_signature.ts";

/** What to ask for: every event after which a subscriber or its groups may read differently. */
const EVENTS: readonly string[] = [
  "subscriber.created",
  "subscriber.updated",
  "subscriber.unsubscribed",
  "subscriber.added_to_group",
  "subscriber.removed_from_group",
  "subscriber.bounced",
  "subscriber.spam_reported",
  "subscriber.deleted",
];

/** What is understood; a webhook made by hand may send more than is asked for. */
const UNDERSTOOD: ReadonlySet<string> = new Set([...EVENTS, "subscriber.active"]);

// Ids are above 2^53, and a JSON number of that size has lost its last digits
// before anybody can look at it: a neighbour's id may be what is left.
const id = z.string().regex(/^\d{1,20}$/);
const name = z.string().min(1);

// Flat items carry the subscriber's keys themselves and name the event in
// `event`; nested ones carry a subscriber and name it in `type` (MailerLite
// docs, Webhooks, Payloads).
const namedSchema = z.union([
  z.object({ event: name }).transform((item) => item.event),
  z.object({ type: name }).transform((item) => item.type),
]);
const flatSchema = z.object({ event: name, id, subscriber: z.never().optional() })
  .transform((item) => item.id);
const nestedSchema = z.object({ subscriber: z.object({ id }) })
  .transform((item) => item.subscriber.id);
const idSchema = z.union([nestedSchema, flatSchema]);

const batchSchema = z.object({ events: z.array(z.unknown()) });

function readItem(item: unknown): WebhookHint | "ignored" | "unreadable" {
  const event = namedSchema.safeParse(item);
  if (!event.success) return "unreadable";
  if (!UNDERSTOOD.has(event.data)) return "ignored";
  const found = idSchema.safeParse(item);
  return found.success ? { id: found.data, event: event.data } : "unreadable";
}

/** Reads the body of a webhook's request: one event, or a batch of them. */
function read(body: Json): WebhookReading {
  const batch = batchSchema.safeParse(body);
  const hints: WebhookHint[] = [];
  let [ignored, unreadable] = [0, 0];
  for (const item of batch.success ? batch.data.events : [body]) {
    const result = readItem(item);
    if (result === "ignored") ignored++;
    else if (result === "unreadable") unreadable++;
    else hints.push(result);
  }
  return { hints, ignored, unreadable };
}

/**
 * What MailerLite sends about subscribers. Reads `MAILERLITE_WEBHOOK_SECRET` from
 * the environment of each call.
 */
export const subscriberWebhook: WebhookReceiver = {
  events: EVENTS,
  verify: async (env, headers, body) =>
    await isSigned(webhookSecrets(env), headers.get("signature") ?? "", body),
  read,
};
