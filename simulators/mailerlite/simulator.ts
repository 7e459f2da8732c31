import { accountLines } from "./account_lines.ts";
import type { World } from "./call.ts";
import { FaultBook, type FaultReport, type FaultRule } from "./faults.ts";
import { ImportTable } from "./import_table.ts";
import { settleImports } from "./imports.ts";
import { Journal } from "./journal.ts";
import type { Json } from "./json.ts";
import { type Incoming, type Outcome, toResponse } from "./outcome.ts";
import { Pipeline } from "./pipeline.ts";
import { RateGate } from "./rate_gate.ts";
import { Recorder, type RequestReport } from "./recorder.ts";
import { Seeder } from "./seed.ts";
import { Store } from "./store.ts";
import { applyInput } from "./subscriber_change.ts";
import { rowJson, type SubscriberRow } from "./subscriber_row.ts";
import { softDelete } from "./subscriber_write.ts";
import { checkSwitches, defaultSwitches, type Switches } from "./switches.ts";
import {
  type ControlChange,
  type Counts,
  type HistoryEntry,
  type Limits,
  type Seed,
  type SeedResult,
  type SimulatorOptions,
  STATUSES,
} from "./types.ts";
import { type DeliveryAttempt, WebhookSender } from "./webhook_sender.ts";
import { type WebhookKnobs, WebhookTable } from "./webhook_table.ts";

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * A MailerLite account behind the API of connect.mailerlite.com, in memory.
 *
 * `handle` is a `fetch`: give it to a client under test, or put it behind a
 * port with `serveMailerLite`. Everything else is for the test: filling the
 * account, editing it as a person would on the dashboard, moving its clock,
 * answering open questions one way or the other, and breaking things.
 */
export class MailerLiteSimulator {
  readonly #world: World;
  readonly #switches: Switches;
  readonly #faults = new FaultBook();
  readonly #gate: RateGate;
  readonly #seeder: Seeder;
  readonly #pipeline: Pipeline;
  readonly #sender: WebhookSender;
  readonly #webhooks: WebhookTable;
  readonly #now: () => number;
  readonly #importRowsPerSecond: number;
  #offsetMs = 0;

  /** @throws {TypeError} when a switch or a fault does not exist. */
  constructor(options: SimulatorOptions = {}) {
    this.#now = options.now ?? Date.now;
    this.#importRowsPerSecond = options.importRowsPerSecond ?? 1000;
    this.#switches = { ...defaultSwitches(), ...checkSwitches(options.switches ?? {}) };
    const context = { nowMs: () => this.now(), switches: this.#switches };
    this.#gate = new RateGate(
      options.limits ?? { enabled: true, perMinute: 120, importsPerMinute: 5 },
      context,
    );
    this.#webhooks = new WebhookTable(context);
    this.#sender = new WebhookSender(this.#webhooks, {
      nowMs: () => this.now(),
      deliver: options.deliver ?? fetch,
      timeoutMs: options.webhookTimeoutMs ?? 3000,
    });
    this.#world = {
      ...context,
      store: new Store(context),
      webhooks: this.#webhooks,
      imports: new ImportTable(),
      journal: new Journal(),
      recorder: new Recorder(),
    };
    this.#seeder = new Seeder(this.#world);
    this.#faults.set(options.faults ?? []);
    this.#pipeline = new Pipeline(this.#world, {
      gate: this.#gate,
      faults: this.#faults,
      tokens: new Set([options.token ?? "simulator-token", ...(options.extraTokens ?? [])]),
      baseUrl: options.baseUrl?.replace(/\/+$/, ""),
      sleep: options.sleep ?? wait,
      settle: () => this.#settle(),
    });
  }

  /** ms since 1970 on the simulator's clock. */
  now(): number {
    return this.#now() + this.#offsetMs;
  }

  /** Moves the clock on by `ms`. Due webhooks go out at the next {@link MailerLiteSimulator.pumpWebhooks}. */
  advance(ms: number): void {
    this.#offsetMs += ms;
    this.#settle();
  }

  /** Adds groups, fields and subscribers; see {@link Seeder.seed} for what it refuses. */
  seed(seed: Seed): SeedResult {
    return this.#seeder.seed(seed);
  }

  /** Rises with every change of people, groups and fields. */
  get changes(): number {
    return this.#world.recorder.changes;
  }

  /** People, groups and fields as lines that make them again; see {@link accountLines}. */
  accountLines(): Iterable<string> {
    return accountLines(this.#world);
  }

  /** Makes no id that an earlier simulator has made for one of its seeds. */
  skipIds(pastIds: number): void {
    this.#world.store.ids.skip(pastIds);
  }

  /** Every subscriber that is not deleted, as the API would write it with its groups, oldest first. */
  *readAll(): Generator<Json> {
    for (const text of this.readAllJson()) yield JSON.parse(text) as Json;
  }

  /** As {@link MailerLiteSimulator.readAll}, serialised. */
  *readAllJson(): Generator<string> {
    const { store } = this.#world;
    for (const row of store.rows) {
      if (row.deletedAt === null) {
        yield rowJson(row, store.format(), store.groups.membershipJson(row.membership));
      }
    }
  }

  counts(): Counts {
    const { store, imports } = this.#world;
    return {
      subscribers: store.rows.length - store.deletedCount,
      byStatus: Object.fromEntries(
        STATUSES.map((status, i) => [status, store.statusCounts[i] ?? 0]),
      ) as Counts["byStatus"],
      deleted: store.deletedCount,
      groups: store.groups.size,
      fields: store.fields.active().length,
      webhooks: this.#webhooks.hooks.length,
      imports: imports.records.length,
    };
  }

  /** Requests so far by `METHOD /template`; items inside batches are in {@link MailerLiteSimulator.requestReport}. */
  requests(): Record<string, number> {
    return this.#world.recorder.report().byRoute;
  }

  requestReport(): RequestReport {
    return this.#world.recorder.report();
  }

  resetRequests(): void {
    this.#world.recorder.resetRequests();
  }

  /** Writes that took place, ids and kinds only. */
  history(): HistoryEntry[] {
    return this.#world.recorder.history();
  }

  resetHistory(): void {
    this.#world.recorder.resetHistory();
  }

  switches(): Switches {
    return { ...this.#switches };
  }

  /** @throws {TypeError} when a switch or its setting does not exist. */
  setSwitches(changes: Partial<Switches>): void {
    Object.assign(this.#switches, checkSwitches(changes));
  }

  /** Replaces all fault rules. */
  setFaults(rules: readonly FaultRule[]): void {
    this.#faults.set(rules);
  }

  faults(): FaultReport[] {
    return this.#faults.report();
  }

  setLimits(limits: Partial<Limits>): void {
    this.#gate.setLimits(limits);
  }

  setWebhookKnobs(knobs: Partial<WebhookKnobs>): void {
    Object.assign(this.#webhooks.knobs, knobs);
  }

  /** Makes every webhook delivery that is due; resolves to the number of tries. */
  pumpWebhooks(): Promise<number> {
    return this.#sender.pump();
  }

  webhookAttempts(): DeliveryAttempt[] {
    return this.#sender.attempts.map((attempt) => ({ ...attempt }));
  }

  /** Calls back whenever a delivery was queued: a server sets its timer then. */
  onWebhookQueued(callback: () => void): void {
    this.#webhooks.onQueued = callback;
  }

  /** ms until the next delivery is due; undefined when none is queued. */
  nextWebhookInMs(): number | undefined {
    const due = this.#webhooks.nextDueMs();
    return due === undefined ? undefined : Math.max(due - this.now(), 0);
  }

  /** An edit on the dashboard, found by id or address. It fires webhooks like any other. */
  change(key: string, change: ControlChange): void {
    const row = this.#row(key);
    const changed = applyInput(this.#world, row, this.#seeder.toInput(change), {
      via: "control",
      groups: "replace",
    });
    if (changed) this.#world.recorder.write(this.now(), "subscriber.update", row.id, "control");
  }

  /** A delete on the dashboard. */
  remove(key: string): void {
    softDelete(this.#world, this.#row(key), "control");
  }

  /** Answers a request as the API would; rejects with a TypeError on a reset, like `fetch`. */
  async handle(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const outcome = await this.dispatch({
      method: request.method,
      target: url.pathname + url.search,
      authorization: request.headers.get("authorization"),
      origin: url.origin,
      body: await request.text(),
    });
    return toResponse(outcome, request.url);
  }

  /** The core of {@link MailerLiteSimulator.handle}, without the objects of the Fetch API. */
  dispatch(incoming: Incoming): Promise<Outcome> {
    return this.#pipeline.dispatch(incoming);
  }

  /** Lets time do its work: imports progress, counters catch up, forgotten rows go. */
  #settle(): void {
    const { store, journal } = this.#world;
    settleImports(this.#world, this.#importRowsPerSecond);
    store.groups.settle(this.now());
    for (const id of journal.dueErasures(store.nowSeconds())) {
      const row = store.byId(id);
      if (row?.forgetAt !== undefined && row.forgetAt !== null) store.erase(row);
    }
  }

  #row(key: string): SubscriberRow {
    const { store } = this.#world;
    const row = key.includes("@") ? store.byEmail(key) : store.byId(key);
    if (row !== undefined && row.deletedAt === null) return row;
    throw new TypeError("Cannot edit the subscriber: no such id or address, name one that exists");
  }
}
