/**
 * A worker of enterprise-sync is killed before and after everything it does to the
 * world: each statement that may write, each commit, each request. Whoever comes next must end
 * with the same state as an undisturbed run (invariant 18), without making anybody
 * twice (19), without having raised anybody's consent in between (11), and with
 * every record counted once (30).
 */
import { assert, assertEquals, assertGreater } from "@std/assert";
import type { Runtime } from "../shared/http/runtime.ts";
import { Killed, mayWrite, mortal, outlivesWorker, type Step, watched } from "./lib/mortal.ts";
import { oneOfEverything } from "./lib/one_of_everything.ts";
import { assertConserved } from "./lib/run_invariants.ts";
import { TwoWayMoment, type TwoWayReplay } from "./lib/two_way_state.ts";
import { address, clientId, equalPeople, twoWayWorld } from "./lib/two_way_world.ts";

/** Few enough that a run takes two calls and stops between them. */
const CALL = { maxRecords: 30 };

/** Calls that a run takes at most, with one to take it over. */
const CALLS = 4;

/** Calls until the run is done, or one fails. */
async function run(world: TwoWayReplay, runtime: Runtime): Promise<boolean> {
  for (let calls = 0; calls < CALLS; calls++) {
    const answer = await world.sync(CALL, runtime);
    if (answer.status !== 200) return false;
    if (answer.done) return true;
  }
  return false;
}

async function isOver(world: TwoWayReplay): Promise<boolean> {
  const rows = await world.pool.query<{ ended: boolean }>(
    `select ended_at is not null as ended from public.sync_runs where function = 'enterprise-sync'`,
  );
  return rows[0]?.ended === true;
}

Deno.test("11, 18, 19, 30: enterprise-sync killed at any step is finished by the next calls, with the same end", async () => {
  await using made = await oneOfEverything(import.meta.url);
  const { start } = made;
  const undisturbed = await start.restore();
  const steps: Step[] = [];
  const living = mortal(undisturbed.harness, null, (step) => {
    if (mayWrite(step)) steps.push(step);
    return mayWrite(step);
  });
  assert(await run(undisturbed, living.runtime));
  const wanted = await undisturbed.end();
  const creates = undisturbed.remoteCreates();
  assertEquals([wanted.leftOvers, await undisturbed.raisedConsents(), creates], [[], 0, 2]);
  const records = await assertConserved(undisturbed, "undisturbed");

  assertGreater(steps.length, 50);
  assertGreater(steps.filter(outlivesWorker).length, 30);
  for (const [index, step] of steps.entries()) {
    const at = index + 1;
    for (
      const moment of outlivesWorker(step) ? ["before", "after"] as const : ["before"] as const
    ) {
      const where = `killed ${moment} step ${at} of ${steps.length}`;
      const world = await start.restore();
      const victim = mortal(world.harness, { at, moment }, mayWrite);
      await run(world, victim.runtime);
      assert(victim.died(), `step ${at} was not reached`);
      await world.ageLeases();
      // Killed after its last commit there is nothing left to finish.
      if (!await isOver(world)) assert(await run(world, world.harness.runtime()), where);
      assertEquals(await world.end(), wanted, where);
      assertEquals([await world.raisedConsents(), world.remoteCreates()], [0, creates], where);
      assertEquals(await assertConserved(world, where), records, where);
    }
  }
});

Deno.test("18: whom nobody can tell apart stays apart, wherever a worker is killed", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  // The partner of each is gone, and they have one address, which somebody new has too:
  // who of them came back nobody knows, so nothing is done to any of them.
  await world.editClient(1, { email: "shared@example.com" });
  await world.deleteClient(2);
  world.editSubscriber(2, { email: "shared@example.com" });
  await world.addClientAs(clientId(5), 5, { email: "shared@example.com" });
  const start = await TwoWayMoment.keep(world, [address(1)]);
  const undisturbed = await start.restore();
  const living = mortal(undisturbed.harness, null);
  assert(await run(undisturbed, living.runtime));
  const wanted = await undisturbed.end();
  assertEquals((await undisturbed.links()).map(({ a_id, link_state }) => [a_id, link_state]), [
    [clientId(1), "linked"],
    [clientId(2), "linked"],
    [clientId(3), "linked"],
    [clientId(4), "linked"],
  ]);
  const matching = ["sync_seen n", "cw.link_state not in", "sync_findings", "sync_work (run_id"];
  for (const part of matching) {
    const again = await start.restore();
    let killed = false;
    await run(
      again,
      watched(again.harness, {
        before({ what }) {
          if (killed || what.includes(part)) {
            killed = true;
            throw new Killed();
          }
        },
      }),
    );
    assert(killed, part);
    await again.ageLeases();
    assert(await run(again, again.harness.runtime()));
    assertEquals(await again.end(), wanted, part);
  }
});
