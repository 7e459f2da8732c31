/** smart-sync without names: it works off the queue. */
import { assert, assertEquals } from "@std/assert";
import { type Step, watched } from "./lib/mortal.ts";
import { assertWaits, databaseClock } from "./lib/queue_waits.ts";
import {
  changedConfig,
  clientId,
  equalPeople,
  type SmartAnswer,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

// What the database takes and the remote does not.
const BAD_ADDRESS = "nobody@nowhere";

/** A world whose making has left nothing in the queue. */
async function quietWorld(
  people: number,
  options: Parameters<typeof twoWayWorld>[2] = {},
): Promise<TwoWayWorld> {
  const world = await twoWayWorld(import.meta.url, equalPeople(people), options);
  await world.clearQueue();
  return world;
}

/** Makes everything that waits due, as time would. */
async function makeDue(world: TwoWayWorld): Promise<void> {
  await world.pool.query(`update public.sync_queue set not_before = now()`);
}

/** What waits is due much later, so that no machine is too slow for it. */
async function putOff(world: TwoWayWorld): Promise<void> {
  await world.pool.query(
    `update public.sync_queue set not_before = not_before + interval '1 hour'`,
  );
}

function said({ out }: SmartAnswer): unknown[] {
  return out.map(({ changed, reason, error }) => changed ?? reason ?? { error });
}

function refs({ out }: SmartAnswer): unknown[] {
  return out.map(({ a_id, b_id }) => a_id ?? b_id).sort();
}

Deno.test("what waits is synced and leaves the queue, told of by its ids", async () => {
  await using world = await quietWorld(4);
  await world.editClient(1, { first_name: "Bea" });
  await world.addClient(5);
  await world.deleteClient(2);
  const answer = await world.smart();
  assertEquals([answer.status, answer.ok, answer.count, answer.remaining], [200, true, 3, 0]);
  const byId = new Map(answer.out.map((entry) => [entry.a_id, entry]));
  assertEquals(byId.get(clientId(1)), {
    a_id: clientId(1),
    changed: true,
    b_id: world.subscriber(1)?.id ?? "",
  });
  assertEquals(byId.get(clientId(5))?.b_id, world.subscriber(5)?.id);
  assertEquals(
    byId.get(clientId(2))?.reason,
    "deleted; the next full run decides what becomes of it",
  );
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  assertEquals(await world.linkState(2), "linked");
  assertEquals(await world.queue(), []);
  assertEquals(answer.out.filter(({ email }) => email !== undefined), []);
  const again = await world.smart();
  assertEquals([again.count, again.runId, again.quota.requests], [0, null, 0]);
});

Deno.test("what the drain itself writes does not come back into the queue", async () => {
  await using world = await quietWorld(3);
  const partner = await world.addPartner({ name: "Acme" });
  await world.editClient(1, { partner_id: partner });
  world.editSubscriber(2, { fields: { city: "Rome" } });
  world.addSubscriber(4);
  await hint(world, 2, 4);
  const answer = await world.smart();
  assertEquals(said(answer), [true, true, true]);
  assertEquals((await world.client(2))?.city, "Rome");
  assertEquals((await world.clientsWithAddress(4)).length, 1);
  assertEquals(await world.queue(), []);
});

/** Puts subscribers into the queue as a webhook does. */
async function hint(world: TwoWayWorld, ...people: readonly (number | string)[]): Promise<void> {
  const ids = people.map((who) => typeof who === "string" ? who : world.subscriber(who)?.id);
  await world.pool.query(
    `insert into public.sync_queue (pair, side, record_id, reason)
     select 'clients', 'b', u.id, 'webhook:subscriber.updated' from unnest($1::text[]) u (id)`,
    [ids],
  );
}

Deno.test("a hint about a linked, an unlinked, an unknown and a deleted subscriber", async () => {
  await using world = await quietWorld(5);
  world.editSubscriber(1, { status: "unsubscribed" });
  await world.addClient(6, { first_name: "Bea" });
  await world.clearQueue();
  world.addSubscriber(6);
  world.addSubscriber(7, { groups: ["VIP"] });
  const gone = world.subscriber(3)?.id ?? "";
  world.removeSubscriber(3);
  await world.deleteClient(4);
  await world.clearQueue();
  await hint(world, 1, 6, 7, 4, 5, gone, "999999999", "nonsense");
  const answer = await world.smart();
  const byId = new Map(answer.out.map(({ b_id, changed, reason }) => [b_id, changed ?? reason]));
  assertEquals(byId.get(world.subscriber(1)?.id), true);
  assertEquals(byId.get(world.subscriber(6)?.id), true);
  assertEquals(byId.get(world.subscriber(7)?.id), true);
  assertEquals(
    byId.get(world.subscriber(4)?.id),
    "deleted; the next full run decides what becomes of it",
  );
  assertEquals(byId.get(world.subscriber(5)?.id), "no changes detected");
  assertEquals(
    byId.get(gone),
    "gone from the remote; the next full run decides what becomes of it",
  );
  assertEquals(byId.get("999999999"), "unknown on both sides");
  assertEquals(byId.get("nonsense"), "unknown on both sides");
  assertEquals(answer.out.length, 8);
  assertEquals((await world.client(1))?.marketing_status, "unsubscribed");
  assertEquals(await world.linkState(6), "linked");
  assertEquals((await world.clientsWithAddress(6)).length, 1);
  assertEquals((await world.clientsWithAddress(7))[0]?.groups, ["VIP"]);
  assertEquals([await world.linkState(3), await world.linkState(4)], ["linked", "linked"]);
  assertEquals(await world.queue(), []);
});

Deno.test("both sides of one record in the queue are one piece of work", async () => {
  await using world = await quietWorld(2);
  await world.editClient(1, { first_name: "Bea" });
  world.editSubscriber(1, { fields: { city: "Rome" } });
  await hint(world, 1);
  await world.addClient(3);
  world.addSubscriber(3);
  await hint(world, 3);
  const answer = await world.smart();
  assertEquals(said(answer), [true, true, true, true]);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  assertEquals((await world.client(1))?.city, "Rome");
  assertEquals((await world.links()).length, 3);
  const counts = await world.pool.query(
    `select (counters ->> 'processed')::integer as n from public.sync_runs where id = $1`,
    [answer.runId],
  );
  assertEquals(counts, [{ n: 2 }]);
});

Deno.test("an edit that changes nothing mapped leaves the queue without a request", async () => {
  await using world = await quietWorld(3);
  await world.pool.query(`update public.clients set created_at = now()`);
  await world.editClient(2, { first_name: "Bea" });
  await world.editClient(2, { first_name: "Ann" });
  assertEquals((await world.queue()).length, 3);
  const answer = await world.smart();
  assertEquals(said(answer), Array(3).fill("no changes detected"));
  assertEquals([answer.quota.requests, world.simulator.requests()], [0, {}]);
  assertEquals(await world.queue(), []);
});

Deno.test("a row that can belong to nobody is put away, and holds nobody up", async () => {
  await using world = await quietWorld(2);
  await world.editClient(1, { first_name: "Bea" });
  await world.pool.query(
    `insert into public.sync_queue (pair, side, record_id, reason)
     values ('clients', 'a', 'no id', 'x'), ('others', 'a', $1, 'x')`,
    [clientId(2)],
  );
  const answer = await world.smart();
  assertEquals(said(answer), [true]);
  assertEquals((await world.queue()).map(({ record_id }) => record_id), [clientId(2)]);
});

const isSettling = ({ what }: Step) => what.includes("with given as materialized");
const isWriting = ({ kind, what }: Step) => kind === "request" && what.startsWith("PUT");

Deno.test("an edit that comes in while its record is being worked on is not lost", async () => {
  const moments: readonly (readonly [string, (step: Step) => boolean])[] = [
    ["read", ({ kind }) => kind === "request"],
    ["written", isWriting],
    ["settled", isSettling],
  ];
  for (const [name, isMoment] of moments) {
    await using world = await quietWorld(2);
    await world.editClient(1, { first_name: "Bea" });
    let edited = false;
    const answer = await world.smart(
      {},
      watched(world.harness, {
        async before(step) {
          if (edited || !isMoment(step)) return;
          edited = true;
          await world.editClient(1, { first_name: "Cid", city: "Rome" });
        },
      }),
    );
    assert(edited, name);
    assertEquals(answer.status, 200);
    // The same call meets it again, as it is due at once.
    assertEquals(world.subscriber(1)?.fields["name"], "Cid", name);
    assertEquals(world.subscriber(1)?.fields["city"], "Rome", name);
    assertEquals(await world.queue(), [], name);
  }
});

Deno.test("a record that an open transaction edits is not waited for, and comes due with its end", async () => {
  await using world = await quietWorld(2);
  await world.editClient(1, { first_name: "Bea" });
  await world.editClient(2, { first_name: "Bea" });
  let ended: Promise<unknown> = Promise.resolve();
  let end = () => {};
  const answer = await world.smart(
    {},
    watched(world.harness, {
      async before(step) {
        if (!isSettling(step)) return;
        const edited = Promise.withResolvers<void>();
        const waiting = new Promise<void>((resolve) => end = resolve);
        ended = world.pool.transaction(async (database) => {
          await database.query(`update public.clients set last_name = 'Roe' where id = $1`, [
            clientId(1),
          ]);
          edited.resolve();
          await waiting;
        });
        await edited.promise;
      },
    }),
  );
  assertEquals([answer.status, answer.remaining], [200, 0]);
  assertEquals((await world.queue()).map(({ record_id }) => record_id), [clientId(1)]);
  end();
  await ended;
  assertEquals((await world.smart()).count, 1);
  assertEquals(world.subscriber(1)?.fields["last_name"], "Roe");
  assertEquals(await world.queue(), []);
});

Deno.test("a record in another worker's hands is looked at again after a while that doubles", async () => {
  await using world = await quietWorld(2);
  await world.editClient(1, { first_name: "Bea" });
  await world.pool.transaction(async (database) => {
    await database.query(
      `select pg_advisory_xact_lock(hashtextextended('sync_record:clients:a:' || $1, 0))`,
      [clientId(1)],
    );
    for (const [attempts, seconds] of [[1, 2], [2, 4], [3, 8]] as const) {
      const since = await databaseClock(world.pool);
      assertEquals(said(await world.smart()), ["locked by another run"]);
      await assertWaits(world.pool, since, [{ attempts, seconds }]);
      await putOff(world);
      assertEquals((await world.smart()).count, 0);
      await makeDue(world);
    }
  });
  assertEquals(said(await world.smart()), [true]);
  assertEquals(await world.queue(), []);
});

Deno.test("a remote that is down loses nothing: the records wait, and longer each time", async () => {
  await using world = await quietWorld(3);
  for (const n of [1, 2]) await world.editClient(n, { first_name: "Bea" });
  world.simulator.setFaults([{ effect: { kind: "status", status: 503 } }]);
  for (const [attempts, seconds] of [[1, 2], [2, 4]] as const) {
    const since = await databaseClock(world.pool);
    const answer = await world.smart();
    assertEquals([answer.status, answer.code], [502, "remote_error"]);
    await assertWaits(world.pool, since, Array(2).fill({ attempts, seconds }));
    await makeDue(world);
  }
  world.simulator.setFaults([]);
  assertEquals(said(await world.smart()), [true, true]);
});

Deno.test("a write that is lost on its way is told of, and tried again", async () => {
  await using world = await quietWorld(3);
  await world.editClient(1, { first_name: "Bea" });
  world.simulator.setFaults([{ method: "PUT", effect: { kind: "status", status: 503 } }]);
  const answer = await world.smart();
  assertEquals([answer.status, answer.ok], [200, false]);
  assertEquals(said(answer), ["the remote did not take it for now; it is looked at again"]);
  assertEquals((await world.queue()).map(({ attempts }) => attempts), [1]);
  world.simulator.setFaults([]);
  await makeDue(world);
  assertEquals(said(await world.smart()), [true]);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
});

Deno.test("one that is refused three times leaves the queue and is kept among the failures", async () => {
  await using world = await quietWorld(3);
  await world.editClient(1, { email: BAD_ADDRESS });
  await world.editClient(2, { first_name: "Bea" });
  for (const runs of [1, 2, 3]) {
    const since = await databaseClock(world.pool);
    const answer = await world.smart();
    assertEquals(answer.ok, false);
    assertEquals(answer.out.find(({ a_id }) => a_id === clientId(1))?.error, "rejected_email");
    assertEquals(await world.failures(), [{ code: "rejected_email", runs }]);
    assertEquals((await world.queue()).length, runs < 3 ? 1 : 0);
    if (runs < 3) await assertWaits(world.pool, since, [{ attempts: runs, seconds: 60 }]);
    await makeDue(world);
  }
  assertEquals((await world.smart()).count, 0);
  await world.editClient(1, { email: "somebody@example.com" });
  assertEquals(said(await world.smart()), [true]);
  assertEquals([await world.failures(), await world.queue()], [[], []]);
});

Deno.test("three drains at once do all of it, and nothing twice", async () => {
  const limits = { updates: { percent: 100, floor: 0 } };
  await using world = await quietWorld(1500, { config: changedConfig({ limits }) });
  await world.pool.query(`update public.clients set first_name = 'Bea'`);
  await world.addClient(1501);
  await world.addClient(1502);
  const answers = await Promise.all([1, 2, 3].map(() => world.smart({ mode: "AtoB" })));
  assertEquals(answers.map(({ status }) => status), [200, 200, 200]);
  const all = answers.flatMap(refs);
  assertEquals([all.length, new Set(all).size], [1502, 1502]);
  assert(answers.every(({ count }) => count > 0), "each has had some of it");
  const written = world.simulator.history().filter(({ kind }) =>
    kind === "subscriber.create" || kind === "subscriber.update"
  );
  assertEquals([written.length, new Set(written.map(({ id }) => id)).size], [1502, 1502]);
  assertEquals(await world.queue(), []);
  assertEquals((await world.links()).length, 1502);
});

Deno.test("the runs of killed workers are ended by the next drain", async () => {
  await using world = await quietWorld(2);
  await world.pool.query(
    `insert into public.sync_runs (function, pair, lane, status, requested_by, heartbeat_at)
     values ('smart-sync', 'clients', 'x', 'running', 'test', now() - interval '2 minutes'),
       ('smart-sync', 'clients', 'y', 'running', 'test', now()),
       ('enterprise-sync', 'clients', 'z', 'running', 'test', now() - interval '1 hour')`,
  );
  await world.smart();
  assertEquals(
    await world.pool.query(
      `select lane, status, error ->> 'code' as code from public.sync_runs where requested_by = 'test'
       order by lane`,
    ),
    [
      { lane: "x", status: "failed", code: "abandoned" },
      { lane: "y", status: "running", code: null },
      { lane: "z", status: "running", code: null },
    ],
  );
});

Deno.test("what a drain did not get to in its time is due at once, for the call after it", async () => {
  const limits = { updates: { percent: 100, floor: 0 } };
  await using world = await quietWorld(250, { config: changedConfig({ limits }) });
  await world.pool.query(`update public.clients set first_name = 'Bea'`);
  let isLate = false;
  const late = watched(world.harness, {
    after({ what }) {
      if (what.includes("attempts = q.attempts + 1")) isLate = true;
    },
  });
  const first = await world.smart({}, { ...late, monotonic: () => isLate ? 1e9 : 0 });
  const done = said(first).filter((entry) => entry === true).length;
  assert(done > 0 && done < 250, `${done} of 250`);
  assertEquals([first.stopReason, first.remaining], ["time_limit", 250 - done]);
  const second = await world.smart();
  assertEquals([second.count, second.remaining], [250 - done, 0]);
});
