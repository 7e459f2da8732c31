/** Many dangerous changes at once do not pass through the queue in small pieces. */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { watched } from "./lib/mortal.ts";
import {
  address,
  changedConfig,
  clientId,
  equalPeople,
  type SmartAnswer,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

const HELD = "held back by a limit on such changes; the answer's guard tells which";

async function quietWorld(
  people: number,
  options: Parameters<typeof twoWayWorld>[2] = {},
): Promise<TwoWayWorld> {
  const world = await twoWayWorld(import.meta.url, equalPeople(people), options);
  await world.clearQueue();
  return world;
}

function unsubscribed(world: TwoWayWorld): number {
  return world.simulator.counts().byStatus.unsubscribed;
}

async function makeDue(world: TwoWayWorld): Promise<void> {
  await world.pool.query(`update public.sync_queue set not_before = now()`);
}

function said({ out }: SmartAnswer): unknown[] {
  return out.map(({ changed, reason, error }) => changed ?? reason ?? { error });
}

/** The queue by reason: rows, and how long they wait at least. */
async function waiting(world: TwoWayWorld) {
  return await world.pool.query(
    `select reason, count(*)::integer as n,
       round(extract(epoch from min(not_before - now())) / 60)::integer as minutes
     from public.sync_queue group by 1 order by 1`,
  );
}

Deno.test("everybody unsubscribed by one statement stays subscribed at the remote, and the rest of the queue goes on", async () => {
  await using world = await quietWorld(600);
  await world.editClient(1, { first_name: "Bea" });
  await world.pool.query(
    `update public.clients set marketing_status = 'unsubscribed' where id <> $1`,
    [clientId(1)],
  );
  const dry = await world.smart({ dryRun: true });
  assertEquals([dry.ok, dry.guard?.kind, dry.guard?.count], [false, "unsubscribes", 599]);
  const answer = await world.smart();
  assertEquals([answer.status, answer.ok, answer.count], [200, false, 1]);
  assertEquals(answer.guard, {
    kind: "unsubscribes",
    count: 599,
    limit: 60,
    linked: 600,
    message:
      "Cannot go on: 599 unsubscribes were planned for 600 linked records, and the limit is 60",
  });
  assertEquals([unsubscribed(world), world.subscriber(1)?.fields["name"]], [0, "Bea"]);
  const held = [{ reason: "held:unsubscribes", n: 599, minutes: 60 }];
  assertEquals(await waiting(world), held);

  const [run] = await world.pool.query<{ id: string }>(
    `select id, status, error ->> 'code' as code from public.sync_runs
     where function = 'smart-sync' and status = 'failed'`,
  );
  const [finding] = await world.pool.query<{ kind: string; fields: string[]; n: number }>(
    `select kind, fields, cardinality(a_ids) as n from public.sync_findings where run_id = $1`,
    [run?.id],
  );
  assertEquals([finding?.kind, finding?.fields, finding?.n], ["guard", ["unsubscribes"], 599]);
  const logged = world.harness.log.filter(({ event }) => event === "guard_tripped");
  assertEquals(logged.at(-1)?.fields, {
    kind: "unsubscribes",
    count: 599,
    limit: 60,
    held: 599,
  });

  // Whatever wakes them, they are held again; and nobody else waits for them.
  const again = await world.smart();
  assertEquals([again.count, again.ok, again.guard], [0, true, undefined]);
  await makeDue(world);
  await world.editClient(1, { first_name: "Cid" });
  assertEquals((await world.smart()).count, 1);
  await world.pool.query(`update public.clients set last_name = 'Roe' where id <> $1`, [
    clientId(1),
  ]);
  assertEquals((await world.smart()).count, 0);
  assertEquals([unsubscribed(world), await waiting(world)], [0, held]);

  // Nothing is lost: an operator allows it, and the queue empties itself.
  const override = { guards: ["unsubscribes", "updates"], reason: "the list was closed" };
  assertEquals((await world.sync({ maxRecords: 10_000, override })).done, true);
  assertEquals(unsubscribed(world), 599);
  await makeDue(world);
  world.simulator.resetRequests();
  const last = await world.smart();
  assertEquals([last.ok, last.remaining, world.simulator.requests()], [true, 0, {}]);
  assertEquals(await world.queue(), []);
});

Deno.test("a mishap that comes in small pieces is one mishap", async () => {
  await using world = await quietWorld(200);
  for (let from = 1; from <= 120; from += 10) {
    await world.pool.query(
      `update public.clients set marketing_status = 'unsubscribed'
       where id = any (select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid
         from generate_series($1::integer, $1::integer + 9) n)`,
      [from],
    );
    const answer = await world.smart();
    assertEquals(answer.status, 200);
    if (from > 50) assertEquals(answer.guard?.kind, "unsubscribes");
  }
  // The floor of the limit.
  assertEquals(unsubscribed(world), 50);
  assertEquals((await world.queue()).length, 70);
  // Named people count towards the same day.
  const named = await world.smart({ emails: [address(60), address(190)] });
  assertEquals([named.ok, said(named)], [false, [HELD, "no changes detected"]]);
  assertEquals(unsubscribed(world), 50);
  // The day after, it goes on.
  await world.pool.query(`update public.sync_runs set started_at = started_at - interval '2 days'`);
  assertEquals(said(await world.smart({ emails: [address(60)] })), [true]);
  assertEquals(unsubscribed(world), 51);
});

Deno.test("of named people those who break a limit are left out, and the others are synced", async () => {
  await using world = await quietWorld(100);
  for (let n = 1; n <= 60; n++) await world.editClient(n, { marketing_status: "unsubscribed" });
  for (let n = 61; n <= 70; n++) await world.editClient(n, { first_name: "Bea" });
  const emails = Array.from({ length: 100 }, (_, n) => address(n + 1));
  const dry = await world.smart({ emails, dryRun: true });
  const answer = await world.smart({ emails });
  assertEquals(answer.guard, {
    kind: "unsubscribes",
    count: 60,
    limit: 50,
    linked: 100,
    message:
      "Cannot go on: 60 unsubscribes were planned for 100 linked records, and the limit is 50",
  });
  assertEquals([said(dry), dry.guard], [said(answer), answer.guard]);
  assertEquals(said(answer), [
    ...Array(60).fill(HELD),
    ...Array(10).fill(true),
    ...Array(30).fill("no changes detected"),
  ]);
  assertEquals([unsubscribed(world), world.subscriber(61)?.fields["name"]], [0, "Bea"]);
  // It says nothing about remote or database.
  const circuits = await world.pool.query(
    `select value -> 'smart-sync' as circuit from public.sync_state where key = 'circuit_breaker'`,
  );
  assertEquals(circuits, [{ circuit: null }]);
});

Deno.test("a field that everybody loses, or a change of everybody, is held back too", async () => {
  await using world = await quietWorld(700, {
    config: changedConfig({
      fields: {
        company: { local: "company", remote: "fields.company", wins: "local", mayBlank: true },
      },
    }),
  });
  await world.pool.query(`update public.clients set company = 'Acme' where id <> $1`, [
    clientId(700),
  ]);
  const many = await world.smart();
  assertEquals([many.guard?.kind, many.guard?.count, many.guard?.limit], ["updates", 699, 500]);
  assertEquals(world.subscriber(1)?.fields["company"], null);
  const override = { guards: ["updates"], reason: "one company now" };
  await world.sync({ maxRecords: 10_000, override });
  assertEquals(world.subscriber(1)?.fields["company"], "Acme");
  await world.clearQueue();
  await world.pool.query(
    `update public.clients set company = ' ' where id in (select id from public.clients order by id limit 30)`,
  );
  const blanks = await world.smart();
  assertEquals([blanks.guard?.kind, blanks.guard?.count, blanks.guard?.limit], ["blanks", 30, 20]);
  assertEquals(world.subscriber(1)?.fields["company"], "Acme");
  assertEquals(await waiting(world), [{ reason: "held:blanks", n: 30, minutes: 60 }]);
});

Deno.test("people who leave at the remote are not all taken off side A at once", async () => {
  await using world = await quietWorld(130);
  for (let n = 1; n <= 80; n++) world.editSubscriber(n, { status: "unsubscribed" });
  world.editSubscriber(81, { fields: { city: "Rome" } });
  await world.pool.query(
    `insert into public.sync_queue (pair, side, record_id, reason)
     select 'clients', 'b', b_id, 'webhook:subscriber.updated' from public.integration_crosswalk`,
  );
  const answer = await world.smart();
  assertEquals([answer.guard?.kind, answer.guard?.limit], ["unsubscribes", 50]);
  const left = await world.pool.query<{ n: number }>(
    `select count(*)::integer as n from public.clients where marketing_status = 'unsubscribed'`,
  );
  assertEquals(left, [{ n: 0 }]);
  assertEquals((await world.client(81))?.city, "Rome");
  assertEquals((await world.queue()).length, 80);
  assertGreater((await waiting(world) as { minutes: number }[])[0]?.minutes ?? 0, 55);
  assert(answer.out.length === 130);
});

/** A world in which no more than three people may be taken away from a day, and four have left. */
async function fourLeft(): Promise<TwoWayWorld> {
  const none = { percent: 100, floor: 1000 };
  const unsubscribes = { percent: 5, floor: 3 };
  const limits = { deletes: none, unsubscribes, blanks: none, updates: none };
  const world = await quietWorld(40, { config: changedConfig({ limits }) });
  for (const n of [1, 2, 3, 4]) world.editSubscriber(n, { status: "unsubscribed" });
  world.editSubscriber(5, { fields: { city: "Rome" } });
  return world;
}

const OTHERS = { emails: [3, 4, 5].map(address) };

/** Calls for two of them, and for the others at the moment the first call gets to a statement. */
async function callTwice(
  world: TwoWayWorld,
  statement: string,
): Promise<readonly [first: SmartAnswer, second: SmartAnswer]> {
  let second: SmartAnswer | null = null;
  const first = await world.smart(
    { emails: [1, 2].map(address) },
    watched(world.harness, {
      async before({ what }) {
        if (second === null && what.includes(statement)) second = await world.smart(OTHERS);
      },
    }),
  );
  assert(second !== null);
  return [first, second];
}

async function takenAway(world: TwoWayWorld): Promise<number | undefined> {
  const rows = await world.pool.query<{ n: number }>(
    `select count(*)::integer as n from public.clients where marketing_status = 'unsubscribed'`,
  );
  return rows[0]?.n;
}

Deno.test("what two calls would take away at the same moment counts as one mishap", async () => {
  await using world = await fourLeft();
  const [first, second] = await callTwice(world, "sync.writer");
  const locked = "locked by another run";
  assertEquals([said(first), said(second)], [[true, true], [locked, locked, true]]);
  const third = await world.smart(OTHERS);
  assertEquals([third.guard?.kind, third.guard?.count], ["unsubscribes", 4]);
  assertEquals(await takenAway(world), 2);
});

Deno.test("what another call has taken away since this one began counts before it writes", async () => {
  await using world = await fourLeft();
  const [first, second] = await callTwice(world, "sync_limits:");
  assertEquals([said(first), said(second)], [[HELD, HELD], [true, true, true]]);
  assertEquals([first.guard?.kind, first.guard?.count], ["unsubscribes", 4]);
  assertEquals(await takenAway(world), 2);
});
