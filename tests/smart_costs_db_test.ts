/** What smart-sync costs the remote and the database, and what it does when the account is not as it was. */
import { assert, assertEquals } from "@std/assert";
import { watched } from "./lib/mortal.ts";
import {
  address,
  changedConfig,
  equalPeople,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

/** Requests of a call. */
async function requestsOf(world: TwoWayWorld, call: () => Promise<unknown>) {
  world.simulator.resetRequests();
  await call();
  return world.simulator.requests();
}

function total(requests: Record<string, number>): number {
  return Object.values(requests).reduce((sum, n) => sum + n, 0);
}

Deno.test("a hundred people of whom thirty changed cost three requests, the first time after a backfill too", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(100));
  const emails = Array.from({ length: 100 }, (_, n) => address(n + 1));
  for (const round of [1, 2]) {
    await world.pool.query(
      `update public.clients set first_name = 'Bea ' || $1 where email in (
         select 'person' || n || '@example.com' from generate_series(1, 30) n)`,
      [round],
    );
    const requests = await requestsOf(world, async () => {
      const { out } = await world.smart({ emails });
      assertEquals(out.filter(({ changed }) => changed).length, 30);
    });
    assertEquals(requests, { "POST /batch": 3 });
  }
});

Deno.test("one person costs a request to look, and one more to write", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.smart({ emails: [address(2)] });
  assertEquals(await requestsOf(world, () => world.smart({ emails: [address(1)] })), {
    "GET /subscribers/{id}": 1,
  });
  await world.editClient(1, { first_name: "Bea" });
  assertEquals(await requestsOf(world, () => world.smart({ emails: [address(1)] })), {
    "GET /subscribers/{id}": 1,
    "PUT /subscribers/{id}": 1,
  });
  world.editSubscriber(1, { fields: { city: "Rome" } });
  assertEquals(await requestsOf(world, () => world.smart({ emails: [address(1)] })), {
    "GET /subscribers/{id}": 1,
  });
  assertEquals((await world.client(1))?.city, "Rome");
});

Deno.test("who is unknown to both sides costs the one look-up, and a new person one more", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  const strangers = Array.from({ length: 50 }, (_, n) => `stranger${n}@example.org`);
  assertEquals(await requestsOf(world, () => world.smart({ emails: strangers })), {
    "POST /batch": 1,
  });
  await world.smart({ emails: [address(1)] });
  await world.addClient(2);
  assertEquals(await requestsOf(world, () => world.smart({ emails: [address(2)] })), {
    "GET /subscribers/{id}": 1,
    "POST /subscribers": 1,
  });
  world.addSubscriber(3);
  assertEquals(await requestsOf(world, () => world.smart({ emails: [address(3)] })), {
    "GET /subscribers/{id}": 1,
  });
});

Deno.test("a thousand queued edits drain in 43 requests", async () => {
  const limits = { updates: { percent: 100, floor: 0 } };
  await using world = await twoWayWorld(import.meta.url, equalPeople(1000), {
    config: changedConfig({ limits }),
  });
  await world.clearQueue();
  await world.pool.query(`update public.clients set first_name = 'Bea'`);
  const requests = await requestsOf(world, async () => {
    const answer = await world.smart();
    assertEquals([answer.count, answer.remaining], [1000, 0]);
    assert(answer.quota.requests <= 45, `${answer.quota.requests} requests`);
  });
  assert(total(requests) <= 45, JSON.stringify(requests));
});

Deno.test("the statements of a call do not grow with the people named", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(60));
  const statements = async (people: number) => {
    await world.pool.query(`update public.clients set first_name = first_name || '.'`);
    let n = 0;
    const emails = Array.from({ length: people }, (_, index) => address(index + 1));
    const runtime = watched(world.harness, {
      before({ kind }) {
        if (kind === "statement") n++;
      },
    });
    const answer = await world.smart({ emails }, runtime);
    assertEquals(answer.out.filter(({ changed }) => changed).length, people);
    return n;
  };
  await statements(2);
  const [few, many] = [await statements(2), await statements(60)];
  // The second batch takes further leave of the rate limit.
  assert(many <= few + 2, `${few} statements for 2, ${many} for 60`);
  assert(few <= 26, `${few} statements`);
});

Deno.test("a field that was taken out of the account stops the sync, and blanks nobody", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
    config: changedConfig({
      fields: {
        partnerName: { local: "partner.name", remote: "fields.partner_name", mayBlank: true },
      },
    }),
  });
  const partner = await world.addPartner({ name: "Acme" });
  await world.editClient(1, { partner_id: partner });
  await world.smart({ emails: [address(1)] });
  assertEquals(world.subscriber(1)?.fields["partner_name"], "Acme");
  const { data } = await callAccount(world, "GET", "/fields?limit=100");
  const field = data.find(({ key }: { key: string }) => key === "partner_name").id;
  await callAccount(world, "DELETE", `/fields/${field}`);
  // What was read of the account a moment ago is trusted for a minute.
  const answer = await world.smart({ emails: [address(1)] }, { now: () => Date.now() + 120_000 });
  assertEquals([answer.status, answer.code], [500, "invalid_configuration"]);
  assertEquals((await world.partner(partner))?.["name"], "Acme");
});

/** Calls the account's API as its owner. */
async function callAccount(
  { simulator }: TwoWayWorld,
  method: string,
  path: string,
  body?: unknown,
) {
  const response = await simulator.handle(
    new Request(`http://mailerlite.test/api${path}`, {
      method,
      headers: { authorization: "Bearer simulator-token", "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
  return response.status === 204 ? null : await response.json();
}

Deno.test("a group that was made anew is found again by the call after the one that missed it", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.smart({ emails: [address(1)] });
  const { data } = await callAccount(world, "GET", "/groups?limit=100");
  const old = data.find(({ name }: { name: string }) => name === "VIP").id;
  await callAccount(world, "DELETE", `/groups/${old}`);
  await callAccount(world, "POST", "/groups", { name: "VIP" });
  await world.editClient(1, { groups: ["Clients", "VIP"] });
  assertEquals((await world.smart({ emails: [address(1)] })).out[0]?.error, "group_missing");
  assertEquals((await world.smart({ emails: [address(1)] })).out[0]?.changed, true);
  assertEquals(world.subscriber(1)?.groups, ["Clients", "VIP"]);
});

Deno.test("only managed groups are touched", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  world.editSubscriber(1, { groups: ["Clients", "Newsletter"] });
  await world.editClient(1, { groups: ["VIP", "Unmanaged"] });
  const answer = await world.smart({ emails: [address(1)] });
  assertEquals(answer.out[0]?.changed, true);
  assertEquals(world.subscriber(1)?.groups, ["Newsletter", "VIP"]);
  assertEquals((await world.client(1))?.groups, ["VIP", "Unmanaged"]);
});
