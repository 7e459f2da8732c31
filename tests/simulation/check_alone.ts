import { isForbidding, mayBeCreated } from "../../shared/merge/consent_order.ts";
import type { World } from "./world.ts";

/** What the sync keeps that may be the reason why somebody is on one side only. */
interface Reasons {
  /** Records that have or had a link. */
  readonly linked: ReadonlySet<string>;
  /** Records whose writes are refused. */
  readonly failing: ReadonlySet<string>;
  /** Records that share a key with others. */
  readonly held: ReadonlySet<string>;
  /** Keys of people who left. */
  readonly suppressed: ReadonlySet<string>;
}

async function readReasons(world: World): Promise<Reasons> {
  const { pool } = world.database;
  const idsOf = async (sql: string, parameters: readonly unknown[] = []) =>
    new Set((await pool.query<{ id: string }>(sql, parameters)).map(({ id }) => id));
  const keys = [...world.local.clients.values()].map((client) =>
    world.local.canonical(client)["email"]
  );
  return {
    linked: await idsOf(
      `select unnest(array[a_id::text, b_id]) as id from public.integration_crosswalk`,
    ),
    failing: await idsOf(
      `select unnest(array[a_id::text, b_id]) as id from public.sync_failures`,
    ),
    held: await idsOf(
      `select unnest(a_ids || b_ids) as id from public.sync_findings
       where kind in ('duplicate_key', 'key_taken')`,
    ),
    suppressed: await idsOf(
      `select k as id from unnest($1::text[]) k join public.sync_suppressions s
         on s.key_digest = encode(sha256(convert_to(s.pair || ':' || k, 'UTF8')), 'hex')`,
      [keys.filter((key) => typeof key === "string")],
    ),
  };
}

/** Checks that whoever is on one side only is so for a reason. */
export async function checkAlone(world: World): Promise<void> {
  const { local, remote, rules } = world;
  const { linked, failing, held, suppressed } = await readReasons(world);
  const isExplained = (id: string) => linked.has(id) || failing.has(id) || held.has(id);
  const tell = (name: string, why: string) =>
    world.violate(
      "nobody is forgotten: who is on one side only is so for a reason",
      `${name}: ${why}`,
    );
  const rows = new Map([...remote.rows.values()].map((row) => [row.email, row]));
  const keys = new Set<string>();
  for (const [id, client] of local.clients) {
    const record = local.canonical(client);
    const key = record["email"];
    if (typeof key !== "string") continue;
    keys.add(key);
    if (isExplained(id)) continue;
    const row = rows.get(key);
    if (row !== undefined) {
      if (!isExplained(row.id) && remote.isReadable(row)) {
        tell(world.name("a", id), `${world.name("b", row.id)} has the same key`);
      }
      continue;
    }
    const mayBeMade = rules.onNewLocal === "create" && mayBeCreated(record["consent"]) &&
      !isForbidding(record["consent"]);
    if (mayBeMade && suppressed.has(key)) world.reach("a person who left was not made again");
    else if (mayBeMade) tell(world.name("a", id), "it was not made at the remote");
  }
  for (const [key, row] of rows) {
    if (isExplained(row.id) || keys.has(key) || !remote.isReadable(row)) continue;
    if (rules.onNewRemote === "create") {
      tell(world.name("b", row.id), "it was not made on side A");
    }
  }
}
