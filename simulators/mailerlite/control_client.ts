import type { FaultReport, FaultRule } from "./faults.ts";
import type { JsonObject } from "./json.ts";
import type { RequestReport } from "./recorder.ts";
import type { Switches } from "./switches.ts";
import type {
  ControlChange,
  Counts,
  HistoryEntry,
  Limits,
  Seed,
  SeedLine,
  SeedResult,
} from "./types.ts";
import type { DeliveryAttempt } from "./webhook_sender.ts";
import type { WebhookKnobs } from "./webhook_table.ts";
import { readLines } from "./control.ts";

const encoder = new TextEncoder();

/** Drives a simulator in another process through its control API. */
export class ControlClient {
  #url: string;
  #fetch: typeof fetch;

  /** `url` is the origin that `serveMailerLite` gives. */
  constructor(url: string, fetchLike: typeof fetch = fetch) {
    this.#url = `${url.replace(/\/+$/, "")}/__control/`;
    this.#fetch = fetchLike;
  }

  seed(seed: Seed): Promise<SeedResult> {
    return this.#json("POST", "seed", seed);
  }

  /** Seeds any number of subscribers as a stream; resolves to how many. */
  async seedMany(lines: Iterable<SeedLine>): Promise<number> {
    const source = lines[Symbol.iterator]();
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        let block = "";
        for (let n = 0; n < 1000; n++) {
          const next = source.next();
          if (next.done) break;
          block += `${JSON.stringify(next.value)}\n`;
        }
        if (block === "") controller.close();
        else controller.enqueue(encoder.encode(block));
      },
    });
    const headers = { "content-type": "application/x-ndjson" };
    const response = await this.#call("POST", "seed", { body, headers });
    return ((await response.json()) as { subscribers: number }).subscribers;
  }

  /** Every subscriber that is not deleted, groups included, oldest first. */
  async *readAll(): AsyncGenerator<JsonObject> {
    const response = await this.#call("GET", "subscribers", {});
    if (response.body === null) return;
    for await (const line of readLines(response.body)) yield JSON.parse(line) as JsonObject;
  }

  counts(): Promise<Counts> {
    return this.#json("GET", "counts");
  }

  requests(): Promise<RequestReport> {
    return this.#json("GET", "requests");
  }

  async resetRequests(): Promise<void> {
    await this.#json("DELETE", "requests");
  }

  history(): Promise<HistoryEntry[]> {
    return this.#json("GET", "history");
  }

  async resetHistory(): Promise<void> {
    await this.#json("DELETE", "history");
  }

  setSwitches(changes: Partial<Switches>): Promise<Switches> {
    return this.#json("PUT", "switches", changes);
  }

  setFaults(rules: readonly FaultRule[]): Promise<FaultReport[]> {
    return this.#json("PUT", "faults", rules);
  }

  faults(): Promise<FaultReport[]> {
    return this.#json("GET", "faults");
  }

  async setLimits(limits: Partial<Limits>): Promise<void> {
    await this.#json("PUT", "limits", limits);
  }

  /** Moves the clock on by `ms` and makes the webhook deliveries that became due. */
  advance(ms: number): Promise<{ now: number; webhookAttempts: number }> {
    return this.#json("POST", "advance", { ms });
  }

  /** An edit on the dashboard, found by id or address. */
  async change(key: string, change: ControlChange): Promise<void> {
    await this.#json("POST", "change", { key, ...change });
  }

  /** A delete on the dashboard. */
  async remove(key: string): Promise<void> {
    await this.#json("POST", "remove", { key });
  }

  async setWebhookKnobs(knobs: Partial<WebhookKnobs>): Promise<void> {
    await this.#json("PUT", "webhooks", knobs);
  }

  pumpWebhooks(): Promise<{ webhookAttempts: number }> {
    return this.#json("POST", "webhooks");
  }

  webhookAttempts(): Promise<DeliveryAttempt[]> {
    return this.#json("GET", "webhooks");
  }

  async #json<T>(method: string, name: string, body?: unknown): Promise<T> {
    const init = body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    return await (await this.#call(method, name, init)).json() as T;
  }

  async #call(method: string, name: string, init: RequestInit): Promise<Response> {
    const response = await this.#fetch(this.#url + name, { ...init, method });
    if (response.ok) return response;
    const { message } = await response.json() as { message: string };
    throw new TypeError(message);
  }
}
