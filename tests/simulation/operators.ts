import { readOpenConflicts } from "../../scripts/cli/open_conflicts.ts";
import { readNetChanges, undoChanges } from "../../scripts/cli/undo_run.ts";
import { dataApi, localReader } from "./data_api.ts";
import type { Json } from "../../shared/merge/json.ts";
import type { Hands } from "./hands.ts";
import { looser } from "./check_limits.ts";
import { anyConfig } from "./weather.ts";
import type { World } from "./world.ts";

/** Who runs the sync: decides conflicts, takes runs back, clears up. */
export class Operators {
  readonly #world: World;
  readonly #hands: Hands;

  constructor(world: World, hands: Hands) {
    this.#world = world;
    this.#hands = hands;
  }

  async decide(): Promise<string | null> {
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
    const value = choice === "value" ? this.#valueOf(field) : null;
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

  /** A value of an operator's own, as the field holds it. */
  #valueOf(field: string): Json {
    if (field === "groups") return ["VIP"];
    return field === "email" ? this.#hands.address() : this.#hands.value().trim().normalize("NFC");
  }

  async reopen(): Promise<string | null> {
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

  /** Gives back what a run wrote over, as `deno task sync undo --apply` does. */
  async undo(): Promise<string | null> {
    const world = this.#world;
    const runs = await world.database.pool.query<{ id: string }>(
      `select r.id::text as id from public.sync_runs r
       where r.status in ('completed', 'failed') and exists (
         select 1 from public.sync_log l where l.run_id = r.id and l.action = 'update' and l.applied)
       order by r.fencing`,
    );
    const run = world.dice.one(runs.slice(-3));
    if (run === undefined) return null;
    const { pair } = world;
    const client = dataApi(world.database);
    const items = await undoChanges(
      {
        client,
        pair,
        local: await localReader(world.database.pool, pair),
        conflicts: await readOpenConflicts(client, pair.name),
      },
      run.id,
      await readNetChanges(client, run.id),
      true,
    );
    await world.local.absorb();
    const done = items.filter(({ outcome }) => outcome === "done").length;
    world.reach("a run was taken back", done);
    return `put ${done} of ${items.length} values back`;
  }

  /** What pg_cron does every night. */
  async prune(): Promise<string | null> {
    const rows = await this.#world.database.asUser("select sync_private.prune()", []);
    return rows === null ? "refused by a lock" : "old rows";
  }

  /** Mends a record that fails, on one of its sides. */
  async mend(): Promise<string | null> {
    const { database, dice, local, remote } = this.#world;
    const failing = await database.pool.query<{ aId: string | null; bId: string | null }>(
      `select a_id::text as "aId", b_id as "bId" from public.sync_failures
       order by runs desc, record_key limit 3`,
    );
    const record = dice.one(failing);
    if (record === undefined) return null;
    const row = remote.rows.get(record.bId ?? "");
    if (row !== undefined) {
      return this.#hands.change(row, { fields: { city: this.#hands.value() } }, "city");
    }
    if (record.aId === null || !local.clients.has(record.aId)) return null;
    return await this.#hands.update(record.aId, "email", this.#hands.address());
  }

  /** Another policy goes live; only where nobody is at work, who would still have the old one. */
  deploy(): string | null {
    const world = this.#world;
    if (world.scheduler.living().length > 0) return null;
    for (const [field, rule] of Object.entries(world.rules.fields)) {
      if (rule.kind === "value" && rule.flow !== "both") world.onceOneWay.add(field);
    }
    world.config = anyConfig(world.dice);
    world.loosest = looser(world.loosest, world.rules.limits);
    world.reach("the policy was changed");
    return "another policy";
  }
}
