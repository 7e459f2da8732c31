/** Which way smart-sync goes, what it looks for, and what it does without writing. */
import { assertEquals } from "@std/assert";
import { assertWaits, databaseClock } from "./lib/queue_waits.ts";
import {
  address,
  changedConfig,
  clientId,
  equalPeople,
  type SmartAnswer,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

// What the database takes and the remote does not.
const BAD_ADDRESS = "nobody@nowhere";

/** A world whose making has left nothing in the queue. */
async function quietWorld(people: number): Promise<TwoWayWorld> {
  const world = await twoWayWorld(import.meta.url, equalPeople(people));
  await world.clearQueue();
  return world;
}

/** Makes everything that waits due, as time would. */
async function makeDue(world: TwoWayWorld): Promise<void> {
  await world.pool.query(`update public.sync_queue set not_before = now()`);
}

/** When each is due, and how often it was tried. */
async function waits(world: TwoWayWorld): Promise<unknown[]> {
  return await world.pool.query(
    `select not_before::text, attempts from public.sync_queue order by record_id`,
  );
}

function said({ out }: SmartAnswer): unknown[] {
  return out.map(({ changed, reason, error }) => changed ?? reason ?? { error });
}

function refs({ out }: SmartAnswer): unknown[] {
  return out.map(({ a_id, b_id }) => a_id ?? b_id).sort();
}

/** Puts subscribers into the queue as a webhook does. */
async function hint(world: TwoWayWorld, ...people: readonly (number | string)[]): Promise<void> {
  const ids = people.map((who) => typeof who === "string" ? who : world.subscriber(who)?.id);
  await world.pool.query(
    `insert into public.sync_queue (pair, side, record_id, reason)
     select 'clients', 'b', u.id, 'webhook:subscriber.updated' from unnest($1::text[]) u (id)`,
    [ids],
  );
}

Deno.test("a dry run tells the same, writes nothing, and leaves the queue as it is", async () => {
  await using world = await quietWorld(6);
  await world.editClient(1, { first_name: "Bea" });
  world.editSubscriber(2, { fields: { city: "Rome" } });
  await world.addClient(7);
  world.addSubscriber(8);
  await world.editClient(3, { email: "three-a@example.com" });
  world.editSubscriber(3, { email: "three-b@example.com" });
  await world.deleteClient(4);
  await hint(world, 2, 8);
  const before = await world.everything();
  const versions = await waits(world);
  const dry = await world.smart({ dryRun: true });
  assertEquals(await world.everything(), before);
  assertEquals(await waits(world), versions);
  assertEquals((await world.pool.query(`select 1 from public.sync_stage`)).length, 0);
  assertEquals([dry.remaining, dry.count], [6, 6]);
  const real = await world.smart();
  const byRef = ({ out }: SmartAnswer) =>
    Object.fromEntries(
      out.map(({ a_id, b_id, changed, reason }) => [a_id ?? b_id, changed ?? reason]),
    );
  assertEquals(byRef(dry), byRef(real));
  assertEquals(real.remaining, 0);
});

Deno.test("mode full also finds what changed on side A without getting into the queue", async () => {
  await using world = await quietWorld(8);
  await world.editClient(1, { first_name: "Bea" });
  await world.addClient(9);
  await world.addClient(10, { marketing_status: "none" });
  world.editSubscriber(2, { fields: { city: "Rome" } });
  await world.pool.query(
    `delete from public.shadow_snapshots where crosswalk_id =
       (select id from public.integration_crosswalk where a_id = $1)`,
    [clientId(3)],
  );
  await world.clearQueue();
  assertEquals((await world.smart()).count, 0);
  const dry = await world.smart({ mode: "full", dryRun: true });
  assertEquals(await world.queue(), []);
  const answer = await world.smart({ mode: "full" });
  assertEquals(refs(answer), [1, 3, 9].map(clientId).sort());
  assertEquals(refs(dry), refs(answer));
  assertEquals(said(answer).filter((word) => word === true).length, 2);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  assertEquals(world.subscriber(9)?.status, "active");
  // What changed on side B takes a full run, or a hint.
  assertEquals((await world.client(2))?.city, "Oslo");
});

Deno.test("mode full does not look again and again at who may not be made at the remote", async () => {
  const config = changedConfig({ onNewLocal: "ignore" });
  for (const [what, options] of [["consent", {}], ["policy", { config }]] as const) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(2), options);
    await world.addClient(3, { marketing_status: what === "consent" ? "none" : "subscribed" });
    await world.addClient(4, { email: " " });
    await world.addClient(5, { marketing_status: "unsubscribed" });
    // What the edits themselves have put in is looked at once.
    await world.smart({ mode: "full" });
    world.simulator.resetRequests();
    const answer = await world.smart({ mode: "full" });
    assertEquals([answer.count, world.simulator.requests()], [0, {}], what);
    // Who is there is linked all the same, by the edit that lets it or a hint.
    world.addSubscriber(3);
    await world.editClient(3, { first_name: "Bea" });
    assertEquals(said(await world.smart()), [true], what);
  }
});

Deno.test("mode full carries decisions out, and leaves dead letters alone", async () => {
  await using world = await quietWorld(3);
  await world.editClient(1, { email: "one-a@example.com" });
  world.editSubscriber(1, { email: "one-b@example.com" });
  await world.editClient(2, { email: BAD_ADDRESS });
  for (let runs = 0; runs < 3; runs++) {
    await world.smart();
    await makeDue(world);
  }
  assertEquals(await world.queue(), []);
  await world.decide(1, "email", "local");
  const answer = await world.smart({ mode: "full" });
  assertEquals([refs(answer), said(answer)], [[clientId(1)], [true]]);
  assertEquals(world.subscriberAt("one-a@example.com")?.status, "active");
});

Deno.test("edits in the queue travel only the way that was asked for, and the others wait for their way", async () => {
  for (const mode of ["AtoB", "BtoA"] as const) {
    await using world = await quietWorld(4);
    await world.editClient(1, { first_name: "Bea" });
    world.editSubscriber(2, { fields: { city: "Rome" } });
    await world.addClient(5);
    world.addSubscriber(6);
    // Half of it travels, either way.
    await world.editClient(3, { first_name: "Bea" });
    world.editSubscriber(3, { fields: { city: "Rome" } });
    await hint(world, 2, 6);
    const since = await databaseClock(world.pool);
    const answer = await world.smart({ mode });
    const toRemote = mode === "AtoB";
    assertEquals(world.subscriber(1)?.fields["name"], toRemote ? "Bea" : "Ann");
    assertEquals((await world.client(2))?.city, toRemote ? "Oslo" : "Rome");
    assertEquals(world.subscriber(5) === undefined, !toRemote);
    assertEquals((await world.clientsWithAddress(6)).length, toRemote ? 0 : 1);
    const words = said(answer);
    assertEquals(words.filter((word) => word === "this mode does not go that way").length, 2);
    assertEquals(words.filter((word) => word === true).length, 3);
    await assertWaits(world.pool, since, Array(3).fill({ attempts: 1, seconds: 2 }));
    await makeDue(world);
    assertEquals(said(await world.smart()), [true, true, true]);
    assertEquals([world.subscriber(3)?.fields["name"], (await world.client(3))?.city], [
      "Bea",
      "Rome",
    ]);
    assertEquals(await world.queue(), []);
  }
});

/** People of whom each calls for something else, by number. */
async function variedWorld(): Promise<TwoWayWorld> {
  const world = await quietWorld(6);
  await world.editClient(1, { first_name: "Bea" });
  world.editSubscriber(2, { fields: { city: "Rome" } });
  await world.editClient(3, { email: BAD_ADDRESS });
  world.removeSubscriber(4);
  await world.addClient(7);
  world.addSubscriber(8);
  await world.addClient(9, { marketing_status: "none" });
  return world;
}

const NAMED = [...[1, 2, 4, 5, 6, 7, 8, 9, 10].map(address), BAD_ADDRESS];

Deno.test("a dry run over named people tells the same as the run after it, and writes nothing", async () => {
  for (const mode of ["bidirectional", "AtoB", "BtoA", "full"]) {
    await using world = await variedWorld();
    const before = await world.everything();
    const dry = await world.smart({ emails: NAMED, mode, dryRun: true });
    assertEquals(await world.everything(), before);
    assertEquals((await world.pool.query(`select 1 from public.sync_stage`)).length, 0);
    const [row] = await world.pool.query<{ used: number }>(
      `select (value #>> '{records,used}')::integer as used from public.sync_state where key = 'daily_quota'`,
    );
    assertEquals(row?.used ?? 0, 0);
    const real = await world.smart({ emails: NAMED, mode });
    assertEquals(dry.out.filter(({ b_id }) => b_id === ""), []);
    const told = ({ out }: SmartAnswer) =>
      // A refusal of the remote is not known before it is asked, nor is the id of who is new.
      out.filter(({ email }) => email !== BAD_ADDRESS).map(({ b_id: _, ...entry }) => entry);
    assertEquals(told(dry), told(real), mode);
    assertEquals(real.out.length, NAMED.length);
  }
});

Deno.test("named people are synced only the way that was asked for", async () => {
  for (const mode of ["AtoB", "BtoA", "full"] as const) {
    await using world = await variedWorld();
    await world.smart({ emails: NAMED, mode });
    const [toRemote, toLocal] = [mode !== "BtoA", mode !== "AtoB"];
    assertEquals(world.subscriber(1)?.fields["name"], toRemote ? "Bea" : "Ann");
    assertEquals((await world.client(2))?.city, toLocal ? "Rome" : "Oslo");
    assertEquals(world.subscriber(7) === undefined, !toRemote);
    assertEquals((await world.clientsWithAddress(8)).length, toLocal ? 1 : 0);
    // What did not travel is not forgotten.
    await world.smart({ emails: NAMED });
    assertEquals(world.subscriber(1)?.fields["name"], "Bea");
    assertEquals((await world.client(2))?.city, "Rome");
  }
});
