/**
 * A run that is cut off behind its list and goes on an hour later, when people have
 * edited both sides and a run of another direction has carried that over: what it
 * knows is old, and nothing old may be written.
 *
 * The invariants, by number: 4 no lost update, 5 no resurrection, 11 consent is
 * never raised, 12 deletion needs proof.
 */
import { assertEquals } from "@std/assert";
import { otherClientId } from "./lib/two_way_people.ts";
import {
  address,
  changedConfig,
  clientId,
  equalPeople,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";
import { assertQuiet } from "./lib/run_invariants.ts";

const TO_LOCAL = "mailerlite-to-supabase";
const TO_REMOTE = "supabase-to-mailerlite";

/** A run of a direction that has listed both sides and looked at the first record alone. */
async function cutOff(world: TwoWayWorld, direction: string): Promise<() => Promise<void>> {
  const first = await world.sync({ direction, maxRecords: 1 });
  assertEquals([first.status, first.stopReason], [200, "record_limit"]);
  return async () => {
    const later = { now: () => Date.now() + 60 * 60_000 };
    const last = await world.sync({ direction, maxRecords: 1000 }, later);
    assertEquals([last.status, last.runId, last.done], [200, first.runId, true]);
    assertEquals(last.errors, 0);
  };
}

/** Somebody signs up at the remote, perhaps again. */
async function signUp(world: TwoWayWorld, n: number): Promise<void> {
  await post(world, "", { email: address(n) });
}

async function post(world: TwoWayWorld, path: string, body: unknown): Promise<void> {
  const response = await world.simulator.handle(
    new Request(`http://mailerlite.test/api/subscribers${path}`, {
      method: "POST",
      headers: { authorization: "Bearer simulator-token", "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  );
  assertEquals(response.ok, true);
  await response.body?.cancel();
}

async function cities(world: TwoWayWorld, n: number): Promise<unknown[]> {
  return [(await world.client(n))?.city, world.subscriber(n)?.fields["city"]];
}

async function linkOf(world: TwoWayWorld, aId: string): Promise<unknown> {
  const link = (await world.links()).find(({ a_id }) => a_id === aId);
  return link && [link.b_id, link.link_state];
}

for (const direction of [TO_LOCAL, TO_REMOTE]) {
  Deno.test(`4: a run ${direction} that goes on after another one writes over no edit that the other carried`, async () => {
    await using world = await twoWayWorld(import.meta.url, equalPeople(6));
    // What it knows of them: an edit on each side, and a group on each.
    world.editSubscriber(2, { fields: { city: "Rome" } });
    await world.editClient(3, { city: "Rome" });
    world.editSubscriber(4, { groups: ["Clients", "VIP"] });
    await world.editClient(5, { groups: ["Clients", "VIP"] });
    world.editSubscriber(6, { status: "unsubscribed" });
    const goOn = await cutOff(world, direction);
    // The same fields again, some back to what they were.
    world.editSubscriber(2, { fields: { city: "Lima" } });
    await world.editClient(3, { city: "Lima" });
    await world.syncAll();
    await world.editClient(2, { city: "Oslo" });
    world.editSubscriber(3, { fields: { city: "Oslo" } });
    world.editSubscriber(4, { groups: ["Clients"] });
    await world.editClient(5, { groups: ["Clients"] });
    await world.syncAll();
    await goOn();
    assertEquals(await cities(world, 2), ["Oslo", "Oslo"]);
    assertEquals(await cities(world, 3), ["Oslo", "Oslo"]);
    for (const n of [4, 5]) {
      assertEquals((await world.client(n))?.groups, ["Clients"]);
      assertEquals(world.subscriber(n)?.groups, ["Clients"]);
    }
    assertEquals((await world.client(6))?.marketing_status, "unsubscribed");
    await assertQuiet(world);
  });
}

Deno.test("4: an edit of the remote that was taken back since it was listed is written over nothing", async () => {
  const config = changedConfig({
    fields: { country: { local: "country", remote: "fields.country", wins: "local" } },
  });
  await using world = await twoWayWorld(import.meta.url, equalPeople(6), { config });
  for (const n of [2, 3, 4]) {
    world.editSubscriber(n, { fields: { city: "Rome", country: "Italy" } });
  }
  world.editSubscriber(5, { status: "unsubscribed" });
  const goOn = await cutOff(world, TO_LOCAL);
  for (const n of [2, 3, 4]) {
    world.editSubscriber(n, { fields: { city: "Oslo", country: "Norway" } });
  }
  world.editSubscriber(5, { status: "active" });
  // The sides agree for it, so it leaves no trace that the records were looked at.
  await world.syncAll();
  await world.editClient(3, { city: "Lima" });
  // Alike by chance with what the remote had for a while.
  await world.editClient(4, { city: "Rome" });
  await goOn();
  assertEquals((await world.client(2))?.city, "Oslo");
  assertEquals((await world.client(2))?.country, "Norway");
  assertEquals((await world.client(5))?.marketing_status, "subscribed");
  await world.syncAll();
  assertEquals(await cities(world, 3), ["Lima", "Lima"]);
  assertEquals(await cities(world, 4), ["Rome", "Rome"]);
  assertEquals(world.subscriber(5)?.status, "active");
  await assertQuiet(world);
});

const NEW_ADDRESS = "new@example.com";

Deno.test("12: who was missing in the list and has come back since loses nobody, told by another run or not", async () => {
  for (const policy of ["delete", "unlink", "mark"] as const) {
    for (const isSynced of policy === "delete" ? [true, false] : [false]) {
      const where = `${policy} ${isSynced}`;
      await using world = await twoWayWorld(import.meta.url, equalPeople(5), {
        config: changedConfig({ onRemoteMissing: policy }),
        simulator: { switches: { postAfterForget: "new_id" } },
      });
      world.removeSubscriber(2);
      await post(world, `/${world.subscriber(3)?.id}/forget`, {});
      world.removeSubscriber(4);
      const goOn = await cutOff(world, TO_LOCAL);
      // One under the old id and another address, one under another id.
      await signUp(world, 2);
      world.editSubscriber(2, { email: NEW_ADDRESS });
      await signUp(world, 3);
      if (isSynced) await world.syncAll();
      await goOn();
      const left = await Promise.all([2, 3, 4].map((n) => world.client(n)));
      assertEquals(left.map((row) => row !== undefined), [true, true, policy !== "delete"], where);
      await world.syncAll();
      for (const [n, key] of [[2, NEW_ADDRESS], [3, address(3)]] as const) {
        assertEquals((await world.client(n))?.email, key, where);
        const link = await linkOf(world, clientId(n));
        assertEquals(link, [world.subscriberAt(key)?.id, "linked"], where);
      }
      await assertQuiet(world);
    }
  }
});

Deno.test("12: whose client was missing and has come back since is neither deleted, unsubscribed nor let go", async () => {
  for (const policy of ["delete", "unsubscribe", "unlink", "mark"] as const) {
    for (const isSynced of policy === "delete" ? [true, false] : [false]) {
      const where = `${policy} ${isSynced}`;
      await using world = await twoWayWorld(import.meta.url, equalPeople(5), {
        config: changedConfig({ onLocalDelete: policy }),
      });
      for (const n of [2, 3, 4]) await world.deleteClient(n);
      const goOn = await cutOff(world, TO_REMOTE);
      await world.addClientAs(clientId(2), 2, { email: NEW_ADDRESS });
      await world.addClientAs(otherClientId(3), 3);
      if (isSynced) await world.syncAll();
      await goOn();
      const gone = {
        delete: undefined,
        unsubscribe: "unsubscribed",
        unlink: "active",
        mark: "active",
      };
      assertEquals(world.subscriber(3)?.status, "active", where);
      assertEquals(world.subscriber(4)?.status, gone[policy], where);
      await world.syncAll();
      for (
        const [aId, key] of [[clientId(2), NEW_ADDRESS], [otherClientId(3), address(3)]] as const
      ) {
        const subscriber = world.subscriberAt(key);
        assertEquals(subscriber?.status, "active", where);
        assertEquals(await linkOf(world, aId), [subscriber?.id, "linked"], where);
      }
      await assertQuiet(world);
    }
  }
});

Deno.test("5: who was new in the list and is gone since is not made, whatever they allowed", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  world.addSubscriber(4);
  world.addSubscriber(5, { status: "unsubscribed" });
  world.addSubscriber(6, { status: "unsubscribed" });
  await world.addClient(7);
  const toLocal = await cutOff(world, TO_LOCAL);
  const toRemote = await cutOff(world, TO_REMOTE);
  world.removeSubscriber(4);
  world.removeSubscriber(5);
  await world.deleteClient(7);
  await world.syncAll();
  world.removeSubscriber(6);
  await world.pool.query(`delete from public.clients where email = $1`, [address(6)]);
  await world.syncAll();
  await toLocal();
  await toRemote();
  for (const n of [4, 5, 6, 7]) {
    assertEquals(await world.clientsWithAddress(n), []);
    assertEquals(world.subscriber(n), undefined);
  }
  await assertQuiet(world);
});

Deno.test("4: who was new in the list and was linked since by another run is merged as they stand", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  world.addSubscriber(4);
  world.addSubscriber(5);
  await world.addClient(6);
  await world.addClient(7);
  world.addSubscriber(7, { fields: { company: "Acme" } });
  const toLocal = await cutOff(world, TO_LOCAL);
  const toRemote = await cutOff(world, TO_REMOTE);
  await world.syncAll();
  const [made] = await world.clientsWithAddress(4);
  await world.pool.query(`update public.clients set city = 'Rome' where id = $1`, [made?.id]);
  world.editSubscriber(5, { fields: { city: "Rome" } });
  await world.editClient(6, { city: "Rome" });
  await world.editClient(7, { company: "Other" });
  await world.syncAll();
  await toLocal();
  await toRemote();
  for (const n of [4, 5, 6]) {
    const clients = await world.clientsWithAddress(n);
    assertEquals(clients.map(({ city }) => city), ["Rome"]);
    assertEquals(world.subscriber(n)?.fields["city"], "Rome");
  }
  const companies = [(await world.client(7))?.company, world.subscriber(7)?.fields["company"]];
  assertEquals(companies, ["Other", "Other"]);
  assertEquals((await world.links()).length, 7);
  await assertQuiet(world);
});
