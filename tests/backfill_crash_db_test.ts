/**
 * A worker is killed at every statement it sends, once before and once after the
 * statement took effect. Whoever comes next must end with the same state as an
 * undisturbed run.
 */
import { assert, assertEquals } from "@std/assert";
import { samplePeople } from "../scripts/sample/sample_people.ts";
import { backfillSync } from "../shared/http/backfill_sync.ts";
import type { Runtime } from "../shared/http/runtime.ts";
import config from "../sync.config.ts";
import { endState, forgetRuns } from "./lib/end_state.ts";
import { functionHarness, functionRequest } from "./lib/function_harness.ts";
import { mortal, type Step } from "./lib/mortal.ts";

const people = samplePeople({
  pairs: 620,
  sharedAddresses: 3,
  onlyLocal: 4,
  onlyRemote: 5,
  drift: 6,
});

// Requests of a backfill only read, so dying at one is dying at the statement after it.
function isDatabase({ kind }: Step): boolean {
  return kind !== "request";
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
  const undisturbed = mortal(harness, null, isDatabase);
  assertEquals(await run(undisturbed.runtime, { wait: true }), 200);
  const wanted = await endState(harness.pool);
  assertEquals(wanted.crosswalk.length, 620);

  const deaths = undisturbed.steps();
  assert(deaths > 15);
  for (let dieAt = 1; dieAt <= deaths; dieAt++) {
    for (const moment of ["before", "after"] as const) {
      await forgetRuns(harness.pool);
      const victim = mortal(harness, { at: dieAt, moment }, isDatabase);
      await run(victim.runtime, { wait: true });
      assert(victim.died(), `step ${dieAt} was not reached`);
      const where = `killed ${moment} step ${dieAt} of ${deaths}`;
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
