/** What stands before the work of smart-sync: the circuit breaker, the day's quota, the database's health. */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { backfillSync } from "../shared/http/backfill_sync.ts";
import type { Runtime } from "../shared/http/runtime.ts";
import { functionRequest } from "./lib/function_harness.ts";
import {
  address,
  equalPeople,
  type SmartAnswer,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

const MORNING = Date.parse("2026-11-21T09:00:00Z");
const DOWN = [{ effect: { kind: "status", status: 503 } as const }];

/** A call at a moment of the limits' clock. */
function at(now: number, more: Partial<Runtime> = {}): Partial<Runtime> {
  return { limitsNow: () => now, ...more };
}

async function stateOf(
  world: TwoWayWorld,
  key: string,
  name: string,
): Promise<Record<string, unknown>> {
  const rows = await world.pool.query<{ value: Record<string, unknown> }>(
    `select value -> $2 as value from public.sync_state where key = $1`,
    [key, name],
  );
  return rows[0]?.value ?? {};
}

function circuit(world: TwoWayWorld) {
  return stateOf(world, "circuit_breaker", "smart-sync");
}

function said({ out }: SmartAnswer): unknown[] {
  return out.map(({ changed, reason, error }) => changed ?? reason ?? { error });
}

/** Three calls that the remote does not answer. */
async function openCircuit(world: TwoWayWorld): Promise<void> {
  world.simulator.setFaults(DOWN);
  for (let calls = 0; calls < 3; calls++) {
    const answer = await world.smart({ emails: [address(1)] }, at(MORNING));
    assertEquals([answer.status, answer.code], [502, "remote_error"]);
  }
}

Deno.test("three failures of the remote open the circuit: nobody calls it, and everybody is told when to come back", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.clearQueue();
  await world.editClient(1, { first_name: "Bea" });
  await openCircuit(world);
  world.simulator.setFaults([]);
  world.simulator.resetRequests();
  for (const body of [{ emails: [address(2)] }, {}, { emails: [address(2)], dryRun: true }]) {
    const answer = await world.smart(body, at(MORNING + 15_000));
    assertEquals([answer.status, answer.code], [503, "circuit_open"]);
    assertEquals(answer.headers.get("retry-after"), "45");
    assertEquals(answer.details?.["reason"], "remote_unavailable");
  }
  assertEquals(world.simulator.requests(), {});
  assertEquals(await world.queue(), [
    { side: "a", record_id: (await world.links())[0]?.a_id, reason: "edited", attempts: 0 },
  ]);
  const { state, failures, nextProbeAt, reason } = await circuit(world);
  assertEquals([state, failures, reason], ["open", 3, "remote_unavailable"]);
  assertEquals(nextProbeAt, "2026-11-21T09:01:00.000Z");
  const quota = await stateOf(world, "daily_quota", "records");
  assertEquals([quota["used"], quota["reserved"]], [0, 0]);
  assertEquals(
    world.harness.log.filter(({ event }) => event === "circuit_changed").map(({ fields }) =>
      fields
    ),
    [{ subject: "smart-sync", state: "open", code: "remote_unavailable" }],
  );
});

Deno.test("after the cool-down one of all callers tries, and its success lets everybody in", async () => {
  const gate = Promise.withResolvers<void>();
  const tried = Promise.withResolvers<void>();
  let requests = 0;
  let waiting = false;
  await using world = await twoWayWorld(import.meta.url, equalPeople(2), {
    onRequest: async () => {
      requests++;
      if (!waiting) return;
      tried.resolve();
      await gate.promise;
    },
  });
  await openCircuit(world);
  world.simulator.setFaults([]);
  requests = 0;
  waiting = true;
  const now = MORNING + 60_000;
  const calls = [1, 2, 3, 4, 5].map(() => world.smart({ emails: [address(1)] }, at(now)));
  const refused: SmartAnswer[] = [];
  const enough = Promise.withResolvers<void>();
  for (const call of calls) {
    void call.then((answer) => {
      if (answer.code === "circuit_open" && refused.push(answer) === 4) enough.resolve();
    });
  }
  await Promise.all([enough.promise, tried.promise]);
  assertEquals(requests, 1);
  assertEquals((await circuit(world))["state"], "half_open");
  gate.resolve();
  const answers = await Promise.all(calls);
  assertEquals(answers.map(({ status }) => status).sort(), [200, 503, 503, 503, 503]);
  assertEquals((await circuit(world))["state"], "closed");
  assertEquals((await world.smart({ emails: [address(2)] }, at(now))).status, 200);
});

Deno.test("a probe that fails too opens the circuit for twice as long", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  await openCircuit(world);
  const probe = await world.smart({ emails: [address(1)] }, at(MORNING + 60_000));
  assertEquals(probe.status, 502);
  const next = await world.smart({ emails: [address(1)] }, at(MORNING + 60_000));
  assertEquals([next.status, next.headers.get("retry-after")], [503, "120"]);
});

Deno.test("a probe that has nothing to show gives its place to the next", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  await openCircuit(world);
  world.simulator.setFaults([]);
  await world.clearQueue();
  const now = MORNING + 60_000;
  const env = { env: withQuota(world, "1") };
  await world.smart({ emails: [address(1)] }, at(now, env));
  // The quota is used up now; whoever is turned away by it is no probe.
  await openAgain(world, now);
  const refused = await world.smart({ emails: [address(1)] }, at(now + 60_000, env));
  assertEquals(refused.code, "daily_quota_exceeded");
  const answer = await world.smart({ emails: [address(1)] }, at(now + 60_000));
  assertEquals(answer.status, 200);
});

async function openAgain(world: TwoWayWorld, now: number): Promise<void> {
  world.simulator.setFaults(DOWN);
  for (let calls = 0; calls < 3; calls++) await world.smart({ emails: [address(1)] }, at(now));
  world.simulator.setFaults([]);
}

Deno.test("writes that the remote does not take count as its failure, records that it refuses do not", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  await world.editClient(1, { email: "nobody@nowhere" });
  await world.editClient(2, { email: "noone@nowhere" });
  for (let calls = 0; calls < 4; calls++) {
    const answer = await world.smart({ emails: ["nobody@nowhere", "noone@nowhere"] }, at(MORNING));
    assertEquals(answer.status, 200);
  }
  assertEquals(await circuit(world), {});
  // One call of a batch that fails is a matter of one record, too.
  await world.editClient(3, { first_name: "Bea" });
  await world.editClient(4, { first_name: "Bea" });
  const id = world.subscriber(3)?.id;
  const fails = { kind: "status", status: 500 } as const;
  world.simulator.setFaults([{
    item: true,
    method: "PUT",
    path: `/subscribers/${id}`,
    effect: fails,
  }]);
  for (let calls = 0; calls < 4; calls++) {
    await world.editClient(4, { last_name: `Lee ${calls}` });
    const answer = await world.smart({ emails: [address(3), address(4)] }, at(MORNING));
    assertEquals(said(answer), [
      "the remote did not take it for now; it is looked at again",
      true,
    ]);
  }
  assertEquals(await circuit(world), {});
  world.simulator.setFaults([{ method: "PUT", effect: { kind: "status", status: 503 } }]);
  for (let calls = 0; calls < 3; calls++) {
    assertEquals((await world.smart({ emails: [address(3)] }, at(MORNING))).ok, false);
  }
  assertEquals((await circuit(world))["state"], "open");
});

Deno.test("failures further apart than the window do not open the circuit", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  world.simulator.setFaults(DOWN);
  for (let calls = 0; calls < 5; calls++) {
    const answer = await world.smart({ emails: [address(1)] }, at(MORNING + calls * 310_000));
    assertEquals(answer.code, "remote_error");
  }
  assertEquals((await circuit(world))["state"], "closed");
});

function withQuota(world: TwoWayWorld, quota: string): Runtime["env"] {
  const { env } = world.harness.runtime();
  return (name) => name === "SYNC_DAILY_QUOTA" ? quota : env(name);
}

Deno.test("a day's quota is reserved before the work, and what was not used is given back", async () => {
  let look = async () => {};
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
    onRequest: () => look(),
  });
  let reserved: unknown;
  look = async () => {
    reserved = (await stateOf(world, "daily_quota", "records"))["reserved"];
  };
  const emails = [address(1), address(2), "stranger@example.org"];
  const answer = await world.smart({ emails }, at(MORNING));
  assertEquals(reserved, 3);
  assertEquals(answer.quota, {
    used: 2,
    reserved: 0,
    limit: 5000,
    resetAt: "2026-11-22T00:00:00.000Z",
    // What the account holds is known from the backfill.
    requests: 2,
  });
  world.simulator.setFaults(DOWN);
  assertEquals((await world.smart({ emails }, at(MORNING))).status, 502);
  world.simulator.setFaults([]);
  const after = await world.smart({ emails: ["stranger@example.org"] }, at(MORNING));
  assertEquals([after.quota.used, after.quota.reserved], [2, 0]);
});

Deno.test("a quota that is used up turns callers away until midnight UTC, before anything is done", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(8));
  const call = (emails: readonly string[], now: number, dryRun = false) =>
    world.smart({ emails, dryRun }, at(now, { env: withQuota(world, "5") }));
  const emails = [1, 2, 3].map(address);
  assertEquals((await call(emails, MORNING)).quota.used, 3);
  await world.editClient(4, { first_name: "Bea" });
  world.simulator.resetRequests();
  const refused = await call([4, 5, 6].map(address), MORNING);
  assertEquals([refused.status, refused.code], [429, "daily_quota_exceeded"]);
  assertEquals(refused.details, {
    limit: 5,
    used: 3,
    reserved: 0,
    resetAt: "2026-11-22T00:00:00.000Z",
  });
  assertEquals(refused.headers.get("retry-after"), String(15 * 3600));
  assertEquals(world.simulator.requests(), {});
  assertEquals(world.subscriber(4)?.fields["name"], "Ann");
  // What is left is enough for two, and a dry run takes nothing.
  assertEquals((await call([4, 5, 6].map(address), MORNING, true)).status, 200);
  assertEquals(said(await call([4, 5].map(address), MORNING)), [true, "no changes detected"]);
  const late = Date.parse("2026-11-21T23:59:59.999Z");
  assertEquals((await call([address(6)], late)).status, 429);
  const next = await call([address(6)], late + 1);
  assertEquals([next.status, next.quota.used, next.quota.resetAt], [
    200,
    1,
    "2026-11-23T00:00:00.000Z",
  ]);
});

Deno.test("of two callers at once only as much is granted as there is", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(6));
  const env = { env: withQuota(world, "5") };
  const answers = await Promise.all(
    [[1, 2, 3], [4, 5, 6]].map((people) =>
      world.smart({ emails: people.map(address) }, at(MORNING, env))
    ),
  );
  assertEquals(answers.map(({ status }) => status).sort(), [200, 429]);
});

Deno.test("a drain takes as much of the queue as the quota has, and the rest waits", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(8));
  await world.clearQueue();
  await world.pool.query(`update public.clients set first_name = 'Bea'`);
  const env = { env: withQuota(world, "5") };
  const answer = await world.smart({}, at(MORNING, env));
  assertEquals([answer.status, answer.count, answer.remaining], [200, 5, 3]);
  assertEquals([answer.stopReason, answer.quota.used], ["daily_quota", 5]);
  assertEquals((await world.queue()).map(({ attempts }) => attempts), [0, 0, 0]);
  assertEquals((await world.smart({}, at(MORNING, env))).status, 429);
  const next = await world.smart({}, at(MORNING + 86_400_000, env));
  assertEquals([next.count, next.remaining, next.quota.used], [3, 0, 3]);
  // An empty queue asks for nothing.
  const empty = withQuota(world, "1");
  assertEquals((await world.smart({}, at(MORNING + 86_400_000, { env: empty }))).status, 200);
});

Deno.test("a quota that is no number is told of", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  for (const quota of ["0", "-5", "many", "1.5"]) {
    const answer = await world.smart({ emails: [address(1)] }, { env: withQuota(world, quota) });
    assertEquals([answer.status, answer.code], [500, "invalid_configuration"]);
  }
});

Deno.test("a database that is not fit to work with is left alone, and so is the remote", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  const [row] = await world.pool.query<{ name: string }>(`select current_database() as name`);
  await world.pool.query(`alter database ${row?.name} set default_transaction_read_only = on`);
  const answer = await world.smart({ emails: [address(1)] });
  assertEquals([answer.status, answer.code], [503, "database_unhealthy"]);
  assertEquals([answer.details, answer.headers.get("retry-after")], [
    { reason: "read_only" },
    "30",
  ]);
  assertEquals(world.simulator.requests(), {});
  await world.pool.query(`alter database ${row?.name} reset default_transaction_read_only`);
  assertEquals((await world.smart({ emails: [address(1)] })).status, 200);
});

Deno.test("a database that does not answer is told of without a word of its address", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  const broken = new Error("connect ECONNREFUSED postgres://secret@10.0.0.1");
  Reflect.set(broken, "code", "ECONNREFUSED");
  const pool = {
    ...world.pool,
    query: () => Promise.reject(broken),
    transaction: () => Promise.reject(broken),
  };
  const answer = await world.smart({ emails: [address(1)] }, { database: () => pool });
  assertEquals([answer.status, answer.code], [503, "database_unhealthy"]);
  assert(!JSON.stringify(answer).includes("secret"));
  assertEquals(world.simulator.requests(), {});
});

Deno.test("a rate limit that is used up is told of at once, and named people need not wait for it", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(1));
  await world.pool.query(
    `select * from public.sync_take_tokens('mailerlite', 120, 60000, 120, 0, 0, 60000, 60000)`,
  );
  const begin = performance.now();
  const answer = await world.smart({ emails: [address(1)] }, at(MORNING));
  assertEquals([answer.status, answer.code], [503, "rate_limited"]);
  assertGreater(Number(answer.headers.get("retry-after")), 0);
  assert(performance.now() - begin < 20_000);
  assertEquals(await circuit(world), {});
});

/** Leaves so many requests of the minute, as if others had sent the rest just now. */
async function leaveRequests(world: TwoWayWorld, left: number): Promise<void> {
  await world.pool.query(
    `update public.sync_state set value = value - 'mailerlite' where key = 'token_bucket_state'`,
  );
  await world.pool.query(
    `select * from public.sync_take_tokens('mailerlite', 120, 60000, $1, 0, 0, 60000, 60000)`,
    [120 - left],
  );
  world.simulator.resetRequests();
}

Deno.test("where few requests are left a backfill waits, and named people and consent do not", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  const { env } = world.harness.runtime();
  // Too short to wait for the minute's end. No time passes but for who waits.
  let now = 0;
  const brief: Partial<Runtime> = {
    env: (name) => name === "SYNC_MAX_DURATION_MS" ? "30000" : env(name),
    monotonic: () => now,
    sleep: (ms) => {
      now += ms;
      return Promise.resolve();
    },
  };
  const sent = () => Object.values(world.simulator.requests()).reduce((sum, n) => sum + n, 0);
  // The answer of a full run calls every wait a time limit.
  const stopped = async () => {
    const rows = await world.pool.query<{ reason: string }>(
      `select stop_reason as reason from public.sync_runs order by started_at desc limit 1`,
    );
    return rows[0]?.reason;
  };

  // A fifth is what a backfill leaves to the others.
  await leaveRequests(world, 24);
  const backfill = backfillSync(world.config, world.harness.runtime(brief));
  const body = { wait: true, autoContinue: false, staleAfterDays: 0 };
  const answer = await backfill(functionRequest("backfill-sync", body));
  await answer.body?.cancel();
  assertEquals(sent(), 0);
  assertEquals(await stopped(), "rate_limit");
  assertEquals((await world.sync({}, brief)).done, true);
  await leaveRequests(world, 1);
  assertEquals(said(await world.smart({ emails: [address(1)] })), ["no changes detected"]);

  // A tenth is what a full run leaves, but for consent: of 14 two are for the list.
  for (const [change, done] of [["first_name", false], ["marketing_status", true]] as const) {
    await leaveRequests(world, 14);
    await world.editClient(2, {
      [change]: change === "first_name" ? "Bea" : "unsubscribed",
    });
    const full = await world.sync({}, brief);
    assertEquals([full.done, await stopped()], [done, done ? "complete" : "rate_limit"], change);
    await leaveRequests(world, 120);
    assertEquals((await world.syncAll()).at(-1)?.done, true);
  }
  assertEquals(world.subscriber(2)?.status, "unsubscribed");
});
