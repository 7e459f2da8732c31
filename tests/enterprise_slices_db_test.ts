/**
 * A run of enterprise-sync that is cut off, again and again, and goes on: by its
 * limit of records, its time, its CPU, the end of its isolate.
 *
 * The invariants, by number: 18 the same end as undisturbed, 21 every record is
 * visited, wherever a run was cut off, 30 every record is counted once.
 */
import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import type { Runtime } from "../shared/http/runtime.ts";
import { watched } from "./lib/mortal.ts";
import { oneOfEverything } from "./lib/one_of_everything.ts";
import { assertConserved } from "./lib/run_invariants.ts";
import type { TwoWayReplay } from "./lib/two_way_state.ts";
import { address } from "./lib/two_way_people.ts";
import {
  changedConfig,
  type EnterpriseAnswer,
  equalPeople,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

const TO_LOCAL = "mailerlite-to-supabase";
const TO_REMOTE = "supabase-to-mailerlite";

/** Records of the walk over one of everything. */
const RECORDS = 37;

/** Records that differ, and new ones on both sides, among so many that the list takes three pages. */
async function largeWorld(meta: string): Promise<TwoWayWorld> {
  const world = await twoWayWorld(meta, equalPeople(240), {
    simulator: { switches: { subscribersPageMax: "clamp_100" } },
    config: changedConfig({ limits: { updates: { percent: 100, floor: 5 } } }),
  });
  for (const n of [1, 100, 240]) await world.editClient(n, { first_name: "Bea" });
  for (const n of [2, 120, 239]) world.editSubscriber(n, { fields: { city: "Rome" } });
  await world.addClient(241);
  world.addSubscriber(242);
  world.takeRemoteWrites();
  return world;
}

async function assertLarge(world: TwoWayWorld): Promise<void> {
  for (const n of [1, 100, 240]) assertEquals(world.subscriber(n)?.fields["name"], "Bea");
  for (const n of [2, 120, 239]) assertEquals((await world.client(n))?.city, "Rome");
  assertEquals(world.subscriber(241)?.fields["name"], "Ann");
  assertEquals((await world.clientsWithAddress(242)).length, 1);
  const kinds = world.takeRemoteWrites();
  assertEquals(kinds.toSorted(), [
    "subscriber.create",
    "subscriber.join_group",
    ...Array(3).fill("subscriber.update"),
  ]);
  assertEquals(await assertConserved(world), 242);
  assertEquals((await world.counters())["remoteListed"], 241);
}

/** A worker to whom every step of a kind, by default every commit, takes so long that its time is up at the next look. */
function slow(world: TwoWayWorld, isSlow = /^with fence/): Runtime {
  let now = 0;
  const runtime = watched(world.harness, {
    after({ what }) {
      if (isSlow.test(what)) now += 1_000;
    },
  });
  return { ...runtime, monotonic: () => now };
}

/** Calls until a run is done, each with the cursor of the last. */
async function callByCall(
  world: TwoWayWorld,
  body: Readonly<Record<string, unknown>>,
  runtimeOf: () => Partial<Runtime> = () => ({}),
): Promise<readonly EnterpriseAnswer[]> {
  const answers: EnterpriseAnswer[] = [];
  let cursor: string | null = null;
  do {
    const answer = await world.sync(cursor === null ? body : { ...body, cursor }, runtimeOf());
    assertEquals(answer.status, 200);
    answers.push(answer);
    cursor = answer.nextCursor;
    assertEquals(answer.done, cursor === null);
  } while (cursor !== null && answers.length < 300);
  assertEquals(new Set(answers.map(({ runId }) => runId)).size, 1);
  return answers;
}

function reasons(answers: readonly EnterpriseAnswer[]): string[] {
  return [...new Set(answers.map(({ stopReason }) => stopReason))].sort();
}

Deno.test("18, 21, 30: calls of few records each come to the same end, and their answers add up", async () => {
  await using made = await oneOfEverything(import.meta.url);
  const { start } = made;
  const whole = await start.restore();
  const [once] = await callByCall(whole, {});
  const wanted = await whole.end();
  for (const maxRecords of [1, 3, 7]) {
    const world = await start.restore();
    const answers = await callByCall(world, { maxRecords });
    assertEquals(answers.length, Math.ceil(RECORDS / maxRecords));
    assertEquals(reasons(answers), ["complete", "record_limit"]);
    assertEquals(answers.at(-1)?.stopReason, "complete");
    assertEquals(await world.end(), wanted, `${maxRecords} at a time`);
    for (
      const name of ["recordsProcessed", "updatesApplied", "conflictsDetected", "errors"] as const
    ) {
      const sum = answers.reduce((total, answer) => total + answer[name], 0);
      assertEquals(sum, once?.[name], name);
    }
    assert(answers.every(({ recordsProcessed }) => recordsProcessed <= maxRecords));
    // The list is read once, whatever the calls.
    assertEquals(world.simulator.requests()["GET /subscribers"], 1);
  }
});

Deno.test("18, 21, 30: a worker that never has time comes to the same end, a step a call", async () => {
  await using made = await oneOfEverything(import.meta.url);
  const { start } = made;
  const whole = await start.restore();
  await callByCall(whole, {});
  const wanted = await whole.end();
  const world = await start.restore();
  const answers = await callByCall(
    world,
    { maxRecords: 7, maxDurationMs: 1_000 },
    () => slow(world),
  );
  assertEquals(await world.end(), wanted);
  assert(reasons(answers).includes("time_limit"));
  const sum = answers.reduce((total, { recordsProcessed }) => total + recordsProcessed, 0);
  assertEquals(sum, RECORDS);
});

Deno.test("18, 21, 30: a list that is read over several calls proves and finds the same", async () => {
  await using world = await largeWorld(import.meta.url);
  world.simulator.resetRequests();
  const isSlow = /^GET .*\/subscribers\?/;
  const answers = await callByCall(world, { maxDurationMs: 1_000 }, () => slow(world, isSlow));
  // A page that was sent for already is taken.
  assertEquals(answers.length, 2);
  assertEquals(reasons(answers), ["complete", "time_limit"]);
  assertEquals(world.simulator.requests()["GET /subscribers"], 3);
  await assertLarge(world);
});

Deno.test("a run stops before the CPU budget of a hosted isolate, and says that it goes on", async () => {
  await using world = await largeWorld(import.meta.url);
  const busy = (): Partial<Runtime> => {
    let now = 0;
    const ticks: (() => void)[] = [];
    return {
      monotonic: () => now,
      every: (ms, tick) => {
        if (ms < 1_000) ticks.push(tick);
        return () => {};
      },
      fetch: async (input, init) => {
        // Each answer keeps the isolate busy for a while.
        now += 500;
        for (const tick of ticks) tick();
        return await world.simulator.handle(new Request(input, init));
      },
    };
  };
  const first = await world.sync({}, busy());
  assertEquals([first.status, first.done, first.recordsProcessed], [200, false, 0]);
  assertMatch(first.message, /CPU limit/);
  await callByCall(world, {}, busy);
  await assertLarge(world);
});

Deno.test("a run whose isolate ends stops at the next step and loses nothing", async () => {
  await using world = await largeWorld(import.meta.url);
  let cut = 0;
  for (let requests = 1;; requests++) {
    const ending = new AbortController();
    let sent = 0;
    const answer = await world.sync({}, {
      shutdown: ending.signal,
      fetch: async (input, init) => {
        if (++sent === requests) ending.abort();
        return await world.simulator.handle(new Request(input, init));
      },
    });
    assertEquals(answer.status, 200);
    if (answer.done) break;
    assertMatch(answer.message, /ending this worker/);
    cut++;
  }
  assertGreater(cut, 1);
  await assertLarge(world);
});

Deno.test("a call without a cursor takes up the unfinished run of its direction, and no other's", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(9));
  for (const n of [1, 2, 3]) await world.editClient(n, { first_name: "Bea" });
  for (const n of [4, 5, 6]) world.editSubscriber(n, { fields: { city: "Rome" } });
  const both = await world.sync({ maxRecords: 2 });
  const toLocal = await world.sync({ maxRecords: 2, direction: TO_LOCAL });
  const toRemote = await world.sync({ maxRecords: 2, direction: TO_REMOTE });
  const dry = await world.sync({ maxRecords: 2, dryRun: true });
  const runs = [both, toLocal, toRemote, dry].map(({ runId }) => runId);
  assertEquals(new Set(runs).size, 4);
  const again = [
    await world.sync({ maxRecords: 2 }),
    await world.sync({ maxRecords: 2, direction: TO_LOCAL }),
    await world.sync({ maxRecords: 2, direction: TO_REMOTE }),
    await world.sync({ maxRecords: 2, dryRun: true }),
  ];
  assertEquals(again.map(({ runId }) => runId), runs);
  await world.syncAll({ direction: TO_LOCAL });
  assertEquals((await world.client(5))?.city, "Rome");
  await world.syncAll({ direction: TO_REMOTE });
  assertEquals(world.subscriber(3)?.fields["name"], "Bea");
  await world.syncAll();
  await world.syncAll({ dryRun: true });
  world.takeRemoteWrites();
  const quiet = await world.sync();
  assertEquals([quiet.done, quiet.updatesApplied, quiet.skipped], [true, 0, 0]);
});

Deno.test("a cursor that is damaged, or of another direction, is refused and nothing is begun", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  const { nextCursor, runId } = await world.sync({ maxRecords: 1 });
  const cursor = nextCursor ?? "";
  const middle = Math.floor(cursor.length / 2);
  const other = cursor[middle] === "A" ? "B" : "A";
  const damaged = [
    "",
    "x",
    cursor.slice(0, -3),
    cursor.slice(0, middle) + other + cursor.slice(middle + 1),
    btoa(JSON.stringify({ v: 1, run: runId, epoch: 1, lane: "both", at: 1 })),
    `${cursor}é`,
  ];
  for (const text of damaged) {
    const answer = await world.sync({ cursor: text, maxRecords: 1 });
    assertEquals([answer.status, answer.code], [400, "invalid_cursor"], JSON.stringify(text));
  }
  for (const body of [{ direction: TO_LOCAL }, { dryRun: true }]) {
    const answer = await world.sync({ ...body, cursor });
    assertEquals([answer.status, answer.code], [400, "invalid_cursor"]);
  }
  const rows = await world.pool.query(
    `select id from public.sync_runs where function = 'enterprise-sync'`,
  );
  assertEquals(rows, [{ id: runId }]);
  const taken = await world.sync({ cursor, maxRecords: 1 });
  assertEquals([taken.status, taken.runId, taken.recordsProcessed], [200, runId, 1]);
});

Deno.test("a cursor of a run that is over, or of an older list, begins anew and says so", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  const first = await world.sync({ maxRecords: 1 });
  await world.syncAll();
  await world.editClient(1, { first_name: "Bea" });
  const anew = await world.sync({ cursor: first.nextCursor });
  assertEquals([anew.status, anew.done, anew.recordsProcessed], [200, true, 4]);
  assert(anew.runId !== first.runId);
  assertMatch(anew.message, /new one was started/);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");

  // A day later the list proves nothing any more, so it is read again.
  const cut = await world.sync({ maxRecords: 1 });
  const tomorrow = { now: () => Date.now() + 25 * 60 * 60_000 };
  world.simulator.resetRequests();
  const restarted = await world.sync({ maxRecords: 1, cursor: cut.nextCursor }, tomorrow);
  assertEquals([restarted.runId, restarted.recordsProcessed], [cut.runId, 1]);
  assertMatch(restarted.message, /new one was started/);
  assertEquals(world.simulator.requests()["GET /subscribers"], 1);
  const old = await world.sync({ maxRecords: 1, cursor: cut.nextCursor }, tomorrow);
  assertEquals([old.status, old.runId], [200, cut.runId]);
  assertMatch(old.message, /new one was started/);
});

/** How a call's answer and the run it worked on tell of each other. */
async function runRow(world: TwoWayWorld | TwoWayReplay): Promise<Record<string, unknown>> {
  const [row] = await world.pool.query<Record<string, unknown>>(
    `select status, stop_reason, phase from public.sync_runs
     where function = 'enterprise-sync' order by started_at desc limit 1`,
  );
  return row ?? {};
}

Deno.test("a run that is cut off waits for the next call, and its row says why", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  const answer = await world.sync({ maxRecords: 3 });
  assertEquals([answer.stopReason, answer.done], ["record_limit", false]);
  const waiting = await runRow(world);
  assertEquals([waiting["status"], waiting["stop_reason"]], ["waiting", "record_limit"]);
  assertEquals(answer.message, waiting["phase"]);
  const last = await world.sync({ maxRecords: 3 });
  assertEquals([last.stopReason, last.done, last.recordsProcessed], ["complete", true, 1]);
  assertEquals((await runRow(world))["status"], "completed");
});

Deno.test("4: an edit that brings back what the list's first call knew is found by the next run", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(240), {
    simulator: { switches: { subscribersPageMax: "clamp_100" } },
  });
  const isolate = slow(world, /^GET .*\/subscribers\?/);
  const first = await world.sync({ maxDurationMs: 1_000 }, isolate);
  assertEquals([first.stopReason, first.recordsProcessed], ["time_limit", 0]);
  // On a page that the second call reads.
  const before = String((await world.client(239))?.city);
  await world.editClient(239, { city: "Rome" });
  await world.smart({ emails: [address(239)] });
  assertEquals(world.subscriber(239)?.fields["city"], "Rome");
  world.editSubscriber(239, { fields: { city: before } });
  const second = await world.sync({ maxDurationMs: 1_000 }, isolate);
  assertEquals([second.done, second.runId, second.updatesApplied], [true, first.runId, 0]);
  await world.syncAll();
  assertEquals((await world.client(239))?.city, before);
  assertEquals(world.subscriber(239)?.fields["city"], before);
});
