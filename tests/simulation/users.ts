/**
 * What people do on both sides while the sync is at work, or between its runs.
 *
 * @module
 */
import type { ControlChange, Status } from "../../simulators/mailerlite/mod.ts";
import type { RemoteRow } from "./remote_watch.ts";
import type { World } from "./world.ts";

/** Begins every made-up value and address, so that one that leaks is found. */
export const CANARY = "kq7z";

const FIELDS = [
  ["first_name", "name"],
  ["last_name", "last_name"],
  ["company", "company"],
  ["phone", "phone"],
  ["city", "city"],
  ["country", "country"],
] as const;

const MANAGED = ["Clients", "VIP"];

/** The users of both sides. */
export class Users {
  readonly #world: World;
  #values = 0;
  #people = 0;
  /** Records that much happens to. */
  #hot: string[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** A value that nobody else ever writes. */
  #value(): string {
    const text = `${CANARY}v${++this.#values}`;
    const { dice } = this.#world;
    if (dice.chance(0.04)) return `  ${text} `;
    return dice.chance(0.04) ? `${text} Jo\u0308` : text;
  }

  #address(): string {
    return `${CANARY}p${++this.#people}@example.com`;
  }

  /** Fills both sides. */
  async begin(): Promise<void> {
    const world = this.#world;
    const { dice, weather } = world;
    for (let n = 1; n <= 3; n++) {
      await world.database.asUser(
        `insert into public.partners (id, name, company) values ($1, $2, $3)`,
        [dice.uuid(), this.#value(), this.#value()],
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
    this.#hot = [...world.local.clients.keys()].slice(0, 2);
    for (const [aId, client] of world.local.clients) {
      const { email } = world.local.canonical(client);
      for (const row of world.remote.rows.values()) {
        if (row.email === email) world.versions.share(aId, row.id);
      }
    }
  }

  async #addPerson(): Promise<void> {
    const { dice, simulator, database } = this.#world;
    const email = this.#address();
    const only = dice.weighted({ both: 8, a: 1, b: 1 });
    const values = FIELDS.map(() => dice.chance(0.8) ? this.#value() : null);
    const [status, word]: [Status, string] = dice.chance(0.8)
      ? ["active", "subscribed"]
      : dice.of<[Status, string]>(
        ["unsubscribed", "unsubscribed"],
        ["unconfirmed", "pending"],
        ["bounced", "bounced"],
      );
    const groups = MANAGED.filter(() => dice.chance(0.5));
    const own = (value: string | null) => dice.chance(0.1) ? this.#value() : value;
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
          this.#value(),
        ],
      );
    }
    if (only !== "a") {
      const fields = Object.fromEntries(FIELDS.map(([, key], n) => [key, own(values[n] ?? null)]));
      simulator.seed({
        subscribers: [{ email, status, groups, fields: { ...fields, state: this.#value() } }],
      });
    }
  }

  /** Somebody does something. Answers what, without any value. */
  async act(): Promise<string> {
    const { dice } = this.#world;
    const what = dice.weighted({
      editLocal: 16,
      editRemote: 16,
      editBoth: 8,
      groupsLocal: 4,
      groupsRemote: 4,
      addressLocal: 3,
      addressRemote: 3,
      consentLocal: 3,
      consentRemote: 3,
      addLocal: 3,
      addRemote: 3,
      deleteLocal: 3,
      deleteRemote: 3,
      partner: 3,
      unmapped: 2,
      decide: 5,
      reopen: 1,
      odd: 1,
    }) ?? "editLocal";
    const told = await this.#acts[what]?.();
    return `user ${what} ${told ?? "nothing"}`;
  }

  readonly #acts: Readonly<Record<string, () => Promise<string | null>>> = {
    editLocal: () => this.#editLocal(),
    editRemote: () => Promise.resolve(this.#editRemote()),
    editBoth: () => this.#editBoth(),
    groupsLocal: () => this.#groupsLocal(),
    groupsRemote: () => Promise.resolve(this.#groupsRemote()),
    addressLocal: () => this.#addressLocal(),
    addressRemote: () => Promise.resolve(this.#addressRemote()),
    consentLocal: () => this.#consentLocal(),
    consentRemote: () => Promise.resolve(this.#consentRemote()),
    addLocal: () => this.#addLocal(),
    addRemote: () => this.#addRemote(),
    deleteLocal: () => this.#deleteLocal(),
    deleteRemote: () => Promise.resolve(this.#deleteRemote()),
    partner: () => this.#partner(),
    unmapped: () => this.#unmapped(),
    decide: () => this.#decide(),
    reopen: () => this.#reopen(),
    odd: () => Promise.resolve(this.#odd()),
  };

  #client(): string | undefined {
    const { dice, local } = this.#world;
    if (dice.chance(0.5)) {
      const hot = dice.one(this.#hot.filter((id) => local.clients.has(id)));
      if (hot !== undefined) return hot;
    }
    return dice.one([...local.clients.keys()]);
  }

  #subscriber(): RemoteRow | undefined {
    const { dice, remote } = this.#world;
    const ids = this.#hot.map((id) => this.#world.partnerOf("a", id)).filter((id) => id !== null);
    if (dice.chance(0.5)) {
      const hot = dice.one(ids.filter((id) => remote.rows.has(id)));
      if (hot !== undefined) return remote.rows.get(hot);
    }
    return dice.one([...remote.rows.values()]);
  }

  async #update(id: string, column: string, value: unknown): Promise<string | null> {
    const world = this.#world;
    const rows = await world.database.asUser(
      `update public.clients set ${column} = $2 where id = $1 returning id`,
      [id, value],
    );
    await world.local.absorb();
    return rows === null ? "refused by a lock" : `${world.name("a", id)}.${column}`;
  }

  #change(row: RemoteRow, change: ControlChange, what: string): string {
    this.#world.simulator.change(row.id, change);
    this.#world.remote.absorbUser();
    return `${this.#world.name("b", row.id)}.${what}`;
  }

  async #editLocal(): Promise<string | null> {
    const { dice } = this.#world;
    const id = this.#client();
    const [column] = dice.one(FIELDS) ?? FIELDS[0];
    return id === undefined
      ? null
      : await this.#update(id, column, dice.chance(0.15) ? null : this.#value());
  }

  #editRemote(): string | null {
    const { dice } = this.#world;
    const row = this.#subscriber();
    if (row === undefined) return null;
    const key = dice.chance(0.15)
      ? dice.of("partner_name", "partner_company")
      : (dice.one(FIELDS) ?? FIELDS[0])[1];
    const value = dice.chance(0.15) ? null : this.#value();
    return this.#change(row, { fields: { [key]: value } }, key);
  }

  /** One field of one person on both sides: apart, or alike. */
  async #editBoth(): Promise<string | null> {
    const { dice } = this.#world;
    const id = this.#client();
    const row = this.#world.remote.rows.get(this.#world.partnerOf("a", id ?? "") ?? "");
    if (id === undefined || row === undefined) return null;
    const [column, key] = dice.one(FIELDS) ?? FIELDS[0];
    const value = dice.chance(0.1) ? null : this.#value();
    const one = await this.#update(id, column, value);
    const other = dice.chance(0.25) ? value : dice.chance(0.1) ? null : this.#value();
    return `${one} and ${this.#change(row, { fields: { [key]: other } }, key)}`;
  }

  async #groupsLocal(): Promise<string | null> {
    const { dice, local } = this.#world;
    const id = this.#client();
    if (id === undefined) return null;
    const name = dice.of("Clients", "VIP", "VIP", "Own");
    const held = local.clients.get(id)?.["groups"];
    const groups: unknown[] = Array.isArray(held) ? held : [];
    return await this.#update(
      id,
      "groups",
      groups.includes(name) ? groups.filter((each) => each !== name) : [...groups, name],
    );
  }

  #groupsRemote(): string | null {
    const row = this.#subscriber();
    if (row === undefined) return null;
    const name = this.#world.dice.of("Clients", "VIP", "VIP", "Newsletter");
    const held = row.groups.map((group) => group.name);
    const groups = held.includes(name) ? held.filter((each) => each !== name) : [...held, name];
    return this.#change(row, { groups }, "groups");
  }

  async #addressLocal(): Promise<string | null> {
    const { dice, local, remote } = this.#world;
    const id = this.#client();
    if (id === undefined) return null;
    const kind = dice.weighted({
      fresh: 6,
      client: 1,
      subscriber: 1,
      known: 1,
      wrong: 1,
      none: 0.5,
    });
    const email = kind === "client"
      ? local.clients.get(this.#client() ?? "")?.["email"] ?? null
      : kind === "subscriber"
      ? this.#subscriber()?.email ?? null
      : kind === "known"
      ? dice.one([...remote.addresses]) ?? null
      : kind === "wrong"
      ? `${CANARY}p${++this.#people}-nowhere`
      : kind === "none"
      ? null
      : this.#address();
    return await this.#update(id, "email", email);
  }

  #addressRemote(): string | null {
    const row = this.#subscriber();
    if (row === undefined) return null;
    const { dice, local, remote } = this.#world;
    const theirs = String(local.clients.get(this.#client() ?? "")?.["email"] ?? "").trim()
      .toLowerCase();
    const email = dice.chance(0.25) && theirs.includes("@") && !remote.addresses.has(theirs)
      ? theirs
      : this.#address();
    return this.#change(row, { email }, "email");
  }

  async #consentLocal(): Promise<string | null> {
    const { dice } = this.#world;
    const id = this.#client();
    if (id === undefined) return null;
    const status = dice.chance(0.7)
      ? dice.of("unsubscribed", "unsubscribed", "bounced", "complained")
      : dice.of("subscribed", "subscribed", "pending", "none");
    return await this.#update(id, "marketing_status", status);
  }

  #consentRemote(): string | null {
    const { dice } = this.#world;
    const row = this.#subscriber();
    if (row === undefined) return null;
    const status = dice.chance(0.7)
      ? dice.of<Status>("unsubscribed", "unsubscribed", "bounced", "junk")
      : dice.of<Status>("active", "active", "unconfirmed");
    return this.#change(row, { status }, "status");
  }

  async #addLocal(): Promise<string | null> {
    const world = this.#world;
    const { dice, local, remote } = world;
    const kind = dice.weighted({ fresh: 4, client: 1, subscriber: 1, known: 2 });
    const email = kind === "client"
      ? local.clients.get(this.#client() ?? "")?.["email"]
      : kind === "subscriber"
      ? this.#subscriber()?.email
      : kind === "known"
      ? dice.one([...remote.addresses])
      : this.#address();
    const id = dice.uuid();
    const rows = await world.database.asUser(
      `insert into public.clients (id, email, first_name, city, marketing_status, groups, partner_id)
       values ($1, $2, $3, $4, $5, $6, $7) returning id`,
      [
        id,
        email ?? null,
        this.#value(),
        dice.chance(0.5) ? this.#value() : null,
        dice.of("subscribed", "subscribed", "subscribed", "pending", "none", "unsubscribed"),
        dice.chance(0.5) ? ["VIP"] : [],
        dice.chance(0.2) ? dice.one([...local.partners.keys()]) ?? null : null,
      ],
    );
    await world.local.absorb();
    this.#warm(id);
    return rows === null ? "refused by a lock" : `${world.name("a", id)} ${kind}`;
  }

  /** Through the API, as another app would: a deleted one comes back as it was. */
  async #addRemote(): Promise<string | null> {
    const world = this.#world;
    const { dice, local, remote } = world;
    const theirs = String(local.clients.get(this.#client() ?? "")?.["email"] ?? "").trim()
      .toLowerCase();
    const gone = [...remote.addresses].filter((address) =>
      ![...remote.rows.values()].some(({ email }) => email === address)
    );
    const kind = dice.weighted({ fresh: 4, client: 1, gone: 2 });
    const email = kind === "client" && theirs.includes("@")
      ? theirs
      : kind === "gone"
      ? dice.one(gone) ?? this.#address()
      : this.#address();
    if ([...remote.rows.values()].some((row) => row.email === email)) return null;
    const response = await world.simulator.handle(
      new Request("http://mailerlite.test/api/subscribers", {
        method: "POST",
        headers: { authorization: "Bearer simulator-token", "content-type": "application/json" },
        body: JSON.stringify({ email, fields: { name: this.#value(), city: this.#value() } }),
      }),
    );
    await response.body?.cancel();
    const before = new Set(remote.rows.keys());
    remote.absorbUser();
    const id = [...remote.rows.keys()].find((each) => !before.has(each));
    return id === undefined ? `refused with ${response.status}` : `${world.name("b", id)} ${kind}`;
  }

  async #deleteLocal(): Promise<string | null> {
    const world = this.#world;
    const id = this.#client();
    if (id === undefined || world.local.clients.size < 4) return null;
    const rows = await world.database.asUser(
      `delete from public.clients where id = $1 returning id`,
      [id],
    );
    await world.local.absorb();
    return rows === null ? "refused by a lock" : world.name("a", id);
  }

  #deleteRemote(): string | null {
    const { remote, simulator } = this.#world;
    const row = this.#subscriber();
    if (row === undefined || remote.rows.size < 4) return null;
    simulator.remove(row.id);
    remote.absorbUser();
    return this.#world.name("b", row.id);
  }

  async #partner(): Promise<string | null> {
    const world = this.#world;
    const { dice, local } = world;
    const id = dice.one([...local.partners.keys()]) ?? null;
    const client = this.#client();
    const what = dice.weighted({ edit: 5, move: 3, leave: 1, delete: 0.5, add: 1 });
    const value = this.#value();
    if (what === "move" && client !== undefined) {
      return await this.#update(client, "partner_id", id);
    }
    if (what === "leave" && client !== undefined) {
      return await this.#update(client, "partner_id", null);
    }
    const rows = what === "add"
      ? await world.database.asUser(
        `insert into public.partners (id, name, company) values ($1, $2, $2)`,
        [dice.uuid(), value],
      )
      : what === "delete"
      ? await world.database.asUser(`delete from public.partners where id = $1`, [id])
      : await world.database.asUser(
        `update public.partners set ${dice.of("name", "company")} = $2 where id = $1`,
        [id, value],
      );
    await world.local.absorb();
    return rows === null ? "refused by a lock" : what ?? null;
  }

  async #unmapped(): Promise<string | null> {
    const id = this.#client();
    const row = this.#subscriber();
    if (id === undefined || row === undefined) return null;
    if (this.#world.dice.chance(0.5)) return await this.#update(id, "notes", this.#value());
    return this.#change(row, { fields: { state: this.#value() } }, "state");
  }

  async #decide(): Promise<string | null> {
    const world = this.#world;
    const { dice, versions } = world;
    const open = await world.database.pool.query<
      { id: number; link: number | null; field: string }
    >(
      `select id::float8 as id, crosswalk_id::float8 as link, field
       from public.sync_conflicts where status = 'open' order by id`,
    );
    const conflict = dice.one(open);
    if (conflict === undefined) return null;
    const { id, field } = conflict;
    const link = world.links.find((each) => each.id === conflict.link);
    const isWhole = field === "(record)";
    const choice = dice.chance(0.7) || isWhole ? dice.of("local", "remote") : "value";
    const isSet = field === "groups";
    const value = choice !== "value"
      ? null
      : isSet
      ? ["VIP"]
      : this.#value().trim().normalize("NFC");
    const rows = await world.database.asUser(
      `select public.resolve_sync_conflict($1, $2, $3) as done`,
      [id, choice, value === null ? null : JSON.stringify(value)],
    );
    if (rows === null) return "refused by a lock";
    if (link === undefined) return `conflict ${field} without a link`;
    if (isWhole) {
      world.remote.wholeDecisions.add(link.aId).add(link.bId);
      return `${world.name("a", link.aId)} as a whole: ${choice}`;
    }
    const a = versions.current("a", link.aId, field);
    const b = versions.current("b", link.bId, field);
    const seen = [a, b].filter((version) => version !== undefined);
    const wanted = choice === "value" ? value : (choice === "local" ? a : b)?.value ?? null;
    versions.decide(seen, field, wanted, world.step);
    return `${world.name("a", link.aId)}.${field}: ${choice}`;
  }

  async #reopen(): Promise<string | null> {
    const world = this.#world;
    const decided = await world.database.pool.query<{ id: number }>(
      `select id::float8 as id from public.sync_conflicts c
       where status = 'resolved' and applied_at is null and not exists (
         select 1 from public.sync_conflicts o
         where o.record_key = c.record_key and o.field = c.field and o.status = 'open')
       order by id`,
    );
    const conflict = world.dice.one(decided);
    if (conflict === undefined) return null;
    const rows = await world.database.asUser(`select public.reopen_sync_conflict($1)`, [
      conflict.id,
    ]);
    return rows === null ? "refused by a lock" : "a conflict";
  }

  /** A value that no database can hold, until somebody mends it. */
  #odd(): string | null {
    const row = this.#subscriber();
    if (row === undefined) return null;
    const value = this.#world.dice.chance(0.5) ? `${CANARY}v\u0000` : this.#value();
    return this.#change(row, { fields: { city: value } }, "city");
  }

  #warm(id: string): void {
    if (this.#world.dice.chance(0.5)) this.#hot = [...this.#hot, id].slice(-3);
  }
}
