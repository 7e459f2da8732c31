/**
 * One simulated world: both sides, the sync's database, time, and what was seen
 * of it so far.
 *
 * @module
 */
import type { Pair } from "../../shared/engine/pair.ts";
import { requirePair, type SyncConfig } from "../../shared/engine/config.ts";
import type { PairRules } from "../../shared/merge/pair.ts";
import { MailerLiteSimulator } from "../../simulators/mailerlite/mod.ts";
import { Dice } from "./dice.ts";
import type { Invariant, Rarity, Violation } from "./findings.ts";
import { Leases } from "./leases.ts";
import { LocalWatch } from "./local_watch.ts";
import { RemoteWatch } from "./remote_watch.ts";
import { Scheduler } from "./scheduler.ts";
import { BEGINNING, type SimulatedDatabase } from "./simulated_database.ts";
import { Versions } from "./versions.ts";
import { anyWeather, type Weather } from "./weather.ts";
import type { SimulatedLogLine, Worker } from "./worker.ts";

/** A link as the crosswalk has it. */
export interface Link {
  readonly id: number;
  readonly aId: string;
  readonly bId: string;
  readonly state: string;
  /** Whether the sides have agreed on anything yet. */
  readonly isBased: boolean;
}

/** A link of two living records, as seen from one of them. */
export interface LivingLink extends Pick<Link, "id" | "isBased"> {
  /** The record of the other side. */
  readonly partner: string;
}

/** The key that every function accepts. */
export const SECRET_KEY = "sb_secret_simulation";

const ENV: Readonly<Record<string, string>> = {
  MAILERLITE_API_KEY: "simulator-token",
  MAILERLITE_API_URL: "http://mailerlite.test/api",
  SUPABASE_URL: "http://project.test",
  SUPABASE_SECRET_KEYS: JSON.stringify({ default: SECRET_KEY }),
  SUPABASE_JWKS: JSON.stringify({ keys: [] }),
};

/** Everything there is in a seed. */
export class World {
  readonly dice: Dice;
  readonly weather: Weather;
  /** The policy of this moment. */
  config: SyncConfig;
  /** The loosest limits that have been in force so far. */
  loosest: PairRules["limits"];
  /** Fields that flowed one way only under an earlier policy. */
  readonly onceOneWay = new Set<string>();
  readonly scheduler: Scheduler;
  readonly simulator: MailerLiteSimulator;
  readonly versions = new Versions();
  readonly leases = new Leases();
  readonly local: LocalWatch;
  readonly remote: RemoteWatch;
  readonly violations: Violation[] = [];
  readonly reached = new Map<Rarity, number>();
  readonly trace: string[] = [];
  readonly log: SimulatedLogLine[] = [];
  readonly workers: Worker[] = [];
  /** Workers that nothing stands in the way of. */
  readonly undisturbed = new Set<Worker>();
  /** Records that a worker wrote. */
  readonly touched = new Map<Worker, Set<string>>();
  /** Workers that wrote partners, which belong to any number of records. */
  readonly wrotePartners = new Set<Worker>();
  readonly env: Record<string, string>;
  links: readonly Link[] = [];
  /** For a client, all records of the remote it was ever linked to. */
  readonly partners = new Map<string, Set<string>>();
  /** Addresses of people of whom the sync knows that they must not be written to. */
  readonly forbidden = new Set<string>();
  /** Takes the webhooks of the remote. */
  deliver: typeof fetch = () => Promise.reject(new TypeError("nobody listens"));
  /** Whether anything fails at all by now. */
  stormy = true;
  #step = 0;
  readonly #names = new Map<string, string>();

  constructor(readonly seed: number, readonly database: SimulatedDatabase) {
    this.dice = new Dice(seed);
    this.weather = anyWeather(this.dice);
    this.config = this.weather.config;
    this.loosest = this.rules.limits;
    this.scheduler = new Scheduler(BEGINNING, () => database.countBlocked());
    this.env = {
      ...ENV,
      ...(this.weather.quota === null ? {} : { SYNC_DAILY_QUOTA: String(this.weather.quota) }),
    };
    this.simulator = new MailerLiteSimulator({
      now: this.scheduler.now,
      switches: this.weather.switches,
      limits: { enabled: this.weather.limited, perMinute: 120, importsPerMinute: 5 },
      sleep: () => Promise.resolve(),
      deliver: (input, init) => this.deliver(input, init),
    });
    this.local = new LocalWatch(this);
    this.remote = new RemoteWatch(this);
    const { fields, onNewRemote, onNewLocal, onLocalDelete, onRemoteMissing } = this.rules;
    const { config: _, ...weather } = this.weather;
    this.add(JSON.stringify(weather));
    this.add(JSON.stringify({ onNewRemote, onNewLocal, onLocalDelete, onRemoteMissing }));
    for (const [name, rule] of Object.entries(fields)) {
      if (rule.kind === "value") {
        this.add(
          `${name} wins ${rule.wins}, flows ${rule.flow}${rule.mayBlank ? ", may blank" : ""}`,
        );
      }
    }
  }

  get pair(): Pair {
    return requirePair(this.config);
  }

  get rules(): Pair["rules"] {
    return this.pair.rules;
  }

  /** How far the simulation is, in steps and events. */
  get step(): number {
    return this.#step;
  }

  /** Goes one on, and writes down what happens there. */
  tell(what: string): void {
    this.#step++;
    this.trace.push(`${this.#step} ${what}`);
  }

  /** Adds to what happens at this step. */
  add(what: string): void {
    this.trace.push(`  ${what}`);
  }

  /** A short name for an id, the same in every run of a seed. */
  name(side: "a" | "b" | "p", id: string): string {
    const key = `${side}:${id}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = `${side}${this.#names.size + 1}`;
    this.#names.set(key, name);
    return name;
  }

  /** A worker wrote a record. */
  touch(worker: Worker | undefined, side: "a" | "b", id: string): void {
    if (worker === undefined) return;
    const records = this.touched.get(worker) ?? new Set();
    this.touched.set(worker, records.add(`${side}:${id}`));
  }

  violate(invariant: Invariant, detail: string): void {
    this.add(`VIOLATION ${invariant}: ${detail}`);
    this.violations.push({ invariant, detail, at: this.#step });
  }

  reach(rarity: Rarity, times = 1): void {
    if (times > 0) this.reached.set(rarity, (this.reached.get(rarity) ?? 0) + times);
  }

  /** Reads again which records belong together. */
  async readLinks(): Promise<void> {
    this.links = await this.database.pool.query<Link>(
      `select id::float8 as id, a_id::text as "aId", b_id as "bId", link_state as state,
         exists (select 1 from public.shadow_snapshots s where s.crosswalk_id = cw.id) as "isBased"
       from public.integration_crosswalk cw
       where link_state <> 'keep_apart' and b_id is not null order by id`,
    );
    for (const { aId, bId } of this.links) {
      this.partners.set(aId, (this.partners.get(aId) ?? new Set()).add(bId));
    }
  }

  /** The record of the other side, whatever state the link is in. */
  partnerOf(side: "a" | "b", id: string): string | null {
    const link = this.links.find((each) => (side === "a" ? each.aId : each.bId) === id);
    if (link === undefined) return null;
    return side === "a" ? link.bId : link.aId;
  }

  /** The living link of a record, with the record of the other side. */
  linkOf(side: "a" | "b", id: string): LivingLink | null {
    const link = this.links.find((each) =>
      (side === "a" ? each.aId : each.bId) === id && each.state === "linked"
    );
    if (link === undefined) return null;
    const { isBased } = link;
    return { id: link.id, isBased, partner: side === "a" ? link.bId : link.aId };
  }
}
