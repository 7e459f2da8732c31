/** What enterprise-sync does about people whom only one side knows, or whom it cannot tell apart. */
import { assertEquals } from "@std/assert";
import {
  address,
  changedConfig,
  clientId,
  equalPeople,
  type PersonSpec,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

const ONLY_CLIENT: PersonSpec = { subscriber: null };
const ONLY_SUBSCRIBER: PersonSpec = { client: null };

async function linkedPairs(world: TwoWayWorld): Promise<string[][]> {
  return (await world.links()).map(({ a_id, b_id }) => [a_id, b_id]);
}

async function clientCount(world: TwoWayWorld): Promise<number> {
  return (await world.pool.query(`select 1 from public.clients`)).length;
}

Deno.test("a first run without a backfill links who is equal, fills blanks, and creates the others", async () => {
  await using world = await twoWayWorld(
    import.meta.url,
    [
      {},
      {
        client: { city: null, groups: [] },
        subscriber: { fields: { phone: "" }, groups: ["VIP"] },
      },
      {
        client: { first_name: "Bea", phone: "+1 555 0111" },
        subscriber: { fields: { name: "Cleo", phone: "+1 555 0122" } },
      },
      ONLY_CLIENT,
      ONLY_SUBSCRIBER,
    ],
    { backfill: false },
  );
  const answer = await world.sync();
  assertEquals([answer.recordsProcessed, answer.conflictsDetected, answer.errors], [5, 0, 0]);
  // Two of the pairs are written on both sides, and one record is made on each.
  assertEquals([answer.updatesApplied, answer.done], [6, true]);
  const filled = await world.client(2);
  assertEquals([filled?.city, filled?.groups], ["Oslo", ["VIP"]]);
  assertEquals(world.subscriber(2)?.fields["phone"], "+1 555 0100");
  const merged = await world.client(3);
  assertEquals([merged?.first_name, merged?.phone], ["Bea", "+1 555 0122"]);
  assertEquals(world.subscriber(3)?.fields["name"], "Bea");
  assertEquals(world.subscriber(4)?.groups, ["Clients"]);
  assertEquals((await world.clientsWithAddress(5)).length, 1);
  assertEquals((await world.links()).length, 5);
  world.takeRemoteWrites();
  const again = await world.sync();
  assertEquals([again.updatesApplied, again.recordsProcessed], [0, 5]);
  assertEquals(world.takeRemoteWrites(), []);
});

Deno.test("a new client whose subscriber is there already is linked to it and not created", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  world.addSubscriber(3, { fields: { city: "Rome" } });
  await world.addClient(3, { city: null, email: " Person3@Example.com " });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.errors], [1, 0]);
  assertEquals((await linkedPairs(world))[2], [clientId(3), world.subscriber(3)?.id ?? ""]);
  assertEquals((await world.client(3))?.city, "Rome");
  assertEquals(world.simulator.counts().subscribers, 3);
  assertEquals((await world.log(3)).map(({ action, rule }) => [action, rule]).sort(), [
    ["link", "equal_key"],
    ["update", "first_fill"],
  ]);
});

Deno.test("people who share an address on one side are told of, and nobody is linked or made", async () => {
  await using world = await twoWayWorld(
    import.meta.url,
    [{}, ONLY_CLIENT, ONLY_SUBSCRIBER, ONLY_CLIENT],
    { backfill: false },
  );
  await world.addClient(5, { email: "PERSON2@example.com" });
  await world.addClient(6, { email: address(3) });
  await world.addClient(7, { email: address(3) });
  // One address to a reader, and two to the remote: composed and decomposed.
  world.simulator.seed({
    subscribers: [{ email: "j\u00f6@example.com" }, { email: "jo\u0308@example.com" }],
  });
  await world.addClient(8, { email: "j\u00f6@example.com" });
  const answer = await world.sync();
  assertEquals([answer.errors, answer.done], [0, true]);
  const counters = await world.counters();
  // Two clients; two clients and their subscriber; one client and two subscribers.
  assertEquals([counters["excluded"], counters["createdRemote"]], [8, 1]);
  assertEquals(await linkedPairs(world), [
    [clientId(1), world.subscriber(1)?.id ?? ""],
    [clientId(4), world.subscriber(4)?.id ?? ""],
  ]);
  assertEquals(world.subscriber(2), undefined);
  assertEquals(await clientCount(world), 7);
  const findings = await world.findings();
  assertEquals(findings.map(({ kind }) => kind), Array.from({ length: 3 }, () => "duplicate_key"));
  assertEquals(
    findings.map(({ a_ids, b_ids }) => [a_ids.length, b_ids.length]).sort(),
    [[1, 2], [2, 0], [2, 1]],
  );
  assertEquals((await world.sync()).updatesApplied, 0);
});

Deno.test("a pair that is linked stays so when another client takes its address", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.addClient(3, { email: address(1), first_name: "Stranger" });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.errors], [0, 0]);
  assertEquals((await world.links()).length, 2);
  assertEquals(world.subscriber(1)?.fields["name"], "Ann");
  assertEquals((await world.findings()).map(({ kind, a_ids }) => [kind, a_ids]), [
    ["duplicate_key", [clientId(3)]],
  ]);
});

Deno.test("a client with the address that a linked subscriber still has waits until it is free", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.editClient(1, { email: "moved@example.com" });
  await world.addClient(3, { email: address(1), first_name: "Bea" });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.errors], [1, 0]);
  assertEquals((await world.findings()).map(({ kind, a_ids }) => [kind, a_ids]), [
    ["key_taken", [clientId(3)]],
  ]);
  assertEquals(world.subscriber(1), undefined);
  const next = await world.sync();
  assertEquals([next.updatesApplied, await world.findings()], [1, []]);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  assertEquals((await world.links()).length, 3);
});

for (
  const [form, email] of [
    ["a space of another script", "\u00a0J\u00f6rg@Example.com\u3000"],
    ["letters in parts", "jo\u0308rg@example.com"],
  ] as const
) {
  Deno.test(`a subscriber whose address a linked client has got since, written with ${form}, is not made a second client`, async () => {
    await using world = await twoWayWorld(import.meta.url, equalPeople(2));
    await world.sync();
    await world.editClient(1, { email });
    world.simulator.seed({ subscribers: [{ email: "j\u00f6rg@example.com" }] });
    await world.sync();
    assertEquals(await clientCount(world), 2);
    assertEquals((await world.findings()).map(({ kind, a_ids }) => [kind, a_ids]), [
      ["key_taken", []],
    ]);
  });
}

Deno.test("nobody is created at the remote who has not allowed it, or has no address", async () => {
  const client = (values: Record<string, unknown>): PersonSpec => ({
    client: values,
    subscriber: null,
  });
  await using world = await twoWayWorld(import.meta.url, [
    {},
    client({ marketing_status: "none" }),
    client({ marketing_status: "unsubscribed" }),
    client({ marketing_status: "bounced" }),
    client({ marketing_status: "complained" }),
    client({ email: null }),
    client({ email: "  " }),
    client({ marketing_status: "pending" }),
  ]);
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.errors], [1, 0]);
  assertEquals((await world.counters())["excluded"], 6);
  assertEquals(world.simulator.counts().subscribers, 2);
  assertEquals(world.subscriber(8)?.status, "unconfirmed");
  assertEquals((await world.links()).length, 2);
  await world.editClient(2, { marketing_status: "subscribed" });
  assertEquals((await world.sync()).updatesApplied, 1);
  assertEquals(world.subscriber(2)?.status, "active");
});

Deno.test("a pair that ignores new people makes none, and links those that both sides know", async () => {
  await using world = await twoWayWorld(
    import.meta.url,
    [{}, ONLY_CLIENT, ONLY_SUBSCRIBER],
    { backfill: false, config: changedConfig({ onNewLocal: "ignore", onNewRemote: "ignore" }) },
  );
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.errors, answer.recordsProcessed], [0, 0, 3]);
  assertEquals((await world.counters())["excluded"], 2);
  assertEquals((await linkedPairs(world)).map(([a]) => a), [clientId(1)]);
  assertEquals([await clientCount(world), world.simulator.counts().subscribers], [2, 2]);
});

Deno.test("a run makes new people only on the side that it goes to", async () => {
  await using world = await twoWayWorld(import.meta.url, [{}, ONLY_CLIENT, ONLY_SUBSCRIBER]);
  await world.sync({ direction: "mailerlite-to-supabase" });
  assertEquals([await clientCount(world), world.simulator.counts().subscribers], [3, 2]);
  await world.sync({ direction: "supabase-to-mailerlite" });
  assertEquals([await clientCount(world), world.simulator.counts().subscribers], [3, 3]);
});

Deno.test("two records that a person keeps apart are neither linked nor made anew", async () => {
  await using world = await twoWayWorld(import.meta.url, [{}, {}], { backfill: false });
  await world.pool.query(
    `insert into public.integration_crosswalk (pair, a_id, b_id, link_state)
     values ('clients', $1, $2, 'keep_apart')`,
    [clientId(1), world.subscriber(1)?.id],
  );
  await world.editClient(1, { first_name: "Bea" });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.errors], [0, 0]);
  assertEquals((await world.counters())["excluded"], 2);
  assertEquals(world.subscriber(1)?.fields["name"], "Ann");
  assertEquals((await world.links()).map(({ link_state }) => link_state).sort(), [
    "keep_apart",
    "linked",
  ]);
  assertEquals([await clientCount(world), world.simulator.counts().subscribers], [2, 2]);
});

Deno.test("a subscriber that appears between the list and the write is not written over", async () => {
  let appear: () => void = () => {};
  await using world = await twoWayWorld(import.meta.url, [{}, ONLY_CLIENT], {
    onRequest: () => appear(),
  });
  let requests = 0;
  appear = () => {
    // After the account was described and the list was read.
    if (++requests === 3) world.addSubscriber(2, { fields: { city: "Rome", name: "Cleo" } });
  };
  const answer = await world.sync();
  assertEquals([answer.skipped, answer.updatesApplied, answer.errors], [1, 0, 0]);
  assertEquals(world.subscriber(2)?.fields["name"], "Cleo");
  assertEquals(world.takeRemoteWrites(), []);
  await world.sync();
  assertEquals((await world.links()).length, 2);
  assertEquals((await world.client(2))?.city, "Rome");
  assertEquals(world.subscriber(2)?.fields["name"], "Ann");
});

Deno.test("a new person is logged with what was made, by which rule, in which run", async () => {
  await using world = await twoWayWorld(import.meta.url, [{}, ONLY_CLIENT, ONLY_SUBSCRIBER]);
  const answer = await world.sync();
  const rows = await world.pool.query<Record<string, unknown>>(
    `select side, action, rule, before, after ->> 'email' as key, run_id, applied,
       a_id is not null and b_id is not null and crosswalk_id is not null as whole
     from public.sync_log order by side`,
  );
  const made = {
    action: "create",
    rule: "new",
    before: null,
    run_id: answer.runId,
    applied: true,
    whole: true,
  };
  assertEquals(rows, [
    { ...made, side: "a", key: address(3) },
    { ...made, side: "b", key: address(2) },
  ]);
});
