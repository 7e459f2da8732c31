import { assert, assertEquals, assertRejects } from "@std/assert";
import { testDatabase } from "../../tests/lib/database.ts";
import { type DatabasePool, openDatabase } from "./database.ts";
import { LeaseLostError } from "./lease_lost_error.ts";
import {
  type Acquired,
  acquireRun,
  beat,
  endRun,
  latestRun,
  layDownRun,
  pauseRun,
  type RunRequest,
  strandRun,
} from "./runs.ts";

const REQUEST: RunRequest = {
  functionName: "backfill-sync",
  pair: "people",
  mode: "start",
  force: false,
  staleMs: 90_000,
  params: { link: true, staleAfterDays: 30, autoContinue: false },
  requestedBy: "secret:default",
};
const PHASES = { completed: "Done", failed: "Not done" };

async function open() {
  const database = await testDatabase(import.meta.url);
  const pool = openDatabase({ url: database.url, name: "runs-test", max: 8 });
  return {
    pool,
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

function acquired(result: Acquired) {
  assert(result.outcome === "acquired", result.outcome);
  return result;
}

async function silence(pool: DatabasePool, seconds: number) {
  await pool.query(`update public.sync_runs set heartbeat_at = now() - make_interval(secs => $1)`, [
    seconds,
  ]);
}

async function publishedStatus(pool: DatabasePool) {
  const rows = await pool.query<{ backfill: Record<string, unknown> }>(
    `select value -> 'backfill' as backfill from public.sync_state where key = 'sync_status'`,
  );
  return rows[0]?.backfill ?? {};
}

Deno.test("acquireRun() lets one of many first callers in and tells the others the run's id", async () => {
  await using db = await open();
  const results = await Promise.all(Array.from({ length: 8 }, () => acquireRun(db.pool, REQUEST)));
  const winners = results.filter((r) => r.outcome === "acquired");
  const losers = results.filter((r) => r.outcome === "busy");
  assertEquals([winners.length, losers.length], [1, 7]);
  const { run } = acquired(winners[0] ?? results[0] as Acquired);
  for (const loser of losers) assertEquals(loser.outcome === "busy" && loser.run.id, run.id);
});

Deno.test("acquireRun() keeps runs of other pairs and functions apart", async () => {
  await using db = await open();
  acquired(await acquireRun(db.pool, REQUEST));
  acquired(await acquireRun(db.pool, { ...REQUEST, pair: "companies" }));
  acquired(await acquireRun(db.pool, { ...REQUEST, functionName: "enterprise-sync" }));
});

Deno.test("acquireRun() takes over from a silent holder, whose commits are refused from then on", async () => {
  await using db = await open();
  const old = acquired(await acquireRun(db.pool, REQUEST)).run;
  await silence(db.pool, 89);
  assertEquals((await acquireRun(db.pool, REQUEST)).outcome, "busy");
  await silence(db.pool, 91);
  const taken = acquired(await acquireRun(db.pool, REQUEST));
  assertEquals(taken.how, "taken_over");
  assertEquals(taken.run.id, old.id);
  assert(taken.run.fencing > old.fencing);
  await assertRejects(() => beat(db.pool, old), LeaseLostError);
  await assertRejects(() => endRun(db.pool, old, "complete", PHASES, null), LeaseLostError);
  await assertRejects(
    () => layDownRun(db.pool, old, { status: "waiting", stopReason: "x", phase: "x", error: null }),
    LeaseLostError,
  );
  assertEquals(await beat(db.pool, taken.run), false);
});

Deno.test("acquireRun() takes over from a live holder only by force", async () => {
  await using db = await open();
  const old = acquired(await acquireRun(db.pool, REQUEST)).run;
  const taken = acquired(await acquireRun(db.pool, { ...REQUEST, force: true }));
  assertEquals(taken.run.id, old.id);
  await assertRejects(() => beat(db.pool, old), LeaseLostError);
});

Deno.test("acquireRun() goes on with an unfinished run and keeps what it was asked for", async () => {
  await using db = await open();
  const first = acquired(await acquireRun(db.pool, REQUEST)).run;
  await layDownRun(db.pool, first, {
    status: "waiting",
    stopReason: "time_limit",
    phase: "Stopped",
    error: null,
  });
  const params = { link: false, staleAfterDays: 1, autoContinue: true };
  const next = acquired(await acquireRun(db.pool, { ...REQUEST, params }));
  assertEquals(next.how, "resumed");
  assertEquals(next.run.id, first.id);
  assertEquals(next.run.slices, 2);
  assertEquals(next.run.params, { link: true, staleAfterDays: 30, autoContinue: true });
});

Deno.test("acquireRun() has nothing to resume where nothing is unfinished", async () => {
  await using db = await open();
  assertEquals(
    (await acquireRun(db.pool, { ...REQUEST, mode: "resume" })).outcome,
    "nothing_to_resume",
  );
  const { run } = acquired(await acquireRun(db.pool, REQUEST));
  await endRun(db.pool, run, "complete", PHASES, null);
  assertEquals(
    (await acquireRun(db.pool, { ...REQUEST, mode: "resume" })).outcome,
    "nothing_to_resume",
  );
});

Deno.test("pauseRun() asks a working holder, and pauses at once where there is none", async () => {
  await using db = await open();
  assertEquals(await pauseRun(db.pool, "backfill-sync", "people", 90_000), null);
  const { run } = acquired(await acquireRun(db.pool, REQUEST));
  const asked = await pauseRun(db.pool, "backfill-sync", "people", 90_000);
  assertEquals([asked?.status, asked?.pauseRequested], ["running", true]);
  assertEquals(await beat(db.pool, run), true);
  await silence(db.pool, 91);
  const paused = await pauseRun(db.pool, "backfill-sync", "people", 90_000);
  assertEquals([paused?.status, paused?.pauseRequested], ["paused", false]);
  await assertRejects(() => beat(db.pool, run), LeaseLostError);
  assertEquals((await publishedStatus(db.pool))["paused"], true);
});

Deno.test("a pause that a worker died before it came to is not forgotten by whoever takes over", async () => {
  await using db = await open();
  const { run } = acquired(await acquireRun(db.pool, REQUEST));
  await pauseRun(db.pool, "backfill-sync", "people", 90_000);
  await silence(db.pool, 91);
  const later = await acquireRun(db.pool, REQUEST);
  assertEquals(later.outcome, "paused");
  await assertRejects(() => beat(db.pool, run), LeaseLostError);
  assertEquals((await publishedStatus(db.pool))["paused"], true);
  const resumed = acquired(await acquireRun(db.pool, { ...REQUEST, mode: "resume" }));
  assertEquals([resumed.run.id, resumed.run.pauseRequested], [run.id, false]);
});

Deno.test("a paused run is started again by a person only", async () => {
  await using db = await open();
  const { run } = acquired(await acquireRun(db.pool, REQUEST));
  await layDownRun(db.pool, run, {
    status: "paused",
    stopReason: "paused",
    phase: "Paused",
    error: null,
  });
  assertEquals((await acquireRun(db.pool, REQUEST)).outcome, "paused");
  const resumed = acquired(await acquireRun(db.pool, { ...REQUEST, mode: "resume" }));
  assertEquals(resumed.run.id, run.id);
});

Deno.test("endRun() computes the status from the errors, and the table refuses another one", async () => {
  await using db = await open();
  const { run } = acquired(await acquireRun(db.pool, REQUEST));
  await db.pool.query(`update public.sync_runs set errors = 2`);
  await assertRejects(
    () => db.pool.query(`update public.sync_runs set status = 'completed', ended_at = now()`),
    Error,
    "sync_runs_completed_without_errors",
  );
  const ended = await endRun(db.pool, run, "complete", PHASES, null);
  assertEquals([ended.status, ended.phase, ended.errors], ["failed", "Not done", 2]);
  const { completedAt, status, errors } = await publishedStatus(db.pool);
  assertEquals([completedAt, status, errors], [null, "failed", 2]);
});

Deno.test("endRun() counts the error that ended the run", async () => {
  await using db = await open();
  const { run } = acquired(await acquireRun(db.pool, REQUEST));
  const error = { code: "remote_unauthorized", message: "Cannot call the remote" };
  const ended = await endRun(db.pool, run, "error", PHASES, error);
  assertEquals([ended.status, ended.errors, ended.error], ["failed", 1, error]);
  assertEquals((await latestRun(db.pool, "backfill-sync", "people"))?.id, run.id);
});

Deno.test("sync_status tells a run between two slices apart: going on, waiting, failed", async () => {
  await using db = await open();
  const request = { ...REQUEST, params: { ...REQUEST.params, autoContinue: true } };
  const { run } = acquired(await acquireRun(db.pool, request));
  const how = { status: "waiting", stopReason: "time_limit", phase: "Stopped" } as const;
  await layDownRun(db.pool, run, { ...how, error: null });
  assertEquals((await publishedStatus(db.pool))["status"], "running");
  await strandRun(db.pool, run, "Stranded");
  const stranded = await publishedStatus(db.pool);
  assertEquals([stranded["status"], stranded["phase"]], ["paused", "Stranded"]);
  const again = acquired(await acquireRun(db.pool, request)).run;
  await layDownRun(db.pool, again, { ...how, error: { code: "remote_error", message: "Gone" } });
  const failed = await publishedStatus(db.pool);
  assertEquals([failed["status"], failed["errors"]], ["failed", 1]);
  // The run that could not call itself is somebody else's by now.
  await strandRun(db.pool, run, "Too late");
  assertEquals((await publishedStatus(db.pool))["phase"], "Stopped");
});

Deno.test("sync_status has exactly the keys dashboards read, before and after a run", async () => {
  await using db = await open();
  const keys = [
    "completedAt",
    "currentBatch",
    "errors",
    "lastUpdatedAt",
    "paused",
    "phase",
    "shadowsCreated",
    "startedAt",
    "status",
    "totalBatches",
  ];
  assertEquals(Object.keys(await publishedStatus(db.pool)).sort(), keys);
  const { run } = acquired(await acquireRun(db.pool, REQUEST));
  await endRun(db.pool, run, "complete", PHASES, null);
  const after = await publishedStatus(db.pool);
  assertEquals(Object.keys(after).sort(), keys);
  assertEquals(after["status"], "completed");
  assertEquals(typeof after["completedAt"], "string");
});
