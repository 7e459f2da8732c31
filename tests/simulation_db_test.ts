/**
 * The whole two-way sync in simulated worlds: real handlers, a real database, the
 * remote's simulator, a clock of their own, and everything that can go wrong.
 *
 * `SIMULATION_SEED=n` runs one seed and prints what happens in it;
 * `SIMULATION_SEEDS=n` runs so many, `SIMULATION_FROM=n` begins with another than the first.
 */
import { assertEquals } from "@std/assert";
import { INVARIANTS, RARITIES, type Rarity } from "./simulation/findings.ts";
import { runSeed } from "./simulation/run_seed.ts";
import { SimulatedDatabase } from "./simulation/simulated_database.ts";
import type { World } from "./simulation/world.ts";

/** Seeds of the suite. */
const SEEDS = 14;

/** Seeds from which on everything rare has to come up. */
const MANY_SEEDS = 150;

/** What does not come up in the few seeds of the suite. */
const NEEDS_MANY_SEEDS: readonly Rarity[] = [
  "a worker lost its lease and noticed",
  "a guard stopped a run",
  "a write on side A met a newer edit",
  "an orphan was brought together with its record again",
  "a person who left was not made again",
  "the circuit breaker opened",
  "a run waited for the rate limit",
  "a commit went through and its answer was lost",
  "a request was repeated below the client",
  "the policy was changed",
  "a create without an answer was found and linked",
  "a record changed between confirmation and write",
  "a run was stopped by a shutdown",
  "a record was gone from both sides",
  "an enumeration began anew",
];

function numberOf(variable: string): number | undefined {
  const text = Deno.env.get(variable);
  return text === undefined || text === "" ? undefined : Number(text);
}

Deno.env.set("SUPABASE_URL", "http://project.test");
Deno.env.set("SUPABASE_SECRET_KEYS", JSON.stringify({ default: "sb_secret_simulation" }));
Deno.env.set("SUPABASE_JWKS", JSON.stringify({ keys: [] }));

const only = numberOf("SIMULATION_SEED");
const count = numberOf("SIMULATION_SEEDS") ?? SEEDS;
const from = numberOf("SIMULATION_FROM") ?? 1;
const seeds = only === undefined ? Array.from({ length: count }, (_, n) => from + n) : [only];

Deno.test("simulation", async (t) => {
  await using database = await SimulatedDatabase.open(import.meta.url);
  const found = new Map<string, string[]>();
  const reached = new Map<string, number>();
  let slowest = 0;
  const note = (world: World) => {
    for (const { invariant, detail, at } of world.violations) {
      const list = found.get(invariant) ?? [];
      found.set(invariant, [...list, `seed ${world.seed}, step ${at}: ${detail}`]);
    }
    for (const [rarity, n] of world.reached) reached.set(rarity, (reached.get(rarity) ?? 0) + n);
  };
  for (const seed of seeds) {
    const started = performance.now();
    const world = await runSeed(seed, database);
    note(world);
    slowest = Math.max(slowest, performance.now() - started);
    if (only !== undefined) console.log(world.trace.join("\n"));
  }
  for (const invariant of INVARIANTS) {
    await t.step(invariant, () => assertEquals(found.get(invariant) ?? [], []));
  }
  if (only !== undefined) return;
  if (numberOf("SIMULATION_SEEDS") !== undefined) {
    for (const rarity of RARITIES) console.log(`${reached.get(rarity) ?? 0} times ${rarity}`);
  }
  for (const rarity of RARITIES) {
    if (count < MANY_SEEDS && NEEDS_MANY_SEEDS.includes(rarity)) continue;
    await t.step(`reached: ${rarity}`, () => assertEquals((reached.get(rarity) ?? 0) > 0, true));
  }
});
