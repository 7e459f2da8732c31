/** What the simulation found, each in the fewest steps that show it. */
import { assertEquals } from "@std/assert";
import { tryLockRecords } from "../shared/store/work_store.ts";
import { PLANNED, syncWith } from "./lib/sync_with.ts";
import {
  address,
  changedConfig,
  clientId,
  equalPeople,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

const TO_LOCAL = { direction: "mailerlite-to-supabase" };
const TO_REMOTE = { direction: "supabase-to-mailerlite" };

Deno.test("a run that goes on does not make again who was made and deleted since it was planned", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2), {
    config: changedConfig({ onLocalDelete: "mark", onRemoteMissing: "mark" }),
  });
  await world.addClient(3);
  world.addSubscriber(4);
  assertEquals((await world.sync({ maxRecords: 1 })).done, false);
  await world.sync(TO_REMOTE);
  await world.sync(TO_LOCAL);
  const [made] = await world.clientsWithAddress(4);
  world.removeSubscriber(3);
  await world.pool.query(`delete from public.clients where id = $1`, [made?.id]);
  await world.sync(TO_REMOTE);
  await world.sync(TO_LOCAL);
  assertEquals((await world.links()).map(({ link_state }) => link_state).sort(), [
    "a_missing",
    "b_missing",
    "linked",
    "linked",
  ]);
  await world.syncAll();
  assertEquals(world.subscriber(3), undefined);
  assertEquals(await world.clientsWithAddress(4), []);
});

Deno.test("a value on which the sides never agreed does not give way to a blank or to who could not see it", async () => {
  const config = changedConfig({
    fields: {
      city: { local: "city", remote: "fields.city", wins: "manual", mayBlank: true },
      phone: { local: "phone", remote: "fields.phone", wins: "manual", mayBlank: true },
      company: { local: "company", remote: "fields.company", wins: "manual" },
    },
  });
  await using world = await twoWayWorld(import.meta.url, [{
    client: { city: "Rome", phone: "+1", company: "Acme" },
    subscriber: { fields: { city: "Oslo", phone: "+2", company: null } },
  }], { config });
  await world.editClient(1, { city: null });
  world.editSubscriber(1, { fields: { phone: null, company: "Other" } });
  await world.sync();
  const client = await world.client(1);
  assertEquals([client?.phone, client?.company], ["+1", "Acme"]);
  assertEquals(world.subscriber(1)?.fields["city"], "Oslo");
  assertEquals((await world.conflicts()).map(({ field, reason }) => [field, reason]).sort(), [
    ["city", "first_link"],
    ["company", "first_link"],
    ["phone", "first_link"],
  ]);
});

Deno.test("smart-sync does not write over a subscriber it cannot read, whose address a new client has", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  world.addSubscriber(2, { fields: { city: "Oslo\u0000" } });
  await world.addClient(2, { first_name: "Stranger" });
  await world.smart({ emails: [address(2)] });
  await world.smart({});
  assertEquals(world.subscriber(2)?.fields["name"], "Ann");
  assertEquals((await world.links()).length, 1);
});

Deno.test("a dry run that begins anew forgets what it counted over the older list", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  for (const n of [1, 2, 3]) await world.editClient(n, { city: "Rome" });
  assertEquals((await world.sync({ dryRun: true, maxRecords: 2 })).done, false);
  assertEquals((await world.sync({ dryRun: true })).done, true);
  const { updates, guarded_updates, processed } = await world.counters();
  assertEquals({ updates, guarded_updates, processed }, {
    updates: 3,
    guarded_updates: 3,
    processed: 3,
  });
});

Deno.test("a run that begins anew counts a conflict once", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  for (const n of [1, 2]) {
    await world.editClient(n, { email: `ours${n}@example.com` });
    world.editSubscriber(n, { email: `theirs${n}@example.com` });
  }
  assertEquals((await world.sync({ maxRecords: 2 })).done, false);
  await world.pool.query(
    `update public.sync_runs set cursor = cursor || '{"listedAt": 0}' where status = 'waiting'`,
  );
  assertEquals((await world.sync()).done, true);
  const { conflicts, conflicted } = await world.counters();
  assertEquals({ conflicts, conflicted }, { conflicts: 2, conflicted: 2 });
});

Deno.test("a link that goes to another record in the same batch takes what was found out about it along", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
    config: changedConfig({ onRemoteMissing: "delete" }),
  });
  await world.editClient(1, { email: "elsewhere@example.com", city: "Rome" });
  const { id } = world.subscriber(1) ?? {};
  world.removeSubscriber(1);
  await world.addClientAs("00000000-0000-4000-8000-000000000099", 1);
  const answer = await world.sync();
  assertEquals([answer.status, answer.errors, answer.done], [200, 0, true]);
  assertEquals(
    (await world.links()).filter(({ b_id }) => b_id === id).map(({ a_id }) => a_id),
    ["00000000-0000-4000-8000-000000000099"],
  );
  await world.syncAll();
  assertEquals(await world.conflicts(), []);
});

Deno.test("a group that was changed for a subscriber whose new address is refused is agreed on", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  world.addSubscriber(2);
  await world.editClient(1, { email: address(2), groups: ["Clients", "VIP"], city: null });
  await world.sync();
  assertEquals(world.subscriber(1)?.groups, ["Clients", "VIP"]);
  assertEquals(
    (await world.log(1)).filter(({ applied }) => applied).map(({ field }) => field),
    ["groups"],
  );
  await world.editClient(1, { groups: ["Clients"] });
  await world.sync();
  assertEquals((await world.client(1))?.groups, ["Clients"]);
  assertEquals(world.subscriber(1)?.groups, ["Clients"]);
});

Deno.test("smart-sync answers although its run was ended by another while it waited for the rate limit", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  await world.editClient(1, { city: "Rome" });
  const { pool } = world;
  const isLast = (sql: string) =>
    sql.includes("r.fencing = $2 and r.status in ('waiting', 'paused')");
  const answer = await world.smart({ emails: [address(1)] }, {
    fetch: () =>
      Promise.resolve(Response.json({}, { status: 429, headers: { "retry-after": "60" } })),
    database: () => ({
      query: async <Row>(sql: string, parameters: readonly unknown[] = []) => {
        if (isLast(sql)) {
          await pool.query(`update public.sync_runs set status = 'failed', ended_at = now()`);
        }
        return await pool.query<Row>(sql, parameters);
      },
      transaction: (work) => pool.transaction(work),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  });
  assertEquals([answer.status, answer.out?.map(({ reason }) => reason)], [
    200,
    ["not reached in the time there was; it is looked at again"],
  ]);
});

Deno.test("nobody is created under the old address of somebody who left, also if both are new to the run", async () => {
  await using world = await twoWayWorld(import.meta.url, [
    { client: { marketing_status: "unsubscribed" }, subscriber: { status: "unsubscribed" } },
    { client: { marketing_status: "unsubscribed" }, subscriber: { status: "unsubscribed" } },
  ]);
  world.simulator.setSwitches({ reviveUnsubscribed: "active" });
  await world.editClient(1, { email: "elsewhere@example.com" });
  await world.editClient(2, { email: "somewhere@example.com" });
  world.removeSubscriber(2);
  for (const n of [1, 2]) {
    await world.addClientAs(`00000000-0000-4000-8000-00000000009${n}`, n, {
      marketing_status: "subscribed",
    });
  }
  await world.syncAll();
  await world.syncAll();
  assertEquals([world.subscriber(1), world.subscriber(2)], [undefined, undefined]);
});

Deno.test("nobody is created under the address of somebody who left that both sides have given up", async () => {
  const left = {
    client: { marketing_status: "unsubscribed" },
    subscriber: { status: "unsubscribed" as const },
  };
  await using world = await twoWayWorld(import.meta.url, [left, left, left]);
  await world.editClient(1, { email: "moved1@example.com" });
  world.editSubscriber(1, { email: "moved1@example.com" });
  for (const n of [2, 3]) {
    await world.editClient(n, { email: `moved${n}@example.com` });
    world.editSubscriber(n, { email: `elsewhere${n}@example.com` });
  }
  await world.sync();
  assertEquals((await world.conflicts()).length, 2);
  await world.decide(2, "email", "local");
  await world.sync();
  for (const n of [1, 2, 3]) {
    await world.addClientAs(`00000000-0000-4000-8000-00000000009${n}`, n, {
      marketing_status: "subscribed",
    });
    await world.sync();
    assertEquals(world.subscriber(n), undefined, `${n}`);
  }
});

for (const side of ["client", "subscriber"] as const) {
  Deno.test(`nobody is created under the address that somebody who left gave up before their ${side} was deleted`, async () => {
    const config = changedConfig({ onLocalDelete: "delete", onRemoteMissing: "delete" });
    const left = {
      client: { marketing_status: "unsubscribed" },
      subscriber: { status: "unsubscribed" },
    } as const;
    await using world = await twoWayWorld(import.meta.url, [left, {}, {}], { config });
    if (side === "client") {
      world.editSubscriber(1, { email: "moved@example.com" });
      await world.deleteClient(1);
    } else {
      await world.editClient(1, { email: "moved@example.com" });
      world.removeSubscriber(1);
    }
    await world.sync();
    assertEquals((await world.conflicts()).map(({ reason }) => reason), ["deleted_but_edited"]);
    await world.addClientAs("00000000-0000-4000-8000-000000000091", 1, {
      marketing_status: "subscribed",
    });
    // One record at a time, so that nobody who left is planned together with the new client.
    await world.syncAll({ maxRecords: 1 });
    assertEquals([world.subscriber(1), await world.failures()], [undefined, []]);
  });
}

Deno.test("an edit of somebody who was created without an answer does not give way to what was sent", async () => {
  const config = changedConfig({
    fields: { city: { local: "city", remote: "fields.city", wins: "remote" } },
  });
  await using world = await twoWayWorld(import.meta.url, equalPeople(1), { config });
  await world.addClient(2);
  const effect = { kind: "reset", when: "after" } as const;
  world.simulator.setFaults([{ path: "/subscribers", method: "POST", times: 1, effect }]);
  await world.sync();
  await world.editClient(2, { city: "Rome" });
  await world.syncAll();
  assertEquals([(await world.client(2))?.city, world.subscriber(2)?.fields["city"]], [
    "Rome",
    "Rome",
  ]);
});

Deno.test("an edit made after an update without an answer does not give way to what was sent", async () => {
  const config = changedConfig({
    fields: { city: { local: "city", remote: "fields.city", wins: "remote" } },
  });
  await using world = await twoWayWorld(import.meta.url, equalPeople(2), { config });
  await world.editClient(1, { city: "Bern" });
  await world.editClient(2, { city: "Bern" });
  const effect = { kind: "reset", when: "after" } as const;
  world.simulator.setFaults([{ path: "/batch", method: "POST", after: 2, times: 1, effect }]);
  await world.sync();
  assertEquals(world.subscriber(1)?.fields["city"], "Bern");
  await world.editClient(1, { city: "Rome" });
  world.editSubscriber(2, { fields: { city: "Lima" } });
  await world.syncAll();
  const cities = async (n: number) => [
    (await world.client(n))?.city,
    world.subscriber(n)?.fields["city"],
  ];
  assertEquals([await cities(1), await cities(2)], [["Rome", "Rome"], ["Lima", "Lima"]]);
});

/** Subscriber 1 changes their address to that of the new client 4, and is deleted. */
function handOn(world: TwoWayWorld): void {
  world.editSubscriber(1, { email: address(4), fields: { city: "Lima" } });
  world.removeSubscriber(4);
}

for (const how of ["smart-sync", "enterprise-sync", "a lost answer", "a link at work"]) {
  Deno.test(`a record that a create brought back under the id of somebody else belongs to who it was made for: ${how}`, async () => {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3));
    const own = await world.client(1);
    const id = world.subscriber(1)?.id;
    await world.addClient(4, { first_name: "Bea", city: "Rome" });
    if (how === "enterprise-sync") await syncWith(world, PLANNED, () => handOn(world));
    else {
      handOn(world);
      if (how === "a lost answer") {
        const effect = { kind: "reset", when: "after" } as const;
        world.simulator.setFaults([{ path: "/subscribers", method: "POST", times: 1, effect }]);
      }
      await world.pool.transaction(async (other) => {
        const keys = how === "a link at work" ? [`b:${id}`] : [];
        await tryLockRecords(other, "clients", keys);
        const { status } = await world.smart({ emails: [address(4)] });
        assertEquals(status, 200);
      });
    }
    assertEquals(world.subscriber(4)?.id, id);
    const isLate = how === "a lost answer" || how === "a link at work";
    assertEquals(await world.linkState(4), isLate ? undefined : "linked");
    await world.syncAll();
    await world.syncAll();
    const links = new Map((await world.links()).map(({ a_id, b_id }) => [b_id, a_id]));
    assertEquals(links.get(id ?? ""), clientId(4));
    assertEquals(await world.client(1), own);
    const { id: made, fields } = world.subscriber(4) ?? {};
    assertEquals([made, fields?.["name"], fields?.["city"]], [id, "Bea", "Rome"]);
    assertEquals(await world.conflicts(), []);
  });
}
