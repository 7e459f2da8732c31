/**
 * What people do between the moment a run laid down its work and the moment a
 * record's turn comes, which may be hours: nothing that was planned may still be
 * done if it is no longer right.
 *
 * The invariants, by number: 4 no lost update, 5 no resurrection, 11 consent is
 * never raised, 12 deletion needs proof, 19 one create per record.
 */
import { assertEquals } from "@std/assert";
import { COMMITTING, LOCKED, PLANNED, sends, syncWith } from "./lib/sync_with.ts";
import { otherClientId, UNSUBSCRIBED } from "./lib/two_way_people.ts";
import {
  address,
  changedConfig,
  clientId,
  equalPeople,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";
import { assertConserved, assertQuiet } from "./lib/run_invariants.ts";

/** Somebody signs up at the remote. */
async function request(world: TwoWayWorld, path: string, body?: unknown): Promise<void> {
  const response = await world.simulator.handle(
    new Request(`http://mailerlite.test/api/subscribers${path}`, {
      method: "POST",
      headers: { authorization: "Bearer simulator-token", "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
  assertEquals(response.ok, true);
  await response.body?.cancel();
}

async function linkOf(world: TwoWayWorld, aId: string): Promise<string | undefined> {
  return (await world.links()).find(({ a_id }) => a_id === aId)?.b_id;
}

Deno.test("19: two new clients that take one address before their turn are not written over each other", async () => {
  for (const moment of [PLANNED, LOCKED]) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3));
    await world.addClient(4, { first_name: "Bea" });
    await world.addClient(5, { first_name: "Cid" });
    await world.addClient(6);
    await world.addClient(7, { first_name: "Dan" });
    await world.editClient(1, { last_name: "Roe" });
    await syncWith(world, moment, async () => {
      await world.editClient(5, { email: address(4) });
      await world.editClient(1, { email: address(7) });
    });
    assertEquals(await world.linkState(6), "linked");
    await world.sync();
    const names = await Promise.all(
      [1, 4, 5, 7].map(async (n) => (await world.client(n))?.first_name),
    );
    assertEquals(names, ["Ann", "Bea", "Cid", "Dan"]);
    const subscriber = world.subscriber(7);
    assertEquals([subscriber?.fields["name"], subscriber?.fields["last_name"]], ["Ann", "Roe"]);
    await assertConserved(world);
    await assertQuiet(world);
  }
});

Deno.test("11: a new client that takes the address of somebody who left before its turn is not made", async () => {
  for (const moment of [PLANNED, LOCKED]) {
    await using world = await twoWayWorld(import.meta.url, [UNSUBSCRIBED, {}, {}], {
      simulator: { switches: { reviveUnsubscribed: "active" } },
    });
    world.removeSubscriber(1);
    await world.sync();
    await world.deleteClient(1);
    await world.sync();
    await world.addClient(4);
    await syncWith(world, moment, () => world.editClient(4, { email: address(1) }));
    assertEquals(world.subscriber(1), undefined);
    await world.sync();
    assertEquals(world.subscriber(1), undefined);
    await assertQuiet(world);
  }
});

Deno.test("12: no policy touches a subscriber whose client came back before its turn", async () => {
  for (const policy of ["mark", "unlink", "unsubscribe", "delete"] as const) {
    for (const moment of [PLANNED, LOCKED]) {
      await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
        config: changedConfig({ onLocalDelete: policy }),
      });
      await world.deleteClient(1);
      const id = world.subscriber(1)?.id;
      await syncWith(world, moment, () => world.addClientAs(otherClientId(1), 1));
      assertEquals(world.subscriber(1)?.status, "active", policy);
      await world.sync();
      assertEquals(await linkOf(world, otherClientId(1)), id, policy);
      assertEquals((await world.clientsWithAddress(1))[0]?.marketing_status, "subscribed", policy);
      await assertQuiet(world);
    }
  }
});

Deno.test("12: no policy touches a client whose subscriber was made anew before its turn", async () => {
  for (const policy of ["mark", "unlink", "delete"] as const) {
    for (const moment of [PLANNED, LOCKED]) {
      await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
        config: changedConfig({ onRemoteMissing: policy }),
        simulator: { switches: { postAfterForget: "new_id" } },
      });
      await request(world, `/${world.subscriber(1)?.id}/forget`);
      await syncWith(world, moment, () => request(world, "", { email: address(1) }));
      assertEquals((await world.client(1))?.email, address(1), policy);
      await world.sync();
      assertEquals(await linkOf(world, clientId(1)), world.subscriber(1)?.id, policy);
      await assertQuiet(world);
    }
  }
});

Deno.test("19: a client that appears while the remote is written is the only one", async () => {
  for (const moment of [sends("PUT"), COMMITTING]) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3));
    await world.editClient(1, { first_name: "Bea" });
    world.addSubscriber(4, { fields: { city: "Rome" } });
    world.addSubscriber(5);
    await syncWith(world, moment, () => world.addClient(4, { first_name: "Bea" }));
    assertEquals((await world.clientsWithAddress(4)).map(({ id }) => id), [clientId(4)]);
    assertEquals((await world.clientsWithAddress(5)).length, 1);
    await assertConserved(world);
    await world.sync();
    assertEquals((await world.client(4))?.city, "Rome");
    assertEquals(world.subscriber(4)?.fields["name"], "Bea");
    await assertQuiet(world);
  }
});

Deno.test("11: a linked client that takes the address of somebody who left is left to a person", async () => {
  await using world = await twoWayWorld(import.meta.url, [UNSUBSCRIBED, {}, {}, UNSUBSCRIBED]);
  await world.editClient(1, { email: "moved@example.com" });
  await world.sync();
  // Nobody at the remote has it any more, and whoever left under it is still not to be written to.
  await world.editClient(2, { email: " Person1@example.com", city: "Rome" });
  await world.sync();
  assertEquals([world.subscriber(1), world.subscriber(2)?.fields["city"]], [undefined, "Rome"]);
  assertEquals((await world.conflicts()).map(({ field, reason }) => [field, reason]), [
    ["email", "suppressed_key"],
  ]);
  await world.decide(2, "email", "local");
  await world.sync();
  assertEquals(world.subscriber(1), undefined);
  // Who has left too may have any address.
  await world.editClient(4, { email: address(1) });
  await world.editClient(2, { email: address(2) });
  await world.sync();
  assertEquals([world.subscriber(1)?.status, world.subscriber(2)?.status], [
    "unsubscribed",
    "active",
  ]);
  assertEquals(await world.conflicts(), []);
  await assertQuiet(world);
});

Deno.test("all directions at once in one isolate wait for each other", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { first_name: "Bea" });
  const answers = await Promise.all([
    world.sync(),
    world.sync({ direction: "mailerlite-to-supabase" }),
    world.sync({ direction: "supabase-to-mailerlite" }),
    world.sync({ dryRun: true }),
    world.sync({ plan: true }),
  ]);
  assertEquals(answers.map(({ status }) => status), [200, 200, 200, 200, 200]);
});

Deno.test("29: a value that the database cannot hold, read just before a write, holds up nobody else", async () => {
  for (const poison of ["a\u0000b", "a\ud800b"]) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3));
    for (const n of [1, 2]) await world.editClient(n, { first_name: "Bea" });
    const answer = await syncWith(
      world,
      LOCKED,
      () => world.editSubscriber(1, { fields: { city: poison } }),
    );
    assertEquals([answer.status, answer.done], [200, true]);
    assertEquals(world.subscriber(2)?.fields["name"], "Bea");
    const again = await world.sync();
    assertEquals([again.done, again.errors], [true, 1]);
    world.editSubscriber(1, { fields: { city: "Rome" } });
    await world.sync();
    assertEquals((await world.client(1))?.city, "Rome");
    assertEquals(world.subscriber(1)?.fields["name"], "Bea");
    await assertQuiet(world);
  }
});

Deno.test("29: a value that the database cannot hold, as the remote answers a write, holds up nobody else", async () => {
  for (const poison of ["a\u0000b", "a\ud800b"]) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3));
    for (const n of [1, 2]) await world.editClient(n, { first_name: "Bea" });
    await world.addClient(4);
    const runtime = world.harness.runtime();
    const spoil = async (input: URL | RequestInfo, init?: RequestInit) => {
      const request = new Request(input, init);
      const isWrite = /"method":"(PUT|POST)"/.test(await request.clone().text());
      const response = await runtime.fetch(request);
      if (!isWrite) return response;
      const text = JSON.stringify(poison).slice(1, -1);
      return new Response(
        (await response.text()).replaceAll('"name":"Bea"', `"name":"${text}"`),
        response,
      );
    };
    const answer = await world.sync({}, { fetch: spoil });
    assertEquals([answer.status, answer.done], [200, true]);
    await world.sync();
    assertEquals([1, 2].map((n) => world.subscriber(n)?.fields["name"]), ["Bea", "Bea"]);
    await assertQuiet(world);
  }
});

Deno.test("4: two records that share an address no more at their turn are not linked", async () => {
  for (const moment of [PLANNED, LOCKED]) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3));
    // A mistyped address that somebody else has; it is mended while the run is on its way.
    await world.addClient(4, { first_name: "Bea", last_name: "Roe" });
    world.addSubscriber(4, { fields: { name: "Stranger", last_name: "Else" } });
    const answer = await syncWith(
      world,
      moment,
      () => world.editClient(4, { email: "bea@example.com" }),
    );
    assertEquals([answer.done, answer.skipped], [true, 1]);
    await world.sync();
    const fields = world.subscriber(4)?.fields;
    assertEquals([fields?.["name"], fields?.["last_name"]], ["Stranger", "Else"]);
    assertEquals(world.subscriberAt("bea@example.com")?.fields["name"], "Bea");
    assertEquals((await world.client(4))?.last_name, "Roe");
    assertEquals((await world.clientsWithAddress(4)).map((row) => row.first_name), ["Stranger"]);
    assertEquals(await world.conflicts(), []);
    await assertQuiet(world);
  }
});
