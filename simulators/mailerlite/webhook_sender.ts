import { hmacSha256Hex } from "./encoding.ts";
import type { PendingDelivery, Webhook, WebhookTable } from "./webhook_table.ts";

/** MailerLite docs, Webhooks: tried again after these waits, then dropped. */
const RETRY_WAITS_MS = [10_000, 100_000, 1_000_000];

/** One try to deliver. */
export interface DeliveryAttempt {
  webhookId: string;
  attempt: number;
  /** ms since 1970 on the simulator's clock. */
  at: number;
  /** The receiver's status; `lost` when a knob dropped it, `failed` when no answer came in time. */
  outcome: number | "lost" | "failed";
}

/** What a sender needs from outside. */
export interface SenderContext {
  nowMs(): number;
  readonly deliver: typeof fetch;
  readonly timeoutMs: number;
}

/** Delivers queued events: any 2xx within the time is success, all else is tried again. */
export class WebhookSender {
  readonly attempts: DeliveryAttempt[] = [];
  #table: WebhookTable;
  #context: SenderContext;
  #count = 0;
  #running: Promise<number> = Promise.resolve(0);

  constructor(table: WebhookTable, context: SenderContext) {
    this.#table = table;
    this.#context = context;
  }

  /** Makes every delivery that is due and resolves to the number of tries. Calls queue up. */
  pump(): Promise<number> {
    const run = this.#running.then(() => this.#pumpOnce());
    this.#running = run.catch(() => 0);
    return run;
  }

  async #pumpOnce(): Promise<number> {
    const before = this.attempts.length;
    const due = this.#table.takeDue();
    if (this.#table.knobs.reorder) due.reverse();
    for (const delivery of due) await this.#send(delivery);
    return this.attempts.length - before;
  }

  async #send(delivery: PendingDelivery): Promise<void> {
    const hook = this.#table.byId(delivery.webhookId);
    if (hook === undefined || !hook.enabled) return;
    const { dropEvery, duplicateEvery } = this.#table.knobs;
    this.#count++;
    if (dropEvery > 0 && this.#count % dropEvery === 0) {
      this.#note(delivery, "lost");
      return;
    }
    const outcome = await this.#try(hook, delivery);
    if (duplicateEvery > 0 && this.#count % duplicateEvery === 0) await this.#try(hook, delivery);
    if (typeof outcome === "number" && outcome >= 200 && outcome < 300) return;
    const wait = RETRY_WAITS_MS[delivery.attempt - 1];
    if (wait !== undefined) this.#table.retry(delivery, this.#context.nowMs() + wait);
  }

  async #try(hook: Webhook, delivery: PendingDelivery): Promise<number | "failed"> {
    const signature = await hmacSha256Hex(hook.secret, delivery.body);
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), this.#context.timeoutMs);
    let outcome: number | "failed" = "failed";
    try {
      const response = await Promise.race([
        this.#context.deliver(hook.url, {
          method: "POST",
          headers: { "content-type": "application/json", signature },
          body: delivery.body,
          signal: abort.signal,
        }),
        // A receiver in process may not look at the signal.
        new Promise<never>((_, reject) =>
          abort.signal.addEventListener("abort", () => reject(abort.signal.reason))
        ),
      ]);
      await response.body?.cancel();
      outcome = response.status;
    } catch {
      // Refused, cut or too slow: the receiver has not taken it, which is all that counts here.
      outcome = "failed";
    } finally {
      clearTimeout(timer);
    }
    hook.lastFiredAt = Math.floor(this.#context.nowMs() / 1000);
    hook.responseCode = outcome === "failed" ? null : outcome;
    this.#note(delivery, outcome);
    return outcome;
  }

  #note(delivery: PendingDelivery, outcome: DeliveryAttempt["outcome"]): void {
    const { webhookId, attempt } = delivery;
    this.attempts.push({ webhookId, attempt, at: this.#context.nowMs(), outcome });
  }
}
