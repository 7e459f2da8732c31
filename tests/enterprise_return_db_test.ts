/** What enterprise-sync does about people who come back after one of the sides had lost them. */
import { assert, assertEquals } from "@std/assert";
import { otherClientId, UNSUBSCRIBED } from "./lib/two_way_people.ts";
import {
  address,
  changedConfig,
  clientId,
  equalPeople,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

async function linkOf(world: TwoWayWorld, aId: string): Promise<string | undefined> {
  return (await world.links()).find(({ a_id }) => a_id === aId)?.b_id;
}

Deno.test("a client that is created anew with the same address takes its subscriber over", async () => {
  for (const policy of ["mark", "unlink"] as const) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(4), {
      config: changedConfig({ onLocalDelete: policy }),
    });
    const id = world.subscriber(1)?.id;
    await world.deleteClient(1);
    await world.addClientAs(otherClientId(1), 1);
    await world.deleteClient(2);
    await world.sync();
    assertEquals(await linkOf(world, otherClientId(1)), id, policy);
    // The second comes back a run later, with a name of its own.
    const second = world.subscriber(2)?.id;
    await world.addClientAs(otherClientId(2), 2, { first_name: "Bea" });
    await world.sync();
    assertEquals(await linkOf(world, otherClientId(2)), second, policy);
    assertEquals(world.subscriber(2)?.fields["name"], "Bea", policy);
    assertEquals((await world.links()).length, 4, policy);
    assertEquals((await world.clientsWithAddress(1)).length, 1, policy);
    await world.assertQuiet();
  }
});

Deno.test("no policy touches a subscriber whose client came back within the run", async () => {
  for (const policy of ["mark", "unlink", "unsubscribe", "delete"] as const) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
      config: changedConfig({ onLocalDelete: policy }),
    });
    await world.deleteClient(1);
    await world.addClientAs(otherClientId(1), 1);
    const answer = await world.sync();
    assertEquals([answer.updatesApplied, answer.errors], [0, 0], policy);
    assertEquals(await linkOf(world, otherClientId(1)), world.subscriber(1)?.id, policy);
    assertEquals(world.subscriber(1)?.status, "active", policy);
  }
});

Deno.test("no policy touches a record that came back twice, as nobody knows which of them it is", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
    config: changedConfig({ onLocalDelete: "delete", onRemoteMissing: "delete" }),
  });
  await world.deleteClient(1);
  await world.addClientAs(otherClientId(1), 1);
  await world.addClientAs(otherClientId(2), 1);
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.errors], [0, 0]);
  assertEquals(world.subscriber(1)?.status, "active");
  assertEquals((await world.findings()).map(({ kind, a_ids }) => [kind, a_ids]), [
    ["duplicate_key", [otherClientId(1), otherClientId(2)]],
  ]);
  await world.pool.query(`delete from public.clients where id = $1`, [otherClientId(2)]);
  await world.sync();
  assertEquals(await linkOf(world, otherClientId(1)), world.subscriber(1)?.id);
});

Deno.test("a client that is restored with its id is linked again, whatever its address", async () => {
  for (const policy of ["mark", "unlink"] as const) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
      config: changedConfig({ onLocalDelete: policy }),
    });
    const id = world.subscriber(1)?.id;
    await world.deleteClient(1);
    await world.sync();
    await world.addClient(1, { email: "restored@example.com" });
    const answer = await world.sync();
    assertEquals([answer.errors, await linkOf(world, clientId(1))], [0, id], policy);
    assertEquals(await world.linkState(1), "linked", policy);
    assertEquals((await world.links()).length, 3, policy);
    assertEquals((await world.pool.query(`select id from public.clients`)).length, 3, policy);
  }
});

Deno.test("a subscriber that is revived under its id is linked again", async () => {
  for (const policy of ["mark", "unlink"] as const) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
      config: changedConfig({ onRemoteMissing: policy }),
    });
    const id = world.subscriber(1)?.id;
    world.removeSubscriber(1);
    await world.sync();
    assertEquals(world.subscriber(1), undefined);
    await revive(world, 1);
    assertEquals(world.subscriber(1)?.id, id);
    const answer = await world.sync();
    assertEquals(answer.errors, 0);
    assertEquals([await linkOf(world, clientId(1)), await world.linkState(1)], [id, "linked"]);
    assertEquals((await world.clientsWithAddress(1)).length, 1, policy);
    await world.assertQuiet();
  }
});

/** Somebody signs up again: the remote brings the deleted record back under its id. */
async function revive(world: TwoWayWorld, n: number): Promise<void> {
  const response = await world.simulator.handle(
    new Request("http://mailerlite.test/api/subscribers", {
      method: "POST",
      headers: { authorization: "Bearer simulator-token", "content-type": "application/json" },
      body: JSON.stringify({ email: address(n) }),
    }),
  );
  assertEquals(response.ok, true);
  await response.body?.cancel();
}

Deno.test("a subscriber that is made anew with the same address is linked to its client", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4), {
    simulator: { switches: { postAfterForget: "new_id" } },
  });
  const before = world.subscriber(1)?.id ?? "";
  for (const n of [1, 2]) {
    const id = world.subscriber(n)?.id ?? "";
    const response = await world.simulator.handle(
      new Request(`http://mailerlite.test/api/subscribers/${id}/forget`, {
        method: "POST",
        headers: { authorization: "Bearer simulator-token" },
      }),
    );
    assertEquals(response.ok, true);
    await response.body?.cancel();
  }
  await revive(world, 1);
  const after = world.subscriber(1)?.id ?? "";
  assert(after !== before);
  await world.sync();
  assertEquals(await linkOf(world, clientId(1)), after);
  assertEquals(await world.linkState(2), "b_missing");
  await revive(world, 2);
  await world.sync();
  assertEquals(await linkOf(world, clientId(2)), world.subscriber(2)?.id);
  assertEquals((await world.links()).length, 4);
  assertEquals(world.subscriber(2)?.fields["city"], "Oslo");
  await world.assertQuiet();
});

Deno.test("somebody who comes back after both sides let go is linked under the old id", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
    config: changedConfig({ onLocalDelete: "delete" }),
  });
  const id = world.subscriber(1)?.id;
  await world.deleteClient(1);
  await world.sync();
  assertEquals([world.subscriber(1), await world.linkState(1)], [undefined, "unlinked"]);
  await world.addClientAs(otherClientId(1), 1, { first_name: "Bea", city: null });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.errors], [1, 0]);
  assertEquals([world.subscriber(1)?.id, world.subscriber(1)?.fields["name"]], [id, "Bea"]);
  assertEquals((await world.links()).map(({ a_id, link_state }) => [a_id, link_state]), [
    [clientId(2), "linked"],
    [clientId(3), "linked"],
    [otherClientId(1), "linked"],
  ]);
  // The remote had kept the city, and the client has none.
  await world.sync();
  assertEquals((await world.clientsWithAddress(1))[0]?.city, "Oslo");
  await world.assertQuiet();
});

Deno.test("somebody who left and was deleted at the remote is never brought back", async () => {
  await using world = await twoWayWorld(import.meta.url, [UNSUBSCRIBED, UNSUBSCRIBED, {}, {}], {
    simulator: { switches: { reviveUnsubscribed: "active" } },
  });
  world.removeSubscriber(1);
  world.removeSubscriber(2);
  await world.sync();
  assertEquals((await world.client(1))?.marketing_status, "unsubscribed");
  await world.editClient(1, { marketing_status: "subscribed", city: "Bergen" });
  await world.deleteClient(2);
  await world.addClientAs(otherClientId(2), 2);
  for (let run = 0; run < 3; run++) {
    const answer = await world.sync();
    assertEquals([answer.updatesApplied, answer.errors], [0, 0]);
    assertEquals([world.subscriber(1), world.subscriber(2)], [undefined, undefined]);
  }
});

Deno.test("somebody who left and comes back at the remote alone stays unsubscribed", async () => {
  await using world = await twoWayWorld(import.meta.url, [UNSUBSCRIBED, {}, {}], {
    simulator: { switches: { reviveUnsubscribed: "active" } },
  });
  world.removeSubscriber(1);
  await world.sync();
  await revive(world, 1);
  assertEquals(world.subscriber(1)?.status, "active");
  await world.sync();
  assertEquals(world.subscriber(1)?.status, "unsubscribed");
  assertEquals((await world.client(1))?.marketing_status, "unsubscribed");
});
