/**
 * A worker of smart-sync is killed before everything it does to the world: each
 * statement, each commit, each request. What waited in the queue comes back by
 * itself, and whoever comes next must end with the same state as an undisturbed
 * drain, without making anybody twice.
 */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { mortal, type Step } from "./lib/mortal.ts";
import { oneOfEverything } from "./lib/one_of_everything.ts";
import type { TwoWayReplay } from "./lib/two_way_state.ts";

/** Killed before a step that only reads, a worker is as dead as after the one that wrote last. */
function writes({ kind, what }: Step): boolean {
  return kind !== "statement" || /\b(?:insert|update|delete)\b/.test(what);
}

/** Drains it takes until what is refused is given up, with one that is killed. */
const DRAINS = 6;

/** Lets the time pass after which a killed worker's records and run are free again. */
async function passTime(world: TwoWayReplay): Promise<void> {
  await world.ageLeases();
  await world.pool.query(`update public.sync_queue set not_before = now()`);
}

async function hintAll(world: TwoWayReplay): Promise<void> {
  const ids = [...world.simulator.readAllJson()].map((text) =>
    (JSON.parse(text) as { id: string }).id
  );
  await world.pool.query(
    `insert into public.sync_queue (pair, side, record_id, reason)
     select 'clients', 'b', u.id, 'webhook:subscriber.updated' from unnest($1::text[]) u (id)`,
    [ids],
  );
}

async function drainAll(world: TwoWayReplay, where: string): Promise<void> {
  for (let drains = 0; drains < DRAINS; drains++) {
    await passTime(world);
    const answer = await world.smart();
    assertEquals(answer.status, 200, `${where}: ${answer.message}`);
    if ((await world.queue()).length === 0) return;
  }
  throw new Error(`Cannot finish: ${(await world.queue()).length} records wait, ${where}`);
}

Deno.test("smart-sync killed at any step loses nothing: the next drains end as if it had lived", async () => {
  await using made = await oneOfEverything(import.meta.url);
  const { start } = made;
  const undisturbed = await start.restore();
  await hintAll(undisturbed);
  const living = mortal(undisturbed.harness, null, writes);
  assertEquals((await undisturbed.smart({}, living.runtime)).status, 200);
  await drainAll(undisturbed, "undisturbed");
  const wanted = await undisturbed.end();
  const creates = undisturbed.remoteCreates();
  assertEquals([wanted.leftOvers, await undisturbed.raisedConsents()], [[], 0]);
  assertGreater(creates, 0);

  const deaths = living.steps();
  assertGreater(deaths, 20);
  for (let at = 1; at <= deaths; at++) {
    const where = `killed before step ${at} of ${deaths}`;
    const world = await start.restore();
    await hintAll(world);
    const victim = mortal(world.harness, { at, moment: "before" }, writes);
    await world.smart({}, victim.runtime);
    assert(victim.died(), `step ${at} was not reached`);
    await drainAll(world, where);
    assertEquals(await world.end(), wanted, where);
    assertEquals([await world.raisedConsents(), world.remoteCreates()], [0, creates], where);
  }
});

Deno.test("smart-sync over named people killed at any step is finished by the next call", async () => {
  await using made = await oneOfEverything(import.meta.url);
  const { start } = made;
  const kept = await start.restore();
  const emails = (await kept.pool.query<{ email: string }>(
    `select distinct lower(btrim(email)) as email from public.clients where email like '%@%'
     and email not like '%@nowhere' order by 1`,
  )).map(({ email }) => email);
  const living = mortal(kept.harness, null, writes);
  assertEquals((await kept.smart({ emails }, living.runtime)).status, 200);
  const settle = async (world: TwoWayReplay) => {
    await world.ageLeases();
    await world.clearQueue();
    // Whoever is silent for long is taken for dead, by any drain.
    assertEquals((await world.smart()).status, 200);
    assertEquals((await world.smart({ emails, repair: true })).status, 200);
  };
  await settle(kept);
  const wanted = await kept.end();
  const creates = kept.remoteCreates();
  assertEquals(wanted.leftOvers, []);
  const deaths = living.steps();
  assertGreater(deaths, 15);
  for (let at = 1; at <= deaths; at++) {
    const where = `killed before step ${at} of ${deaths}`;
    const world = await start.restore();
    const victim = mortal(world.harness, { at, moment: "before" }, writes);
    await world.smart({ emails }, victim.runtime);
    assert(victim.died(), `step ${at} was not reached`);
    await settle(world);
    assertEquals(await world.end(), wanted, where);
    assertEquals([await world.raisedConsents(), world.remoteCreates()], [0, creates], where);
  }
});
