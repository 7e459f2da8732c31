import type { Runtime } from "../../shared/http/runtime.ts";
import { syncWebhook } from "../../shared/http/sync_webhook.ts";
import type { World } from "./world.ts";

/** The webhooks of the remote, and who takes them. */
export class Webhooks {
  readonly #world: World;
  /** Whether one has come in that asks for a look at the queue. */
  isWanted = false;

  constructor(world: World) {
    this.#world = world;
    world.deliver = (input, init) => this.deliver(input, init);
  }

  /** Asks the remote for webhooks, of which some are lost, doubled or late. */
  async listen(): Promise<void> {
    const { simulator, dice, env } = this.#world;
    const response = await simulator.handle(
      new Request("http://mailerlite.test/api/webhooks", {
        method: "POST",
        headers: { authorization: "Bearer simulator-token", "content-type": "application/json" },
        body: JSON.stringify({
          name: "sync",
          url: "http://project.test/functions/v1/sync-webhook",
          events: [
            "subscriber.created",
            "subscriber.updated",
            "subscriber.unsubscribed",
            "subscriber.added_to_group",
            "subscriber.removed_from_group",
            "subscriber.bounced",
            "subscriber.spam_reported",
            "subscriber.deleted",
          ],
          batchable: true,
        }),
      }),
    );
    const { data } = await response.json();
    env["MAILERLITE_WEBHOOK_SECRET"] = String(data.secret);
    simulator.setWebhookKnobs({
      duplicateEvery: dice.of(0, 2, 3),
      dropEvery: dice.of(0, 3, 5),
      reorder: dice.chance(0.5),
      batchDelayMs: dice.of(0, 5_000, 60_000),
    });
  }

  /** Takes a webhook as sync-webhook does; what it wakes is up to the dice. */
  async deliver(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const { scheduler, database, env, log, dice } = this.#world;
    await database.setClock(scheduler.now());
    const runtime: Runtime = {
      env: (name) => env[name],
      fetch: () => Promise.reject(new TypeError("nobody is called")),
      now: scheduler.now,
      monotonic: scheduler.now,
      sleep: () => Promise.resolve(),
      random: dice.random,
      every: () => () => {},
      log: (level, event, fields) =>
        void log.push({ worker: "webhook", at: scheduler.now(), level, event, fields }),
      shutdown: new AbortController().signal,
      inBackground: (work) => void work.catch(() => {}),
      database: () => database.pool,
    };
    const wake = () => {
      this.isWanted = true;
      return Promise.resolve(null);
    };
    return await syncWebhook(this.#world.config, runtime, { wake })(new Request(input, init));
  }

  /** Lets the remote send what is due. */
  async pump(): Promise<void> {
    const { simulator, scheduler } = this.#world;
    scheduler.advance(simulator.nextWebhookInMs() ?? 0);
    this.#world.tell(`webhooks ${await simulator.pumpWebhooks()}`);
    for (const { outcome } of simulator.webhookAttempts().slice(-1)) {
      if (outcome === "lost") this.#world.reach("a webhook was lost");
    }
  }
}
