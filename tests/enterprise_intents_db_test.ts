/**
 * Writes of enterprise-sync of which nobody heard the end, and what nobody knows
 * for sure about the remote.
 *
 * The invariants, by number: 4 no lost update, 11 consent is never raised, 18 the
 * same end as undisturbed, 19 one create per record, 20 a shadow never ahead of
 * reality, 22 a single writer, 29 one bad record holds up no other, 30 every record
 * is counted once.
 */
import { assert, assertEquals } from "@std/assert";
import {
  defaultSwitches,
  type FaultEffect,
  SWITCHES,
  type SwitchName,
} from "../simulators/mailerlite/mod.ts";
import { tryLockRecords } from "../shared/store/work_store.ts";
import { Killed, type Step, watched } from "./lib/mortal.ts";
import { oneOfEverything } from "./lib/one_of_everything.ts";
import { assertConserved, assertQuiet } from "./lib/run_invariants.ts";
import type { TwoWayEnd } from "./lib/two_way_state.ts";
import {
  address,
  changedConfig,
  clientId,
  equalPeople,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

/** Every way in which a write takes effect and its answer is lost. */
const LOST: Readonly<Record<string, FaultEffect>> = {
  "a cut connection": { kind: "reset", when: "after" },
  "a 500": { kind: "status", status: 500, when: "after" },
  "an HTML 502": { kind: "html", status: 502, when: "after" },
  "half an answer": { kind: "truncate" },
};

/** One that is lost before it took effect; nobody can tell it from the others. */
const NEVER_SENT: FaultEffect = { kind: "reset", when: "before" };

function creates(world: TwoWayWorld): number {
  return world.simulator.history().filter(({ kind }) => kind === "subscriber.create").length;
}

async function intents(world: TwoWayWorld): Promise<number> {
  const rows = await world.pool.query(`select 1 from public.sync_intents`);
  return rows.length;
}

/** Whether a request makes a subscriber. */
function isCreate({ kind, what, body }: Step): boolean {
  return kind === "request" && what.startsWith("POST") &&
    (what.endsWith("/subscribers") ||
      body.some((text) => String(text).includes(`"method":"POST","path":"api/subscribers"`)));
}

/** A fault that meets the next request which makes subscribers, alone or in a batch. */
function loseCreates(world: TwoWayWorld, effect: FaultEffect, inBatch: boolean): void {
  // The first batch reads groups and fields.
  world.simulator.setFaults([
    inBatch
      ? { path: "/batch", method: "POST", after: 2, times: 1, effect }
      : { path: "/subscribers", method: "POST", times: 1, effect },
  ]);
}

/** Client 4 is made at the remote without an answer, and gets another address. */
async function loseAndMove(world: TwoWayWorld) {
  await world.addClient(4);
  loseCreates(world, { kind: "reset", when: "after" }, false);
  await world.sync();
  const made = world.subscriber(4);
  await world.editClient(4, { email: "four-new@example.com" });
  return made;
}

for (const [what, effect] of Object.entries(LOST)) {
  Deno.test(`19, 20: a create whose answer is ${what} is found again, linked, and not made twice`, async () => {
    for (const several of [false, true]) {
      await using world = await twoWayWorld(import.meta.url, equalPeople(3));
      const made = several ? [4, 5, 6] : [4];
      for (const n of made) await world.addClient(n, { groups: ["VIP"] });
      loseCreates(world, effect, several);
      const first = await world.sync();
      assertEquals([first.status, first.done, first.skipped], [200, true, made.length]);
      assertEquals([creates(world), await intents(world)], [made.length, made.length]);
      const second = await world.sync();
      assertEquals([second.done, second.skipped, second.errors], [true, 0, 0]);
      assertEquals([creates(world), await intents(world)], [made.length, 0]);
      for (const n of made) {
        assertEquals(await world.linkState(n), "linked");
        assertEquals(world.subscriber(n)?.groups, ["VIP"]);
      }
      await assertQuiet(world);
    }
  });
}

Deno.test("19: a create that never arrived is made once by the next run", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.addClient(4);
  loseCreates(world, NEVER_SENT, false);
  await world.sync();
  assertEquals([creates(world), await intents(world)], [0, 1]);
  await world.sync();
  assertEquals([creates(world), await world.linkState(4)], [1, "linked"]);
  await assertQuiet(world);
});

Deno.test("19: a lost create is linked to its client even if the address was changed meanwhile", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  const made = await loseAndMove(world);
  await world.sync();
  const [link] = (await world.links()).filter(({ a_id }) => a_id === clientId(4));
  assertEquals([link?.b_id, creates(world)], [made?.id, 1]);
  // What was sent is the base, so the new address is an edit.
  assertEquals(await world.conflicts(), []);
  assertEquals(world.subscriberAt("four-new@example.com")?.id, made?.id);
  await assertQuiet(world);
});

Deno.test("19: who was made without an answer is nobody new to a call that names them by the address they were made with", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  const made = await loseAndMove(world);
  await world.smart({ emails: [address(4)] });
  assertEquals((await world.clientsWithAddress(4)).length, 0);
  const [link] = (await world.links()).filter(({ a_id }) => a_id === clientId(4));
  assertEquals(link?.b_id, made?.id);
  await world.syncAll();
  assertEquals([world.subscriberAt("four-new@example.com")?.id, creates(world)], [made?.id, 1]);
});

Deno.test("19: who was made without an answer is nobody new either while another worker looks into it", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  const made = await loseAndMove(world);
  for (const key of [`a:${clientId(4)}`, `b:${made?.id}`]) {
    await world.pool.transaction(async (other) => {
      await tryLockRecords(other, "clients", [key]);
      await world.smart({ emails: [address(4)] });
      await world.sync({ direction: "mailerlite-to-supabase" });
    });
    assertEquals([(await world.clientsWithAddress(4)).length, await intents(world)], [0, 1]);
  }
  await world.syncAll();
  const [link] = (await world.links()).filter(({ a_id }) => a_id === clientId(4));
  assertEquals([link?.b_id, creates(world)], [made?.id, 1]);
});

Deno.test("19, 29: a lost create is found behind any number of lost writes that nobody can look into", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  const made = await loseAndMove(world);
  const stuck = Array.from({ length: 1001 }, (_, index) => clientId(index + 10_000));
  await world.pool.query(
    `insert into public.sync_intents (pair, a_id, b_id, operation, payload, fencing, created_at)
     select 'clients', a_id, 'b' || a_id, 'update', '{}', 0, now() - interval '1 day'
     from unnest($1::uuid[]) a_id`,
    [stuck],
  );
  await world.pool.transaction(async (other) => {
    await tryLockRecords(other, "clients", stuck.map((id) => `a:${id}`));
    await world.sync();
  });
  const [link] = (await world.links()).filter(({ a_id }) => a_id === clientId(4));
  assertEquals([link?.b_id, creates(world), await intents(world)], [made?.id, 1, stuck.length]);
  assertEquals(await world.conflicts(), []);
  await world.sync();
  await assertQuiet(world);
});

Deno.test("19: a lost create that revived a record under its old id is linked, whatever link that id had", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
    config: changedConfig({ onRemoteMissing: "unlink" }),
  });
  world.removeSubscriber(1);
  await world.sync();
  await world.deleteClient(1);
  await world.addClientAs(clientId(4), 1);
  loseCreates(world, { kind: "reset", when: "after" }, false);
  await world.sync();
  const revived = world.subscriber(1);
  await world.editClient(4, { email: "four-new@example.com" });
  await world.sync();
  const [link] = (await world.links()).filter(({ a_id }) => a_id === clientId(4));
  assertEquals([link?.b_id, link?.link_state], [revived?.id, "linked"]);
  assertEquals(world.subscriberAt("four-new@example.com")?.id, revived?.id);
  await assertQuiet(world);
});

Deno.test("5, 19: a lost create whose client was deleted meanwhile brings nobody back", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.addClient(4);
  loseCreates(world, { kind: "reset", when: "after" }, false);
  await world.sync();
  await world.deleteClient(4);
  await world.sync();
  await world.sync();
  assertEquals(await world.clientsWithAddress(4), []);
  assertEquals([await world.linkState(4), creates(world)], ["unlinked", 1]);
  await assertQuiet(world);
});

Deno.test("11, 19: somebody who leaves between a lost create and the next run stays gone", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.addClient(4);
  loseCreates(world, { kind: "reset", when: "after" }, false);
  await world.sync();
  world.editSubscriber(4, { status: "unsubscribed" });
  await world.sync();
  assertEquals((await world.client(4))?.marketing_status, "unsubscribed");
  assertEquals([world.subscriber(4)?.status, creates(world)], ["unsubscribed", 1]);
  await assertQuiet(world);
});

Deno.test("5, 19: who was made before the database failed, and is deleted since, is not brought back", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  // Eight batches. Leave to send is given by the database, for several requests at once.
  const made = Array.from({ length: 392 }, (_, index) => index + 4);
  for (const n of made) await world.addClient(n);
  let failed = false;
  const runtime = watched(world.harness, {
    before({ kind, what }) {
      if (creates(world) === 0 || kind !== "statement" || !what.includes("take_tokens")) return;
      failed = true;
      throw new Error("the database is gone");
    },
  });
  await world.sync({ maxRecords: 1000 }, runtime);
  assert(failed);
  const first = made.filter((n) => world.subscriber(n) !== undefined);
  assert(first.length > 0 && first.length < made.length);
  for (const n of first) await world.deleteClient(n);
  await world.syncAll();
  await world.syncAll();
  const clients = await world.pool.query<{ email: string }>(`select email from public.clients`);
  assertEquals(clients.length, 3 + made.length - first.length);
  assertEquals(creates(world), made.length);
  await assertQuiet(world);
});

Deno.test("4: an update whose answer was lost is neither lost nor made twice", async () => {
  for (const effect of [...Object.values(LOST), NEVER_SENT]) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3));
    await world.editClient(1, { first_name: "Bea" });
    await world.editClient(2, { first_name: "Cid" });
    // After the one that reads the account, and the one that confirms.
    world.simulator.setFaults([{ path: "/batch", method: "POST", after: 2, times: 1, effect }]);
    const first = await world.sync();
    assertEquals([first.status, first.done, first.skipped], [200, true, 2]);
    const second = await world.sync();
    assertEquals([second.done, second.skipped, second.errors], [true, 0, 0]);
    assertEquals([1, 2].map((n) => world.subscriber(n)?.fields["name"]), ["Bea", "Cid"]);
    const updates = world.simulator.history().filter(({ kind }) => kind === "subscriber.update");
    assertEquals(updates.length, 2);
    await assertQuiet(world);
  }
});

/** A worker that is killed once its updates have reached the remote, or before. */
function killedUpdating(world: TwoWayWorld, moment: "before" | "after") {
  let isDead = false;
  const isUpdate = ({ kind, body }: Step) =>
    kind === "request" && body.some((text) => String(text).includes(`"method":"PUT"`));
  const die = (step: Step, isItsTime: boolean) => {
    isDead ||= isItsTime && isUpdate(step);
    if (isDead) throw new Killed();
  };
  return watched(world.harness, {
    before: (step) => die(step, moment === "before"),
    after: (step) => die(step, moment === "after"),
  });
}

for (
  const how of [
    "with its answer lost",
    "by a worker killed after it",
    "by a worker killed before it",
  ]
) {
  Deno.test(`4, 11: an edit made after people were matched, ${how}, does not give way to what was sent`, async () => {
    const config = changedConfig({
      fields: { city: { local: "city", remote: "fields.city", wins: "remote" } },
    });
    await using world = await twoWayWorld(import.meta.url, equalPeople(2), { config });
    for (const n of [3, 4, 5, 6]) {
      await world.addClient(n, { city: "Bern" });
      world.addSubscriber(n, { fields: { city: null } });
    }
    const isSent = !how.endsWith("before it");
    if (how.startsWith("with")) {
      const effect = { kind: "reset", when: "after" } as const;
      // After the one that reads the account, and the one that confirms.
      world.simulator.setFaults([{ path: "/batch", method: "POST", after: 2, times: 1, effect }]);
      await world.sync();
    } else {
      await world.sync({}, killedUpdating(world, isSent ? "after" : "before")).catch(() => {});
      await world.pool.query(
        `update public.sync_runs set heartbeat_at = now() - interval '1 hour'`,
      );
    }
    assertEquals([world.subscriber(3)?.fields["city"], await intents(world)], [
      isSent ? "Bern" : null,
      4,
    ]);
    await world.editClient(3, { city: "Rome" });
    world.editSubscriber(4, { fields: { city: "Lima" } });
    await world.editClient(5, { email: "five-new@example.com" });
    world.editSubscriber(6, { status: "unsubscribed" });
    // A run that goes on leaves who was matched and has another address by now to the next.
    await world.syncAll();
    await world.syncAll();
    assertEquals(await intents(world), 0);
    const cities = async (n: number) => [
      (await world.client(n))?.city,
      world.subscriber(n)?.fields["city"],
    ];
    assertEquals([await cities(3), await cities(4)], [["Rome", "Rome"], ["Lima", "Lima"]]);
    const [made, old] = [world.subscriberAt("five-new@example.com"), world.subscriber(5)];
    // Whom nothing has reached is somebody else by the new address.
    assertEquals([made === undefined, old === undefined], [false, isSent]);
    assertEquals([(await world.client(6))?.marketing_status, world.subscriber(6)?.status], [
      "unsubscribed",
      "unsubscribed",
    ]);
    assertEquals(await world.conflicts(), []);
    await assertQuiet(world);
  });
}

for (const silent of ["80 seconds", "100 seconds"]) {
  const isGone = silent === "100 seconds";
  const end = isGone ? "is looked into by a run of another direction" : "is left to it";
  Deno.test(`4: what a worker that has been silent for ${silent} has sent ${end}`, async () => {
    const config = changedConfig({
      fields: { city: { local: "city", remote: "fields.city", wins: "remote" } },
    });
    await using world = await twoWayWorld(import.meta.url, equalPeople(3), { config });
    for (const n of [1, 2]) await world.editClient(n, { city: "Bern" });
    const direction = "supabase-to-mailerlite";
    await world.sync({ direction }, killedUpdating(world, "after")).catch(() => {});
    assertEquals([world.subscriber(1)?.fields["city"], await intents(world)], ["Bern", 2]);
    await world.pool.query(
      `update public.sync_runs set heartbeat_at = now() - $1::interval where status = 'running'`,
      [silent],
    );
    // Nobody ever goes on with the run.
    await world.editClient(1, { city: "Rome" });
    await world.sync();
    assertEquals(await intents(world), isGone ? 0 : 2);
    if (!isGone) return;
    const cities = [(await world.client(1))?.city, world.subscriber(1)?.fields["city"]];
    assertEquals(cities, ["Rome", "Rome"]);
    await assertQuiet(world);
  });
}

Deno.test("19, 22: what a worker that lost its lease is about to make is waited for, and not made twice", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.addClient(4);
  let happened = false;
  const stale = await world.sync(
    {},
    watched(world.harness, {
      async before(step) {
        if (happened || !isCreate(step)) return;
        happened = true;
        // The intent is written and the request is not sent: the worker was asleep.
        await world.pool.query(
          `update public.sync_runs set heartbeat_at = now() - interval '1 hour'`,
        );
        const taken = await world.sync();
        assertEquals([taken.status, taken.done, taken.skipped], [200, true, 1]);
        assertEquals(await intents(world), 1);
      },
    }),
  );
  assert(happened);
  assertEquals([stale.status, stale.code], [409, "already_running"]);
  assertEquals([creates(world), await world.linkState(4)], [1, undefined]);
  await world.editClient(4, { email: "four-new@example.com" });
  await world.sync();
  assertEquals([creates(world), await world.linkState(4)], [1, "linked"]);
  await assertQuiet(world);
});

/** A worker to whom a record of the remote comes in a form that cannot be read. */
function misread(world: TwoWayWorld, email: string) {
  const runtime = world.harness.runtime();
  return {
    fetch: async (input: URL | RequestInfo, init?: RequestInit) => {
      const response = await runtime.fetch(input, init);
      const text = await response.text();
      const spoilt = text.replaceAll(
        new RegExp(`("email":"${email}","status":)"[a-z]+"`, "g"),
        `$1"unheard_of"`,
      );
      return new Response(response.status === 204 ? null : spoilt, response);
    },
  };
}

Deno.test("29: a lost create that came back unreadable holds up nobody else", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.addClient(4);
  loseCreates(world, { kind: "reset", when: "after" }, false);
  await world.sync();
  await world.editClient(1, { first_name: "Bea" });
  for (let runs = 0; runs < 2; runs++) {
    const answer = await world.sync({}, misread(world, "person4@example.com"));
    assertEquals([answer.status, answer.done], [200, true]);
  }
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  await world.sync();
  assertEquals([creates(world), await world.linkState(4)], [1, "linked"]);
  await assertQuiet(world);
});

Deno.test("29: a new client whose address is taken by an unreadable subscriber holds up nobody else", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.addClient(4);
  await world.addClient(5);
  let seen = 0;
  const appears = watched({ pool: world.pool, runtime: () => world.harness.runtime() }, {
    before(step) {
      // Once the list is read.
      if (step.what.startsWith("select") && step.what.includes("sync_work") && seen++ === 0) {
        world.addSubscriber(4);
      }
    },
  });
  const { fetch } = misread(world, "person4@example.com");
  const answer = await world.sync({}, { ...appears, fetch });
  assertEquals([answer.status, answer.done, answer.skipped], [200, true, 1]);
  assertEquals([await world.linkState(4), await world.linkState(5)], [undefined, "linked"]);
  await world.sync();
  assertEquals(await world.linkState(4), "linked");
  await assertQuiet(world);
});

Deno.test("4, 19, 30: what was done of a batch that has to be tried again is not done again", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(5));
  await world.editClient(1, { first_name: "Bea" });
  await world.editClient(2, { first_name: "Cid" });
  world.editSubscriber(2, { fields: { city: "Rome" } });
  await world.editClient(3, { last_name: null });
  await world.addClient(6);
  world.addSubscriber(7);
  await world.addClient(8, { city: "Bergen" });
  world.addSubscriber(8);
  const fault = { method: "PUT", item: true, times: 1 } as const;
  world.simulator.setFaults([{ ...fault, effect: { kind: "status", status: 503 } }]);
  const first = await world.sync();
  assertEquals([first.status, first.code], [502, "remote_error"]);
  assertEquals(world.subscriber(2)?.fields["name"], "Cid");
  const second = await world.sync();
  assertEquals([second.done, second.runId, second.skipped], [true, first.details?.["runId"], 0]);
  const client = await world.client(2);
  assertEquals([client?.first_name, client?.city], ["Cid", "Rome"]);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  assertEquals((await world.clientsWithAddress(7)).length, 1);
  assertEquals([creates(world), (await world.links()).length], [1, 8]);
  assertEquals(await assertConserved(world), 8);
  assertEquals((await world.counters())["conflicts"], 1);
  const fields = world.subscriber(2)?.fields;
  assertEquals([fields?.["name"], fields?.["city"]], ["Cid", "Rome"]);
  await assertQuiet(world);
});

/** An end without the rows that speak of somebody. */
function without(end: TwoWayEnd, names: readonly string[]): TwoWayEnd {
  const rest = Object.entries(end).map(([part, rows]: [string, readonly unknown[] | null]) => [
    part,
    rows?.filter((row) => !names.some((name) => JSON.stringify(row).includes(name))),
  ]);
  return Object.fromEntries(rest);
}

/** Settings under which somebody has to end otherwise, by the names of who it is. */
const OTHERWISE: Readonly<Record<string, readonly string[]>> = {
  // The edit of somebody who left is refused, and stays one to be made.
  "putFieldsOnUnsubscribed reject_422": ["person11@"],
  // The address of another is not taken, and the answer does not say so.
  "emailCollision ignore_200": ["000000000022", "person22@"],
  // Who is made has to confirm first, and is not confirmed in their place.
  "doubleOptIn on": ["person23@"],
};

Deno.test("11, 18: whatever is not known of the remote, one of everything comes to the same end", async () => {
  await using made = await oneOfEverything(import.meta.url);
  const { start } = made;
  const reference = await start.restore();
  await reference.syncAll();
  const wanted = await reference.end();
  const creates = reference.remoteCreates();
  const defaults = defaultSwitches();
  const reached: string[] = [];
  for (const [name, { settings }] of Object.entries(SWITCHES)) {
    for (const setting of Object.keys(settings)) {
      // The reference has every default.
      if (setting === defaults[name as SwitchName]) continue;
      const where = `${name} ${setting}`;
      const world = await start.restore({ [name as SwitchName]: setting });
      const answers = await world.syncAll();
      assertEquals(answers.map(({ done }) => done), [true], where);
      const end = await world.end();
      const others = OTHERWISE[where];
      if (others !== undefined) {
        reached.push(where);
        assertEquals(without(end, others), without(wanted, others), where);
      } else assertEquals(end, wanted, where);
      assertEquals([await world.raisedConsents(), world.remoteCreates()], [0, creates], where);
      if (where === "doubleOptIn on") {
        assertEquals(world.subscriber(23)?.status, "unconfirmed");
        assertEquals((await world.client(23))?.marketing_status, "subscribed");
      }
      if (where === "putFieldsOnUnsubscribed reject_422") {
        assertEquals(world.subscriber(11)?.status, "unsubscribed");
      }
    }
  }
  assertEquals(reached.sort(), Object.keys(OTHERWISE).sort());
});
