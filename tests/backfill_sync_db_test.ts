/** backfill-sync as a caller sees it, on a real database, with the simulator as the remote. */
import { assert, assertEquals, assertFalse, assertLess, assertMatch } from "@std/assert";
import { samplePeople } from "../scripts/sample/sample_people.ts";
import { consent, defineSync, pair, set } from "../shared/engine/config.ts";
import { mailerlite } from "../shared/connectors/mailerlite/mod.ts";
import { backfillSync } from "../shared/http/backfill_sync.ts";
import type { Runtime } from "../shared/http/runtime.ts";
import type { DatabasePool } from "../shared/store/database.ts";
import config from "../sync.config.ts";
import type { AnswerBody } from "./lib/answer_body.ts";
import { endState, forgetRuns } from "./lib/end_state.ts";
import { functionHarness, functionRequest, type Harness } from "./lib/function_harness.ts";

const SIZE = { pairs: 620, sharedAddresses: 3, onlyLocal: 4, onlyRemote: 5, drift: 6 };
const people = samplePeople(SIZE);
// Small pages, so that a few hundred people take many requests.
const SMALL_PAGES = { switches: { subscribersPageMax: "clamp_100" } } as const;

interface Answer {
  readonly status: number;
  readonly body: AnswerBody;
  readonly headers: Headers;
}

async function call(
  fetch: (request: Request) => Promise<Response>,
  body: unknown = {},
): Promise<Answer> {
  const response = await fetch(functionRequest("backfill-sync", body));
  return { status: response.status, body: await response.json(), headers: response.headers };
}

function worker(harness: Harness, overrides: Partial<Runtime> = {}) {
  return backfillSync(config, harness.runtime(overrides));
}

/** A worker to whom every commit of a batch takes a minute, so that a slice ends after two of them. */
function slowWorker(harness: Harness, overrides: Partial<Runtime> = {}) {
  let now = 0;
  const { pool } = harness;
  const slow: DatabasePool = {
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      const rows = await pool.query<Row>(sql, parameters);
      if (sql.startsWith("with fence")) now += 60_000;
      return rows;
    },
    transaction: (work) => pool.transaction(work),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const runtime = harness.runtime({ ...overrides, monotonic: () => now, database: () => slow });
  return backfillSync(config, runtime);
}

async function statusRow(harness: Harness): Promise<Record<string, unknown>> {
  const rows = await harness.pool.query<{ status: Record<string, unknown> }>(
    `select value -> 'backfill' as status from public.sync_state where key = 'sync_status'`,
  );
  return rows[0]?.status ?? {};
}

Deno.test("backfill-sync pairs everybody whose address is unique, and quarantines the others", async () => {
  await using harness = await functionHarness(import.meta.url, { people });
  const { status, body } = await call(worker(harness), { wait: true });
  assertEquals(status, 200);
  assertEquals([body.ok, body.status], [true, "completed"]);
  const { counters } = body;
  assertEquals(counters.linked, SIZE.pairs);
  assertEquals(counters.shadowsCreated, SIZE.pairs);
  assertEquals(counters.drift, SIZE.drift);
  assertEquals(counters.quarantined, SIZE.sharedAddresses * 3);
  assertEquals(counters.unlinkedLocal, SIZE.sharedAddresses * 2 + SIZE.onlyLocal);
  assertEquals(counters.unlinkedRemote, SIZE.sharedAddresses + SIZE.onlyRemote);
  assertEquals(counters.requests, 2);
  assertEquals(await harness.pool.query(`select 1 from public.sync_stage`), []);
});

Deno.test("backfill-sync writes to neither side", async () => {
  await using harness = await functionHarness(import.meta.url, { people });
  const before = [...harness.simulator.readAllJson()];
  const clients = await harness.pool.query(`select * from public.clients order by id`);
  await call(worker(harness), { wait: true });
  await call(worker(harness), { wait: true, staleAfterDays: 0 });
  assertEquals([...harness.simulator.readAllJson()], before);
  assertEquals(harness.simulator.history(), []);
  assertEquals(await harness.pool.query(`select * from public.clients order by id`), clients);
});

Deno.test("backfill-sync answers 202 at once and goes on in the background", async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => release = resolve);
  await using harness = await functionHarness(import.meta.url, { people, onRequest: () => held });
  const { status, body } = await call(worker(harness));
  assertEquals(status, 202);
  assertEquals(Object.keys(body).sort(), ["message", "ok", "runId", "status", "totalBatches"]);
  assertEquals([body.ok, body.status, body.totalBatches], [true, "running", 2]);
  assertEquals((await statusRow(harness))["status"], "running");
  release();
  await Promise.all(harness.background);
  const done = await statusRow(harness);
  assertEquals([done["status"], done["currentBatch"], done["totalBatches"]], ["completed", 2, 2]);
  assertEquals([done["shadowsCreated"], done["errors"], done["paused"]], [SIZE.pairs, 0, false]);
});

Deno.test("a second call while a run is at work gets 409 and the run's id", async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => release = resolve);
  await using harness = await functionHarness(import.meta.url, { people, onRequest: () => held });
  const first = await call(worker(harness));
  const second = await call(worker(harness));
  assertEquals([second.status, second.body.code], [409, "already_running"]);
  assertEquals(second.body.details.runId, first.body.runId);
  release();
  await Promise.all(harness.background);
  const rows = await harness.pool.query(`select id from public.sync_runs`);
  assertEquals(rows, [{ id: first.body.runId }]);
});

Deno.test("of two callers at the same moment exactly one starts", async () => {
  await using harness = await functionHarness(import.meta.url, { people });
  const answers = await Promise.all([call(worker(harness)), call(worker(harness))]);
  assertEquals(answers.map(({ status }) => status).sort(), [202, 409]);
});

Deno.test("after force the old worker commits nothing and the new one ends with the same state", async () => {
  await using reference = await functionHarness(import.meta.url, { people });
  await call(worker(reference), { wait: true });
  const wanted = await endState(reference.pool);

  let release = () => {};
  const held = new Promise<void>((resolve) => release = resolve);
  let arrive = () => {};
  const arrived = new Promise<void>((resolve) => arrive = resolve);
  let hold = true;
  await using harness = await functionHarness(import.meta.url, {
    people,
    simulator: SMALL_PAGES,
    onRequest: async (n) => {
      if (n !== 4 || !hold) return;
      arrive();
      await held;
    },
  });
  const first = await call(worker(harness));
  // The old worker stands in the middle of the list, as one whose answer does not come.
  await arrived;
  hold = false;
  const forced = await call(worker(harness), { wait: true, force: true });
  assertEquals([forced.status, forced.body.status], [200, "completed"]);
  assertEquals(forced.body.runId, first.body.runId);
  const state = await endState(harness.pool);
  release();
  await Promise.all(harness.background);
  assertEquals(await endState(harness.pool), state);
  assertEquals(state, wanted);
  assert(harness.log.some(({ event }) => event === "lease_lost"));
});

Deno.test("a run is paused between batches, stays paused for schedules and is resumed by a person", async () => {
  let pauseNow: () => Promise<void> = () => Promise.resolve();
  await using harness = await functionHarness(import.meta.url, {
    people,
    simulator: SMALL_PAGES,
    onRequest: async (n) => {
      if (n === 4) await pauseNow();
    },
  });
  pauseNow = async () => {
    const { status, body } = await call(worker(harness), { action: "pause" });
    assertEquals([status, body.status], [202, "running"]);
  };
  const paused = await call(worker(harness), { wait: true });
  assertEquals([paused.status, paused.body.status, paused.body.stopReason], [
    200,
    "paused",
    "paused",
  ]);
  const row = await statusRow(harness);
  assertEquals([row["status"], row["paused"]], ["paused", true]);

  const again = await call(worker(harness));
  assertEquals([again.status, again.body.code], [409, "run_paused"]);
  const sent = harness.simulator.requests()["GET /subscribers"] ?? 0;
  const resumed = await call(worker(harness), { action: "resume", wait: true });
  assertEquals([resumed.status, resumed.body.status], [200, "completed"]);
  assertEquals(resumed.body.runId, paused.body.runId);
  // It went on where it was: every page was asked for once.
  assert(sent < 7);
  assertEquals(harness.simulator.requests()["GET /subscribers"], 7);
});

Deno.test("pause, resume and status say 404 where there is no run", async () => {
  await using harness = await functionHarness(import.meta.url);
  for (const action of ["pause", "resume", "status"]) {
    const { status, body } = await call(worker(harness), { action });
    assertEquals([status, body.code], [404, "no_run"]);
  }
});

Deno.test("slices that stop at their time limit call themselves and come to the same end", async () => {
  await using reference = await functionHarness(import.meta.url, { people });
  await call(worker(reference), { wait: true });

  await using harness = await functionHarness(import.meta.url, { people, simulator: SMALL_PAGES });
  const fetch = slowWorker(harness);
  harness.self = fetch;
  const { status, body } = await call(fetch, { wait: true });
  assertEquals([status, body.status], [200, "completed"]);
  assert(body.slices >= 4, `${body.slices} slices`);
  assertEquals(await endState(harness.pool), await endState(reference.pool));
  assertEquals(harness.simulator.requests()["POST /batch"], 1);
});

Deno.test("without autoContinue each call does one slice", async () => {
  await using harness = await functionHarness(import.meta.url, { people, simulator: SMALL_PAGES });
  const fetch = slowWorker(harness);
  const first = await call(fetch, { wait: true, autoContinue: false });
  assertEquals([first.status, first.body.status], [200, "paused"]);
  assertEquals(first.body.stopReason, "time_limit");
  assertEquals((await statusRow(harness))["status"], "paused");
  let calls = 1;
  for (let status = "paused"; status !== "completed"; calls++) {
    ({ body: { status } } = await call(fetch, { wait: true, autoContinue: false }));
  }
  assert(calls >= 4);
});

Deno.test("a run that cannot call itself waits, says so, and is continued by the next call", async () => {
  await using harness = await functionHarness(import.meta.url, { people, simulator: SMALL_PAGES });
  const stranded = await call(slowWorker(harness), { wait: true });
  assertEquals([stranded.status, stranded.body.status], [200, "paused"]);
  assertMatch(stranded.body.phase, /could not call itself/);
  assertEquals((await statusRow(harness))["status"], "paused");
  const next = await call(worker(harness), { wait: true });
  assertEquals([next.status, next.body.status], [200, "completed"]);
});

Deno.test("a slice that is told of the end of its isolate stops and is continued", async () => {
  const shutdown = new AbortController();
  await using harness = await functionHarness(import.meta.url, {
    people,
    simulator: SMALL_PAGES,
    onRequest: (n) => {
      if (n === 3) shutdown.abort();
    },
  });
  const stopped = await call(worker(harness, { shutdown: shutdown.signal }), {
    wait: true,
    autoContinue: false,
  });
  assertEquals([stopped.body.status, stopped.body.stopReason], ["paused", "shutdown"]);
  assertLess(stopped.body.counters["remoteListed"], 300);
  assertEquals((await call(worker(harness), { wait: true })).body.status, "completed");
});

Deno.test("a budget that is used up for longer than a slice has is waited for, slice by slice", async () => {
  await using reference = await functionHarness(import.meta.url, { people });
  await call(worker(reference), { wait: true });
  await using harness = await functionHarness(import.meta.url, { people, simulator: SMALL_PAGES });
  // Told by the remote to stay away for three minutes; a slice has two.
  harness.simulator.setFaults([{
    path: "/subscribers",
    after: 2,
    times: 1,
    effect: { kind: "rate_limit", retryAfter: 180 },
  }]);
  const slept: number[] = [];
  const stopped = await call(
    worker(harness, { sleep: (ms) => Promise.resolve(void slept.push(ms)) }),
    { wait: true, autoContinue: false },
  );
  assertEquals([stopped.status, stopped.body.status], [200, "paused"]);
  assertEquals(stopped.body.stopReason, "rate_limit");
  assert(slept.some((ms) => ms > 60_000 && ms <= 120_000), `slept ${slept.join(", ")}`);
  assertEquals((await statusRow(harness))["errors"], 0);
  await harness.pool.query(
    `update public.sync_state set value = '{}' where key = 'token_bucket_state'`,
  );
  assertEquals((await call(worker(harness), { wait: true })).body.status, "completed");
  assertEquals(await endState(harness.pool), await endState(reference.pool));
});

Deno.test("a slice stops before the CPU budget of a hosted isolate", async () => {
  await using harness = await functionHarness(import.meta.url, { people, simulator: SMALL_PAGES });
  let now = 0;
  const ticks: (() => void)[] = [];
  const runtime = harness.runtime({
    monotonic: () => now,
    every: (ms, tick) => {
      if (ms < 1_000) ticks.push(tick);
      return () => {};
    },
    fetch: async (input, init) => {
      // Each answer keeps the isolate busy for a while.
      now += 300;
      for (const tick of ticks) tick();
      return await harness.simulator.handle(new Request(input, init));
    },
  });
  const { body } = await call(backfillSync(config, runtime), { wait: true, autoContinue: false });
  assertEquals([body.status, body.stopReason], ["paused", "cpu_limit"]);
  assertLess(body.counters["remoteListed"], 400);
});

Deno.test("a run made twice changes nothing but what is old", async () => {
  await using harness = await functionHarness(import.meta.url, { people });
  await call(worker(harness), { wait: true });
  const state = await endState(harness.pool);
  const again = await call(worker(harness), { wait: true });
  assertEquals([again.body.counters.linked, again.body.counters.pairs], [0, 0]);
  assertEquals((await endState(harness.pool)).shadows, state.shadows);
  const renewed = await call(worker(harness), { wait: true, staleAfterDays: 0 });
  assertEquals(renewed.body.counters.shadowsRefreshed, SIZE.pairs);
  assertEquals((await endState(harness.pool)).shadows, state.shadows);
});

Deno.test("without link only pairs that exist are looked at", async () => {
  await using harness = await functionHarness(import.meta.url, { people });
  await call(worker(harness), { wait: true });
  await harness.pool.query(`delete from public.shadow_snapshots where crosswalk_id % 10 = 0`);
  await harness.pool.query(`delete from public.integration_crosswalk where id % 10 = 1`);
  const { body } = await call(worker(harness), { wait: true, link: false });
  assertEquals(body.counters.linked, undefined);
  assertEquals(body.counters.shadowsCreated, SIZE.pairs / 10);
});

Deno.test("a paged list that shows active people only by default is completed status by status", async () => {
  await using harness = await functionHarness(import.meta.url, {
    people,
    simulator: { switches: { defaultStatusFilter: "active" } },
  });
  const { body } = await call(worker(harness), { wait: true });
  assertEquals([body.counters.linked, body.counters.missingRemote], [SIZE.pairs, 0]);
});

Deno.test("an empty list while pairs are linked stops the run and changes nothing", async () => {
  await using harness = await functionHarness(import.meta.url, { people });
  await call(worker(harness), { wait: true });
  const before = await endState(harness.pool);
  const emptied = backfillSync(config, {
    ...harness.runtime(),
    fetch: async (input, init) => {
      const request = new Request(input, init);
      const response = await harness.simulator.handle(request);
      if (!new URL(request.url).pathname.endsWith("/subscribers")) return response;
      const body = await response.json();
      const meta = { ...body.meta, next_cursor: null };
      return Response.json({ ...body, data: [], meta }, { headers: response.headers });
    },
  });
  const { status, body } = await call(emptied, { wait: true, staleAfterDays: 0 });
  assertEquals([status, body.code, body.details.reason], [502, "remote_error", "remote_empty"]);
  const after = await endState(harness.pool);
  assertEquals([after.crosswalk, after.shadows], [before.crosswalk, before.shadows]);
  assertEquals((await statusRow(harness))["status"], "failed");
});

Deno.test("an empty account is no error where nothing is linked", async () => {
  await using harness = await functionHarness(import.meta.url);
  harness.simulator.seed({ groups: people.groups, fields: people.fields });
  const { status, body } = await call(worker(harness), { wait: true });
  assertEquals([status, body.status, body.counters.pairs], [200, "completed", 0]);
});

Deno.test("a refused token fails the run with a reason and without a retry", async () => {
  await using harness = await functionHarness(import.meta.url, {
    people,
    simulator: { token: "another" },
  });
  const { status, body } = await call(worker(harness), { wait: true });
  assertEquals([status, body.code, body.details.reason], [
    502,
    "remote_error",
    "remote_unauthorized",
  ]);
  const row = await statusRow(harness);
  assertEquals([row["status"], row["errors"], row["completedAt"]], ["failed", 1, null]);
  assertEquals(Object.values(harness.simulator.requests()), [1]);
});

Deno.test("a storm of 429 delays the run and costs it nothing", async () => {
  await using reference = await functionHarness(import.meta.url, { people });
  await call(worker(reference), { wait: true });
  await using harness = await functionHarness(import.meta.url, {
    people,
    simulator: {
      ...SMALL_PAGES,
      faults: [{
        path: "/subscribers",
        after: 2,
        times: 3,
        effect: { kind: "rate_limit", retryAfter: 1 },
      }],
    },
  });
  // The budget is by the database's clock: a wait that took no time would be asked for again and again.
  const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const { status, body } = await call(worker(harness, { sleep }), { wait: true });
  assertEquals([status, body.status], [200, "completed"]);
  assertEquals(await endState(harness.pool), await endState(reference.pool));
});

for (
  const [what, effect] of [
    ["503", { kind: "status", status: 503 }],
    ["an HTML 502", { kind: "html", status: 502 }],
    ["a truncated page", { kind: "truncate" }],
    ["a reset connection", { kind: "reset", when: "before" }],
  ] as const
) {
  Deno.test(`${what} that passes is retried; one that stays stops the run where it is`, async () => {
    await using reference = await functionHarness(import.meta.url, { people });
    await call(worker(reference), { wait: true });
    await using harness = await functionHarness(import.meta.url, {
      people,
      simulator: SMALL_PAGES,
    });

    harness.simulator.setFaults([{ path: "/subscribers", after: 3, times: 1, effect }]);
    const passing = await call(worker(harness), { wait: true });
    assertEquals([passing.status, passing.body.status], [200, "completed"]);
    assertEquals(await endState(harness.pool), await endState(reference.pool));

    await forgetRuns(harness.pool);
    harness.simulator.setFaults([{ path: "/subscribers", after: 3, effect }]);
    const stopped = await call(worker(harness), { wait: true });
    assertEquals([stopped.status, stopped.body.code], [502, "remote_error"]);
    const row = await statusRow(harness);
    assertEquals([row["status"], row["errors"]], ["failed", 1]);

    harness.simulator.setFaults([]);
    harness.simulator.resetRequests();
    const resumed = await call(worker(harness), { wait: true });
    assertEquals([resumed.status, resumed.body.status], [200, "completed"]);
    assertEquals(resumed.body.runId, stopped.body.details.runId);
    assertEquals(harness.simulator.requests(), { "GET /subscribers": 4 });
    assertEquals(await endState(harness.pool), await endState(reference.pool));
  });
}

Deno.test("a configuration that names what is not there is refused with the path of it", async () => {
  await using harness = await functionHarness(import.meta.url, { people });
  const fields = {
    email: { local: "email", remote: "email" },
    city: { local: "town", remote: "fields.city" },
    partner: { local: "partner.nickname", remote: "fields.partner_name" },
    agent: { local: "agent.name", remote: "fields.agent" },
    consent: consent({ local: "marketing_status", remote: "status" }),
  };
  const local = { table: "clients", id: "id", naturalKey: "email" };
  const wrong = defineSync({
    clients: pair({ local, remote: mailerlite.subscribers(), fields }),
  });
  const { status, body } = await call(backfillSync(wrong, harness.runtime()));
  assertEquals([status, body.code], [500, "invalid_configuration"]);
  assertEquals(body.details.issues.map((i: { path: string }) => i.path), [
    "clients.fields.city.local",
    "clients.fields.partner.local",
    "clients.fields.agent.local",
  ]);
  assertEquals(await harness.pool.query(`select 1 from public.sync_runs`), []);

  const remote = mailerlite.subscribers({ managedGroups: ["Clients", "Missing"] });
  const missing = defineSync({
    clients: pair({
      local,
      remote,
      fields: {
        email: fields.email,
        shoe: { local: "phone", remote: "fields.shoe_size" },
        groups: set({ local: "groups", remote: "groups" }),
      },
    }),
  });
  const answer = await call(backfillSync(missing, harness.runtime()), { wait: true });
  assertEquals([answer.status, answer.body.code], [500, "invalid_configuration"]);
  assertEquals(answer.body.details.issues.map((i: { path: string }) => i.path), [
    "clients.fields.shoe.remote",
    "clients.remote.managed.groups",
  ]);
});

Deno.test("a missing API key is named before anything is begun", async () => {
  await using harness = await functionHarness(import.meta.url);
  const { env } = harness.runtime();
  const runtime = harness.runtime({
    env: (name) => name === "MAILERLITE_API_KEY" ? undefined : env(name),
  });
  const { status, body } = await call(backfillSync(config, runtime));
  assertEquals([status, body.code, body.details.variable], [
    500,
    "missing_configuration",
    "MAILERLITE_API_KEY",
  ]);
  assertEquals(await harness.pool.query(`select 1 from public.sync_runs`), []);
});

Deno.test("a changed configuration starts the enumeration of an unfinished run again", async () => {
  await using harness = await functionHarness(import.meta.url, { people, simulator: SMALL_PAGES });
  await call(slowWorker(harness), { wait: true, autoContinue: false });
  const fewer = defineSync({
    clients: pair({
      local: { table: "clients", id: "id", naturalKey: "email" },
      remote: mailerlite.subscribers(),
      fields: { email: { local: "email", remote: "email" } },
    }),
  });
  const { body } = await call(backfillSync(fewer, harness.runtime()), { wait: true });
  assertEquals([body.status, body.counters.shadowsCreated], ["completed", SIZE.pairs]);
  const rows = await harness.pool.query(
    `select distinct jsonb_object_keys(b) as field from public.shadow_snapshots`,
  );
  assertEquals(rows, [{ field: "email" }]);
  assertEquals(await harness.pool.query(`select epoch from public.sync_runs`), [{ epoch: 2 }]);
});

Deno.test("a run that is gone on with days later matches nobody by what it read then", async () => {
  await using harness = await functionHarness(import.meta.url, { people, simulator: SMALL_PAGES });
  await call(slowWorker(harness), { wait: true, autoContinue: false });
  const after = (days: number) => ({ now: () => Date.now() + days * 24 * 60 * 60_000 });
  const epoch = async () => (await harness.pool.query(`select epoch from public.sync_runs`));
  await call(slowWorker(harness, after(0.5)), { wait: true, autoContinue: false });
  assertEquals(await epoch(), [{ epoch: 1 }]);
  await call(backfillSync(config, harness.runtime(after(2))), { wait: true });
  assertEquals(await epoch(), [{ epoch: 2 }]);
  const rows = await harness.pool.query(
    `select status, counters -> 'linked' as linked from public.sync_runs`,
  );
  assertEquals(rows, [{ status: "completed", linked: SIZE.pairs }]);
});

Deno.test("a record that cannot be read is reported, and the run cannot say completed", async () => {
  await using harness = await functionHarness(import.meta.url, { people });
  const [first] = harness.simulator.readAll() as Iterable<{ id: string; email: string }>;
  assert(first !== undefined);
  const strange = backfillSync(config, {
    ...harness.runtime(),
    fetch: async (input, init) => {
      const response = await harness.simulator.handle(new Request(input, init));
      const text = await response.text();
      const changed = text.replace(`"id":"${first.id}"`, `"id":"${first.id}","status":7`)
        .replaceAll(/"status":7(.*?)"status":"[a-z]+"/g, '"status":7$1"state":"x"');
      return new Response(changed, response);
    },
  });
  const { status, body } = await call(strange, { wait: true });
  assertEquals([status, body.ok, body.status, body.errors], [200, false, "failed", 1]);
  assertEquals(body.counters.linked, SIZE.pairs - 1);
  const rows = await harness.pool.query(
    `select b_ids from public.sync_findings where kind = 'unreadable_remote'`,
  );
  assertEquals(rows, [{ b_ids: [first.id] }]);
});

Deno.test("wrong requests are refused with each bad field named, and nothing is begun", async () => {
  await using harness = await functionHarness(import.meta.url, { people });
  const fetch = worker(harness);
  const cases: [unknown, string[]][] = [
    [{ autoContinue: "yes" }, ["autoContinue"]],
    [{ staleAfterDays: -1, link: 1 }, ["link", "staleAfterDays"]],
    [{ staleAfterDays: 1.5 }, ["staleAfterDays"]],
    [{ action: "explode" }, ["action"]],
    [{ autocontinue: true }, ["(body)"]],
    [[], ["(body)"]],
    ["start", ["(body)"]],
    [null, ["(body)"]],
  ];
  for (const [body, paths] of cases) {
    const answer = await call(fetch, body);
    assertEquals([answer.status, answer.body.code], [400, "invalid_request"]);
    assertEquals(answer.body.details.fields.map((f: { path: string }) => f.path).sort(), paths);
  }
  const unknownKey = await call(fetch, { "ann@example.org": true, waiit: true });
  const text = JSON.stringify(unknownKey.body);
  assert(text.includes("'waiit'"));
  assertFalse(text.includes("ann@example.org"));
  assertEquals(await harness.pool.query(`select 1 from public.sync_runs`), []);
});

Deno.test("what is no JSON, too large or not POST is refused", async () => {
  await using harness = await functionHarness(import.meta.url);
  const fetch = worker(harness);
  const headers = { apikey: "sb_secret_harness" };
  const url = "http://project.test/functions/v1/backfill-sync";
  const send = async (init: RequestInit) => {
    const response = await fetch(new Request(url, { method: "POST", headers, ...init }));
    return [response.status, response.body === null ? null : (await response.json()).code];
  };
  assertEquals(await send({ body: '{"wait":' }), [400, "invalid_request"]);
  assertEquals(await send({ body: new Uint8Array([0xff, 0xfe]) }), [400, "invalid_request"]);
  assertEquals(await send({ body: " ".repeat(70_000) }), [413, "body_too_large"]);
  assertEquals(await send({ method: "GET" }), [405, "method_not_allowed"]);
  assertEquals(await send({ method: "OPTIONS", headers: {} }), [204, null]);
  assertEquals(await send({ headers: {}, body: "{}" }), [401, "unauthorized"]);
  assertEquals(await send({ headers: { apikey: "sb_secret_wrong" }, body: "{}" }), [
    401,
    "unauthorized",
  ]);
});

Deno.test("no address and no name stands in a log line, an error or a status", async () => {
  await using harness = await functionHarness(import.meta.url, { people, simulator: SMALL_PAGES });
  harness.simulator.setFaults([{
    path: "/subscribers",
    after: 2,
    effect: { kind: "html", status: 502 },
  }]);
  const answers = [await call(worker(harness), { wait: true })];
  harness.simulator.setFaults([]);
  answers.push(await call(worker(harness), { wait: true }));
  const state = await harness.pool.query(
    `select (select jsonb_agg(to_jsonb(s)) from public.sync_state s) as state,
       (select jsonb_agg(to_jsonb(r)) from public.sync_runs r) as runs,
       (select jsonb_agg(to_jsonb(f)) from public.sync_findings f) as findings`,
  );
  const said = JSON.stringify([harness.log, answers.map(({ body }) => body), state]);
  for (const client of people.clients()) {
    for (const value of [client.email?.trim(), client.last_name, client.city]) {
      if (value) assertFalse(said.includes(value));
    }
  }
});
