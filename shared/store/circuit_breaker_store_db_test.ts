import { assert, assertEquals, assertRejects } from "@std/assert";
import type { CircuitState } from "../limits/circuit_breaker_store.ts";
import { circuitsOf, iso, LIMITS, probeOf, START, SUBJECT } from "../../tests/lib/circuits.ts";
import { testDatabase } from "../../tests/lib/database.ts";
import { statementsOver } from "../../tests/lib/statements_over.ts";
import { until } from "../../tests/lib/until.ts";
import { DatabaseCircuitBreakers } from "./circuit_breaker_store.ts";

const MINUTE_MS = 60_000;

Deno.test("a circuit goes from closed to open, half open and closed, and its state can be read", async () => {
  await using db = await testDatabase(import.meta.url);
  const c = circuitsOf(db);
  const closed: CircuitState = {
    state: "closed",
    reason: null,
    failures: 0,
    openedAt: null,
    nextProbeAt: null,
  };
  assertEquals(await c.enter(0), { decision: "allowed" });
  assertEquals(await c.state(0), closed);
  assertEquals(await c.fail(0), { state: "closed", changed: false });
  assertEquals(await c.fail(1_000), { state: "closed", changed: false });
  assertEquals(await c.state(1_000), {
    ...closed,
    reason: "remote_unavailable",
    failures: 2,
  });
  assertEquals(await c.enter(1_000), { decision: "allowed" });
  assertEquals(await c.fail(2_000, null, "remote_timeout"), { state: "open", changed: true });

  const reason = "remote_timeout";
  const opened = { reason, failures: 3, openedAt: iso(2_000), nextProbeAt: iso(62_000) };
  assertEquals(await c.enter(2_000), { decision: "open", retryAfterMs: MINUTE_MS, reason });
  assertEquals(await c.enter(61_999), { decision: "open", retryAfterMs: 1, reason });
  assertEquals(await c.state(61_999), { state: "open", ...opened });
  assertEquals(await c.state(62_000), { state: "half_open", ...opened });

  const probe = probeOf(await c.enter(62_000));
  assertEquals(await c.state(62_000), {
    ...opened,
    state: "half_open",
    nextProbeAt: iso(122_000),
  });
  assertEquals(await c.enter(63_000), { decision: "open", retryAfterMs: 59_000, reason });
  assertEquals(await c.succeed(64_000, probe), { state: "closed", changed: true });
  assertEquals(await c.state(64_000), closed);
  assertEquals(await c.enter(64_000), { decision: "allowed" });
  // What happened before it closed is forgotten: it takes three failures again.
  assertEquals(await c.fail(65_000), { state: "closed", changed: false });
});

Deno.test("sync_state.circuit_breaker has the keys that dashboards read, in every state", async () => {
  await using db = await testDatabase(import.meta.url);
  const c = circuitsOf(db);
  const closed = {
    state: "closed",
    reason: "remote_unavailable",
    failures: 1,
    failedAt: [iso(0)],
    openedAt: null,
    nextProbeAt: null,
    cooldownMs: 0,
    probe: null,
  };
  await c.fail(0);
  assertEquals(await c.value(), { [SUBJECT]: closed });
  await c.fail(1);
  await c.fail(2);
  const opened = {
    ...closed,
    state: "open",
    failures: 3,
    failedAt: [iso(0), iso(1), iso(2)],
    openedAt: iso(2),
    nextProbeAt: iso(60_002),
    cooldownMs: MINUTE_MS,
  };
  assertEquals(await c.value(), { [SUBJECT]: opened });
  const probe = probeOf(await c.enter(60_002));
  const halfOpen = { ...opened, state: "half_open", nextProbeAt: iso(120_002), probe };
  assertEquals(await c.value(), { [SUBJECT]: halfOpen });
  await c.succeed(60_003, probe);
  const again = { ...closed, reason: null, failures: 0, failedAt: [] };
  assertEquals(await c.value(), { [SUBJECT]: again });
});

Deno.test("failures outside the window do not count", async () => {
  await using db = await testDatabase(import.meta.url);
  const c = circuitsOf(db);
  await c.fail(0);
  await c.fail(1);
  assertEquals((await c.state(599_999)).failures, 2);
  assertEquals((await c.state(600_000)).failures, 1);
  assertEquals(await c.fail(600_000), { state: "closed", changed: false });
  assertEquals((await c.state(600_001)).failures, 1);
  await c.fail(600_002);
  assertEquals(await c.fail(600_003), { state: "open", changed: true });
  assertEquals((await c.state(1_200_000)).openedAt, iso(600_003));
});

Deno.test("the cool-down doubles up to the longest while probes fail, and starts anew after a success", async () => {
  await using db = await testDatabase(import.meta.url);
  const c = circuitsOf(db);
  await c.open();
  let at = 0;
  for (const minutes of [1, 2, 4, 8, 15, 15]) {
    const waiting = await c.enter(at);
    assert(waiting.decision === "open");
    assertEquals(waiting.retryAfterMs, minutes * MINUTE_MS);
    at += minutes * MINUTE_MS;
    const probe = probeOf(await c.enter(at));
    assertEquals(await c.fail(at, probe, "remote_timeout"), { state: "open", changed: true });
  }
  const { openedAt, reason } = await c.state(at);
  assertEquals([openedAt, reason], [iso(0), "remote_timeout"]);
  at += 15 * MINUTE_MS;
  await c.succeed(at, probeOf(await c.enter(at)));
  for (let i = 0; i < 3; i++) await c.fail(at);
  const anew = await c.enter(at);
  assertEquals(anew.decision === "open" && anew.retryAfterMs, MINUTE_MS);
});

Deno.test("of 20 connections that ask at once, one becomes the probe, each time there is one", async () => {
  await using db = await testDatabase(import.meta.url);
  await circuitsOf(db).open();
  const clients = await Promise.all(Array.from({ length: 20 }, () => db.connect()));
  const holder = await db.connect();
  try {
    const workers = clients.map((client) => circuitsOf(db, statementsOver(client)));
    for (const at of [MINUTE_MS, 2 * MINUTE_MS, 3 * MINUTE_MS]) {
      // Held until all of them have seen that the probe is due and wait for the row.
      await holder.query("begin");
      await holder.query(
        "select 1 from public.sync_state where key = 'circuit_breaker' for update",
      );
      const asking = workers.map((worker) => worker.enter(at));
      await until("all wait for the row", async () => {
        const { rows } = await db.pool.query<{ waiting: number }>(
          `select count(*)::integer as waiting from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock'`,
        );
        return rows[0]?.waiting === 20 ? true : undefined;
      });
      await holder.query("commit");
      const answers = await Promise.all(asking);
      const probes = answers.filter(({ decision }) => decision === "probe");
      const turnedAway = answers.filter((answer) =>
        answer.decision === "open" && answer.retryAfterMs === LIMITS.probeLeaseMs
      );
      assertEquals([probes.length, turnedAway.length], [1, 19]);
    }
  } finally {
    await Promise.all([...clients, holder].map((client) => client.end()));
  }
});

Deno.test("of 20 connections that fail at once, one opens the circuit", async () => {
  await using db = await testDatabase(import.meta.url);
  const clients = await Promise.all(Array.from({ length: 20 }, () => db.connect()));
  try {
    const workers = clients.map((client) => circuitsOf(db, statementsOver(client)));
    const answers = await Promise.all(workers.map((worker) => worker.fail(0)));
    assertEquals(answers.filter(({ changed }) => changed).length, 1);
    assertEquals(answers.filter(({ state }) => state === "closed").length, 2);
    assertEquals((await circuitsOf(db).state(0)).failures, 3);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
});

Deno.test("the probe of a killed holder is given to somebody else after its lease", async () => {
  await using db = await testDatabase(import.meta.url);
  const c = circuitsOf(db);
  await c.open();
  const killed = probeOf(await c.enter(MINUTE_MS));
  assertEquals((await c.enter(2 * MINUTE_MS - 1)).decision, "open");
  const probe = probeOf(await c.enter(2 * MINUTE_MS));
  // If it was slow and not killed: what it says is too late.
  assertEquals(await c.succeed(2 * MINUTE_MS, killed), { state: "half_open", changed: false });
  assertEquals(await c.fail(2 * MINUTE_MS, killed), { state: "half_open", changed: false });
  assertEquals(await c.succeed(2 * MINUTE_MS, probe), { state: "closed", changed: true });
});

Deno.test("a probe that outlives its lease still decides where nobody has taken its place", async () => {
  await using db = await testDatabase(import.meta.url);
  const c = circuitsOf(db);
  await c.open();
  const slow = probeOf(await c.enter(MINUTE_MS));
  assertEquals(await c.succeed(10 * MINUTE_MS, slow), { state: "closed", changed: true });
});

Deno.test("a probe that gives its place back is followed at once, with the cool-down as it was", async () => {
  await using db = await testDatabase(import.meta.url);
  const c = circuitsOf(db);
  await c.open();
  const first = probeOf(await c.enter(MINUTE_MS));
  assertEquals(await c.giveBack(MINUTE_MS, first), { state: "half_open", changed: false });
  const second = probeOf(await c.enter(MINUTE_MS));
  assertEquals(await c.succeed(MINUTE_MS, first), { state: "half_open", changed: false });
  await c.fail(MINUTE_MS, second);
  const waiting = await c.enter(MINUTE_MS);
  assertEquals(waiting.decision === "open" && waiting.retryAfterMs, 2 * MINUTE_MS);
});

Deno.test("calls that began before the circuit opened change nothing when they end", async () => {
  await using db = await testDatabase(import.meta.url);
  const c = circuitsOf(db);
  await c.open();
  const before = await c.value();
  assertEquals(await c.fail(30_000), { state: "open", changed: false });
  assertEquals(await c.succeed(30_000), { state: "open", changed: false });
  assertEquals(await c.value(), before);
  const probe = probeOf(await c.enter(MINUTE_MS));
  assertEquals(await c.fail(MINUTE_MS), { state: "half_open", changed: false });
  assertEquals(await c.succeed(MINUTE_MS, probe), { state: "closed", changed: true });
});

Deno.test("a probe's report counts once", async () => {
  await using db = await testDatabase(import.meta.url);
  const c = circuitsOf(db);
  await c.open();
  const probe = probeOf(await c.enter(MINUTE_MS));
  await c.fail(MINUTE_MS, probe);
  const before = await c.value();
  assertEquals(await c.fail(MINUTE_MS, probe), { state: "open", changed: false });
  assertEquals(await c.succeed(MINUTE_MS, probe), { state: "open", changed: false });
  assertEquals(await c.value(), before);
});

Deno.test("each subject has a circuit of its own", async () => {
  await using db = await testDatabase(import.meta.url);
  const c = circuitsOf(db);
  await c.open();
  assertEquals((await c.enter(0)).decision, "open");
  assertEquals(await c.enter(0, "database"), { decision: "allowed" });
});

Deno.test("nobody writes or waits where everybody may call, or nobody", async () => {
  await using db = await testDatabase(import.meta.url);
  const asking = await db.connect();
  await asking.query("set lock_timeout = '1s'");
  const c = circuitsOf(db, statementsOver(asking));
  const holder = await db.connect();
  const lock = "select 1 from public.sync_state where key = 'circuit_breaker' for update";
  try {
    await holder.query("begin");
    await holder.query(lock);
    assertEquals(await c.enter(0), { decision: "allowed" });
    await holder.query("commit");
    await c.open();
    await holder.query("begin");
    await holder.query(lock);
    assertEquals((await c.enter(0)).decision, "open");
    assertEquals((await c.state(0)).state, "open");
    await holder.query("commit");
  } finally {
    await Promise.all([asking.end(), holder.end()]);
  }
});

Deno.test("the times do not depend on the session's settings", async () => {
  await using db = await testDatabase(import.meta.url);
  const client = await db.connect();
  try {
    await client.query("set timezone = 'Pacific/Kiritimati'");
    await client.query("set datestyle = 'German, DMY'");
    const c = circuitsOf(db, statementsOver(client));
    await c.open();
    const { [SUBJECT]: stored } = await c.value();
    assert(typeof stored === "object" && stored !== null);
    assertEquals(Reflect.get(stored, "nextProbeAt"), iso(MINUTE_MS));
    assertEquals((await c.state(0)).nextProbeAt, iso(MINUTE_MS));
    assertEquals((await c.enter(0)).decision, "open");
    assertEquals((await c.enter(MINUTE_MS)).decision, "probe");
  } finally {
    await client.end();
  }
});

Deno.test("the database's clock decides by default", async () => {
  await using db = await testDatabase(import.meta.url);
  const circuits = new DatabaseCircuitBreakers(statementsOver(db.pool));
  const before = Date.now();
  for (let i = 0; i < 3; i++) {
    await circuits.report(SUBJECT, LIMITS, { ok: false, code: "x", probe: null });
  }
  const { openedAt, nextProbeAt } = await circuits.state(SUBJECT, LIMITS);
  assert(openedAt !== null && nextProbeAt !== null);
  assert(Date.parse(openedAt) >= before - 1_000 && Date.parse(openedAt) <= Date.now() + 1_000);
  assertEquals(Date.parse(nextProbeAt) - Date.parse(openedAt), MINUTE_MS);
});

Deno.test("the list of failures does not grow without end", async () => {
  await using db = await testDatabase(import.meta.url);
  let now = START;
  const circuits = new DatabaseCircuitBreakers(statementsOver(db.pool), () => now);
  const limits = { ...LIMITS, failureThreshold: 1, cooldownMs: 1, maxCooldownMs: 1 };
  for (let i = 0; i < 120; i++, now++) {
    const answer = await circuits.enter(SUBJECT, limits);
    const probe = answer.decision === "probe" ? answer.probe : null;
    await circuits.report(SUBJECT, limits, { ok: false, code: "x", probe });
  }
  assertEquals((await circuits.state(SUBJECT, limits)).failures, 100);
  const { rows } = await db.pool.query(
    "select value -> $1 -> 'failedAt' ->> -1 as latest from public.sync_state where key = 'circuit_breaker'",
    [SUBJECT],
  );
  assertEquals(rows, [{ latest: iso(119) }]);
});

Deno.test("numbers that are no limits are refused", async () => {
  await using db = await testDatabase(import.meta.url);
  const { circuits } = circuitsOf(db);
  const report = { ok: false, code: "x", probe: null };
  for (const name of ["failureThreshold", "windowMs", "cooldownMs", "maxCooldownMs"] as const) {
    await assertRejects(
      () => circuits.report(SUBJECT, { ...LIMITS, [name]: 0 }, report),
      Error,
      "Cannot guard 'remote:crm'",
    );
  }
  await assertRejects(() => circuits.enter("lostAt", LIMITS), Error, "Cannot guard 'lostAt'");
});

Deno.test("the breaker's functions may be called by the service role and by no other role of the API", async () => {
  await using db = await testDatabase(import.meta.url);
  const { rows } = await db.pool.query(`
    select r.role, count(*)::integer as functions,
      count(*) filter (where has_function_privilege(r.role, p.oid, 'execute'))::integer as may
    from pg_proc p, unnest(array['anon', 'authenticated', 'service_role']) r (role)
    where p.proname like 'sync\\_breaker\\_%' group by r.role order by r.role`);
  assertEquals(rows, [
    { role: "anon", functions: 4, may: 0 },
    { role: "authenticated", functions: 4, may: 0 },
    { role: "service_role", functions: 4, may: 4 },
  ]);
  const client = await db.connect();
  try {
    await client.query("set role service_role");
    const c = circuitsOf(db, statementsOver(client));
    await c.open();
    await c.succeed(MINUTE_MS, probeOf(await c.enter(MINUTE_MS)));
    assertEquals((await c.state(MINUTE_MS)).state, "closed");
  } finally {
    await client.end();
  }
});
