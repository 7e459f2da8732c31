/** What a worker of enterprise-sync may still do once another has taken its run over and is at work. */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { mayWrite, watched } from "./lib/mortal.ts";
import { oneOfEverything } from "./lib/one_of_everything.ts";
import type { TwoWayReplay } from "./lib/two_way_state.ts";

async function fencingOf(world: TwoWayReplay): Promise<number> {
  const rows = await world.pool.query<{ fencing: number }>(
    `select fencing::float8 as fencing from public.sync_runs where status = 'running'`,
  );
  return rows[0]?.fencing ?? 0;
}

/**
 * Takes the run over and stays at the first step of its own, until it is let go.
 *
 * @returns null where the worker has given a sign of life just then.
 */
async function takeOver(world: TwoWayReplay): Promise<(() => Promise<void>) | null> {
  const fencing = await fencingOf(world);
  await world.ageLeases();
  const taken = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let isFirst = true;
  const runtime = watched(world.harness, {
    async after(step) {
      if (!isFirst || step.kind !== "commit") return;
      isFirst = false;
      taken.resolve();
      await gate.promise;
    },
  });
  const working = world.sync({}, runtime);
  await Promise.race([taken.promise, working]);
  const letGo = async () => {
    gate.resolve();
    await working;
  };
  if (fencing > 0 && await fencingOf(world) > fencing) return letGo;
  await letGo();
  return null;
}

/** Tables of a run's own, which `everything()` leaves out. */
const OF_RUNS = [
  "sync_runs",
  "sync_findings",
  "sync_stage",
  "sync_seen",
  "sync_work",
  "shadow_fingerprints",
];

/** Side A and what the sync keeps; not the remote, which nobody can keep from taking what is on its way. */
async function kept(world: TwoWayReplay): Promise<unknown> {
  const tables: Record<string, unknown> = { ...Object(await world.everything()), remote: null };
  for (const name of OF_RUNS) {
    tables[name] = await world.pool.query(
      `select to_jsonb(t) as row from public."${name}" t order by to_jsonb(t)::text`,
    );
  }
  return tables;
}

Deno.test("22: a worker whose run another is at by now commits nothing, whichever its next step", async () => {
  await using made = await oneOfEverything(import.meta.url);
  const { start } = made;
  let steps = 0;
  let taken = 0;
  for (let meeting = 1; steps >= meeting - 1; meeting++) {
    const world = await start.restore();
    steps = 0;
    const others: (() => Promise<void>)[] = [];
    let before: unknown;
    const runtime = watched(world.harness, {
      async before(step) {
        if (step.inTransaction || !mayWrite(step) || step.kind === "request") return;
        if (step.what.includes("public.sync_take_tokens(") || ++steps !== meeting) return;
        // What it reads of the other side at the same moment is a sign of life too.
        for (let tries = 0; tries < 5 && others.length === 0; tries++) {
          const letGo = await takeOver(world);
          if (letGo !== null) others.push(letGo);
        }
        before = await kept(world);
      },
    });
    const answer = await world.sync({}, runtime);
    const where = `met at step ${meeting}`;
    assert([200, 409].includes(answer.status), `${where}: ${answer.code} ${answer.message}`);
    for (const letGo of others) {
      taken++;
      assertEquals(await kept(world), before, where);
      await letGo();
    }
  }
  assertGreater(taken, 10);
});
