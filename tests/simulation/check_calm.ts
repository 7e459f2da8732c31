/**
 * The invariants that are looked at once nothing fails and nobody edits any more.
 *
 * @module
 */
import type { Json } from "../../shared/merge/json.ts";
import { sameJson } from "../../shared/merge/same_json.ts";
import { checkAlone } from "./check_alone.ts";
import { checkConvergence } from "./check_convergence.ts";
import type { Worker } from "./worker.ts";
import type { World } from "./world.ts";

/** Both sides, and what the sync keeps about them: all that one more run must leave as it is. */
async function photograph(world: World): Promise<string[]> {
  const rows = await world.database.pool.query<{ what: string; row: Json }>(
    `select 'client' as what, to_jsonb(t) as row from public.clients t
     union all select 'partner', to_jsonb(t) from public.partners t
     union all select 'link', to_jsonb(t) from public.integration_crosswalk t
     union all select 'shadow', to_jsonb(t) - 'version' - 'taken_at' from public.shadow_snapshots t
     union all select 'conflict', to_jsonb(t) from public.sync_conflicts t
     union all select 'intent', to_jsonb(t) from public.sync_intents t
     union all select 'failure', to_jsonb(t) - 'last_failed_at' - 'last_run_id' from public.sync_failures t
     union all select 'suppression', to_jsonb(t) from public.sync_suppressions t
     union all select 'log', to_jsonb(t) from public.sync_log t where action <> 'allow'
     order by 1, 2`,
  );
  return [
    ...rows.map(({ what, row }) => `${what} ${JSON.stringify(row)}`),
    ...[...world.remote.rows.values()].map(({ groups, ...row }) =>
      // Without the numbers of the groups, which catch up by themselves.
      `subscriber ${JSON.stringify({ ...row, groups: groups.map(({ name }) => name) })}`
    ),
  ];
}

/** Rows that are not in both pictures. */
function differenceOf(world: World, before: readonly string[], after: readonly string[]): string[] {
  const gone = before.filter((row) => !after.includes(row));
  const come = after.filter((row) => !before.includes(row));
  for (const row of gone) world.add(`was: ${row}`);
  for (const row of come) world.add(`is: ${row}`);
  return [...gone, ...come];
}

function kindsOf(rows: readonly string[]): string {
  const kinds = [...new Set(rows.map((row) => row.split(" ")[0]))];
  return `${rows.length} rows: ${kinds.join(", ")}`;
}

const CLASSES = [
  "processed",
  "unchanged",
  "changed",
  "conflicted",
  "excluded",
  "failed",
  "skipped",
];

async function countersOf(world: World, { answer }: Worker): Promise<Record<string, number>> {
  const [run] = await world.database.pool.query<{ counters: Record<string, number> }>(
    `select counters from public.sync_runs where id = $1`,
    [answer?.body["runId"]],
  );
  return run?.counters ?? {};
}

/**
 * Checks what a dry run does, and what it says: nothing, and what the run after it does.
 *
 * @param runs The same run twice, the first time dry; each in one call.
 */
export async function checkForesight(
  world: World,
  runs: { readonly dry: () => Promise<Worker>; readonly real: () => Promise<Worker> },
): Promise<void> {
  const before = await photograph(world);
  const writes = world.simulator.history().length;
  const dry = await runs.dry();
  const difference = differenceOf(world, before, await photograph(world));
  if (difference.length > 0 || world.simulator.history().length !== writes) {
    world.violate("a dry run leaves everything as it is", kindsOf(difference));
  }
  const real = await runs.real();
  if (dry.answer?.body["done"] !== true || real.answer?.body["done"] !== true) return;
  world.reach("a dry run was followed by the run it foretold");
  const said = await countersOf(world, dry);
  const done = await countersOf(world, real);
  world.add(`foretold ${JSON.stringify(said)}`);
  world.add(`done ${JSON.stringify(done)}`);
  const touched = world.touched.get(real)?.size ?? 0;
  const updates = done["updates"] ?? 0;
  // A remote that takes what is not to be kept answers as if it had kept it.
  const isExact = Object.keys(world.weather.switches).length === 0;
  if (
    (done["failed"] ?? 0) === 0 && !world.wrotePartners.has(real) &&
    (isExact ? touched !== updates : touched > updates)
  ) {
    world.violate("a run counts what it wrote", `${updates} counted, ${touched} written`);
  }
  // What a side refuses shows when it is written, and so does that the remote brought
  // somebody's record back for another.
  const isAsForetold = (name: string) => (said[name] ?? 0) === (done[name] ?? 0);
  if (!isAsForetold("failed") || !isAsForetold("skipped")) return;
  for (const name of [...CLASSES, "updates", "conflicts"]) {
    if (isAsForetold(name)) continue;
    world.violate(
      "a dry run foretells the run after it",
      `${name}: ${said[name] ?? 0} foretold, ${done[name] ?? 0} done`,
    );
  }
}

/**
 * Checks both sides once nothing fails and nobody edits any more.
 *
 * @param again Runs a full sync once more.
 */
export async function checkCalm(world: World, again: () => Promise<void>): Promise<void> {
  await world.readLinks();
  await checkConvergence(world);
  await checkAlone(world);
  await checkLeftovers(world);
  const before = await photograph(world);
  const writes = world.simulator.history().length;
  await again();
  const difference = differenceOf(world, before, await photograph(world));
  if (difference.length > 0 || world.simulator.history().length !== writes) {
    world.violate(
      "idempotence: one more run over settled sides writes nothing",
      kindsOf(difference),
    );
  }
}

/** An open conflict shows what stands on both sides, and nothing waits for an answer any more. */
async function checkLeftovers(world: World): Promise<void> {
  const open = await world.database.pool.query<
    { aId: string; bId: string; field: string; a: Json; b: Json; failing: boolean }
  >(
    `select cw.a_id::text as "aId", cw.b_id as "bId", c.field, c.a, c.b, exists (
       select 1 from public.sync_failures f where f.record_key = c.record_key) as failing
     from public.sync_conflicts c join public.integration_crosswalk cw on cw.id = c.crosswalk_id
     where c.status = 'open' and cw.link_state = 'linked' order by c.id`,
  );
  for (const { aId, bId, field, a, b, failing } of open) {
    const client = world.local.clients.get(aId);
    const row = world.remote.rows.get(bId);
    if (failing || client === undefined || row === undefined || !world.remote.isReadable(row)) {
      continue;
    }
    const ours = world.local.canonical(client)[field] ?? null;
    const theirs = world.remote.canonical(row)[field] ?? null;
    if (sameJson(a, ours) && sameJson(b, theirs) && !sameJson(ours, theirs)) continue;
    world.violate(
      "an open conflict shows what stands on both sides",
      `${world.name("a", aId)}.${field}`,
    );
  }
  const [left] = await world.database.pool.query<{ intents: number }>(
    `select count(*)::integer as intents from public.sync_intents`,
  );
  if (left?.intents !== 0) {
    world.violate("liveness: everything comes to an end once nothing fails", "an intent is left");
  }
}
