import {
  type Answer,
  answer,
  type FieldErrors,
  NO_CONTENT,
  notFound,
  unprocessable,
} from "./answers.ts";
import type { ApiCall, World } from "./call.ts";
import type { JsonObject } from "./json.ts";
import { pageEnvelope } from "./paging.ts";
import { BATCHABLE_ONLY, type Webhook, WEBHOOK_EVENTS, webhookJson } from "./webhook_table.ts";

type WebhookInput = Partial<Pick<Webhook, "name" | "url" | "events" | "enabled" | "batchable">>;

const SECRET_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** Ten letters and digits, as in every recording. */
function newSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return Array.from(bytes, (byte) => SECRET_LETTERS[byte % SECRET_LETTERS.length]).join("");
}

function readInput(body: JsonObject, errors: FieldErrors): WebhookInput {
  const input: WebhookInput = {};
  const { name, url, events, enabled, batchable } = body;
  if (typeof name === "string") input.name = name;
  if (typeof enabled === "boolean") input.enabled = enabled;
  if (typeof batchable === "boolean") input.batchable = batchable;
  if (typeof url === "string" && /^https?:\/\/./.test(url)) input.url = url;
  else if (url !== undefined) errors["url"] = ["The url field must be a valid URL."];
  if (Array.isArray(events)) {
    input.events = events.filter((event) => typeof event === "string");
    events.forEach((event, index) => {
      if (!WEBHOOK_EVENTS.some((known) => known === event)) {
        errors[`events.${index}`] = [`The selected events.${index} is invalid.`];
      }
    });
  } else if (events !== undefined) errors["events"] = ["The events field must be an array."];
  return input;
}

function checkBatchable(hook: Pick<Webhook, "events" | "batchable">, errors: FieldErrors): void {
  if (hook.batchable) return;
  const index = hook.events.findIndex((event) => BATCHABLE_ONLY.includes(event));
  if (index >= 0) {
    errors["batchable"] = [`The batchable field must be true for ${hook.events[index]}.`];
  }
}

/** GET /webhooks: newest first, 50 a page. */
export function listWebhooks(world: World, call: ApiCall): Answer {
  return answer(
    200,
    pageEnvelope(call, world.webhooks.hooks.toReversed(), { perPage: 50, max: 100 }, webhookJson),
  );
}

/** GET /webhooks/{id}. */
export function getWebhook(world: World, _call: ApiCall, [id = ""]: readonly string[]): Answer {
  const hook = world.webhooks.byId(id);
  return hook === undefined
    ? notFound("webhook", id)
    : answer(200, `{"data":${webhookJson(hook)}}`);
}

/** POST /webhooks: 201, though the docs say 200 (mailerlite-python cassettes, webhooks-create). */
export function postWebhook(world: World, call: ApiCall): Answer {
  const errors: FieldErrors = {};
  const { url, events, ...rest } = readInput(call.body, errors);
  if (url === undefined) errors["url"] ??= ["The url field is required."];
  if (events === undefined || events.length === 0) {
    errors["events"] ??= ["The events field is required."];
  }
  checkBatchable({ events: events ?? [], batchable: rest.batchable ?? false }, errors);
  if (world.switches.webhooksMax === "10" && world.webhooks.hooks.length >= 10) {
    errors["url"] ??= ["The account has the maximum of 10 webhooks."];
  }
  if (Object.keys(errors).length > 0 || url === undefined || events === undefined) {
    return unprocessable(errors);
  }
  const now = world.store.nowSeconds();
  const hook: Webhook = {
    id: world.store.ids.next(world.nowMs()),
    secret: newSecret(),
    createdAt: now,
    updatedAt: now,
    lastFiredAt: null,
    responseCode: null,
    name: rest.name ?? null,
    url,
    events,
    enabled: rest.enabled ?? true,
    batchable: rest.batchable ?? false,
  };
  world.webhooks.hooks.push(hook);
  world.recorder.write(world.nowMs(), "webhook.create", hook.id, call.via);
  return answer(201, `{"data":${webhookJson(hook)}}`);
}

/** PUT /webhooks/{id}; an empty list of events is accepted (recorded). */
export function putWebhook(world: World, call: ApiCall, [id = ""]: readonly string[]): Answer {
  const hook = world.webhooks.byId(id);
  if (hook === undefined) return notFound("webhook", id);
  const errors: FieldErrors = {};
  const input = readInput(call.body, errors);
  checkBatchable({
    events: input.events ?? hook.events,
    batchable: input.batchable ?? hook.batchable,
  }, errors);
  if (Object.keys(errors).length > 0) return unprocessable(errors);
  Object.assign(hook, input, { updatedAt: world.store.nowSeconds() });
  world.recorder.write(world.nowMs(), "webhook.update", hook.id, call.via);
  return answer(200, `{"data":${webhookJson(hook)}}`);
}

/** DELETE /webhooks/{id}. */
export function deleteWebhook(world: World, call: ApiCall, [id = ""]: readonly string[]): Answer {
  const { hooks } = world.webhooks;
  const index = hooks.findIndex((hook) => hook.id === id);
  if (index < 0) return notFound("webhook", id);
  hooks.splice(index, 1);
  world.recorder.write(world.nowMs(), "webhook.delete", id, call.via);
  return NO_CONTENT;
}
