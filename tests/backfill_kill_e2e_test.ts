/** The process of backfill-sync is killed (SIGKILL) at an exact point; whoever comes next finishes the run. */
import { assert, assertEquals } from "@std/assert";
import { samplePeople } from "../scripts/sample/sample_people.ts";
import { backfillSync } from "../shared/http/backfill_sync.ts";
import config from "../sync.config.ts";
import { type BackfillStack, backfillStack, invoke, readStatus } from "./lib/backfill_stack.ts";
import { endState, forgetRuns } from "./lib/end_state.ts";
import { functionHarness, functionRequest } from "./lib/function_harness.ts";
import { holdRunsAt } from "./lib/hold.ts";
import { until } from "./lib/until.ts";

const NAME = "backfill-sync";
const SIZE = { pairs: 3_000, sharedAddresses: 5, onlyLocal: 7, onlyRemote: 9, drift: 30 };
const people = samplePeople(SIZE);

interface Row {
  readonly id: string;
  readonly status: string;
  readonly slices: number;
  readonly step: string | null;
  readonly localDone: string | null;
  readonly counters: Readonly<Record<string, number>>;
}

async function onlyRun(world: BackfillStack): Promise<Row> {
  const rows = await world.pool.query<Row>(
    `select id, status, slices, cursor ->> 'step' as step,
       cursor -> 'a' ->> 'done' as "localDone", counters
     from public.sync_runs`,
  );
  assert(rows.length === 1 && rows[0] !== undefined, `${rows.length} runs`);
  return rows[0];
}

/** Starts a run that is expected to be stopped; gives its id. */
async function start(world: BackfillStack): Promise<string> {
  const { status, body } = await invoke(world.admin, { autoContinue: true });
  assertEquals(status, 202);
  return body.runId;
}

/** The next caller is sent away, because nobody can know yet that the worker is dead. */
async function sentAway(world: BackfillStack, runId: string): Promise<void> {
  const { status, body } = await invoke(world.admin, {});
  assertEquals([status, body.code], [409, "already_running"]);
  assertEquals(body.details.runId, runId);
  assert(body.details.heartbeatAgeMs < 90_000);
}

/** Takes over, works to the end, and shows that the run is the same one. */
async function takesOver(
  world: BackfillStack,
  runId: string,
  body: Record<string, unknown>,
): Promise<void> {
  const answer = await invoke(world.admin, { ...body, wait: true });
  assertEquals([answer.status, answer.body.status], [200, "completed"]);
  assertEquals(answer.body.runId, runId);
  const run = await onlyRun(world);
  assertEquals(run.status, "completed");
  // More where a busy machine makes a slice believe that it has used up its CPU time.
  assert(run.slices >= 2);
  assertEquals([run.counters["linked"], run.counters["shadowsCreated"]], [SIZE.pairs, SIZE.pairs]);
  assertEquals((await readStatus(world.admin))["status"], "completed");
}

Deno.test("a backfill whose process is killed is finished by the next caller", async (t) => {
  await using reference = await functionHarness(import.meta.url, { people });
  await backfillSync(config, reference.runtime())(functionRequest(NAME, { wait: true }));
  const wanted = await endState(reference.pool);
  assertEquals(wanted.shadows.length, SIZE.pairs);

  await using world = await backfillStack(import.meta.url, { people });
  const { stack, simulator, database } = world;

  await t.step("in the middle of the remote list, taken over by force", async () => {
    // The third of four pages does not come in this test's lifetime.
    await simulator.setFaults([
      { path: "[?&]cursor=", after: 1, times: 1, effect: { kind: "latency", ms: 600_000 } },
    ]);
    const runId = await start(world);
    await until("the third page is asked for and the first two are stored", async () => {
      const [fault] = await simulator.faults();
      const { counters } = await onlyRun(world);
      return fault?.hits === 1 && counters["remoteListed"] === 2_000 ? true : undefined;
    });
    await stack.functions.kill(NAME);
    await simulator.setFaults([]);
    await simulator.resetRequests();

    await sentAway(world, runId);
    await takesOver(world, runId, { force: true });
    // The list went on where it was: the first two pages were not asked for again.
    assertEquals((await simulator.requests()).byRoute, { "GET /subscribers": 2 });
    assertEquals(await endState(world.pool), wanted);
  });

  await t.step("in the middle of the local table, taken over once it is silent", async () => {
    await forgetRuns(world.pool);
    await using hold = await holdRunsAt(database, "new.counters ->> 'localRead' = '2000'");
    const runId = await start(world);
    await hold.reached();
    await stack.functions.kill(NAME);
    // The server does not know that the sender is dead: the statement takes effect all the same.
    await hold.release();
    await until(
      "the orphaned statement has ended",
      async () => (await onlyRun(world)).counters["localRead"] === 2_000 ? true : undefined,
    );
    const { step, localDone } = await onlyRun(world);
    assertEquals([step, localDone], [null, "false"]);

    await sentAway(world, runId);
    await world.pool.query(
      `update public.sync_runs set heartbeat_at = now() - interval '91 seconds'`,
    );
    await takesOver(world, runId, {});
    assertEquals(await endState(world.pool), wanted);
  });

  await t.step("in the middle of the snapshots, taken over by force", async () => {
    await forgetRuns(world.pool);
    await using hold = await holdRunsAt(database, "new.current_batch = 3");
    const runId = await start(world);
    await hold.reached();
    await stack.functions.kill(NAME);
    // Here the server notices: the third batch is rolled back.
    await hold.cut();
    await hold.release();
    const { step, counters } = await onlyRun(world);
    assertEquals([step, counters["shadowsCreated"]], ["snapshot", 1_000]);

    await sentAway(world, runId);
    await simulator.resetRequests();
    await takesOver(world, runId, { force: true });
    assertEquals((await simulator.requests()).total, 0);
    assertEquals(await endState(world.pool), wanted);
  });
});
