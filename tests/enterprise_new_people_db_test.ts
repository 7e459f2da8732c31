/** What enterprise-sync does about people of the remote who change while they are about to be made clients. */
import { assertEquals } from "@std/assert";
import type { Runtime } from "../shared/http/runtime.ts";
import {
  address,
  equalPeople,
  type PersonSpec,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

/** A runtime in which something happens as soon as the list was read. */
function afterTheList(world: TwoWayWorld, happens: () => void): Partial<Runtime> {
  return {
    fetch: async (input, init) => {
      const request = new Request(input, init);
      const response = await world.simulator.handle(request);
      if (request.url.includes("/subscribers?")) happens();
      return response;
    },
  };
}

Deno.test("who left after the list was read is made a client as who they are by now, or not at all", async () => {
  const people: PersonSpec[] = Array.from({ length: 6 }, () => ({ client: null }));
  await using world = await twoWayWorld(import.meta.url, people);
  const answer = await world.sync(
    {},
    afterTheList(world, () => {
      world.editSubscriber(1, { status: "unsubscribed" });
      world.editSubscriber(2, { status: "bounced" });
      world.editSubscriber(3, { status: "junk" });
      world.removeSubscriber(4);
      world.editSubscriber(5, { fields: { city: "Rome" } });
    }),
  );
  assertEquals([answer.errors, answer.done, answer.updatesApplied], [0, true, 5]);
  const clients = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => world.clientsWithAddress(n)));
  assertEquals(clients.map((rows) => rows.map(({ marketing_status }) => marketing_status)), [
    ["unsubscribed"],
    ["bounced"],
    ["complained"],
    [],
    ["subscribed"],
    ["subscribed"],
  ]);
  assertEquals(clients[4]?.[0]?.city, "Rome");
  await world.assertQuiet();
});

Deno.test("who took another address after the list was read is left for the next run", async () => {
  await using world = await twoWayWorld(import.meta.url, [...equalPeople(1), { client: null }]);
  const answer = await world.sync(
    {},
    afterTheList(world, () => {
      world.editSubscriber(2, { email: address(7) });
    }),
  );
  assertEquals([answer.skipped, answer.updatesApplied], [1, 0]);
  // Somebody else's by now: made under it, the client would be a person twice.
  await world.addClient(7, { first_name: "Bea" });
  const next = await world.sync();
  assertEquals([next.errors, next.skipped], [0, 0]);
  assertEquals((await world.clientsWithAddress(7)).length, 1);
  assertEquals((await world.clientsWithAddress(2)).length, 0);
  assertEquals(await world.linkState(7), "linked");
});

Deno.test("new clients cost a read for every fifty of them who may be written to, and none for others", async () => {
  const people = Array.from({ length: 130 }, (_, index): PersonSpec => ({
    client: null,
    subscriber: { status: index < 70 ? "active" : "unsubscribed" },
  }));
  await using world = await twoWayWorld(import.meta.url, people);
  const answer = await world.sync();
  assertEquals([answer.errors, answer.updatesApplied], [0, 130]);
  // One of them describes the account.
  assertEquals(world.simulator.requests(), { "POST /batch": 1 + 2, "GET /subscribers": 1 });
});

Deno.test("a dry run reads nobody who is new, and counts them", async () => {
  await using world = await twoWayWorld(import.meta.url, [{ client: null }, { client: null }]);
  const answer = await world.sync({ dryRun: true });
  assertEquals(answer.updatesApplied, 2);
  assertEquals(world.simulator.requests(), { "POST /batch": 1, "GET /subscribers": 1 });
});

// What JavaScript trims and PostgreSQL's btrim() does not.
const SPACED = (n: number) => `\u00a0${address(n)}\t`;

async function clientsLike(world: TwoWayWorld, n: number): Promise<number> {
  const rows = await world.pool.query<{ email: string }>(
    `select email from public.clients where email is not null`,
  );
  return rows.filter(({ email }) => email.trim().toLowerCase() === address(n)).length;
}

// Compared with btrim() alone, the client was not found, and the person made a second time.
Deno.test("a client who appears with odd spaces around the address is not made a second time", async () => {
  await using world = await twoWayWorld(import.meta.url, [{ client: null }]);
  let requests = 0;
  const answer = await world.sync({}, {
    fetch: async (input, init) => {
      // The first describes the account, the second lists it; the third reads who is about to be made.
      if (++requests === 3) await world.addClient(1, { email: SPACED(1) });
      return await world.simulator.handle(new Request(input, init));
    },
  });
  assertEquals([requests, answer.skipped], [3, 1]);
  assertEquals(await clientsLike(world, 1), 1);
});

Deno.test("a subscriber who comes back finds a client with odd spaces around the address", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.editClient(1, { email: SPACED(1) });
  assertEquals((await world.sync()).updatesApplied, 0);
  // Under a new id; the old one is gone, and not with this address.
  world.editSubscriber(1, { email: address(9) });
  world.removeSubscriber(9);
  world.addSubscriber(1);
  const answer = await world.sync();
  assertEquals(answer.errors, 0);
  assertEquals(await clientsLike(world, 1), 1);
  assertEquals(await world.linkState(1), "linked");
});
