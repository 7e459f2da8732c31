/** What enterprise-sync does about groups: both sides' adds and removes count, of managed groups alone. */
import { assertEquals } from "@std/assert";
import { changedConfig, equalPeople, type TwoWayWorld, twoWayWorld } from "./lib/two_way_world.ts";

async function groups(world: TwoWayWorld, n: number) {
  return {
    a: [...(await world.client(n))?.groups ?? []].sort(),
    b: [...world.subscriber(n)?.groups ?? []].sort(),
  };
}

Deno.test("groups added and removed on both sides at once all arrive", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(5));
  // Joined here, left there.
  await world.editClient(1, { groups: ["Clients", "VIP"] });
  world.editSubscriber(1, { groups: [] });
  await world.editClient(2, { groups: [] });
  world.editSubscriber(2, { groups: ["Clients", "VIP"] });
  // The same on both sides.
  await world.editClient(3, { groups: ["VIP"] });
  world.editSubscriber(3, { groups: ["VIP"] });
  await world.editClient(4, { groups: [] });
  const answer = await world.sync();
  assertEquals([answer.conflictsDetected, answer.errors, answer.updatesApplied], [0, 0, 5]);
  assertEquals(await groups(world, 1), { a: ["VIP"], b: ["VIP"] });
  assertEquals(await groups(world, 2), { a: ["VIP"], b: ["VIP"] });
  assertEquals(await groups(world, 3), { a: ["VIP"], b: ["VIP"] });
  assertEquals(await groups(world, 4), { a: [], b: [] });
  assertEquals(await groups(world, 5), { a: ["Clients"], b: ["Clients"] });
  const [line] = (await world.log(4)).filter(({ field }) => field === "groups");
  assertEquals([line?.before, line?.after, line?.rule, line?.side], [
    ["Clients"],
    [],
    "set_merge",
    "b",
  ]);
  world.takeRemoteWrites();
  assertEquals((await world.sync()).updatesApplied, 0);
  assertEquals(world.takeRemoteWrites(), []);
});

Deno.test("groups that nobody manages are left alone on either side", async () => {
  await using world = await twoWayWorld(import.meta.url, [
    {
      client: { groups: ["Old list", "Clients"] },
      subscriber: { groups: ["Newsletter", "Clients"] },
    },
    {
      client: { groups: ["Clients", "Old list"] },
      subscriber: { groups: ["Newsletter", "Clients"] },
    },
    {},
  ]);
  await world.editClient(1, { groups: ["Old list", "VIP"], first_name: "Bea" });
  world.editSubscriber(2, { groups: ["Newsletter", "VIP"] });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.errors], [2, 0]);
  assertEquals(await groups(world, 1), { a: ["Old list", "VIP"], b: ["Newsletter", "VIP"] });
  assertEquals(await groups(world, 2), { a: ["Old list", "VIP"], b: ["Newsletter", "VIP"] });
  await world.editClient(1, { groups: ["Another", "VIP"] });
  world.editSubscriber(2, { groups: ["VIP"] });
  const quiet = await world.sync();
  assertEquals(quiet.updatesApplied, 0);
  assertEquals(await groups(world, 1), { a: ["Another", "VIP"], b: ["Newsletter", "VIP"] });
  assertEquals(await groups(world, 2), { a: ["Old list", "VIP"], b: ["VIP"] });
});

Deno.test("new people take their managed groups along, and no others", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  await world.addClient(2, { groups: ["VIP", "Old list"] });
  world.addSubscriber(3, { groups: ["VIP", "Newsletter"] });
  await world.sync();
  assertEquals(world.subscriber(2)?.groups, ["VIP"]);
  const [made] = await world.clientsWithAddress(3);
  assertEquals(made?.groups, ["VIP"]);
  assertEquals((await groups(world, 2)).a, ["Old list", "VIP"]);
  assertEquals((await world.sync()).updatesApplied, 0);
});

Deno.test("a managed group that the account lacks stops the run, and the answer names the path", async () => {
  const config = changedConfig({ managedGroups: ["Clients", "Dealers"] });
  await using world = await twoWayWorld(import.meta.url, equalPeople(2), {
    backfill: false,
    config,
  });
  world.takeRemoteWrites();
  const answer = await world.sync();
  assertEquals([answer.status, answer.code], [500, "invalid_configuration"]);
  const issues = answer.details?.["issues"];
  assertEquals(
    Array.isArray(issues) ? issues.map(({ path }) => path) : issues,
    ["clients.remote.managed.groups"],
  );
  assertEquals([await world.links(), world.takeRemoteWrites()], [[], []]);
  assertEquals(world.simulator.counts().groups, 3);
});

Deno.test("a managed group that the account lacks is made where that is allowed, and used", async () => {
  const config = changedConfig({
    managedGroups: ["Clients", "Dealers"],
    createMissingGroups: true,
  });
  await using world = await twoWayWorld(import.meta.url, equalPeople(2), {
    backfill: false,
    config,
  });
  await world.editClient(1, { groups: ["Clients", "Dealers"] });
  const dry = await world.sync({ dryRun: true });
  assertEquals([dry.updatesApplied, world.simulator.counts().groups], [1, 3]);
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.errors], [1, 0]);
  assertEquals(world.subscriber(1)?.groups, ["Clients", "Dealers"]);
  assertEquals(world.simulator.counts().groups, 4);
  await world.editClient(2, { groups: ["Clients", "Dealers"] });
  await world.sync();
  assertEquals(world.subscriber(2)?.groups, ["Clients", "Dealers"]);
  assertEquals(world.simulator.counts().groups, 4);
});

Deno.test("a conflict about another field does not hold groups up", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.editClient(1, { email: "ours@example.com", groups: ["VIP"] });
  world.editSubscriber(1, { email: "theirs@example.com" });
  const answer = await world.sync();
  assertEquals([answer.conflictsDetected, answer.updatesApplied], [1, 1]);
  assertEquals(world.subscriberAt("theirs@example.com")?.groups, ["VIP"]);
});
