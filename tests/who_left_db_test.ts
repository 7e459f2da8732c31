/**
 * That who left stays gone, also when what knew of it is renewed, given up or not yet written.
 *
 * The invariants, by number: 5 no resurrection, 11 consent is never raised.
 */
import { assertEquals } from "@std/assert";
import { tryLockRecords } from "../shared/store/work_store.ts";
import { assertQuiet } from "./lib/run_invariants.ts";
import { PLANNED, syncWith } from "./lib/sync_with.ts";
import { otherClientId, UNSUBSCRIBED } from "./lib/two_way_people.ts";
import { address, clientId, type TwoWayWorld, twoWayWorld } from "./lib/two_way_world.ts";

Deno.test("11: a backfill does not forget the address under which somebody left and which both sides have given up", async () => {
  await using world = await twoWayWorld(import.meta.url, [UNSUBSCRIBED, {}]);
  await world.editClient(1, { email: "moved@example.com" });
  world.editSubscriber(1, { email: "moved@example.com" });
  assertEquals(await world.backfill({ wait: true, staleAfterDays: 0 }), 200);
  await world.sync();
  await world.addClientAs(otherClientId(1), 1);
  await world.sync();
  assertEquals(world.subscriber(1), undefined);
});

/** Subscriber 1 changes their address to that of the new client 4, and is deleted. */
function handOn(world: TwoWayWorld): void {
  world.editSubscriber(1, { email: address(4) });
  world.removeSubscriber(4);
}

/** Makes subscriber 4, to whom the remote gives the id of subscriber 1, in one of the ways that may go. */
const REVIVALS: Readonly<Record<string, (world: TwoWayWorld) => Promise<unknown>>> = {
  "smart-sync": async (world) => {
    handOn(world);
    await world.smart({ emails: [address(4)] });
  },
  "enterprise-sync": (world) => syncWith(world, PLANNED, () => handOn(world)),
  "a run that saw it was gone": async (world) => {
    handOn(world);
    await world.sync();
  },
  "a run after it was marked": async (world) => {
    handOn(world);
    await world.editClient(4, { marketing_status: "unsubscribed" });
    await world.sync();
    assertEquals(await world.linkState(1), "b_missing");
    await world.editClient(4, { marketing_status: "subscribed" });
    await world.sync();
  },
  "a lost answer": async (world) => {
    handOn(world);
    const effect = { kind: "reset", when: "after" } as const;
    world.simulator.setFaults([{ path: "/subscribers", method: "POST", times: 1, effect }]);
    await world.smart({ emails: [address(4)] });
  },
  "a link at work": async (world) => {
    handOn(world);
    const id = (await world.links()).find(({ a_id }) => a_id === clientId(1))?.b_id;
    await world.pool.transaction(async (other) => {
      await tryLockRecords(other, "clients", [`b:${id}`]);
      await world.smart({ emails: [address(4)] });
    });
  },
};

for (const [how, revive] of Object.entries(REVIVALS)) {
  for (const left of [false, true]) {
    const who = left ? "11: who left" : "5: who was deleted at the remote";
    Deno.test(`${who} is not made there again because somebody else has got their id: ${how}`, async () => {
      await using world = await twoWayWorld(import.meta.url, [left ? UNSUBSCRIBED : {}, {}, {}], {
        simulator: { switches: { reviveUnsubscribed: "active" } },
      });
      const id = world.subscriber(1)?.id;
      const own = "own@example.com";
      if (left) await world.editClient(1, { marketing_status: "subscribed", email: own });
      await world.addClient(4, { first_name: "Bea" });
      await revive(world);
      for (let runs = 0; runs < 3; runs++) await world.sync();
      assertEquals([world.subscriber(4)?.id, world.subscriber(1)], [id, undefined]);
      await world.smart({ emails: [address(1), own] });
      assertEquals([world.subscriber(1), world.subscriberAt(own)], [undefined, undefined]);
      // Nor as a client of another id.
      if (left) {
        await world.deleteClient(1);
        await world.addClientAs(otherClientId(1), 1);
        await world.addClientAs(otherClientId(2), 1, { email: own });
        await world.sync();
        assertEquals([world.subscriber(1), world.subscriberAt(own)], [undefined, undefined]);
      }
      await assertQuiet(world);
    });
  }
}

/** A person who left and moved to another address at the remote, of which no run has heard. */
async function leftAndMoved(): Promise<TwoWayWorld> {
  const world = await twoWayWorld(import.meta.url, [{}, {}, {}]);
  world.editSubscriber(1, { email: "moved@example.com", status: "unsubscribed" });
  return world;
}

const MOVES: Readonly<Record<string, (world: TwoWayWorld) => Promise<unknown>>> = {
  "the client too": (world) => world.editClient(1, { email: "moved@example.com" }),
  "the client elsewhere": (world) => world.editClient(1, { email: "elsewhere@example.com" }),
  "and the client is gone": (world) => world.deleteClient(1),
};

for (const [how, move] of Object.entries(MOVES)) {
  Deno.test(`11: a new client under the address that somebody who left has given up is not made, whoever is named: ${how}`, async () => {
    for (const emails of [[address(1)], ["moved@example.com", address(1)]]) {
      await using world = await leftAndMoved();
      await move(world);
      await world.addClientAs(otherClientId(1), 1);
      const { out } = await world.smart({ emails });
      assertEquals([out.at(-1)?.skipped, world.subscriber(1)], [true, undefined]);
      await world.syncAll();
      await world.sync();
      assertEquals(world.subscriber(1), undefined);
    }
  });

  Deno.test(`11: a new client under the address that somebody who left has given up is not made while they are at work: ${how}`, async () => {
    await using world = await leftAndMoved();
    await move(world);
    await world.addClientAs(otherClientId(1), 1);
    const id = world.subscriberAt("moved@example.com")?.id;
    await world.pool.transaction(async (other) => {
      await tryLockRecords(other, "clients", [`b:${id}`]);
      // A batch each.
      await world.syncAll({ maxRecords: 1 });
    });
    assertEquals(world.subscriber(1), undefined);
    for (let runs = 0; runs < 2; runs++) await world.sync();
    assertEquals(world.subscriber(1), undefined);
  });
}

Deno.test("11: a new client under an address that only side A had of somebody who left is not made", async () => {
  await using world = await twoWayWorld(import.meta.url, [UNSUBSCRIBED, {}, {}]);
  await world.deleteClient(1);
  await world.sync();
  await world.addClient(1, { email: "restored@example.com" });
  await world.sync();
  assertEquals((await world.conflicts()).map(({ field }) => field), ["email"]);
  await world.editClient(1, { email: "elsewhere@example.com" });
  await world.addClientAs(otherClientId(1), 1, { email: "restored@example.com" });
  await world.smart({ emails: ["restored@example.com"] });
  assertEquals(world.subscriberAt("restored@example.com"), undefined);
});

Deno.test("a new client under the address that somebody who may be written to has given up is made", async () => {
  await using world = await twoWayWorld(import.meta.url, [{}, {}, {}]);
  await world.editClient(1, { email: "moved@example.com" });
  world.editSubscriber(1, { email: "moved@example.com" });
  await world.addClientAs(otherClientId(1), 1, { first_name: "Bea" });
  await world.sync();
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  await assertQuiet(world);
});

Deno.test("11: a linked client does not get the address that somebody who left has given up, whoever is named", async () => {
  for (const named of [[2], [1, 2]]) {
    await using world = await twoWayWorld(import.meta.url, [UNSUBSCRIBED, {}, {}]);
    world.editSubscriber(1, { email: "moved@example.com" });
    await world.editClient(1, { email: "moved@example.com" });
    await world.editClient(2, { email: address(1) });
    await world.smart({ emails: named.map((n) => n === 1 ? "moved@example.com" : address(1)) });
    assertEquals([world.subscriber(1), world.subscriber(2)?.status], [undefined, "active"]);
    assertEquals((await world.conflicts()).map(({ field, reason }) => [field, reason]), [
      ["email", "suppressed_key"],
    ]);
  }
});
