/**
 * What people do on both sides while the sync is at work, or between its runs.
 *
 * @module
 */
import type { Status } from "../../simulators/mailerlite/mod.ts";
import { AppUsers } from "./app_users.ts";
import { FIELDS, Hands } from "./hands.ts";
import { Operators } from "./operators.ts";
import { RemoteUsers } from "./remote_users.ts";
import type { World } from "./world.ts";

const MANAGED = ["Clients", "VIP"];

type Act = () => Promise<string | null> | string | null;

/** Everybody but the sync. */
export class Users {
  readonly #world: World;
  readonly #hands: Hands;
  readonly #app: AppUsers;
  readonly #remote: RemoteUsers;
  readonly #acts: Readonly<Record<string, readonly [weight: number, act: Act]>>;

  constructor(world: World) {
    const hands = new Hands(world);
    const app = new AppUsers(world, hands);
    const remote = new RemoteUsers(world, hands);
    const operators = new Operators(world, hands);
    this.#world = world;
    this.#hands = hands;
    this.#app = app;
    this.#remote = remote;
    this.#acts = {
      editLocal: [16, () => app.edit()],
      editRemote: [16, () => remote.edit()],
      editBoth: [8, () => this.#editBoth()],
      groupsLocal: [4, () => app.groups()],
      groupsRemote: [4, () => remote.groups()],
      addressLocal: [3, () => app.address()],
      addressRemote: [3, () => remote.address()],
      swapLocal: [1, () => app.swap()],
      swapRemote: [1, () => remote.swap()],
      consentLocal: [3, () => app.consent()],
      consentRemote: [3, () => remote.consent()],
      addLocal: [3, () => app.add()],
      addRemote: [3, () => remote.add()],
      deleteLocal: [3, () => app.delete()],
      deleteRemote: [3, () => remote.delete()],
      partLocal: [1, () => this.#part(app)],
      partRemote: [1, () => this.#part(remote)],
      replaceLocal: [1, () => app.replace()],
      replaceRemote: [1, () => remote.replace()],
      partner: [3, () => app.partner()],
      unmapped: [2, () => this.#unmapped()],
      odd: [3, () => remote.odd()],
      decide: [5, () => operators.decide()],
      reopen: [1, () => operators.reopen()],
      mend: [1.5, () => operators.mend()],
      undo: [1, () => operators.undo()],
      prune: [0.5, () => operators.prune()],
      deploy: [2, () => operators.deploy()],
    };
  }

  /** Fills both sides. */
  async begin(): Promise<void> {
    const world = this.#world;
    const { dice, weather } = world;
    for (let n = 1; n <= 3; n++) {
      await world.database.asUser(
        `insert into public.partners (id, name, company) values ($1, $2, $3)`,
        [dice.uuid(), this.#hands.value(), this.#hands.value()],
      );
    }
    await world.local.absorb();
    world.simulator.seed({
      groups: ["Clients", "VIP", "Newsletter"],
      fields: ["partner_name", "partner_company"],
    });
    for (let n = 0; n < weather.people; n++) await this.#addPerson();
    await world.local.absorb();
    world.remote.absorbUser();
    this.#hands.favour([...world.local.clients.keys()].slice(0, 2));
    for (const [aId, client] of world.local.clients) {
      const { email } = world.local.canonical(client);
      for (const row of world.remote.rows.values()) {
        if (row.email === email) world.versions.share(aId, row.id);
      }
    }
    // A backfill that meets a value which spoils a whole page.
    if (dice.chance(0.2)) this.#remote.odd();
  }

  /** Edits what a worker is just about to write: nothing it has read tells it. */
  interfere(bId: string, aId: string | null): string {
    return `interferes ${this.#remote.overtake(bId, aId) ?? "nowhere"}`;
  }

  /** Edits a client that was just made at the remote, of which the sync has not heard. */
  async moveOn(aId: string): Promise<string> {
    return `moves on ${await this.#app.moveOn(aId) ?? "nowhere"}`;
  }

  async #addPerson(): Promise<void> {
    const { dice, simulator, database } = this.#world;
    const email = this.#hands.address();
    const only = dice.weighted({ both: 8, a: 1, b: 1 });
    const values = FIELDS.map(() => dice.chance(0.8) ? this.#hands.value() : null);
    const [status, word]: [Status, string] = dice.chance(0.8)
      ? ["active", "subscribed"]
      : dice.of<[Status, string]>(
        ["unsubscribed", "unsubscribed"],
        ["unconfirmed", "pending"],
        ["bounced", "bounced"],
      );
    const groups = MANAGED.filter(() => dice.chance(0.5));
    const own = (value: string | null) => dice.chance(0.1) ? this.#hands.value() : value;
    if (only !== "b") {
      const partner = dice.chance(0.4) ? dice.one([...this.#world.local.partners.keys()]) : null;
      await database.asUser(
        `insert into public.clients (id, email, first_name, last_name, company, phone, city, country,
           marketing_status, groups, partner_id, notes)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
        [
          dice.uuid(),
          dice.chance(0.1) ? ` ${email.toUpperCase()}` : email,
          ...values,
          word,
          groups,
          partner,
          this.#hands.value(),
        ],
      );
    }
    if (only !== "a") {
      const fields = Object.fromEntries(FIELDS.map(([, key], n) => [key, own(values[n] ?? null)]));
      simulator.seed({
        subscribers: [{ email, status, groups, fields: { ...fields, state: this.#hands.value() } }],
      });
    }
  }

  /** Somebody does something. Answers what, without any value. */
  async act(): Promise<string> {
    const weights = Object.entries(this.#acts).map(([name, [weight]]) => [name, weight] as const);
    const name = this.#world.dice.weighted(Object.fromEntries(weights)) ?? "editLocal";
    const told = await this.#acts[name]?.[1]();
    return `user ${name} ${told ?? "nothing"}`;
  }

  /** One field of one person on both sides: apart, or alike. */
  async #editBoth(): Promise<string | null> {
    const { dice } = this.#world;
    const id = this.#hands.client();
    const row = this.#world.remote.rows.get(this.#world.partnerOf("a", id ?? "") ?? "");
    if (id === undefined || row === undefined) return null;
    const [column, key] = dice.one(FIELDS) ?? FIELDS[0];
    const value = dice.chance(0.1) ? null : this.#hands.value();
    const one = await this.#hands.update(id, column, value);
    const other = dice.chance(0.25) ? value : dice.chance(0.1) ? null : this.#hands.value();
    return `${one} and ${this.#hands.change(row, { fields: { [key]: other } }, key)}`;
  }

  /** Somebody edits one side of a person whom somebody else deletes on the other. */
  async #part(people: AppUsers | RemoteUsers): Promise<string | null> {
    const { dice, remote } = this.#world;
    const id = this.#hands.client();
    const row = remote.rows.get(this.#world.partnerOf("a", id ?? "") ?? "");
    if (id === undefined || row === undefined) return null;
    const [column, key] = dice.one(FIELDS) ?? FIELDS[0];
    if (people instanceof AppUsers) {
      const edited = this.#hands.change(row, { fields: { [key]: this.#hands.value() } }, key);
      return `${edited} without ${await people.delete(id) ?? "anybody gone"}`;
    }
    const edited = await this.#hands.update(id, column, this.#hands.value());
    return `${edited} without ${people.delete(row) ?? "anybody gone"}`;
  }

  async #unmapped(): Promise<string | null> {
    const id = this.#hands.client();
    const row = this.#hands.subscriber();
    if (id === undefined || row === undefined) return null;
    if (this.#world.dice.chance(0.5)) {
      return await this.#hands.update(id, "notes", this.#hands.value());
    }
    return this.#hands.change(row, { fields: { state: this.#hands.value() } }, "state");
  }
}
