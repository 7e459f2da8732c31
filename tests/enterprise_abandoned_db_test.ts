/**
 * Runs that nobody goes on with, and those that only wait for somebody to.
 *
 * The invariants, by number: 4 no lost update, 22 a single writer.
 */
import { assert, assertEquals } from "@std/assert";
import { Killed, type Step, watched } from "./lib/mortal.ts";
import { assertQuiet } from "./lib/run_invariants.ts";
import { PLANNED, syncWith } from "./lib/sync_with.ts";
import { changedConfig, equalPeople, type TwoWayWorld, twoWayWorld } from "./lib/two_way_world.ts";

const TO_REMOTE = "supabase-to-mailerlite";

/** Dies once its first updates have reached the remote, with all that it has staged. */
async function killWorker(world: TwoWayWorld, body: Readonly<Record<string, unknown>>) {
  let isDead = false;
  const die = () => {
    if (isDead) throw new Killed();
  };
  const isUpdate = ({ kind, body }: Step) =>
    kind === "request" && body.some((text) => String(text).includes(`"method":"PUT"`));
  const runtime = watched(world.harness, {
    before: die,
    after(step) {
      isDead ||= isUpdate(step);
      die();
    },
  });
  await world.sync(body, runtime).catch(() => {});
  assert(isDead);
}

/** As if nobody had heard of the unfinished runs for so long. */
async function letPass(world: TwoWayWorld, time: string): Promise<void> {
  await world.pool.query(
    `update public.sync_runs set heartbeat_at = now() - $1::interval where ended_at is null`,
    [time],
  );
}

async function staged(world: TwoWayWorld, runId: unknown): Promise<string[]> {
  const rows = await world.pool.query<{ name: string }>(
    `select 'stage' as name from public.sync_stage where run_id = $1
     union select 'seen' from public.sync_seen where run_id = $1
     union select 'work' from public.sync_work where run_id = $1 order by name`,
    [runId],
  );
  return rows.map(({ name }) => name);
}

async function runOf(world: TwoWayWorld, lane: string): Promise<Record<string, unknown>> {
  const [row] = await world.pool.query<Record<string, unknown>>(
    `select id, status, stop_reason, error ->> 'code' as code, phase, lease_owner
     from public.sync_runs where function = 'enterprise-sync' and lane = $1
     order by started_at limit 1`,
    [lane],
  );
  return row ?? {};
}

Deno.test("4, 22: a run whose worker died, and that nobody goes on with for a day, is ended by a run of another direction", async () => {
  const config = changedConfig({
    fields: { city: { local: "city", remote: "fields.city", wins: "remote" } },
  });
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), { config });
  for (const n of [1, 2]) await world.editClient(n, { city: "Bern" });
  world.addSubscriber(4);
  await killWorker(world, { direction: TO_REMOTE });
  const { id } = await runOf(world, "to_remote");
  assertEquals(await staged(world, id), ["seen", "stage", "work"]);
  await world.editClient(1, { city: "Rome" });

  // Its caller may still come back to it.
  await letPass(world, "23 hours");
  await world.sync({ maxRecords: 1 });
  assertEquals((await runOf(world, "to_remote"))["status"], "running");
  assertEquals(await staged(world, id), ["seen", "stage", "work"]);

  await letPass(world, "25 hours");
  // A slice that ends before the run frees what was staged all the same.
  assertEquals((await world.sync({ maxRecords: 1 })).done, false);
  assertEquals(await runOf(world, "to_remote"), {
    id,
    status: "failed",
    stop_reason: "abandoned",
    code: "abandoned",
    phase: "Abandoned: its worker gave no sign any more",
    lease_owner: null,
  });
  assertEquals(await staged(world, id), []);
  await world.syncAll();
  assertEquals([(await world.client(1))?.city, world.subscriber(1)?.fields["city"]], [
    "Rome",
    "Rome",
  ]);
  await assertQuiet(world);
});

Deno.test("4: what the worker of an abandoned run has sent is looked into by the run that ends it", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  for (const n of [1, 2]) await world.editClient(n, { city: "Bern" });
  await killWorker(world, { direction: TO_REMOTE });
  const intents = () => world.pool.query(`select 1 from public.sync_intents`);
  assertEquals((await intents()).length, 2);
  await letPass(world, "25 hours");
  world.editSubscriber(1, { fields: { city: "Rome" } });
  await world.sync();
  assertEquals(await intents(), []);
  assertEquals([(await world.client(1))?.city, (await world.client(2))?.city], ["Rome", "Bern"]);
  await assertQuiet(world);
});

Deno.test("22: the worker of an abandoned run that wakes up writes nothing any more", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { city: "Bern" });
  const stale = await syncWith(world, PLANNED, async () => {
    await letPass(world, "25 hours");
    assertEquals((await world.sync()).done, true);
  }, { direction: TO_REMOTE });
  assertEquals([stale.status, stale.code], [409, "already_running"]);
  assertEquals((await runOf(world, "to_remote"))["status"], "failed");
  assertEquals(world.takeRemoteWrites(), ["subscriber.update"]);
});

Deno.test("a run that waits, or that a person paused, is left to whoever goes on with it", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(6));
  for (const n of [1, 2, 3]) await world.editClient(n, { city: "Bern" });
  const waiting = await world.sync({ direction: TO_REMOTE, maxRecords: 1 });
  for (
    const change of [
      `status = 'waiting'`,
      `status = 'paused'`,
      // Whoever asked for the pause was told that it would come.
      `status = 'running', pause_requested = true`,
    ]
  ) {
    await world.pool.query(`update public.sync_runs set ${change} where id = $1`, [waiting.runId]);
    await letPass(world, "40 days");
    await world.sync();
    const run = await runOf(world, "to_remote");
    assert(change.startsWith(`status = '${run["status"]}'`), `${change}: ${run["status"]}`);
  }
  const last = await world.sync({ direction: TO_REMOTE, action: "resume" });
  assertEquals([last.status, last.runId, last.done], [200, waiting.runId, true]);
});

Deno.test("a dry run and a plan that nobody goes on with for a day are ended, but for those a person paused", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(6));
  for (const n of [1, 2, 3]) await world.editClient(n, { city: "Bern" });
  const dry = await world.sync({ dryRun: true, maxRecords: 1 });
  const plan = await world.sync({ plan: true, maxRecords: 1 });
  const killed = await world.sync({ plan: true, direction: TO_REMOTE, maxRecords: 1 });
  const paused = await world.sync({ dryRun: true, direction: TO_REMOTE, maxRecords: 1 });
  const looks = [dry, plan, killed, paused];
  await world.pool.query(
    `update public.sync_runs set status = case lane when 'to_remote:plan' then 'running'
       when 'to_remote:dry' then 'paused' else status end`,
  );
  const states = async () => {
    const rows = await Promise.all(
      ["both:dry", "both:plan", "to_remote:plan", "to_remote:dry"].map((lane) =>
        runOf(world, lane)
      ),
    );
    return rows.map(({ status, stop_reason }) => `${status} ${stop_reason}`);
  };
  await letPass(world, "23 hours");
  const before = await states();
  await world.sync({ maxRecords: 1 });
  assertEquals(await states(), before);
  await letPass(world, "25 hours");
  // Who may only look ends nothing.
  await world.sync({ dryRun: true, direction: "mailerlite-to-supabase" });
  assertEquals(await states(), before);
  await world.sync({ maxRecords: 1 });
  assertEquals(await states(), [
    "failed abandoned",
    "failed abandoned",
    "failed abandoned",
    "paused record_limit",
  ]);
  assertEquals((await runOf(world, "both:dry"))["phase"], "Abandoned: nobody went on with it");
  const left = await Promise.all(looks.map(({ runId }) => staged(world, runId)));
  assertEquals(left.map((tables) => tables.length > 0), [false, false, false, true]);
  const anew = await world.sync({ dryRun: true, cursor: dry.nextCursor });
  assertEquals([anew.status, anew.done], [200, true]);
  assert(anew.runId !== dry.runId && anew.message.includes("a new one was started"));
});

Deno.test("an abandoned run is told of where people look, and does not stand for the runs after it", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  for (const n of [1, 2]) await world.editClient(n, { city: "Bern" });
  await killWorker(world, {});
  await letPass(world, "25 hours");
  const verdict = async () => {
    const [row] = await world.pool.query<{ verdict: string }>(
      `select verdict from public.sync_health where function = 'enterprise-sync'`,
    );
    return row?.verdict ?? "";
  };
  const status = async () => {
    const [row] = await world.pool.query<{ status: string }>(
      `select value #>> '{fullSync,status}' as status from public.sync_state where key = 'sync_status'`,
    );
    return row?.status;
  };
  assert((await verdict()).startsWith("late: the worker has given no sign for 25 hours"));
  await world.sync({ direction: TO_REMOTE });
  assertEquals(await status(), "completed");
  assert((await verdict()).startsWith("stopped: the last run failed with abandoned"));
  await world.sync();
  assertEquals([await status(), (await verdict()).includes("stopped")], ["completed", false]);
});
