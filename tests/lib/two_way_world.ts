/**
 * A handful of people on both sides, paired by a backfill, and enterprise-sync on
 * top of them: what the tests of the two-way run start from.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { SyncConfig } from "../../shared/engine/config.ts";
import { backfillSync } from "../../shared/http/backfill_sync.ts";
import { enterpriseSync } from "../../shared/http/enterprise_sync.ts";
import type { Runtime } from "../../shared/http/runtime.ts";
import { smartSync } from "../../shared/http/smart_sync.ts";
import config from "../../sync.config.ts";
import {
  functionHarness,
  functionRequest,
  type Harness,
  type HarnessOptions,
} from "./function_harness.ts";
import { address, clientId, CUSTOM_FIELDS, EQUAL, subscriberSeed } from "./two_way_people.ts";
import type {
  ClientRow,
  ClientValues,
  ConflictRow,
  EnterpriseAnswer,
  LogRow,
  PersonSpec,
  SmartAnswer,
  SubscriberView,
} from "./two_way_rows.ts";

export { changedConfig, type PairChanges } from "./changed_config.ts";
export { address, clientId, equalPeople } from "./two_way_people.ts";
export type {
  ClientRow,
  ClientValues,
  ConflictRow,
  EnterpriseAnswer,
  LogRow,
  PersonSpec,
  SmartAnswer,
  SubscriberView,
} from "./two_way_rows.ts";

/** How a world is made. */
export interface TwoWayOptions extends Omit<HarnessOptions, "people"> {
  readonly config?: SyncConfig;
  /** Whether the people are paired by a backfill at the start; default yes. */
  readonly backfill?: boolean;
}

/** Both sides and the function between them. */
export class TwoWayWorld implements AsyncDisposable {
  constructor(readonly harness: Harness, readonly config: SyncConfig) {}

  get pool() {
    return this.harness.pool;
  }

  get simulator() {
    return this.harness.simulator;
  }

  /** Calls enterprise-sync once. */
  async sync(
    body: Readonly<Record<string, unknown>> = {},
    overrides: Partial<Runtime> = {},
  ): Promise<EnterpriseAnswer & { readonly status: number }> {
    const handle = enterpriseSync(this.config, this.harness.runtime(overrides));
    const response = await handle(functionRequest("enterprise-sync", body));
    const answer = await response.json() as EnterpriseAnswer;
    await this.#checkCounters();
    return { status: response.status, ...answer };
  }

  /** Calls smart-sync once. */
  async smart(
    body: Readonly<Record<string, unknown>> = {},
    overrides: Partial<Runtime> = {},
  ): Promise<SmartAnswer & { readonly status: number; readonly headers: Headers }> {
    // No time passes while it works either: how busy this machine is must not make the database look slow.
    const own = { monotonic: () => 0, ...overrides, sleep: watch };
    const handle = smartSync(this.config, this.harness.runtime(own));
    const response = await handle(functionRequest("smart-sync", body));
    const answer = await response.json() as SmartAnswer;
    return { status: response.status, headers: response.headers, ...answer };
  }

  /** The queue, in the order of its ids. */
  async queue(): Promise<{ side: string; record_id: string; reason: string; attempts: number }[]> {
    return await this.pool.query(
      `select side, record_id, reason, attempts from public.sync_queue order by side, record_id`,
    );
  }

  /** Empties the queue, of what the making of a world has put there. */
  async clearQueue(): Promise<void> {
    await this.pool.query(`delete from public.sync_queue`);
  }

  /** Every record of a walk is in exactly one class, whatever became of the run. */
  async #checkCounters(): Promise<void> {
    const counters = await this.counters();
    const count = (name: string) => counters[name] ?? 0;
    const classes = ["unchanged", "changed", "conflicted", "excluded", "failed", "skipped"];
    assertEquals(count("processed"), classes.reduce((sum, name) => sum + count(name), 0));
  }

  /** Calls enterprise-sync until it says that it is done. */
  async syncAll(body: Readonly<Record<string, unknown>> = {}): Promise<EnterpriseAnswer[]> {
    const answers: EnterpriseAnswer[] = [];
    for (let calls = 0; calls < 1000; calls++) {
      const answer = await this.sync(body);
      answers.push(answer);
      if (answer.done || answer.nextCursor === null) return answers;
    }
    throw new Error("Cannot finish the run: it was not done after 1000 calls");
  }

  async backfill(body: Readonly<Record<string, unknown>> = { wait: true }): Promise<number> {
    const handle = backfillSync(this.config, this.harness.runtime());
    const response = await handle(functionRequest("backfill-sync", body));
    await response.body?.cancel();
    return response.status;
  }

  async client(n: number): Promise<ClientRow | undefined> {
    const rows = await this.pool.query<ClientRow>(
      `select id, email, first_name, last_name, company, phone, city, country, partner_id,
         marketing_status, groups
       from public.clients where id = $1`,
      [clientId(n)],
    );
    return rows[0];
  }

  /** The clients whose address is that of the person with a number. */
  async clientsWithAddress(n: number): Promise<ClientRow[]> {
    return await this.pool.query<ClientRow>(
      `select id, email, first_name, last_name, company, phone, city, country, partner_id,
         marketing_status, groups
       from public.clients where lower(btrim(email)) = $1 order by id`,
      [address(n)],
    );
  }

  /** Edits a client as the app's user would. */
  async editClient(n: number, values: ClientValues): Promise<void> {
    const columns = Object.keys(values);
    const sets = columns.map((column, index) => `${column} = $${index + 2}`).join(", ");
    await this.pool.query(
      `update public.clients set ${sets} where id = $1`,
      [clientId(n), ...Object.values(values)],
    );
  }

  async addClient(n: number, values: ClientValues = {}): Promise<void> {
    await this.addClientAs(clientId(n), n, values);
  }

  async addClientAs(id: string, n: number, values: ClientValues = {}): Promise<void> {
    const row = { email: address(n), ...EQUAL.client, ...values, id };
    await this.pool.query(
      `insert into public.clients
         (id, email, first_name, last_name, company, phone, city, country, partner_id,
          marketing_status, groups)
       select id, email, first_name, last_name, company, phone, city, country, partner_id,
         marketing_status, groups
       from json_populate_record(null::public.clients, $1::json)`,
      [JSON.stringify(row)],
    );
  }

  async deleteClient(n: number): Promise<void> {
    await this.pool.query(`delete from public.clients where id = $1`, [clientId(n)]);
  }

  subscriber(n: number): SubscriberView | undefined {
    return this.subscriberAt(address(n));
  }

  subscriberAt(email: string): SubscriberView | undefined {
    for (const text of this.simulator.readAllJson()) {
      const row = JSON.parse(text) as Omit<SubscriberView, "groups"> & {
        groups: { name: string }[];
      };
      if (row.email === email) {
        return { ...row, groups: row.groups.map(({ name }) => name).sort() };
      }
    }
    return undefined;
  }

  addSubscriber(n: number, spec: PersonSpec["subscriber"] = {}): void {
    this.simulator.seed({ subscribers: [subscriberSeed(n, spec ?? {})] });
  }

  /** Edits a subscriber as a person on the dashboard would. */
  editSubscriber(n: number, change: Parameters<TwoWayWorld["simulator"]["change"]>[1]): void {
    this.simulator.change(address(n), change);
  }

  /** Open conflicts: fields and reasons. */
  async conflicts(): Promise<{ field: string; reason: string; id: number }[]> {
    return await this.pool.query(
      `select field, reason, id::float8 as id from public.sync_conflicts where status = 'open' order by id`,
    );
  }

  async links(): Promise<{ a_id: string; b_id: string; link_state: string }[]> {
    return await this.pool.query(
      `select a_id, b_id, link_state from public.integration_crosswalk order by a_id, b_id`,
    );
  }

  async linkState(n: number): Promise<string | undefined> {
    const rows = await this.pool.query<{ state: string }>(
      `select link_state as state from public.integration_crosswalk where a_id = $1`,
      [clientId(n)],
    );
    return rows[0]?.state;
  }

  /** Counters of the newest run. */
  async counters(): Promise<Record<string, number>> {
    const rows = await this.pool.query<{ counters: Record<string, number> }>(
      `select counters from public.sync_runs where function = 'enterprise-sync'
       order by last_updated_at desc limit 1`,
    );
    return rows[0]?.counters ?? {};
  }

  /** All conflicts of one field of one record, oldest first. */
  async conflictsOf(n: number, field: string): Promise<ConflictRow[]> {
    return await this.pool.query<ConflictRow>(
      `select c.id::float8 as id, c.field, c.reason, c.status, c.base, c.a, c.b, c.choice,
         c.applied_at is not null as applied
       from public.sync_conflicts c
       join public.integration_crosswalk cw on c.record_key = 'cw:' || cw.id
       where cw.a_id = $1 and c.field = $2 order by c.id`,
      [clientId(n), field],
    );
  }

  /** Decides the one open conflict of a field as an operator would. */
  async decide(
    n: number,
    field: string,
    choice: "local" | "remote" | "value",
    value: unknown = null,
  ): Promise<void> {
    const open = (await this.conflictsOf(n, field)).filter(({ status }) => status === "open");
    assertEquals(open.length, 1, `open conflicts of ${field}`);
    await this.pool.query(`select public.resolve_sync_conflict($1, $2, $3)`, [
      open[0]?.id,
      choice,
      value === null ? null : JSON.stringify(value),
    ]);
  }

  /** The log of a client's record, oldest first. */
  async log(n: number): Promise<LogRow[]> {
    return await this.pool.query<LogRow>(
      `select run_id, a_id, b_id, side, action, field, before, after, rule, applied
       from public.sync_log where a_id = $1 order by id`,
      [clientId(n)],
    );
  }

  /** Records that fail: code and runs in a row. */
  async failures(): Promise<{ code: string; runs: number }[]> {
    return await this.pool.query(
      `select code, runs from public.sync_failures order by record_key`,
    );
  }

  /** What the newest run found, with the ids on both sides. */
  async findings(): Promise<
    { kind: string; a_ids: string[]; b_ids: string[]; fields: string[] }[]
  > {
    return await this.pool.query(
      `select kind, a_ids, b_ids, fields from public.sync_findings
       where run_id = (select id from public.sync_runs where function = 'enterprise-sync'
         order by last_updated_at desc limit 1)
       order by id`,
    );
  }

  /** A partner that clients may belong to. */
  async addPartner(values: ClientValues): Promise<string> {
    const rows = await this.pool.query<{ id: string }>(
      `insert into public.partners (name, email, company)
       select name, email, company from json_populate_record(null::public.partners, $1::json)
       returning id`,
      [JSON.stringify(values)],
    );
    return rows[0]?.id ?? "";
  }

  async partner(id: string): Promise<Record<string, unknown> | undefined> {
    const rows = await this.pool.query<Record<string, unknown>>(
      `select name, email, company from public.partners where id = $1`,
      [id],
    );
    return rows[0];
  }

  /** A delete on the remote's dashboard. */
  removeSubscriber(n: number): void {
    this.simulator.remove(address(n));
  }

  /**
   * Both sides and the sync's own tables, but for what a run without writes may
   * write too: the run itself, its findings, and what it has staged.
   */
  async everything(): Promise<unknown> {
    const tables = await this.pool.query<{ name: string }>(
      `select table_name as name from information_schema.tables
       where table_schema = 'public' and table_type = 'BASE TABLE'
         and table_name not in ('sync_runs', 'sync_findings', 'sync_state', 'sync_stage',
           'sync_seen', 'sync_work', 'shadow_fingerprints')
       order by 1`,
    );
    const rows: Record<string, unknown> = { remote: [...this.simulator.readAllJson()] };
    for (const { name } of tables) {
      rows[name] = await this.pool.query(
        `select to_jsonb(t) as row from public."${name}" t order by to_jsonb(t)::text`,
      );
    }
    return rows;
  }

  /** Runs again and expects nothing to be left to do. */
  async assertQuiet(): Promise<void> {
    this.takeRemoteWrites();
    const again = await this.sync();
    assertEquals([again.updatesApplied, again.conflictsDetected, again.errors], [0, 0, 0]);
    assertEquals(this.takeRemoteWrites(), []);
  }

  /** Writes the remote took since the last call. */
  takeRemoteWrites(): readonly string[] {
    const kinds = this.simulator.history().map(({ kind }) => kind);
    this.simulator.resetHistory();
    return kinds;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.harness[Symbol.asyncDispose]();
  }
}

/** Lets no time pass for who waits, and all of it for who only watches how long something takes. */
function watch(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/**
 * Makes a world.
 *
 * @param people One entry a person, numbered from 1.
 */
export async function twoWayWorld(
  meta: string,
  people: readonly PersonSpec[],
  options: TwoWayOptions = {},
): Promise<TwoWayWorld> {
  const harness = await functionHarness(meta, options);
  const world = new TwoWayWorld(harness, options.config ?? config);
  harness.simulator.seed({
    groups: ["Clients", "VIP", "Newsletter"],
    fields: CUSTOM_FIELDS,
    subscribers: people.flatMap(({ subscriber }, index) =>
      subscriber === null ? [] : [subscriberSeed(index + 1, subscriber ?? {})]
    ),
  });
  for (const [index, { client }] of people.entries()) {
    if (client !== null) await world.addClient(index + 1, client);
  }
  if (options.backfill !== false) {
    const status = await world.backfill();
    if (status !== 200) throw new Error(`Cannot make the world: the backfill answered ${status}`);
  }
  harness.simulator.resetRequests();
  harness.simulator.resetHistory();
  return world;
}
