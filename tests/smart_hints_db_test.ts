/** What webhooks may do wrong, and what the sync's own writes look like when they come back as news. */
import { assert, assertEquals } from "@std/assert";
import { enqueue } from "../shared/store/queue_store.ts";
import { seededRandom } from "./lib/seeded_random.ts";
import { equalPeople, type TwoWayWorld, twoWayWorld } from "./lib/two_way_world.ts";

const PEOPLE = 12;

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  return items.map((item) => ({ item, at: random() })).sort((one, other) => one.at - other.at)
    .map(({ item }) => item);
}

/** Tells of a subscriber as the webhook does. */
async function hint(world: TwoWayWorld, n: number): Promise<void> {
  const recordId = world.subscriber(n)?.id ?? "";
  await enqueue(world.pool, [
    { pair: "clients", side: "b", recordId, reason: "webhook:subscriber.updated" },
  ]);
}

/** Writes at the remote since the last call, by the person written to. */
function remoteWrites(world: TwoWayWorld): () => number {
  let before = world.simulator.history().length;
  return () => {
    const made = world.simulator.history().length - before;
    before += made;
    return made;
  };
}

async function bothSides(world: TwoWayWorld): Promise<unknown[]> {
  const people = Array.from({ length: PEOPLE }, (_, n) => n + 1);
  return await Promise.all(people.map(async (n) => {
    const [client, subscriber] = [await world.client(n), world.subscriber(n)];
    return [
      client?.first_name,
      client?.city,
      client?.marketing_status,
      subscriber?.fields["name"],
      subscriber?.fields["city"],
      subscriber?.status,
    ];
  }));
}

Deno.test("the sync's own write that comes back as a webhook, and in the next list, plans nothing", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.clearQueue();
  const written = remoteWrites(world);
  await world.editClient(1, { first_name: "Bea" });
  world.editSubscriber(2, { fields: { city: "Rome" } });
  written();
  await hint(world, 2);
  assertEquals((await world.smart()).out.map(({ changed }) => changed), [true, true]);
  assertEquals([written(), await world.queue()], [1, []]);
  for (let times = 0; times < 3; times++) {
    await hint(world, 1);
    await hint(world, 2);
    const { out } = await world.smart();
    assertEquals(out.map(({ reason }) => reason), Array(2).fill("no changes detected"));
  }
  const { updatesApplied, conflictsDetected } = await world.sync();
  assertEquals([updatesApplied, conflictsDetected, written()], [0, 0, 0]);
  assertEquals((await world.client(2))?.city, "Rome");
  assertEquals(await world.queue(), []);
});

Deno.test("each edit is written once on the other side, however often it is told of", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.clearQueue();
  const written = remoteWrites(world);
  for (const name of ["Bea", "Cid", "Dee"]) {
    await world.editClient(1, { first_name: name });
    for (let times = 0; times < 3; times++) {
      await hint(world, 1);
      await world.smart();
    }
    assertEquals(written(), 1, name);
  }
  const log = await world.pool.query<{ side: string; n: number }>(
    `select side, count(*)::integer as n from public.sync_log
     where applied and field = 'firstName' and action = 'update' group by 1`,
  );
  assertEquals(log, [{ side: "b", n: 3 }]);
});

Deno.test("webhooks that are doubled, late, out of order or missing end where lists alone would", async () => {
  const edit = async (world: TwoWayWorld, n: number, round: number) => {
    if (n % 3 === 0) await world.editClient(n, { first_name: `Bea ${round}` });
    else if (n % 4 === 1) world.editSubscriber(n, { status: "unsubscribed" });
    else world.editSubscriber(n, { fields: { city: `Rome ${round}` } });
  };
  const polled = await (async () => {
    await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE));
    for (let round = 1; round <= 3; round++) {
      for (let n = 1; n <= PEOPLE; n++) await edit(world, n, round);
      await world.syncAll();
    }
    return await bothSides(world);
  })();
  const random = seededRandom(25);
  await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE));
  let late: number[] = [];
  for (let round = 1; round <= 3; round++) {
    const told: number[] = [];
    for (let n = 1; n <= PEOPLE; n++) {
      await edit(world, n, round);
      const times = Math.floor(random() * 3);
      for (let time = 0; time < times; time++) told.push(n);
    }
    const [now, later] = [told.slice(0, told.length / 2), told.slice(told.length / 2)];
    for (const n of shuffled([...now, ...late], random)) {
      await hint(world, n);
      if (random() < 0.3) await world.smart();
    }
    late = later;
  }
  for (const n of late) await hint(world, n);
  await world.smart();
  await world.syncAll();
  assertEquals(await bothSides(world), polled);
  assert(polled.some((person) => JSON.stringify(person).includes("Rome 3")));
});

Deno.test("edits of both sides in the same second end alike, whichever was first and told of first", async () => {
  const ends: unknown[] = [];
  for (const isLocalFirst of [true, false]) {
    for (const isToldLate of [true, false]) {
      await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE));
      await world.clearQueue();
      const local = async () => {
        await world.editClient(1, { first_name: "Ann A", city: "Oslo A" });
        await world.editClient(2, { first_name: "Bob A" });
      };
      const remote = () => {
        world.editSubscriber(1, { fields: { name: "Ann B", city: "Oslo B" } });
        world.editSubscriber(2, { fields: { city: "Bern B" } });
      };
      if (isLocalFirst) await local();
      remote();
      if (!isLocalFirst) await local();
      if (!isToldLate) { for (const n of [1, 2]) await hint(world, n); }
      await world.smart();
      for (const n of [2, 1]) await hint(world, n);
      await world.smart();
      ends.push(await bothSides(world));
      const [one, two] = [await world.client(1), await world.client(2)];
      // Each side is right about the field it wins, and neither loses the other's.
      assertEquals([one?.first_name, one?.city], ["Ann A", "Oslo B"]);
      assertEquals([two?.first_name, two?.city], ["Bob A", "Bern B"]);
    }
  }
  for (const end of ends) assertEquals(end, ends[0]);
});
