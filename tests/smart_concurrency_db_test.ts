/** Several workers of smart-sync at once, over the same people. */
import { assert, assertEquals } from "@std/assert";
import { type DatabasePool, openDatabase } from "../shared/store/database.ts";
import { testCluster } from "./lib/database.ts";
import { type Step, watched } from "./lib/mortal.ts";
import { seededRandom } from "./lib/seeded_random.ts";
import {
  address,
  clientId,
  equalPeople,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

const PEOPLE = 30;

/** The pool of an isolate of its own. */
async function ownPool(world: TwoWayWorld): Promise<DatabasePool> {
  const [row] = await world.pool.query<{ name: string }>(`select current_database() as name`);
  return openDatabase({ url: (await testCluster()).url(row?.name), name: "worker" });
}

/** People edited on both sides, and new ones on each; all of them by number. */
async function busyWorld(): Promise<TwoWayWorld> {
  const world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE));
  await world.pool.query(`update public.clients set first_name = 'Bea'`);
  for (let n = 1; n <= PEOPLE; n += 2) world.editSubscriber(n, { fields: { city: "Rome" } });
  for (let n = PEOPLE + 1; n <= PEOPLE + 4; n++) await world.addClient(n);
  for (let n = PEOPLE + 5; n <= PEOPLE + 8; n++) world.addSubscriber(n);
  world.takeRemoteWrites();
  return world;
}

/** Everything has arrived, and was written once. */
async function assertSynced(world: TwoWayWorld): Promise<void> {
  const written = world.simulator.history().filter(({ kind }) =>
    kind === "subscriber.create" || kind === "subscriber.update"
  );
  assertEquals([written.length, new Set(written.map(({ id }) => id)).size], [
    PEOPLE + 4,
    PEOPLE + 4,
  ]);
  assertEquals(world.simulator.counts().subscribers, PEOPLE + 8);
  assertEquals((await world.links()).length, PEOPLE + 8);
  const logged = await world.pool.query<{ n: number }>(
    `select count(*)::integer as n from public.sync_log where applied
     group by a_id, field, action having count(*) > 1`,
  );
  assertEquals(logged, []);
  for (let n = 1; n <= PEOPLE + 8; n++) {
    const clients = await world.clientsWithAddress(n);
    assertEquals(clients.length, 1, `client ${n}`);
    const subscriber = world.subscriber(n);
    assertEquals(clients[0]?.first_name, subscriber?.fields["name"], `person ${n}`);
    assertEquals(clients[0]?.city, subscriber?.fields["city"], `person ${n}`);
  }
  const again = await world.sync();
  assertEquals([again.updatesApplied, again.errors, again.conflictsDetected], [0, 0, 0]);
}

/** Twenty of them, in an order of its own. */
function some(random: () => number): string[] {
  return Array.from({ length: PEOPLE + 8 }, (_, n) => [random(), address(n + 1)] as const)
    .sort(([one], [other]) => one - other).slice(0, 20).map(([, email]) => email);
}

Deno.test("of ten callers with overlapping people each record is written once, and nobody is doubled", async () => {
  await using world = await busyWorld();
  const random = seededRandom(20261121);
  const calls = Array.from({ length: 10 }, () => some(random));
  const asked = new Set(calls.flat());
  assertEquals(asked.size, PEOPLE + 8);
  await using pools = new AsyncDisposableStack();
  const answers = await Promise.all(calls.map(async (emails) => {
    const pool = pools.use(await ownPool(world));
    return await world.smart({ emails }, { database: () => pool });
  }));
  assertEquals(answers.map(({ status }) => status), Array(10).fill(200));
  const words = new Map<string, unknown[]>();
  for (const { email = "", changed, reason, error } of answers.flatMap(({ out }) => out)) {
    words.set(email, [...words.get(email) ?? [], changed ?? reason ?? error]);
  }
  const others = [
    "locked by another run",
    "no changes detected",
    "linked anew by another run at this very moment; it is looked at again",
  ];
  for (const [email, said] of words) {
    assert(said.filter((word) => word === true).length <= 1, `twice: ${said.join()}`);
    assertEquals(said.filter((word) => word !== true && !others.includes(String(word))), [], email);
  }
  // Who was locked wherever they were asked for takes one more call.
  const last = await world.smart({ emails: [...asked] });
  assertEquals(last.ok, true);
  await assertSynced(world);
});

Deno.test("ten calls on one isolate share its few connections and all end", async () => {
  await using world = await busyWorld();
  const random = seededRandom(7);
  await using pool = await ownPool(world);
  const answers = await Promise.all(
    Array.from(
      { length: 10 },
      () => world.smart({ emails: some(random) }, { database: () => pool }),
    ),
  );
  assertEquals(answers.map(({ status }) => status), Array(10).fill(200));
  await world.smart({ emails: Array.from({ length: PEOPLE + 8 }, (_, n) => address(n + 1)) });
  await assertSynced(world);
});

Deno.test("a call, a drain and a full run at once leave everything synced and nobody doubled", async () => {
  await using world = await busyWorld();
  await using pools = new AsyncDisposableStack();
  const own = async () => {
    const pool = pools.use(await ownPool(world));
    return { database: () => pool };
  };
  const emails = Array.from({ length: PEOPLE + 8 }, (_, n) => address(n + 1));
  await Promise.all([
    world.smart({ emails }, await own()),
    world.smart({}, await own()),
    world.sync({}, await own()),
  ]);
  await world.smart({ emails });
  await assertSynced(world);
});

const isRead = ({ kind, what }: Step) => kind === "request" && what.startsWith("GET");
const isStaging = ({ what }: Step) => what.includes("insert into public.sync_stage");
const isLocking = ({ what }: Step) => what.includes("pg_try_advisory_xact_lock");

Deno.test("what another run has written since a record was read is not taken for an edit", async () => {
  for (const isMoment of [isStaging, isLocking]) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(2));
    world.editSubscriber(1, { fields: { city: "Rome" } });
    let met = false;
    await world.smart(
      { emails: [address(1)] },
      watched(world.harness, {
        async before(step) {
          if (met || !isMoment(step)) return;
          met = true;
          await world.smart({ emails: [address(1)] });
          await world.editClient(1, { city: "Paris" });
          await world.smart({ emails: [address(1)] });
        },
      }),
    );
    assert(met);
    assertEquals((await world.client(1))?.city, "Paris");
    assertEquals(world.subscriber(1)?.fields["city"], "Paris");
  }
});

Deno.test("a person whom two calls make at the same moment is made once", async () => {
  for (const side of ["a", "b"] as const) {
    for (
      const [when, isMoment] of [["after", isRead], ["after", isStaging], [
        "before",
        isLocking,
      ]] as const
    ) {
      await using world = await twoWayWorld(import.meta.url, equalPeople(1));
      if (side === "a") await world.addClient(2);
      else world.addSubscriber(2);
      world.takeRemoteWrites();
      let met = false;
      const emails = [address(2)];
      const act = async (step: Step) => {
        if (met || !isMoment(step)) return;
        met = true;
        assertEquals((await world.smart({ emails })).out[0]?.changed, true);
      };
      const answer = await world.smart({ emails }, watched(world.harness, { [when]: act }));
      assert(met);
      assertEquals(answer.status, 200);
      assert(answer.out[0]?.changed === undefined, JSON.stringify(answer.out));
      assertEquals((await world.clientsWithAddress(2)).length, 1);
      assertEquals(world.simulator.counts().subscribers, 2);
      const creates = world.simulator.history().filter(({ kind }) => kind === "subscriber.create");
      assertEquals(creates.length, side === "a" ? 1 : 0);
      assertEquals((await world.links()).length, 2);
      assertEquals(
        (await world.pool.query(`select 1 from public.clients where id <> $1`, [clientId(1)]))
          .length,
        1,
      );
    }
  }
});
