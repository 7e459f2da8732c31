import { phpJson } from "./php_json.ts";
import { ACCOUNT } from "./account.ts";
import { restDate } from "./dates.ts";
import type { Switches } from "./switches.ts";

/** Events a webhook can listen to (MailerLite docs, Webhooks). */
export const WEBHOOK_EVENTS = [
  "subscriber.created",
  "subscriber.updated",
  "subscriber.unsubscribed",
  "subscriber.added_to_group",
  "subscriber.removed_from_group",
  "subscriber.bounced",
  "subscriber.automation_triggered",
  "subscriber.automation_completed",
  "subscriber.spam_reported",
  "subscriber.deleted",
  "subscriber.active",
  "campaign.sent",
  "campaign.open",
  "campaign.click",
] as const;

/** Events that only a batchable webhook may listen to (MailerLite docs, Webhooks). */
export const BATCHABLE_ONLY: readonly string[] = [
  "subscriber.deleted",
  "campaign.open",
  "campaign.click",
];

/** A webhook of the account. Dates are seconds since 1970. */
export interface Webhook {
  readonly id: string;
  readonly secret: string;
  readonly createdAt: number;
  name: string | null;
  url: string;
  events: readonly string[];
  enabled: boolean;
  batchable: boolean;
  updatedAt: number;
  lastFiredAt: number | null;
  responseCode: number | null;
}

/** Misbehaviour of the sender, on demand. */
export interface WebhookKnobs {
  /** Every n-th delivery is made twice; 0 for none. */
  duplicateEvery: number;
  /** Every n-th delivery is lost without a try; 0 for none. */
  dropEvery: number;
  /** Deliveries that are due together go out last to first. */
  reorder: boolean;
  /** From the event to the first try, ms. */
  delayMs: number;
  /** How long a batchable webhook collects, ms. */
  batchDelayMs: number;
}

/** A request to a webhook's receiver that is still to be made. */
export interface PendingDelivery {
  readonly webhookId: string;
  readonly body: string;
  /** 1 for the first try. */
  readonly attempt: number;
  readonly dueMs: number;
  readonly seq: number;
}

interface Buffer {
  items: string[];
  dueMs: number;
}

/** Batches go out every minute, an article of MailerLite's help centre says. */
const DEFAULT_KNOBS: WebhookKnobs = {
  duplicateEvery: 0,
  dropEvery: 0,
  reorder: false,
  delayMs: 0,
  batchDelayMs: 60_000,
};

/** What the table needs from outside. */
export interface WebhookContext {
  nowMs(): number;
  readonly switches: Readonly<Switches>;
}

/** The account's webhooks and the queue of what they have to tell. */
export class WebhookTable {
  readonly hooks: Webhook[] = [];
  knobs: WebhookKnobs = { ...DEFAULT_KNOBS };
  /** Called when something was queued; a server sets a timer. */
  onQueued: () => void = () => {};
  #queue: PendingDelivery[] = [];
  #buffers = new Map<string, Buffer>();
  #seq = 0;
  #context: WebhookContext;

  constructor(context: WebhookContext) {
    this.#context = context;
  }

  byId(id: string): Webhook | undefined {
    return this.hooks.find((hook) => hook.id === id);
  }

  /** Whether anybody wants to hear of this; rows are written for an event only then. */
  listening(event: string): boolean {
    return this.hooks.some((hook) => hook.enabled && hook.events.includes(event));
  }

  /** Queues an event for everybody who listens; `openRow` is a serialised subscriber without its closing brace. */
  emit(event: string, openRow: string, group?: { id: string; name: string }): void {
    const item = this.#payload(event, openRow, group);
    const now = this.#context.nowMs();
    for (const hook of this.hooks) {
      if (!hook.enabled || !hook.events.includes(event)) continue;
      if (hook.batchable) this.#collect(hook, item, now);
      else this.#push(hook.id, item, now + this.knobs.delayMs);
    }
    this.onQueued();
  }

  /** Queues a further try of a delivery that failed. */
  retry(delivery: PendingDelivery, dueMs: number): void {
    this.#queue.push({ ...delivery, attempt: delivery.attempt + 1, dueMs });
    this.onQueued();
  }

  /** Takes out what is due, in order of due time and then of events. */
  takeDue(): PendingDelivery[] {
    const now = this.#context.nowMs();
    this.#closeBuffers(now);
    const due = this.#queue.filter((delivery) => delivery.dueMs <= now);
    this.#queue = this.#queue.filter((delivery) => delivery.dueMs > now);
    return due.sort((a, b) => a.dueMs - b.dueMs || a.seq - b.seq);
  }

  /** When the next thing is due, ms since 1970 on the simulator's clock. */
  nextDueMs(): number | undefined {
    const times = [...this.#queue, ...this.#buffers.values()].map((entry) => entry.dueMs);
    return times.length === 0 ? undefined : times.reduce((a, b) => Math.min(a, b));
  }

  #payload(event: string, openRow: string, group?: { id: string; name: string }): string {
    const ending = `"account_id":${ACCOUNT.id},"api_version":"${ACCOUNT.apiVersion}"}`;
    if (group !== undefined) {
      return `{"type":"${event}","subscriber":${openRow}},"group":${phpJson(group)},${ending}`;
    }
    if (event === "subscriber.deleted" && this.#context.switches.deletedEventShape === "nested") {
      return `{"type":"${event}","subscriber":${openRow}},${ending}`;
    }
    return `${openRow},"event":"${event}",${ending}`;
  }

  #push(webhookId: string, body: string, dueMs: number): void {
    this.#queue.push({ webhookId, body, attempt: 1, dueMs, seq: ++this.#seq });
  }

  #collect(hook: Webhook, item: string, now: number): void {
    let buffer = this.#buffers.get(hook.id);
    if (buffer === undefined) {
      buffer = { items: [], dueMs: now + this.knobs.batchDelayMs };
      this.#buffers.set(hook.id, buffer);
    }
    buffer.items.push(item);
  }

  #closeBuffers(now: number): void {
    const max = Number(this.#context.switches.webhookBatchMax);
    for (const [webhookId, buffer] of this.#buffers) {
      if (buffer.dueMs > now) continue;
      this.#buffers.delete(webhookId);
      for (let from = 0; from < buffer.items.length; from += max) {
        const items = buffer.items.slice(from, from + max);
        this.#push(
          webhookId,
          `{"events":[${items.join(",")}],"total":${items.length}}`,
          buffer.dueMs,
        );
      }
    }
  }
}

/** A webhook as the API writes it, its secret on every read (mailerlite-python cassettes, webhooks-list). */
export function webhookJson(hook: Webhook): string {
  return phpJson({
    id: hook.id,
    name: hook.name,
    url: hook.url,
    events: [...hook.events],
    enabled: hook.enabled,
    is_blocked: false,
    secret: hook.secret,
    created_at: restDate(hook.createdAt),
    updated_at: restDate(hook.updatedAt),
    batchable: hook.batchable,
    version: ACCOUNT.webhookVersion,
    last_fired_at: hook.lastFiredAt === null ? null : restDate(hook.lastFiredAt),
    response_code: hook.responseCode,
  });
}
