import { FIELDS, type Hands } from "./hands.ts";
import type { World } from "./world.ts";

/** Who uses the app: side A. */
export class AppUsers {
  readonly #world: World;
  readonly #hands: Hands;

  constructor(world: World, hands: Hands) {
    this.#world = world;
    this.#hands = hands;
  }

  async edit(): Promise<string | null> {
    const { dice } = this.#world;
    const id = this.#hands.client();
    const [column] = dice.one(FIELDS) ?? FIELDS[0];
    return id === undefined
      ? null
      : await this.#hands.update(id, column, dice.chance(0.15) ? null : this.#hands.value());
  }

  async groups(): Promise<string | null> {
    const { dice, local } = this.#world;
    const id = this.#hands.client();
    if (id === undefined) return null;
    const name = dice.of("Clients", "VIP", "VIP", "Own");
    const held = local.clients.get(id)?.["groups"];
    const groups: unknown[] = Array.isArray(held) ? held : [];
    return await this.#hands.update(
      id,
      "groups",
      groups.includes(name) ? groups.filter((each) => each !== name) : [...groups, name],
    );
  }

  /** A client of whose subscriber the answer was lost is edited before anybody looks for it. */
  async moveOn(id: string): Promise<string | null> {
    const { dice } = this.#world;
    if (dice.chance(0.5)) return await this.#hands.update(id, "email", this.#hands.address());
    const [column] = dice.one(FIELDS) ?? FIELDS[0];
    return await this.#hands.update(id, column, this.#hands.value());
  }

  async address(): Promise<string | null> {
    const { dice, local, remote } = this.#world;
    const id = this.#hands.client();
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
      ? local.clients.get(this.#hands.client() ?? "")?.["email"] ?? null
      : kind === "subscriber"
      ? this.#hands.subscriber()?.email ?? null
      : kind === "known"
      ? dice.one([...remote.addresses]) ?? null
      : kind === "wrong"
      ? this.#hands.wrongAddress()
      : kind === "none"
      ? null
      : this.#hands.address();
    return await this.#hands.update(id, "email", email);
  }

  async consent(): Promise<string | null> {
    const { dice } = this.#world;
    const id = this.#hands.client();
    if (id === undefined) return null;
    const status = dice.chance(0.7)
      ? dice.of("unsubscribed", "unsubscribed", "bounced", "complained")
      : dice.of("subscribed", "subscribed", "pending", "none");
    return await this.#hands.update(id, "marketing_status", status);
  }

  /** The address of somebody who left, rather one that nobody has any more. */
  #leftAddress(): string | undefined {
    const { dice, forbidden, local, remote } = this.#world;
    const held = new Set([
      ...[...remote.rows.values()].map(({ email }) => email),
      ...[...local.clients.values()].map(({ email }) => String(email ?? "").trim().toLowerCase()),
    ]);
    return dice.one([...forbidden].filter((email) => !held.has(email))) ?? dice.one([...forbidden]);
  }

  async add(): Promise<string | null> {
    const world = this.#world;
    const { dice, local, remote } = world;
    const kind = dice.weighted({ fresh: 4, client: 1, subscriber: 1, known: 2, left: 1 });
    const email = kind === "client"
      ? local.clients.get(this.#hands.client() ?? "")?.["email"]
      : kind === "subscriber"
      ? this.#hands.subscriber()?.email
      : kind === "known"
      ? dice.one([...remote.addresses])
      : kind === "left"
      ? this.#leftAddress()
      : this.#hands.address();
    const id = dice.uuid();
    const rows = await world.database.asUser(
      `insert into public.clients (id, email, first_name, city, marketing_status, groups, partner_id)
       values ($1, $2, $3, $4, $5, $6, $7) returning id`,
      [
        id,
        email ?? null,
        this.#hands.value(),
        dice.chance(0.5) ? this.#hands.value() : null,
        dice.of("subscribed", "subscribed", "subscribed", "pending", "none", "unsubscribed"),
        dice.chance(0.5) ? ["VIP"] : [],
        dice.chance(0.2) ? dice.one([...local.partners.keys()]) ?? null : null,
      ],
    );
    await world.local.absorb();
    this.#hands.warm(id);
    return rows === null ? "refused by a lock" : `${world.name("a", id)} ${kind}`;
  }

  /** Deletes somebody, or a certain client. */
  async delete(id = this.#hands.client()): Promise<string | null> {
    const world = this.#world;
    if (id === undefined || world.local.clients.size < 4) return null;
    const rows = await world.database.asUser(
      `delete from public.clients where id = $1 returning id`,
      [id],
    );
    await world.local.absorb();
    return rows === null ? "refused by a lock" : world.name("a", id);
  }

  async partner(): Promise<string | null> {
    const world = this.#world;
    const { dice, local } = world;
    const id = dice.one([...local.partners.keys()]) ?? null;
    const client = this.#hands.client();
    const what = dice.weighted({ edit: 5, move: 3, leave: 1, delete: 0.5, add: 1 });
    const value = this.#hands.value();
    if (what === "move" && client !== undefined) {
      return await this.#hands.update(client, "partner_id", id);
    }
    if (what === "leave" && client !== undefined) {
      return await this.#hands.update(client, "partner_id", null);
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

  /** Two people exchange their addresses. */
  async swap(): Promise<string | null> {
    const world = this.#world;
    const one = this.#hands.client();
    const other = this.#hands.client();
    if (one === undefined || other === undefined || one === other) return null;
    const rows = await world.database.asUser(
      `update public.clients c set email = o.email from public.clients o
       where (c.id, o.id) in (($1::uuid, $2::uuid), ($2::uuid, $1::uuid)) returning c.id`,
      [one, other],
    );
    await world.local.absorb();
    return rows === null
      ? "refused by a lock"
      : `${world.name("a", one)}, ${world.name("a", other)}`;
  }

  /** Somebody is deleted and entered anew, under another id. */
  async replace(): Promise<string | null> {
    const world = this.#world;
    const id = this.#hands.client();
    if (id === undefined) return null;
    const fresh = world.dice.uuid();
    const rows = await world.database.asUser(
      `with old as (delete from public.clients where id = $1 returning *)
       insert into public.clients (id, email, first_name, marketing_status, groups)
       select $2, email, $3, marketing_status, groups from old returning id`,
      [id, fresh, this.#hands.value()],
    );
    await world.local.absorb();
    this.#hands.warm(fresh);
    return rows === null
      ? "refused by a lock"
      : `${world.name("a", id)} by ${world.name("a", fresh)}`;
  }
}
