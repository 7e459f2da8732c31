/**
 * What enterprise-sync does about addresses that clients hand on to each other: the
 * remote refuses an address as long as another subscriber has it.
 */
import { assertEquals } from "@std/assert";
import {
  address,
  changedConfig,
  equalPeople,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

/** Gives clients the addresses of others, by number. */
async function hand(world: TwoWayWorld, moves: Readonly<Record<number, number>>): Promise<void> {
  for (const [n, to] of Object.entries(moves)) {
    await world.editClient(Number(n), { email: address(to) });
  }
}

/** Whose address each subscriber has, by the numbers they began with. */
function holders(world: TwoWayWorld, ids: readonly (string | undefined)[]): (string | undefined)[] {
  const emails = new Map<string, string>();
  for (const text of world.simulator.readAllJson()) {
    const { id, email } = JSON.parse(text) as { id: string; email: string };
    emails.set(id, email);
  }
  return ids.map((id) => emails.get(id ?? ""));
}

for (
  const [name, moves, wanted] of [
    ["takes what a later one gives up", { 1: 2, 2: 7 }, [2, 7, 3, 4]],
    ["takes what an earlier one gives up", { 2: 1, 1: 7 }, [7, 1, 3, 4]],
    ["is one of four in a row", { 1: 2, 2: 3, 3: 4, 4: 7 }, [2, 3, 4, 7]],
    ["is one of four in a row, the other way round", { 4: 3, 3: 2, 2: 1, 1: 7 }, [7, 1, 2, 3]],
  ] as const
) {
  Deno.test(`an address that is given up in the same run is free for who takes it: one ${name}`, async () => {
    await using world = await twoWayWorld(import.meta.url, equalPeople(4));
    const ids = [1, 2, 3, 4].map((n) => world.subscriber(n)?.id);
    await hand(world, moves);
    const answer = await world.sync();
    assertEquals([answer.errors, answer.skipped, answer.done], [0, 0, true]);
    assertEquals(answer.updatesApplied, Object.keys(moves).length);
    assertEquals(holders(world, ids), wanted.map(address));
    assertEquals(await world.failures(), []);
    await world.assertQuiet();
  });
}

for (const [name, moves] of [["two", { 1: 2, 2: 1 }], ["three", { 1: 2, 2: 3, 3: 1 }]] as const) {
  Deno.test(`${name} who change addresses in a circle wait for a person, and no call is made for it`, async () => {
    await using world = await twoWayWorld(import.meta.url, equalPeople(4));
    const ring = Object.keys(moves).length;
    const ids = [1, 2, 3, 4].map((n) => world.subscriber(n)?.id);
    await hand(world, moves);
    await world.editClient(1, { first_name: "Bea" });
    // Who waits for one of the circle waits with it.
    await hand(world, { 4: 1 });
    const dry = await world.sync({ dryRun: true });
    const answer = await world.sync();
    assertEquals([answer.errors, answer.updatesApplied, answer.conflictsDetected], [
      0,
      1,
      ring + 1,
    ]);
    assertEquals([dry.updatesApplied, dry.conflictsDetected], [1, ring + 1]);
    assertEquals(holders(world, ids), [1, 2, 3, 4].map(address));
    // What else was edited travels.
    assertEquals(world.subscriber(1)?.fields["name"], "Bea");
    const conflicts = await world.conflicts();
    assertEquals(
      conflicts.map(({ field, reason }) => [field, reason]),
      Array(ring + 1).fill(["email", "key_cycle"]),
    );
    world.simulator.resetRequests();
    const again = await world.sync();
    assertEquals([again.errors, again.updatesApplied, again.conflictsDetected], [0, 0, ring + 1]);
    assertEquals(world.simulator.requests(), { "POST /batch": 1, "GET /subscribers": 1 });
    assertEquals((await world.conflicts()).map(({ id }) => id), conflicts.map(({ id }) => id));
    assertEquals(await world.failures(), []);
  });
}

Deno.test("a circle comes apart when one of it is given another address for a while", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  const ids = [1, 2, 3].map((n) => world.subscriber(n)?.id);
  await hand(world, { 1: 2, 2: 3, 3: 1 });
  assertEquals((await world.sync()).conflictsDetected, 3);
  await hand(world, { 2: 9 });
  assertEquals((await world.sync()).conflictsDetected, 0);
  assertEquals(await world.conflicts(), []);
  assertEquals(holders(world, ids), [2, 9, 1].map(address));
  await hand(world, { 2: 3 });
  assertEquals((await world.sync()).updatesApplied, 1);
  assertEquals(holders(world, ids), [2, 3, 1].map(address));
  await world.assertQuiet();
});

Deno.test("a person decides about a circle by another address for one of it", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  const ids = [1, 2].map((n) => world.subscriber(n)?.id);
  await hand(world, { 1: 2, 2: 1 });
  await world.sync();
  // The address it has anyway does not help, and is no decision that is lost.
  await world.decide(1, "email", "local");
  assertEquals((await world.sync()).conflictsDetected, 2);
  await world.decide(2, "email", "value", address(9));
  const answer = await world.sync();
  assertEquals([answer.errors, answer.conflictsDetected], [0, 0]);
  assertEquals(holders(world, ids), [2, 9].map(address));
  assertEquals((await world.client(2))?.email, address(9));
  await world.assertQuiet();
});

Deno.test("addresses are handed on between records that are far apart in the walk", async () => {
  const many = 402;
  const config = changedConfig({ limits: { updates: { percent: 100, floor: 5 } } });
  await using world = await twoWayWorld(import.meta.url, equalPeople(many), { config });
  await world.pool.query(`update public.clients set first_name = 'Bea'`);
  const ids = [1, 2, 3, many - 1, many].map((n) => world.subscriber(n)?.id);
  // A circle, one who takes what a later one gives up, and one who waits for that one.
  await hand(world, { 1: many, [many]: 1, 2: many - 1, [many - 1]: many + 1, 3: 2 });
  const answer = await world.sync({ maxRecords: 1000 });
  assertEquals([answer.errors, answer.skipped, answer.conflictsDetected], [0, 2, 2]);
  assertEquals(holders(world, ids), [1, 2, 3, many + 1, many].map(address));
  const next = await world.sync({ maxRecords: 1000 });
  assertEquals([next.errors, next.skipped, next.conflictsDetected], [0, 0, 2]);
  assertEquals(holders(world, ids), [1, many - 1, 2, many + 1, many].map(address));
});

Deno.test("who waits for an address that is not given up after all is told of as failed", async () => {
  const many = 402;
  const config = changedConfig({ limits: { updates: { percent: 100, floor: 5 } } });
  await using world = await twoWayWorld(import.meta.url, equalPeople(many), { config });
  await world.pool.query(`update public.clients set first_name = 'Bea'`);
  await hand(world, { 1: many });
  await world.editClient(many, { email: "nobody@nowhere" });
  const first = await world.sync({ maxRecords: 1000 });
  assertEquals([first.errors, first.skipped], [1, 1]);
  const second = await world.sync({ maxRecords: 1000 });
  assertEquals([second.errors, second.skipped], [2, 0]);
});

Deno.test("what an earlier call of a batch has handed on is kept when a later one cannot be made", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  const ids = [1, 2].map((n) => world.subscriber(n)?.id);
  await hand(world, { 1: 2, 2: 7 });
  const answer = await world.sync({}, {
    fetch: async (input, init) => {
      const isWritten = world.subscriberAt(address(7)) !== undefined;
      if (isWritten) return Response.json({ message: "Unauthenticated." }, { status: 401 });
      return await world.simulator.handle(new Request(input, init));
    },
  });
  assertEquals([answer.status, answer.details?.["reason"]], [502, "remote_unauthorized"]);
  assertEquals(holders(world, ids), [1, 7].map(address));
  assertEquals((await world.log(2)).map(({ applied }) => applied), [true]);
  assertEquals(await world.pool.query(`select 1 from public.sync_intents`), []);
  const next = await world.sync();
  assertEquals([next.errors, next.updatesApplied, next.done], [0, 1, true]);
  assertEquals(holders(world, ids), [2, 7].map(address));
});

Deno.test("addresses that are handed on in the queue are written in order, and a circle of them waits", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(5));
  const ids = [1, 2, 3, 4, 5].map((n) => world.subscriber(n)?.id);
  await world.clearQueue();
  await hand(world, { 1: 2, 2: 1, 3: 4, 4: 5, 5: 9 });
  const answer = await world.smart();
  assertEquals(answer.status, 200);
  assertEquals(holders(world, ids), [1, 2, 4, 5, 9].map(address));
  assertEquals((await world.conflicts()).map(({ reason }) => reason), ["key_cycle", "key_cycle"]);
  assertEquals(await world.failures(), []);
});
