/**
 * A worker is killed at every statement it sends that may write, once before and
 * once after the statement took effect. Whoever comes next must end with the same state as an
 * undisturbed run.
 */
import { assert, assertEquals } from "@std/assert";
import { samplePeople } from "../scripts/sample/sample_people.ts";
import { backfillSync } from "../shared/http/backfill_sync.ts";
import type { Runtime } from "../shared/http/runtime.ts";
import config from "../sync.config.ts";
import { endState, forgetRuns } from "./lib/end_state.ts";
import { functionHarness, functionRequest } from "./lib/function_harness.ts";
import { mayWrite, mortal, outlivesWorker, type Step } from "./lib/mortal.ts";

const people = samplePeople({
  pairs: 510,
  sharedAddresses: 3,
  onlyLocal: 4,
  onlyRemote: 5,
  drift: 6,
});

// Requests of a backfill only read, so dying at one is dying at the statement after it.
function counts(step: Step): boolean {
  return step.kind !== "request" && mayWrite(step);
}

async function run(runtime: Runtime, body: unknown): Promise<number> {
  const response = await backfillSync(config, runtime)(functionRequest("backfill-sync", body));
  await response.body?.cancel();
  return response.status;
}

Deno.test("backfill-sync killed at any statement is finished by the next call, with the same end", async () => {
  await using harness = await functionHarness(import.meta.url, {
    people,
    simulator: { switches: { subscribersPageMax: "clamp_100" } },
  });
  const steps: Step[] = [];
  const undisturbed = mortal(harness, null, (step) => {
    if (counts(step)) steps.push(step);
    return counts(step);
  });
  assertEquals(await run(undisturbed.runtime, { wait: true }), 200);
  const wanted = await endState(harness.pool);
  assertEquals(wanted.crosswalk.length, 510);

  assert(steps.filter(outlivesWorker).length > 15, `only ${steps.length} steps`);
  for (const [index, step] of steps.entries()) {
    const dieAt = index + 1;
    for (
      const moment of outlivesWorker(step) ? ["before", "after"] as const : ["before"] as const
    ) {
      await forgetRuns(harness.pool);
      const victim = mortal(harness, { at: dieAt, moment }, counts);
      await run(victim.runtime, { wait: true });
      assert(victim.died(), `step ${dieAt} was not reached`);
      const where = `killed ${moment} step ${dieAt} of ${steps.length}`;
      // Killed after its last commit there is nothing left to finish.
      const [left] = await harness.pool.query<{ status: string }>(
        `select status from public.sync_runs`,
      );
      if (left?.status !== "completed") {
        const next = await run(harness.runtime(), { wait: true, force: true });
        assertEquals(next, 200, where);
      }
      assertEquals(await endState(harness.pool), wanted, where);
      const leftovers = await harness.pool.query(
        `select 1 from public.sync_runs where status not in ('completed', 'failed')`,
      );
      assertEquals(leftovers, [], where);
    }
  }
});
