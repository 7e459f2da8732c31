/** What smart-sync answers about named people, on a real database, with the simulator as the remote. */
import { assert, assertEquals } from "@std/assert";
import { functionRequest } from "./lib/function_harness.ts";
import { smartSync } from "../shared/http/smart_sync.ts";
import { otherClientId } from "./lib/two_way_people.ts";
import {
  address,
  changedConfig,
  clientId,
  equalPeople,
  type SmartAnswer,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

const NO_CHANGES = "no changes detected";
const DUPLICATE = "quarantined: two clients share this address";

// What the database takes and the remote does not.
const BAD_ADDRESS = "nobody@nowhere";

/** What was said of each entry, in their order. */
function said({ out }: SmartAnswer): unknown[] {
  return out.map(({ changed, reason, error }) => changed ?? reason ?? { error });
}

async function about(world: TwoWayWorld, ...emails: string[]): Promise<unknown[]> {
  const answer = await world.smart({ emails });
  assertEquals(answer.status, 200, answer.message);
  assertEquals(answer.count, answer.out.length);
  return said(answer);
}

/** Signs somebody up at the remote, who may have been deleted there. */
async function subscribe(
  { simulator }: TwoWayWorld,
  email: string,
  fields: Readonly<Record<string, string>>,
): Promise<void> {
  const response = await simulator.handle(
    new Request("http://mailerlite.test/api/subscribers", {
      method: "POST",
      headers: { authorization: "Bearer simulator-token", "content-type": "application/json" },
      body: JSON.stringify({ email, fields }),
    }),
  );
  await response.body?.cancel();
  assertEquals(response.ok, true);
}

Deno.test("an edit of a named person on either side reaches the other, and again there is nothing to do", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  await world.editClient(1, { first_name: "Bea" });
  world.editSubscriber(2, { fields: { city: "Rome" } });
  const emails = [1, 2, 3].map(address);
  const answer = await world.smart({ emails });
  assertEquals([answer.status, answer.ok, answer.count], [200, true, 3]);
  assertEquals(answer.out, [
    { email: address(1), changed: true, b_id: world.subscriber(1)?.id ?? "" },
    { email: address(2), changed: true, b_id: world.subscriber(2)?.id ?? "" },
    { email: address(3), skipped: true, reason: NO_CHANGES },
  ]);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  assertEquals((await world.client(2))?.city, "Rome");
  world.takeRemoteWrites();
  assertEquals(await about(world, ...emails), [NO_CHANGES, NO_CHANGES, NO_CHANGES]);
  assertEquals(world.takeRemoteWrites(), []);
});

Deno.test("every request has one entry each, in the order asked, duplicates folded to the first spelling", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(2, { email: " Person2@Example.COM  " });
  const answer = await world.smart({
    emails: [
      "  PERSON3@example.com ",
      "stranger@example.org",
      "Person2@EXAMPLE.com",
      address(3),
      address(1),
      "STRANGER@example.org",
      "\tperson1@example.com\n",
    ],
  });
  assertEquals(answer.count, 4);
  assertEquals(answer.out.map(({ email }) => email), [
    "  PERSON3@example.com ",
    "stranger@example.org",
    "Person2@EXAMPLE.com",
    address(1),
  ]);
  assertEquals(said(answer), [NO_CHANGES, "unknown on both sides", NO_CHANGES, NO_CHANGES]);
});

Deno.test("a person in another worker's hands is skipped, and the others are not", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  for (const n of [1, 2]) await world.editClient(n, { first_name: "Bea" });
  await world.pool.transaction(async (database) => {
    await database.query(
      `select pg_advisory_xact_lock(hashtextextended('sync_record:clients:a:' || $1, 0))`,
      [clientId(1)],
    );
    assertEquals(await about(world, address(1), address(2)), ["locked by another run", true]);
  });
  assertEquals(world.subscriber(1)?.fields["name"], "Ann");
  assertEquals(await about(world, address(1)), [true]);
});

Deno.test("who shares an address with another client is quarantined, linked or not", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.addClient(3);
  await world.addClientAs(otherClientId(3), 3);
  await world.addClientAs(otherClientId(1), 1);
  world.takeRemoteWrites();
  assertEquals(await about(world, address(3), address(1)), [DUPLICATE, DUPLICATE]);
  assertEquals(world.takeRemoteWrites(), []);
  assertEquals(world.subscriber(3), undefined);
});

Deno.test("who has the address of somebody else's partner is quarantined", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.editClient(1, { email: "elsewhere@example.com" });
  await world.addClientAs(otherClientId(1), 1);
  const reason = "quarantined: the address belongs to a record that is linked to another";
  assertEquals(await about(world, address(1)), [reason]);
  assertEquals((await world.links()).length, 2);
});

Deno.test("a field that both sides claim is in conflict, what else there is to do is done", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { email: "one-a@example.com" });
  world.editSubscriber(1, { email: "one-b@example.com" });
  await world.editClient(2, { last_name: null, first_name: "Bea" });
  const answer = await world.smart({ emails: ["one-a@example.com", address(2)] });
  assertEquals(said(answer), ["in conflict: a person has to decide", true]);
  assertEquals(answer.out.map(({ conflicts }) => conflicts), [1, 1]);
  assertEquals(world.subscriber(2)?.fields["name"], "Bea");
  assertEquals(world.subscriber(2)?.fields["last_name"], "Lee");
  assertEquals((await world.conflicts()).map(({ field }) => field).sort(), ["email", "lastName"]);
  // Found by the address it has on side B, too.
  assertEquals(await about(world, "one-b@example.com"), ["in conflict: a person has to decide"]);
});

Deno.test("nobody is created who does not allow it, or once left", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  await world.addClient(2, { marketing_status: "none" });
  await world.addClient(3, { marketing_status: "unsubscribed" });
  await world.addClient(4);
  await world.pool.query(
    `insert into public.sync_suppressions (pair, key_digest, consent)
     values ('clients', encode(sha256(convert_to('clients:' || $1, 'UTF8')), 'hex'), 'unsubscribed')`,
    [address(4)],
  );
  const refusal = "not created: the consent does not allow it";
  assertEquals(await about(world, ...[2, 3, 4].map(address)), [
    refusal,
    refusal,
    "not created: this person left before",
  ]);
  assertEquals(world.takeRemoteWrites(), []);
});

Deno.test("new people are made on the other side, or linked to who is there, as the two-way run does", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  await world.addClient(2, { groups: ["VIP", "Unmanaged"] });
  world.addSubscriber(3, { status: "unsubscribed", groups: ["Clients", "Newsletter"] });
  await world.addClient(4, { city: null });
  world.addSubscriber(4, { groups: ["Newsletter"] });
  const answer = await world.smart({ emails: [2, 3, 4].map(address) });
  assertEquals(said(answer), [true, true, true]);
  assertEquals(answer.out.map(({ b_id }) => b_id), [2, 3, 4].map((n) => world.subscriber(n)?.id));
  assertEquals(world.subscriber(2)?.groups, ["VIP"]);
  const [made, ...others] = await world.clientsWithAddress(3);
  assertEquals([made?.marketing_status, made?.groups, others], ["unsubscribed", ["Clients"], []]);
  assertEquals((await world.client(4))?.city, "Oslo");
  assertEquals(world.subscriber(4)?.groups, ["Clients", "Newsletter"]);
  assertEquals((await world.links()).length, 4);
  const again = await world.sync();
  assertEquals([again.updatesApplied, again.errors], [0, 0]);
  assertEquals(await about(world, ...[2, 3, 4].map(address)), [NO_CHANGES, NO_CHANGES, NO_CHANGES]);
});

Deno.test("who is new on side B is linked to the client with its address, whoever was named", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  for (
    const [n, email] of [[2, " PERSON2@example.com"], [3, "\u00a0person3@example.com\n"]] as const
  ) {
    world.addSubscriber(n);
    await world.addClient(n, { email });
    assertEquals(await about(world, address(n)), [true]);
    assertEquals(await world.linkState(n), "linked");
    assertEquals((await world.pool.query(`select 1 from public.clients`)).length, n);
  }
});

Deno.test("what the configuration does not create is not created", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1), {
    config: changedConfig({ onNewLocal: "ignore", onNewRemote: "ignore" }),
  });
  await world.addClient(2);
  world.addSubscriber(3);
  const reason = "not created: the configuration says so";
  assertEquals(await about(world, address(2), address(3)), [reason, reason]);
});

Deno.test("what is gone from a side is told of, and nothing is decided", async () => {
  for (const policy of ["unlink", "delete", "mark"] as const) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(4), {
      config: changedConfig({ onLocalDelete: policy, onRemoteMissing: policy }),
    });
    const before = await world.links();
    world.removeSubscriber(1);
    await world.deleteClient(2);
    world.removeSubscriber(3);
    await world.editClient(3, { first_name: "Bea" });
    world.takeRemoteWrites();
    const emails = [1, 2, 3].map(address);
    const goneRemote = "gone from the remote; the next full run decides what becomes of it";
    const goneLocal = "deleted; the next full run decides what becomes of it";
    assertEquals(await about(world, ...emails), [goneRemote, goneLocal, goneRemote]);
    assertEquals(said(await world.smart({ emails, dryRun: true })), [
      goneRemote,
      goneLocal,
      goneRemote,
    ]);
    assertEquals(await world.links(), before);
    assertEquals(world.takeRemoteWrites(), []);
    assert(await world.client(1) !== undefined);
    assertEquals(world.subscriber(2)?.status, "active");
  }
});

Deno.test("a client deleted, or a subscriber lost, while its record is being read is left to a full run", async () => {
  for (const loss of ["client", "subscriber"] as const) {
    let act: () => Promise<void> | void = () => {};
    await using world = await twoWayWorld(import.meta.url, equalPeople(2), {
      config: changedConfig({ onLocalDelete: "delete", onRemoteMissing: "delete" }),
      onRequest: () => act(),
    });
    await world.editClient(1, { first_name: "Bea" });
    const before = await world.links();
    act = async () => {
      if (loss === "client") await world.deleteClient(1);
      else world.removeSubscriber(1);
      act = () => {};
    };
    const [word] = await about(world, address(1));
    assert(String(word).includes("the next full run decides"), String(word));
    assertEquals(await world.links(), before);
    assertEquals(world.subscriber(1) === undefined, loss === "subscriber");
    assertEquals(await world.client(1) === undefined, loss === "client");
  }
});

Deno.test("who lost their partner for good waits for it, and is found when it comes back", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  world.removeSubscriber(1);
  await world.sync();
  assertEquals(await world.linkState(1), "b_missing");
  const orphan = "its partner was given up; it waits for it to come back";
  assertEquals(await about(world, address(1)), [orphan]);
  assertEquals(world.subscriber(1), undefined);
  await subscribe(world, address(1), { city: "Rome" });
  assertEquals(await about(world, address(1)), [true]);
  assertEquals(await world.linkState(1), "linked");
  assertEquals((await world.client(1))?.city, "Rome");
});

Deno.test("a record that the remote refuses fails with a code, alone, and is left alone after three runs", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { email: BAD_ADDRESS });
  await world.editClient(2, { first_name: "Bea" });
  const answer = await world.smart({ emails: [BAD_ADDRESS, address(2)] });
  assertEquals([answer.status, answer.ok], [200, false]);
  assertEquals(said(answer), [{ error: "rejected_email" }, true]);
  assertEquals(answer.out[0], { email: BAD_ADDRESS, error: "rejected_email" });
  for (const runs of [2, 3]) {
    assertEquals(await about(world, BAD_ADDRESS), [{ error: "rejected_email" }]);
    assertEquals(await world.failures(), [{ code: "rejected_email", runs }]);
  }
  world.simulator.resetRequests();
  const dead = "left alone after three failed runs, until it changes";
  assertEquals(await about(world, BAD_ADDRESS), [dead]);
  assertEquals(world.simulator.requests(), { "GET /subscribers/{id}": 1 });
  await world.editClient(1, { email: "somebody@example.com" });
  assertEquals(await about(world, "somebody@example.com"), [true]);
  assertEquals(await world.failures(), []);
});

Deno.test("a record that cannot be read fails alone, found by id or by address, and is not written over", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  const id = world.subscriber(1)?.id ?? "";
  await world.editClient(1, { first_name: "Bea" });
  await world.editClient(2, { first_name: "Bea" });
  await world.addClient(5);
  world.addSubscriber(5);
  const weird = { data: { id, email: address(1), status: "weird" } };
  world.simulator.setFaults([
    {
      item: true,
      path: `/subscribers/${id}`,
      effect: { kind: "status", status: 200, body: weird },
    },
    {
      path: `/subscribers/${encodeURIComponent(address(5))}`,
      effect: { kind: "status", status: 200, body: { data: { id: "5", status: "weird" } } },
    },
  ]);
  world.takeRemoteWrites();
  const failed = { error: "unreadable_record" };
  assertEquals(await about(world, ...[1, 2, 5].map(address)), [failed, true, failed]);
  assertEquals(world.subscriber(1)?.fields["name"], "Ann");
  assertEquals(world.takeRemoteWrites(), ["subscriber.update"]);
});

Deno.test("a person kept apart by decision is neither linked nor made", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  await world.addClient(2);
  world.addSubscriber(2);
  await world.pool.query(
    `insert into public.integration_crosswalk (pair, a_id, b_id, link_state)
     values ('clients', $1, $2, 'keep_apart')`,
    [clientId(2), world.subscriber(2)?.id],
  );
  assertEquals(await about(world, address(2)), ["kept apart by a person"]);
});

const BAD_BODIES: readonly (readonly [unknown, string])[] = [
  [{ emails: [] }, "emails"],
  [{ emails: Array.from({ length: 101 }, (_, n) => address(n)) }, "emails"],
  [{ emails: "ann@example.com" }, "emails"],
  [{ emails: [7] }, "emails.0"],
  [{ emails: [address(1), ""] }, "emails.1"],
  [{ emails: [address(1), " \t"] }, "emails.1"],
  [{ emails: [`a\0${address(1)}`] }, "emails.0"],
  [{ emails: ["x".repeat(321)] }, "emails.0"],
  [{ mode: "sideways" }, "mode"],
  [{ mode: null }, "mode"],
  [{ dryRun: "yes" }, "dryRun"],
  [{ repair: 1, emails: [address(1)] }, "repair"],
  [{ repair: true }, "emails"],
  [{ email: [address(1)] }, "(body)"],
  [[], "(body)"],
];

Deno.test("a request that is not understood is refused, with the path of what is wrong and no value", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  for (const [body, path] of BAD_BODIES) {
    const handle = smartSync(world.config, world.harness.runtime());
    const response = await handle(functionRequest("smart-sync", body));
    const text = await response.text();
    assertEquals(response.status, 400, text);
    const { code, details } = JSON.parse(text);
    assertEquals(code, "invalid_request");
    assertEquals(details.fields[0].path, path);
    assert(!text.includes("@"), text);
  }
  const hundred = Array.from({ length: 100 }, () => address(1));
  assertEquals((await world.smart({ emails: hundred })).count, 1);
  const runs = await world.pool.query(
    `select 1 from public.sync_runs where function = 'smart-sync'`,
  );
  assertEquals(runs.length, 1);
});

Deno.test("a run of named people is over when the answer is there, whatever became of it", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.editClient(1, { first_name: "Bea" });
  const { runId } = await world.smart({ emails: [address(1)] });
  world.simulator.setFaults([{ effect: { kind: "status", status: 503 } }]);
  const failed = await world.smart({ emails: [address(2)] });
  assertEquals([failed.status, failed.code], [502, "remote_error"]);
  const runs = await world.pool.query(
    `select id = $1 as first, status, stop_reason, ended_at is not null as ended
     from public.sync_runs where function = 'smart-sync' order by started_at`,
    [runId],
  );
  assertEquals(runs, [
    { first: true, status: "completed", stop_reason: "complete", ended: true },
    { first: false, status: "failed", stop_reason: "remote_unavailable", ended: true },
  ]);
  assertEquals(await world.pool.query(`select 1 from public.sync_stage`), []);
});
