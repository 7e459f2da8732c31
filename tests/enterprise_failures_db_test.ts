/** What enterprise-sync does about records that a side refuses: they fail alone, and not for ever. */
import { assert, assertEquals } from "@std/assert";
import { otherClientId } from "./lib/two_way_people.ts";
import {
  address,
  changedConfig,
  clientId,
  equalPeople,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

// What the database takes and the remote does not.
const BAD_ADDRESS = "nobody@nowhere";

async function statusOfRun(world: TwoWayWorld, id: string): Promise<unknown> {
  const rows = await world.pool.query(
    `select status, errors, error from public.sync_runs where id = $1`,
    [id],
  );
  return rows[0];
}

/** Side A refuses this city from now on. */
async function refuseCity(world: TwoWayWorld): Promise<void> {
  await world.pool.query(
    `alter table public.clients add constraint no_such_city check (city <> 'Atlantis')`,
  );
}

/** Requests of a run that has nothing to send: the account is described, and the list is read. */
const READING = { "POST /batch": 1, "GET /subscribers": 1 };

Deno.test("one record that the remote refuses fails alone, and the answer counts it", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(60));
  for (let n = 1; n <= 55; n++) await world.editClient(n, { first_name: "Bea" });
  await world.editClient(20, { email: BAD_ADDRESS });
  world.editSubscriber(20, { fields: { city: "Rome" } });
  const answer = await world.sync();
  assertEquals([answer.errors, answer.updatesApplied, answer.done], [1, 55, true]);
  assertEquals([answer.status, answer.stopReason, answer.recordsProcessed], [200, "complete", 60]);
  const counters = await world.counters();
  assertEquals([counters["failed"], counters["changed"], counters["unchanged"]], [1, 54, 5]);
  assertEquals(await statusOfRun(world, answer.runId), {
    status: "failed",
    errors: 1,
    error: null,
  });
  assertEquals(await world.failures(), [{ code: "rejected_email", runs: 1 }]);
  for (const n of [1, 19, 21, 55]) assertEquals(world.subscriber(n)?.fields["name"], "Bea");
  // Its other half is done.
  assertEquals((await world.client(20))?.city, "Rome");
  assertEquals(world.subscriber(20)?.fields["name"], "Ann");
  const refused = (await world.log(20)).filter(({ applied }) => !applied);
  assertEquals(refused.map(({ action, field }) => [action, field]).sort(), [
    ["refuse", "email"],
    ["refuse", "firstName"],
  ]);
});

Deno.test("a record that fails in three runs is left alone until it changes", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { email: BAD_ADDRESS });
  for (const runs of [1, 2, 3]) {
    assertEquals((await world.sync()).errors, 1);
    assertEquals(await world.failures(), [{ code: "rejected_email", runs }]);
  }
  for (let run = 0; run < 2; run++) {
    world.simulator.resetRequests();
    const dead = await world.sync();
    assertEquals([dead.errors, dead.updatesApplied, dead.done], [0, 0, true]);
    assertEquals(world.simulator.requests(), READING);
    assertEquals((await world.counters())["excluded"], 1);
  }
  await world.editClient(2, { first_name: "Bea" });
  assertEquals((await world.sync()).updatesApplied, 1);
  await world.editClient(1, { city: "Bergen" });
  assertEquals((await world.sync()).errors, 1);
  assertEquals(await world.failures(), [{ code: "rejected_email", runs: 1 }]);
  await world.editClient(1, { email: "somebody@example.com" });
  const mended = await world.sync();
  assertEquals([mended.errors, mended.updatesApplied], [0, 1]);
  assertEquals(world.subscriberAt("somebody@example.com")?.fields["city"], "Bergen");
  assertEquals(await world.failures(), []);
});

Deno.test("a dead letter is tried again when its other side changes", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.editClient(1, { email: BAD_ADDRESS });
  for (let run = 0; run < 4; run++) await world.sync();
  world.editSubscriber(1, { fields: { city: "Rome" } });
  const answer = await world.sync();
  assertEquals([answer.errors, answer.updatesApplied], [1, 1]);
  assertEquals((await world.client(1))?.city, "Rome");
});

Deno.test("a dead letter is tried again when a person decides one of its conflicts", async () => {
  const config = changedConfig({
    fields: { city: { local: "city", remote: "fields.city", wins: "manual" } },
  });
  await using world = await twoWayWorld(import.meta.url, equalPeople(2), { config });
  await world.editClient(1, { first_name: "Bea", city: "Bergen" });
  world.editSubscriber(1, { fields: { city: "Rome" } });
  const path = `/subscribers/${world.subscriber(1)?.id}`;
  const effect = { kind: "status", status: 422, body: { errors: { "fields.name": ["No."] } } };
  world.simulator.setFaults([{ method: "PUT", path, effect: { ...effect, kind: "status" } }]);
  for (let run = 0; run < 3; run++) assertEquals((await world.sync()).errors, 1);
  assertEquals((await world.sync()).errors, 0);
  await world.decide(1, "city", "remote");
  assertEquals((await world.sync()).errors, 1);
  assertEquals((await world.client(1))?.city, "Rome");
  assertEquals((await world.conflictsOf(1, "city")).map(({ status }) => status), ["resolved"]);
  // It has changed by that, so it is tried from the start.
  assertEquals((await world.failures()).map(({ code }) => code), ["rejected_fields.name"]);
  for (let run = 0; run < 3; run++) await world.sync();
  world.simulator.resetRequests();
  assertEquals((await world.sync()).errors, 0);
  assertEquals(world.simulator.requests(), READING);
});

Deno.test("a record that the database refuses fails alone, and is left alone after three runs", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(6));
  await refuseCity(world);
  for (const n of [1, 2, 4, 5]) world.editSubscriber(n, { fields: { city: "Rome" } });
  world.editSubscriber(3, { fields: { city: "Atlantis" } });
  const answer = await world.sync();
  assertEquals([answer.errors, answer.updatesApplied, answer.done], [1, 4, true]);
  for (const n of [1, 2, 4, 5]) assertEquals((await world.client(n))?.city, "Rome");
  assertEquals((await world.client(3))?.city, "Oslo");
  assertEquals(await world.failures(), [{ code: "database_23514", runs: 1 }]);
  for (let run = 0; run < 2; run++) assertEquals((await world.sync()).errors, 1);
  const dead = await world.sync();
  assertEquals([dead.errors, dead.updatesApplied], [0, 0]);
  assertEquals((await world.counters())["excluded"], 1);
  world.editSubscriber(3, { fields: { city: "Rome" } });
  assertEquals((await world.sync()).errors, 0);
  assertEquals((await world.client(3))?.city, "Rome");
  assertEquals(await world.failures(), []);
});

Deno.test("new people whom the other side refuses fail alone and become dead letters", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await refuseCity(world);
  await world.addClient(3, { email: BAD_ADDRESS });
  await world.addClient(4);
  world.addSubscriber(5, { fields: { city: "Atlantis" } });
  world.addSubscriber(6);
  const answer = await world.sync();
  assertEquals([answer.errors, answer.updatesApplied, answer.done], [2, 2, true]);
  assertEquals(world.subscriber(4)?.status, "active");
  assertEquals((await world.clientsWithAddress(6)).length, 1);
  assertEquals((await world.failures()).map(({ code }) => code).sort(), [
    "database_23514",
    "rejected_email",
  ]);
  for (let run = 0; run < 2; run++) assertEquals((await world.sync()).errors, 2);
  world.simulator.resetRequests();
  const dead = await world.sync();
  assertEquals([dead.errors, dead.updatesApplied], [0, 0]);
  assertEquals(world.simulator.requests(), READING);
  await world.editClient(3, { email: address(3) });
  world.editSubscriber(5, { fields: { city: "Rome" } });
  const mended = await world.sync();
  assertEquals([mended.errors, mended.updatesApplied], [0, 2]);
  assertEquals([world.subscriber(3)?.status, await world.failures()], ["active", []]);
  assertEquals((await world.clientsWithAddress(5)).length, 1);
});

Deno.test("a failure at the first link is forgotten when the pair is fine", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2), { backfill: false });
  await refuseCity(world);
  await world.editClient(1, { city: null });
  world.editSubscriber(1, { fields: { city: "Atlantis" } });
  assertEquals((await world.sync()).errors, 1);
  assertEquals(await world.linkState(1), "linked");
  assertEquals((await world.sync()).errors, 1);
  assertEquals(await world.failures(), [{ code: "database_23514", runs: 2 }]);
  world.editSubscriber(1, { fields: { city: "Rome" } });
  assertEquals((await world.sync()).errors, 0);
  assertEquals(await world.failures(), []);
});

Deno.test("a failure of somebody who was new is forgotten when they are linked another way", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await refuseCity(world);
  world.addSubscriber(3, { fields: { city: "Atlantis" } });
  assertEquals((await world.sync()).errors, 1);
  await world.addClient(3, { city: "Rome" });
  world.editSubscriber(3, { fields: { city: "Rome" } });
  assertEquals((await world.sync()).errors, 0);
  assertEquals(await world.linkState(3), "linked");
  assertEquals(await world.failures(), []);
});

Deno.test("an address that belongs to somebody else at the remote fails alone", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { email: address(2) });
  await world.editClient(3, { first_name: "Bea" });
  const answer = await world.sync();
  assertEquals([answer.errors, answer.updatesApplied], [1, 1]);
  assertEquals(await world.failures(), [{ code: "rejected_email", runs: 1 }]);
  assertEquals([world.subscriber(1)?.status, world.subscriber(2)?.status], ["active", "active"]);
  assertEquals((await world.links()).map(({ link_state }) => link_state), [
    "linked",
    "linked",
    "linked",
  ]);
});

Deno.test("30: a create is logged and counted also where what it brought back cannot be read", async () => {
  const config = changedConfig({
    fields: { company: { local: "company", remote: "fields.company", type: "number" } },
  });
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), { config });
  world.editSubscriber(1, { fields: { company: "seven" } });
  world.removeSubscriber(1);
  await world.deleteClient(1);
  await world.addClientAs(otherClientId(1), 1);
  const answer = await world.sync();
  assertEquals(world.subscriber(1)?.fields["company"], "seven");
  assertEquals(answer.updatesApplied, 1);
  const log = await world.pool.query(
    `select side, action, a_id::text as a from public.sync_log where action = 'create'`,
  );
  assertEquals(log, [{ side: "b", action: "create", a: otherClientId(1) }]);
});

Deno.test("a record that cannot be read fails, says which by id alone, and holds nobody up", async () => {
  const config = changedConfig({
    fields: { company: { local: "company", remote: "fields.company", type: "number" } },
  });
  await using world = await twoWayWorld(import.meta.url, equalPeople(4), { config });
  await world.editClient(1, { company: "not a number" });
  world.editSubscriber(2, { fields: { company: "seven" } });
  await world.editClient(3, { company: "12" });
  await world.addClient(5, { company: "not a number" });
  const answer = await world.sync();
  assertEquals([answer.errors, answer.updatesApplied, answer.done], [3, 1, true]);
  assertEquals(world.subscriber(3)?.fields["company"], "12");
  assertEquals((await world.failures()).map(({ code }) => code).sort(), [
    "unreadable_record",
    "unreadable_record",
    "unreadable_value",
  ]);
  const lines = world.harness.log.filter(({ event }) => event === "record_failed");
  assertEquals(lines.length, 3);
  assert(!JSON.stringify(world.harness.log).includes("seven"));
  assertEquals(await world.linkState(2), "linked");
  for (let run = 0; run < 2; run++) assertEquals((await world.sync()).errors, 3);
  assertEquals((await world.sync()).errors, 0);
  assertEquals((await world.counters())["excluded"], 3);
  await world.editClient(1, { company: "1" });
  // As it was before, so that nothing but the failure tells that it has to be looked at.
  world.editSubscriber(2, { fields: { company: "" } });
  await world.editClient(5, { company: "5", marketing_status: "none" });
  assertEquals((await world.sync()).errors, 0);
  assertEquals(await world.failures(), []);
  assertEquals(world.subscriber(1)?.fields["company"], "1");
});

Deno.test("a write that the remote cannot take for now is tried again, and passed over at last", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(5));
  for (const n of [1, 2, 3]) await world.editClient(n, { first_name: "Bea" });
  const path = `/subscribers/${world.subscriber(2)?.id}`;
  const effect = { kind: "status", status: 503 } as const;
  world.simulator.setFaults([
    { method: "PUT", path, item: true, effect },
    { method: "PUT", path, effect },
  ]);
  const first = await world.sync();
  assertEquals([first.stopReason, first.done, first.nextCursor !== null], ["error", false, true]);
  assertEquals([first.recordsProcessed, first.skipped], [1, 0]);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  const second = await world.sync();
  assertEquals([second.done, second.skipped, second.errors, second.recordsProcessed], [
    true,
    1,
    0,
    4,
  ]);
  assertEquals(world.subscriber(3)?.fields["name"], "Bea");
  world.simulator.setFaults([]);
  const third = await world.sync();
  assertEquals([third.updatesApplied, third.skipped, third.done], [1, 0, true]);
  assertEquals(world.subscriber(2)?.fields["name"], "Bea");
  assertEquals(await world.failures(), []);
});

Deno.test("an edit made while a run is under way is not written over", async () => {
  let meanwhile: () => Promise<void> = () => Promise.resolve();
  await using world = await twoWayWorld(import.meta.url, equalPeople(4), {
    onRequest: () => meanwhile(),
  });
  world.editSubscriber(1, { fields: { city: "Rome" } });
  await world.editClient(2, { city: "Bergen" });
  let requests = 0;
  // Both after the list was read: the client while the remote is asked to confirm,
  // the subscriber before it is.
  meanwhile = async () => {
    if (++requests !== 3) return;
    await world.editClient(1, { city: "Tromso" });
    world.editSubscriber(2, { fields: { country: "Italy" } });
  };
  const answer = await world.sync();
  assertEquals([answer.errors, answer.skipped], [0, 1]);
  assertEquals((await world.client(1))?.city, "Tromso");
  assertEquals([world.subscriber(2)?.fields["city"], world.subscriber(2)?.fields["country"]], [
    "Bergen",
    "Italy",
  ]);
  await world.sync();
  assertEquals((await world.client(2))?.country, "Italy");
  // The remote wins this field, and that both edited it is known only now.
  assertEquals((await world.client(1))?.city, "Rome");
  assertEquals(clientId(1), (await world.client(1))?.id);
});

Deno.test("a failure goes with its record or its link, and no other does", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  await refuseCity(world);
  for (const n of [1, 2]) await world.editClient(n, { email: `nobody${n}@nowhere` });
  for (const n of [5, 6]) await world.addClient(n, { email: `nobody${n}@nowhere` });
  for (const n of [7, 8]) world.addSubscriber(n, { fields: { city: "Atlantis" } });
  assertEquals((await world.sync()).errors, 6);
  const keys = async () =>
    (await world.pool.query<{ key: string }>(
      `select coalesce(b_id, a_id::text) as key from public.sync_failures order by 1`,
    )).map(({ key }) => key);
  const left = [world.subscriber(2)?.id, clientId(6), world.subscriber(8)?.id].map(String).sort();
  for (const n of [1, 5]) await world.deleteClient(n);
  for (const n of [1, 7]) world.removeSubscriber(n);
  assertEquals((await world.sync({ dryRun: true })).done, true);
  assertEquals((await keys()).length, 6);
  assertEquals((await world.sync()).errors, 3);
  assertEquals(await keys(), left);
  assertEquals((await world.failures()).map(({ runs }) => runs), [2, 2, 2]);
  // A link that says that a side is missing is not looked at any more.
  world.removeSubscriber(2);
  assertEquals((await world.sync()).errors, 2);
  assertEquals(await world.linkState(2), "b_missing");
  assertEquals((await keys()).length, 2);
});
