/** What enterprise-sync does about what people allow: it may lower it, and never raises it. */
import { assertEquals } from "@std/assert";
import { CONSENT_STATUSES, type ConsentStatus } from "../shared/merge/consent.ts";
import { isForbidding } from "../shared/merge/consent_order.ts";
import {
  address,
  clientId,
  equalPeople,
  type PersonSpec,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

const REMOTE_STATUSES = ["active", "unsubscribed", "unconfirmed", "bounced", "junk"] as const;
type RemoteStatus = (typeof REMOTE_STATUSES)[number];

const WORDS: Readonly<Record<RemoteStatus, ConsentStatus>> = {
  active: "subscribed",
  unsubscribed: "unsubscribed",
  unconfirmed: "pending",
  bounced: "bounced",
  junk: "complained",
};

/** Every word of side A with every word of side B. */
const TABLE = CONSENT_STATUSES.flatMap((a) => REMOTE_STATUSES.map((b) => ({ a, b })));

// How much a word allows. Between those that forbid there is nothing to raise.
const ALLOWS: Readonly<Record<ConsentStatus, number>> = {
  subscribed: 3,
  pending: 2,
  none: 1,
  unsubscribed: 0,
  bounced: 0,
  complained: 0,
};

type Statuses = readonly (readonly [ConsentStatus, ConsentStatus])[];

async function statuses(world: TwoWayWorld): Promise<Statuses> {
  const read = TABLE.map(async (_, index): Promise<readonly [ConsentStatus, ConsentStatus]> => {
    const a = (await world.client(index + 1))?.marketing_status as ConsentStatus;
    return [a, WORDS[world.subscriber(index + 1)?.status as RemoteStatus]];
  });
  return await Promise.all(read);
}

async function setAll(world: TwoWayWorld): Promise<void> {
  for (const [index, { a, b }] of TABLE.entries()) {
    await world.editClient(index + 1, { marketing_status: a });
    world.editSubscriber(index + 1, { status: b });
  }
}

/** What a run both ways makes of a pair of words, whatever stood there before. */
function ratchet(a: ConsentStatus, b: ConsentStatus): readonly [ConsentStatus, ConsentStatus] {
  if (isForbidding(a) && !isForbidding(b)) return [a, "unsubscribed"];
  if (isForbidding(b) && !isForbidding(a)) return [b, b];
  if (a === "bounced" || a === "unsubscribed" && b === "complained") return [b, b];
  return [a, b];
}

function assertNoRaise(before: Statuses, after: Statuses): void {
  for (const [index, [a, b]] of before.entries()) {
    const [nowA, nowB] = after[index] ?? [a, b];
    const where = `side A ${a}, side B ${b}, then ${nowA} and ${nowB}`;
    assertEquals([ALLOWS[nowA] <= ALLOWS[a], ALLOWS[nowB] <= ALLOWS[b]], [true, true], where);
  }
}

const ALL_AT_ONCE = {
  override: { guards: ["unsubscribes"], reason: "the whole table at once" },
};

const BASES: Readonly<Record<string, PersonSpec>> = {
  subscribed: {},
  unsubscribed: {
    client: { marketing_status: "unsubscribed" },
    subscriber: { status: "unsubscribed" },
  },
  pending: { client: { marketing_status: "pending" }, subscriber: { status: "unconfirmed" } },
  "none, and subscribed there": { client: { marketing_status: "none" } },
};

for (const [name, base] of Object.entries(BASES)) {
  Deno.test(`edits of consent on both sides only ever lower it: base ${name}`, async () => {
    await using world = await twoWayWorld(import.meta.url, TABLE.map(() => base));
    await world.sync(ALL_AT_ONCE);
    await setAll(world);
    const before = await statuses(world);
    await world.sync(ALL_AT_ONCE);
    const after = await statuses(world);
    assertNoRaise(before, after);
    // A bounce of ours may be an old one, so only news from the remote is taken over it.
    const isOld = ([a, b]: readonly [ConsentStatus, ConsentStatus]) =>
      a === "bounced" && b === "unsubscribed" && name === "unsubscribed";
    const expected = before.map((pair) => isOld(pair) ? pair : ratchet(...pair));
    assertEquals(after, expected);
    const again = await world.sync();
    assertEquals([again.updatesApplied, again.conflictsDetected], [0, 0]);
    assertEquals(await statuses(world), after);
  });
}

Deno.test("a first link lowers consent to what either side forbids, and raises none", async () => {
  const people = TABLE.map(({ a, b }): PersonSpec => ({
    client: { marketing_status: a },
    subscriber: { status: b },
  }));
  await using world = await twoWayWorld(import.meta.url, people, { backfill: false });
  const before = await statuses(world);
  await world.sync(ALL_AT_ONCE);
  const after = await statuses(world);
  assertNoRaise(before, after);
  assertEquals(after, before.map((pair) => ratchet(...pair)));
  const again = await world.sync();
  assertEquals([again.updatesApplied, again.conflictsDetected], [0, 0]);
});

for (const direction of ["mailerlite-to-supabase", "supabase-to-mailerlite"] as const) {
  Deno.test(`a run ${direction} lowers consent on that side alone`, async () => {
    await using world = await twoWayWorld(import.meta.url, equalPeople(TABLE.length));
    await setAll(world);
    const before = await statuses(world);
    await world.sync({ ...ALL_AT_ONCE, direction });
    const after = await statuses(world);
    assertNoRaise(before, after);
    const toLocal = direction === "mailerlite-to-supabase";
    assertEquals(
      after,
      before.map(([a, b]) => {
        const [nextA, nextB] = ratchet(a, b);
        return toLocal ? [nextA, b] : [a, nextB];
      }),
    );
    await world.sync(ALL_AT_ONCE);
    assertEquals(await statuses(world), before.map((pair) => ratchet(...pair)));
  });
}

Deno.test("no decision raises what a person allows", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(TABLE.length));
  await setAll(world);
  // No conflict is ever opened on consent, so these rows are not of the sync's own making.
  await world.pool.query(
    `insert into public.sync_conflicts
       (pair, crosswalk_id, record_key, field, a, b, reason, status, choice, resolved_value,
        resolved_by, resolved_at)
     select 'clients', cw.id, 'cw:' || cw.id, 'consent', to_jsonb(t.marketing_status), '"subscribed"',
       'both_changed', 'resolved', c.choice, case c.choice when 'value' then '"subscribed"'::jsonb end,
       'user:somebody', now()
     from public.integration_crosswalk cw
     join public.clients t on t.id = cw.a_id
     cross join (values ('local'), ('remote'), ('value')) c (choice)`,
  );
  const before = await statuses(world);
  const answer = await world.sync(ALL_AT_ONCE);
  const after = await statuses(world);
  assertNoRaise(before, after);
  assertEquals(after, before.map((pair) => ratchet(...pair)));
  assertEquals([answer.errors, answer.conflictsDetected], [0, 0]);
  const left = await world.pool.query(
    `select 1 from public.sync_conflicts where status <> 'superseded' or applied_at is not null`,
  );
  assertEquals(left, []);
});

Deno.test("somebody who left at the remote is not written back by an edit of side A", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  world.editSubscriber(1, { status: "unsubscribed" });
  await world.editClient(1, { city: "Bergen", marketing_status: "subscribed" });
  await world.editClient(2, { marketing_status: "unsubscribed" });
  const answer = await world.sync();
  assertEquals((await world.client(1))?.marketing_status, "unsubscribed");
  assertEquals(world.subscriber(1)?.status, "unsubscribed");
  assertEquals(world.subscriber(1)?.fields["city"], "Bergen");
  assertEquals(world.subscriber(2)?.status, "unsubscribed");
  const [line] = (await world.log(1)).filter(({ field }) => field === "consent");
  assertEquals(
    [line?.side, line?.before, line?.after, line?.rule, line?.run_id],
    ["a", "subscribed", "unsubscribed", "consent_lowered", answer.runId],
  );
  await world.editClient(1, { marketing_status: "subscribed" });
  await world.sync();
  assertEquals((await world.client(1))?.marketing_status, "unsubscribed");
});

Deno.test("somebody who left and moves to another address is not put back under the old one", async () => {
  const left: PersonSpec = {
    client: { marketing_status: "unsubscribed" },
    subscriber: { status: "unsubscribed" },
  };
  await using world = await twoWayWorld(import.meta.url, [left, left]);
  await world.editClient(1, { email: "moved1@example.com" });
  world.simulator.change(address(2), { email: "moved2@example.com" });
  assertEquals((await world.sync()).updatesApplied, 2);
  assertEquals((await world.client(2))?.email, "moved2@example.com");
  for (const n of [1, 2]) await world.addClient(10 + n, { email: address(n) });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.errors], [0, 0]);
  assertEquals([world.subscriber(1), world.subscriber(2)], [undefined, undefined]);
  assertEquals(world.subscriberAt("moved1@example.com")?.status, "unsubscribed");
});

Deno.test("a pending or unasked client and a subscriber are left as they are", async () => {
  const people = [
    { client: { marketing_status: "pending" } },
    { client: { marketing_status: "none" } },
    { subscriber: { status: "unconfirmed" } },
  ] as const;
  await using world = await twoWayWorld(import.meta.url, people);
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.conflictsDetected], [0, 0]);
  assertEquals(world.takeRemoteWrites(), []);
  const clients = [await world.client(1), await world.client(2), await world.client(3)];
  assertEquals(clients.map((client) => client?.marketing_status), [
    "pending",
    "none",
    "subscribed",
  ]);
  assertEquals(clients.map((client) => client?.id), [1, 2, 3].map(clientId));
});

Deno.test("a status that the remote refuses to lower fails alone and is not told as done", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { marketing_status: "unsubscribed" });
  await world.editClient(2, { marketing_status: "unsubscribed" });
  world.simulator.setFaults([{
    method: "PUT",
    path: `/subscribers/${world.subscriber(1)?.id}`,
    item: true,
    effect: {
      kind: "status",
      status: 422,
      body: { message: "The given data was invalid.", errors: { status: ["Refused."] } },
    },
  }]);
  const answer = await world.sync();
  assertEquals([answer.errors, answer.updatesApplied], [1, 1]);
  assertEquals(world.subscriber(1)?.status, "active");
  assertEquals(world.subscriber(2)?.status, "unsubscribed");
  const [refused] = await world.log(1);
  assertEquals([refused?.action, refused?.applied], ["refuse", false]);
  world.simulator.setFaults([]);
  await world.sync();
  assertEquals(world.subscriber(1)?.status, "unsubscribed");
  assertEquals(await world.failures(), []);
});
