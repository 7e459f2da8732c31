/** enterprise-sync as a caller sees it, on a real database, with the simulator as the remote. */
import { assertEquals } from "@std/assert";
import { address, clientId, equalPeople, twoWayWorld } from "./lib/two_way_world.ts";

Deno.test("a run over equal sides writes nothing and asks for one page", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(40));
  const answer = await world.sync();
  assertEquals(
    [answer.status, answer.recordsProcessed, answer.updatesApplied, answer.errors, answer.done],
    [200, 40, 0, 0, true],
  );
  assertEquals([answer.stopReason, answer.nextCursor], ["complete", null]);
  assertEquals(world.simulator.requests(), { "POST /batch": 1, "GET /subscribers": 1 });
  assertEquals(world.takeRemoteWrites(), []);
});

Deno.test("an edit of either side reaches the other, and the next run has nothing to do", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(10));
  await world.editClient(1, { first_name: "Bea" });
  world.editSubscriber(2, { fields: { city: "Rome" } });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.conflictsDetected, answer.done], [2, 0, true]);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  assertEquals((await world.client(2))?.city, "Rome");
  world.takeRemoteWrites();
  const again = await world.sync();
  assertEquals([again.updatesApplied, again.recordsProcessed, again.done], [0, 10, true]);
  assertEquals(world.takeRemoteWrites(), []);
});

Deno.test("two edits of one record on different sides both arrive", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { first_name: "Bea" });
  world.editSubscriber(1, { fields: { city: "Rome" } });
  const answer = await world.sync();
  assertEquals(answer.updatesApplied, 2);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  assertEquals((await world.client(1))?.city, "Rome");
});

Deno.test("new people on either side are made on the other", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.addClient(4);
  world.addSubscriber(5, { status: "unsubscribed" });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.done], [2, true]);
  assertEquals(world.subscriber(4)?.fields["name"], "Ann");
  assertEquals(world.subscriber(4)?.groups, ["Clients"]);
  const [made] = await world.clientsWithAddress(5);
  assertEquals([made?.first_name, made?.marketing_status], ["Ann", "unsubscribed"]);
  const again = await world.sync();
  assertEquals([again.updatesApplied, again.recordsProcessed], [0, 5]);
});

Deno.test("an unsubscription on either side is carried to the other and never taken back", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  world.editSubscriber(1, { status: "unsubscribed" });
  await world.editClient(1, { first_name: "Bea" });
  await world.editClient(2, { marketing_status: "unsubscribed" });
  world.editSubscriber(3, { status: "bounced" });
  world.editSubscriber(4, { status: "junk" });
  await world.sync();
  assertEquals((await world.client(1))?.marketing_status, "unsubscribed");
  assertEquals(world.subscriber(1)?.status, "unsubscribed");
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  assertEquals(world.subscriber(2)?.status, "unsubscribed");
  assertEquals((await world.client(3))?.marketing_status, "bounced");
  assertEquals((await world.client(4))?.marketing_status, "complained");
  const again = await world.sync();
  assertEquals(again.updatesApplied, 0);
});

Deno.test("a change of the address on either side keeps the link", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  const before = await world.links();
  await world.editClient(1, { email: "new1@example.com" });
  world.editSubscriber(2, { email: "new2@example.com" });
  const answer = await world.sync();
  assertEquals(answer.updatesApplied, 2);
  assertEquals(world.subscriberAt("new1@example.com")?.status, "active");
  assertEquals((await world.client(2))?.email, "new2@example.com");
  assertEquals(await world.links(), before);
  assertEquals(world.subscriberAt(address(1)), undefined);
  assertEquals((await world.pool.query(`select id from public.clients`)).length, 2);
  assertEquals((await world.client(1))?.id, clientId(1));
});

Deno.test("a dry run without a cursor looks at both sides as they stand, not at an older look", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(6));
  const first = await world.sync({ dryRun: true, maxRecords: 2 });
  assertEquals([first.stopReason, first.updatesApplied], ["record_limit", 0]);
  world.editSubscriber(6, { fields: { city: "Rome" } });
  const onward = await world.sync({ dryRun: true, cursor: first.nextCursor, maxRecords: 10 });
  assertEquals([onward.recordsProcessed, onward.updatesApplied], [4, 0]);
  const unfinished = await world.sync({ dryRun: true, maxRecords: 2 });
  assertEquals(unfinished.stopReason, "record_limit");
  world.editSubscriber(5, { fields: { city: "Rome" } });
  const anew = await world.sync({ dryRun: true, maxRecords: 10 });
  assertEquals([anew.recordsProcessed, anew.updatesApplied, anew.done], [6, 2, true]);
});
