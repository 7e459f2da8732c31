/**
 * The webhooks of an account: what is registered there, for the command line.
 * No function reaches this file.
 *
 * @module
 */
import { z } from "zod";
import { parseAnswer } from "./answers.ts";
import type { MailerLiteClient } from "./client.ts";

const webhookSchema = z.object({
  id: z.string().regex(/^\d+$/),
  url: z.string(),
  events: z.array(z.string()),
  enabled: z.boolean(),
  is_blocked: z.boolean().default(false),
  secret: z.string().min(1),
  last_fired_at: z.string().nullish(),
  response_code: z.union([z.number(), z.string()]).nullish(),
}).transform((row): Webhook => ({
  id: row.id,
  url: row.url,
  events: row.events,
  enabled: row.enabled,
  blocked: row.is_blocked,
  secret: row.secret,
  lastFiredAt: row.last_fired_at ?? null,
  lastResponse: row.response_code === null || row.response_code === undefined
    ? null
    : String(row.response_code),
}));

const webhookAnswerSchema = z.object({ data: webhookSchema });

const webhookPageSchema = z.object({
  data: z.array(webhookSchema),
  meta: z.object({ last_page: z.coerce.number().int().min(1) }),
});

/** A registered webhook (MailerLite docs, Webhooks). */
export interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly enabled: boolean;
  /** Whether MailerLite gave up on it. */
  readonly blocked: boolean;
  /** What its requests are signed with. Not for logs. */
  readonly secret: string;
  /** In MailerLite's own form, UTC; null where it never fired. */
  readonly lastFiredAt: string | null;
  /** The status its receiver last answered; null where there was no answer. */
  readonly lastResponse: string | null;
}

/** What became of a registration. */
export interface Registration {
  readonly webhook: Webhook;
  readonly outcome: "created" | "updated";
  /** Ids of further webhooks of the same address, which somebody else made. */
  readonly doubles: readonly string[];
}

/**
 * Lists the account's webhooks.
 *
 * @throws {RemoteError} As {@linkcode MailerLiteClient.send}.
 */
export async function listWebhooks(client: MailerLiteClient): Promise<readonly Webhook[]> {
  const found: Webhook[] = [];
  for (let page = 1, last = 1; page <= last; page++) {
    const { body } = await client.send({
      method: "GET",
      route: "/webhooks",
      path: `/webhooks?page=${page}`,
      repeatable: true,
    });
    const { data, meta } = parseAnswer(webhookPageSchema, body, "GET /webhooks");
    found.push(...data);
    last = meta.last_page;
  }
  return found;
}

/**
 * Registers an address, or brings its webhook up to date if it has one: enabled,
 * with these events. It is made batchable, without which MailerLite refuses
 * `subscriber.deleted` and would send every event in a request of its own.
 *
 * @throws {RemoteError} As {@linkcode MailerLiteClient.send}; after `unknown_outcome`, do it again.
 */
export async function registerWebhook(
  client: MailerLiteClient,
  url: string,
  events: readonly string[],
): Promise<Registration> {
  const known = (await listWebhooks(client)).filter((webhook) => isSameAddress(webhook.url, url));
  const [first, ...others] = known;
  const settings = { url, events: [...events], enabled: true, batchable: true };
  if (first === undefined) {
    const { body } = await client.send({
      method: "POST",
      route: "/webhooks",
      path: "/webhooks",
      body: { name: "Sync", ...settings },
      repeatable: false,
    });
    const { data } = parseAnswer(webhookAnswerSchema, body, "POST /webhooks");
    return { webhook: data, outcome: "created", doubles: [] };
  }
  const { body } = await client.send({
    method: "PUT",
    route: "/webhooks/{id}",
    path: `/webhooks/${first.id}`,
    body: settings,
    repeatable: true,
  });
  const { data } = parseAnswer(webhookAnswerSchema, body, "PUT /webhooks/{id}");
  return { webhook: data, outcome: "updated", doubles: others.map(({ id }) => id) };
}

/**
 * Removes a webhook.
 *
 * @throws {RemoteError} `remote_not_found` if there is none of that id; else as {@linkcode MailerLiteClient.send}.
 */
export async function removeWebhook(client: MailerLiteClient, id: string): Promise<void> {
  await client.send({
    method: "DELETE",
    route: "/webhooks/{id}",
    path: `/webhooks/${id}`,
    repeatable: true,
  });
}

function isSameAddress(a: string, b: string): boolean {
  return URL.canParse(a) && URL.canParse(b) && new URL(a).href === new URL(b).href;
}
