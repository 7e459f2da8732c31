import type { Status } from "../../simulators/mailerlite/mod.ts";
import { BARRED, CANARY, FIELDS, type Hands } from "./hands.ts";
import type { RemoteRow } from "./remote_watch.ts";
import type { World } from "./world.ts";

/** Who uses the remote's dashboard, and other programs that call it. */
export class RemoteUsers {
  readonly #world: World;
  readonly #hands: Hands;

  constructor(world: World, hands: Hands) {
    this.#world = world;
    this.#hands = hands;
  }

  edit(): string | null {
    const row = this.#hands.subscriber();
    return row === undefined ? null : this.#edit(row);
  }

  /** Edits a subscriber, as a rule in a field on which side A has another value, which is what the sync writes. */
  overtake(bId: string, aId: string | null): string | null {
    const { dice, local, remote } = this.#world;
    const row = remote.rows.get(bId);
    if (row === undefined) return null;
    const client = aId === null ? undefined : local.clients.get(aId);
    const differing = client === undefined
      ? []
      : FIELDS.filter(([column, key]) => (client[column] ?? null) !== (row.fields[key] ?? null));
    return this.#edit(row, dice.chance(0.7) ? dice.one(differing)?.[1] : undefined);
  }

  #edit(row: RemoteRow, field?: string): string | null {
    const { dice } = this.#world;
    const key = field ??
      (dice.chance(0.15)
        ? dice.of("partner_name", "partner_company")
        : (dice.one(FIELDS) ?? FIELDS[0])[1]);
    const value = dice.chance(0.15) ? null : this.#hands.value();
    return this.#hands.change(row, { fields: { [key]: value } }, key);
  }

  groups(): string | null {
    const row = this.#hands.subscriber();
    if (row === undefined) return null;
    const name = this.#world.dice.of("Clients", "VIP", "VIP", "Newsletter");
    const held = row.groups.map((group) => group.name);
    const groups = held.includes(name) ? held.filter((each) => each !== name) : [...held, name];
    return this.#hands.change(row, { groups }, "groups");
  }

  address(): string | null {
    const row = this.#hands.subscriber();
    if (row === undefined) return null;
    const { dice, local, remote } = this.#world;
    const theirs = String(local.clients.get(this.#hands.client() ?? "")?.["email"] ?? "").trim()
      .toLowerCase();
    const email = dice.chance(0.25) && theirs.includes("@") && !remote.addresses.has(theirs)
      ? theirs
      : this.#hands.address();
    return this.#hands.change(row, { email }, "email");
  }

  consent(): string | null {
    const { dice } = this.#world;
    const row = this.#hands.subscriber();
    if (row === undefined) return null;
    const status = dice.chance(0.7)
      ? dice.of<Status>("unsubscribed", "unsubscribed", "bounced", "junk")
      : dice.of<Status>("active", "active", "unconfirmed");
    return this.#hands.change(row, { status }, "status");
  }

  /** Through the API, as another app would: a deleted one comes back as it was. */
  async add(): Promise<string | null> {
    const { dice, local, remote } = this.#world;
    const theirs = String(local.clients.get(this.#hands.client() ?? "")?.["email"] ?? "").trim()
      .toLowerCase();
    const gone = [...remote.addresses].filter((address) =>
      ![...remote.rows.values()].some(({ email }) => email === address)
    );
    const kind = dice.weighted({ fresh: 4, client: 1, gone: 2 });
    const email = kind === "client" && theirs.includes("@")
      ? theirs
      : kind === "gone"
      ? dice.one(gone) ?? this.#hands.address()
      : this.#hands.address();
    if ([...remote.rows.values()].some((row) => row.email === email)) return null;
    return `${await this.#post(email)} ${kind}`;
  }

  async #post(email: string): Promise<string> {
    const { remote } = this.#world;
    const fields = { name: this.#hands.value(), city: this.#hands.value() };
    const status = await this.#call("subscribers", { email, fields });
    const before = new Set(remote.rows.keys());
    remote.absorbUser();
    const id = [...remote.rows.keys()].find((each) => !before.has(each));
    return id === undefined ? `refused with ${status}` : this.#world.name("b", id);
  }

  async #call(path: string, body: unknown): Promise<number> {
    const response = await this.#world.simulator.handle(
      new Request(`http://mailerlite.test/api/${path}`, {
        method: "POST",
        headers: { authorization: "Bearer simulator-token", "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    );
    await response.body?.cancel();
    return response.status;
  }

  /** Deletes somebody, or a certain subscriber. */
  delete(row = this.#hands.subscriber()): string | null {
    const { remote, simulator } = this.#world;
    if (row === undefined || remote.rows.size < 4) return null;
    simulator.remove(row.id);
    remote.absorbUser();
    return this.#world.name("b", row.id);
  }

  /** A value that no database can hold, or one that a check of side A does not let in. */
  odd(): string | null {
    const row = this.#hands.subscriber();
    if (row === undefined) return null;
    const { dice } = this.#world;
    const value = dice.chance(0.6) ? `${CANARY}v\u0000` : `${this.#hands.value().trim()} ${BARRED}`;
    return this.#hands.change(row, { fields: { city: value } }, "city");
  }

  /** Two people exchange their addresses. */
  swap(): string | null {
    const { simulator, remote } = this.#world;
    const one = this.#hands.subscriber();
    const other = this.#hands.subscriber();
    if (one === undefined || other === undefined || one.id === other.id) return null;
    simulator.change(one.id, { email: this.#hands.address() });
    simulator.change(other.id, { email: one.email });
    simulator.change(one.id, { email: other.email });
    remote.absorbUser();
    return `${this.#world.name("b", one.id)}, ${this.#world.name("b", other.id)}`;
  }

  /** Somebody is forgotten and signs up again, which may give them another id. */
  async replace(): Promise<string | null> {
    const row = this.#hands.subscriber();
    if (row === undefined) return null;
    await this.#call(`subscribers/${row.id}/forget`, {});
    this.#world.remote.absorbUser();
    return `${this.#world.name("b", row.id)} by ${await this.#post(row.email)}`;
  }
}
