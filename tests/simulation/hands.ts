import type { ControlChange } from "../../simulators/mailerlite/mod.ts";
import type { RemoteRow } from "./remote_watch.ts";
import type { World } from "./world.ts";

/** Begins every made-up value and address, so that one that leaks is found. */
export const CANARY = "kq7z";

/** Ends a city that a check of the clients table does not let in. */
export const BARRED = "barred";

/** Columns of side A with the remote's keys. */
export const FIELDS = [
  ["first_name", "name"],
  ["last_name", "last_name"],
  ["company", "company"],
  ["phone", "phone"],
  ["city", "city"],
  ["country", "country"],
] as const;

/** What everybody who edits something needs: whom, and with what. */
export class Hands {
  readonly #world: World;
  #values = 0;
  #people = 0;
  /** Records that much happens to. */
  #hot: string[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** A value that nobody else ever writes. */
  value(): string {
    const text = `${CANARY}v${++this.#values}`;
    const { dice } = this.#world;
    if (dice.chance(0.04)) return `  ${text} `;
    return dice.chance(0.04) ? `${text} Jo\u0308` : text;
  }

  /** An address that nobody else ever had. */
  address(): string {
    return `${CANARY}p${++this.#people}@example.com`;
  }

  /** An address that no remote takes. */
  wrongAddress(): string {
    return `${CANARY}p${++this.#people}-nowhere`;
  }

  /** Somebody of side A, rather one to whom much happens. */
  client(): string | undefined {
    const { dice, local } = this.#world;
    if (dice.chance(0.5)) {
      const hot = dice.one(this.#hot.filter((id) => local.clients.has(id)));
      if (hot !== undefined) return hot;
    }
    return dice.one([...local.clients.keys()]);
  }

  /** Somebody of the remote, rather one to whom much happens. */
  subscriber(): RemoteRow | undefined {
    const { dice, remote } = this.#world;
    const ids = this.#hot.map((id) => this.#world.partnerOf("a", id)).filter((id) => id !== null);
    if (dice.chance(0.5)) {
      const hot = dice.one(ids.filter((id) => remote.rows.has(id)));
      if (hot !== undefined) return remote.rows.get(hot);
    }
    return dice.one([...remote.rows.values()]);
  }

  /** Writes a column of a client. */
  async update(id: string, column: string, value: unknown): Promise<string | null> {
    const world = this.#world;
    const rows = await world.database.asUser(
      `update public.clients set ${column} = $2 where id = $1 returning id`,
      [id, value],
    );
    await world.local.absorb();
    return rows === null ? "refused by a lock" : `${world.name("a", id)}.${column}`;
  }

  /** Changes a subscriber on the dashboard. */
  change(row: RemoteRow, change: ControlChange, what: string): string {
    this.#world.simulator.change(row.id, change);
    this.#world.remote.absorbUser();
    return `${this.#world.name("b", row.id)}.${what}`;
  }

  /** From now on much may happen to a client. */
  warm(id: string): void {
    if (this.#world.dice.chance(0.5)) this.#hot = [...this.#hot, id].slice(-3);
  }

  /** Much happens to these clients. */
  favour(ids: readonly string[]): void {
    this.#hot = [...ids];
  }
}
