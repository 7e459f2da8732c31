/**
 * What others do while a run of enterprise-sync is under way: people on either
 * side, other runs, and a worker that was given up for dead. Each test stops the
 * worker at an exact step and lets the other one act there.
 *
 * The invariants, by number: 4 no lost update, 11 consent is never raised, 18 the
 * same end as undisturbed, 19 one create per record, 22 a single writer, 30 every
 * record is counted once.
 */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { backfillSync } from "../shared/http/backfill_sync.ts";
import { functionRequest } from "./lib/function_harness.ts";
import { watched } from "./lib/mortal.ts";
import { oneOfEverything } from "./lib/one_of_everything.ts";
import { assertConserved, assertQuiet } from "./lib/run_invariants.ts";
import {
  COMMITTING,
  CONFIRMED,
  LOCKED,
  MAKING,
  PLANNED,
  sends,
  syncWith,
  WRITTEN,
} from "./lib/sync_with.ts";
import type { TwoWayReplay } from "./lib/two_way_state.ts";
import {
  address,
  clientId,
  equalPeople,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

const TO_LOCAL = "mailerlite-to-supabase";
const TO_REMOTE = "supabase-to-mailerlite";

Deno.test("4: an edit of the column that a run is about to write is not written over", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  world.editSubscriber(1, { fields: { last_name: "Remote" } });
  world.editSubscriber(2, { fields: { last_name: "Remote" } });
  const answer = await syncWith(
    world,
    WRITTEN,
    () => world.editClient(1, { last_name: "Local" }),
  );
  assertEquals([answer.done, answer.updatesApplied, answer.skipped], [true, 1, 1]);
  assertEquals((await world.client(1))?.last_name, "Local");
  assertEquals((await world.client(2))?.last_name, "Remote");
  await assertConserved(world);
  await world.sync();
  assertEquals(world.subscriber(1)?.fields["last_name"], "Local");
  await assertQuiet(world);
});

Deno.test("4: an edit of another column survives the write and travels with the next run", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  world.editSubscriber(1, { fields: { city: "Rome" } });
  await syncWith(world, WRITTEN, () => world.editClient(1, { first_name: "Bea" }));
  const client = await world.client(1);
  assertEquals([client?.city, client?.first_name], ["Rome", "Bea"]);
  assertEquals(world.subscriber(1)?.fields["name"], "Ann");
  await world.sync();
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  await assertQuiet(world);
});

Deno.test("4: an edit made after a value was sent travels with the next run", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.editClient(1, { first_name: "Bea" });
  await syncWith(world, COMMITTING, () => world.editClient(1, { first_name: "Cid" }));
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  await world.sync();
  assertEquals(world.subscriber(1)?.fields["name"], "Cid");
  assertEquals((await world.client(1))?.first_name, "Cid");
  await assertQuiet(world);
});

Deno.test("5: a client that is deleted before its row is written stays deleted", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  world.editSubscriber(1, { fields: { city: "Rome" } });
  const answer = await syncWith(world, WRITTEN, () => world.deleteClient(1));
  assertEquals([answer.done, answer.skipped], [true, 1]);
  await assertConserved(world);
  await world.sync();
  assertEquals(await world.client(1), undefined);
  assertEquals(await world.linkState(1), "unlinked");
  await assertQuiet(world);
});

Deno.test("5: a client that is deleted while its subscriber is made is not brought back", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.addClient(4);
  await syncWith(world, sends("POST"), () => world.deleteClient(4));
  await world.sync();
  assertEquals(await world.clientsWithAddress(4), []);
  assertEquals(await world.linkState(4), "unlinked");
  await assertQuiet(world);
});

Deno.test("a row that an open transaction holds is skipped, counted, and taken by the next run", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  for (const n of [1, 2]) world.editSubscriber(n, { fields: { city: "Rome" } });
  await world.pool.transaction(async (database) => {
    await database.query(`select 1 from public.clients where id = $1 for update`, [clientId(1)]);
    const answer = await world.sync();
    assertEquals([answer.done, answer.updatesApplied, answer.skipped], [true, 1, 1]);
  });
  await assertConserved(world);
  assertEquals((await world.client(1))?.city, "Oslo");
  await world.sync();
  assertEquals((await world.client(1))?.city, "Rome");
  await assertQuiet(world);
});

Deno.test("22: a record in another worker's hands is skipped, counted, and taken by the next run", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  for (const n of [1, 2]) await world.editClient(n, { first_name: "Bea" });
  await world.pool.transaction(async (database) => {
    await database.query(
      `select pg_advisory_xact_lock(hashtextextended('sync_record:clients:a:' || $1, 0))`,
      [clientId(1)],
    );
    const answer = await world.sync();
    assertEquals([answer.done, answer.updatesApplied, answer.skipped], [true, 1, 1]);
  });
  await assertConserved(world);
  assertEquals(world.subscriber(1)?.fields["name"], "Ann");
  await world.sync();
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  await assertQuiet(world);
});

Deno.test("4: a subscriber edited after it was listed is merged as it stands, not as it was listed", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  for (const n of [1, 2, 3]) await world.editClient(n, { first_name: "Bea" });
  await world.editClient(3, { email: "three-a@example.com" });
  await syncWith(world, LOCKED, () => {
    world.editSubscriber(1, { fields: { city: "Rome" } });
    world.editSubscriber(2, { fields: { name: "Cid" } });
    world.editSubscriber(3, { email: "three-b@example.com" });
  });
  assertEquals((await world.client(1))?.city, "Rome");
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  // Side A wins the name, and nobody the address.
  assertEquals(world.subscriber(2)?.fields["name"], "Bea");
  assertEquals(world.subscriberAt("three-b@example.com")?.fields["name"], "Bea");
  assertEquals((await world.client(3))?.email, "three-a@example.com");
  assertEquals((await world.conflicts()).map(({ field, reason }) => [field, reason]), [
    ["email", "both_changed"],
  ]);
  await assertQuiet(world);
});

Deno.test("11: somebody who leaves after being listed, or while being written, is not written back", async () => {
  for (const moment of [LOCKED, CONFIRMED, sends("PUT")]) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3));
    await world.editClient(1, { first_name: "Bea" });
    await syncWith(world, moment, () => world.editSubscriber(1, { status: "unsubscribed" }));
    assertEquals(world.subscriber(1)?.status, "unsubscribed");
    assertEquals(world.subscriber(1)?.fields["name"], "Bea");
    await world.sync();
    assertEquals((await world.client(1))?.marketing_status, "unsubscribed");
    assertEquals(world.subscriber(1)?.status, "unsubscribed");
    await assertQuiet(world);
  }
});

Deno.test("11: somebody new who leaves after being listed is known as having left by the next run", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  world.addSubscriber(4);
  await syncWith(world, LOCKED, () => world.editSubscriber(4, { status: "unsubscribed" }));
  await world.sync();
  assertEquals((await world.clientsWithAddress(4))[0]?.marketing_status, "unsubscribed");
  assertEquals(world.subscriber(4)?.status, "unsubscribed");
  await assertQuiet(world);
});

Deno.test("4, 20: an edit between the confirming read and the write survives and travels with the next run", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { first_name: "Bea" });
  await syncWith(world, sends("PUT"), () => world.editSubscriber(1, { fields: { city: "Rome" } }));
  const fields = world.subscriber(1)?.fields;
  assertEquals([fields?.["name"], fields?.["city"]], ["Bea", "Rome"]);
  assertEquals((await world.client(1))?.city, "Oslo");
  await world.sync();
  assertEquals((await world.client(1))?.city, "Rome");
  await assertQuiet(world);
});

Deno.test("12: a subscriber that is deleted after being listed is left to the next list", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { first_name: "Bea" });
  const answer = await syncWith(world, LOCKED, () => world.simulator.remove(address(1)));
  assertEquals([answer.done, answer.skipped], [true, 1]);
  assertEquals(await world.linkState(1), "linked");
  await world.sync();
  assertEquals(await world.linkState(1), "b_missing");
  assertEquals((await world.client(1))?.first_name, "Bea");
});

Deno.test("19: a client that appears for a subscriber which a run is about to make one for is the only one", async () => {
  for (const moment of [PLANNED, LOCKED]) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3));
    world.addSubscriber(4, { fields: { city: "Rome" } });
    world.addSubscriber(5);
    const answer = await syncWith(world, moment, () => world.addClient(4, { first_name: "Bea" }));
    assertEquals([answer.done, answer.updatesApplied, answer.skipped], [true, 1, 1]);
    assertEquals((await world.clientsWithAddress(4)).map(({ id }) => id), [clientId(4)]);
    assertEquals((await world.clientsWithAddress(5)).length, 1);
    await assertConserved(world);
    await world.sync();
    assertEquals((await world.client(4))?.city, "Rome");
    assertEquals(world.subscriber(4)?.fields["name"], "Bea");
    await assertQuiet(world);
  }
});

Deno.test("19: records that others link while a run is on its way to make them are not made twice", async () => {
  for (const moment of [PLANNED, LOCKED]) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3));
    world.addSubscriber(4);
    await world.addClient(5);
    world.addSubscriber(6, { email: "six-b@example.com", fields: { city: "Rome" } });
    await world.addClient(6);
    const link = async (n: number, email: string) => {
      await world.pool.query(
        `insert into public.integration_crosswalk (pair, a_id, b_id) values ('clients', $1, $2)`,
        [clientId(n), world.subscriberAt(email)?.id],
      );
    };
    await syncWith(world, moment, async () => {
      // Another run made the client, and a person said that the two others are one.
      await world.addClient(4, { email: "four-a@example.com" });
      await link(4, address(4));
      await link(6, "six-b@example.com");
    });
    await world.sync();
    assertEquals((await world.pool.query(`select 1 from public.clients`)).length, 6);
    assertEquals(world.simulator.counts().subscribers, 6);
    assertEquals((await world.client(6))?.city, "Rome");
    await assertConserved(world);
    await assertQuiet(world);
  }
});

Deno.test("4: what another run has written since the list was read is not taken for an edit", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { first_name: "Bea" });
  world.editSubscriber(1, { fields: { city: "Rome" } });
  await syncWith(world, PLANNED, async () => {
    const answer = await world.sync();
    assertEquals([answer.status, answer.updatesApplied], [200, 2]);
    await world.editClient(1, { last_name: "Roe" });
  }, { direction: TO_LOCAL });
  const client = await world.client(1);
  assertEquals([client?.first_name, client?.last_name, client?.city], ["Bea", "Roe", "Rome"]);
  await world.sync();
  const fields = world.subscriber(1)?.fields;
  assertEquals([fields?.["name"], fields?.["last_name"], fields?.["city"]], ["Bea", "Roe", "Rome"]);
  await assertQuiet(world);
});

Deno.test("29: a link that another run takes away leaves the others of its batch alone", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  for (const n of [1, 2]) await world.editClient(n, { first_name: "Bea" });
  const answer = await syncWith(world, PLANNED, async () => {
    await world.pool.query(`delete from public.integration_crosswalk where a_id = $1`, [
      clientId(1),
    ]);
  });
  assertEquals([answer.status, answer.done, answer.skipped], [200, true, 1]);
  assertEquals(world.subscriber(2)?.fields["name"], "Bea");
  await assertConserved(world);
  await world.sync();
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  await assertQuiet(world);
});

Deno.test("22: of two callers of one direction at the same moment exactly one runs", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { first_name: "Bea" });
  const answers = await Promise.all([world.sync(), world.sync()]);
  assertEquals(answers.map(({ status }) => status).sort(), [200, 409]);
  const [won, lost] = answers.toSorted((one, other) => one.status - other.status);
  assertEquals([lost?.code, lost?.details?.["runId"]], ["already_running", won?.runId]);
  assertEquals(world.takeRemoteWrites(), ["subscriber.update"]);
});

async function backfill(world: TwoWayWorld): Promise<void> {
  const handle = backfillSync(world.config, world.harness.runtime());
  const body = { wait: true, staleAfterDays: 0 };
  const response = await handle(functionRequest("backfill-sync", body));
  assertEquals(response.status, 200);
  await response.body?.cancel();
}

/** Takes over whatever run there is, and goes on until it is done. */
async function finish(world: TwoWayReplay): Promise<void> {
  for (let calls = 0; calls < 10; calls++) {
    await world.ageLeases();
    const answer = await world.sync();
    if (answer.done) return;
    // One side of the other worker may still be reading, which is a sign of life.
    assert([200, 409].includes(answer.status), `${answer.code} ${answer.message}`);
  }
  throw new Error("Cannot finish the run: it was not done after 10 calls");
}

const MEETINGS: readonly {
  readonly what: string;
  readonly direction: string;
  readonly other: (world: TwoWayReplay) => Promise<void>;
}[] = [
  {
    what: "18: a run towards side A and one both ways",
    direction: TO_LOCAL,
    other: (world) => finish(world),
  },
  {
    what: "18: a run towards side B and one both ways",
    direction: TO_REMOTE,
    other: (world) => finish(world),
  },
  { what: "18: a run both ways and a backfill", direction: "both", other: backfill },
  {
    what: "22: a worker that was given up for dead and the one who took over",
    direction: "both",
    other: (world) => finish(world),
  },
];

for (const { what, direction, other } of MEETINGS) {
  Deno.test(`${what}, met at any step, end as if each had been alone`, async () => {
    await using made = await oneOfEverything(import.meta.url);
    const { start } = made;
    const alone = await start.restore();
    await finish(alone);
    await finish(alone);
    // How often a write was refused depends on how many runs there were.
    const { failures: _, ...wanted } = await alone.end();
    const creates = alone.remoteCreates();
    let steps = 0;
    for (let meeting = 1; steps >= meeting - 1; meeting++) {
      const world = await start.restore();
      steps = 0;
      const runtime = watched(world.harness, {
        async before(step) {
          // Who has a transaction open would be waited for by the other, and this is it waiting.
          if (step.inTransaction) return;
          // Taking a token reads and writes nothing of either run: met after it is met before it.
          if (step.what.includes("public.sync_take_tokens(")) return;
          if (++steps === meeting) await other(world);
        },
      });
      const answer = await world.sync({ direction }, runtime);
      const where = `met at step ${meeting}`;
      assert([200, 409].includes(answer.status), `${where}: ${answer.code} ${answer.message}`);
      await finish(world);
      await finish(world);
      const { failures: _, ...end } = await world.end();
      assertEquals(end, wanted, where);
      assertEquals([await world.raisedConsents(), world.remoteCreates()], [0, creates], where);
    }
    assertGreater(steps, 20);
  });
}

Deno.test("19: a client is not made of a subscriber whom another worker links before the commit", async () => {
  for (const [moment, status] of [[COMMITTING, 200], [MAKING, 503]] as const) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(2));
    world.addSubscriber(3);
    await world.addClient(4);
    const answer = await syncWith(world, moment, async () => {
      await world.addClient(5);
      await world.pool.query(
        `insert into public.integration_crosswalk (pair, a_id, b_id) values ('clients', $1, $2)`,
        [clientId(5), world.subscriber(3)?.id],
      );
    });
    assertEquals(answer.status, status);
    await world.syncAll();
    assertEquals(await world.clientsWithAddress(3), []);
    assertEquals([await world.linkState(4), await world.linkState(5)], ["linked", "linked"]);
    assertEquals((await world.conflicts()).map(({ field }) => field), ["email"]);
  }
});
