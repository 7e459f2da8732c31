/**
 * A worker is killed at every statement it sends, once before and once after the
 * statement took effect. Whoever comes next must end with the same state as an
 * undisturbed run.
 */
import { assert, assertEquals } from "@std/assert";
import { samplePeople } from "../scripts/sample/sample_people.ts";
import { backfillSync } from "../shared/http/backfill_sync.ts";
import type { Runtime } from "../shared/http/runtime.ts";
import type { Database, DatabasePool } from "../shared/store/database.ts";
import config from "../sync.config.ts";
import { endState, forgetRuns } from "./lib/end_state.ts";
import { functionHarness, functionRequest, type Harness } from "./lib/function_harness.ts";

const people = samplePeople({
  pairs: 620,
  sharedAddresses: 3,
  onlyLocal: 4,
  onlyRemote: 5,
  drift: 6,
});

type Moment = "before" | "after";

class Killed extends Error {}

/** A worker's surroundings that are gone from the given statement on. */
function mortal(harness: Harness, dieAt: number, moment: Moment) {
  let sent = 0;
  let dead = false;
  const wrap = (database: Database): Database => ({
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      const mine = ++sent;
      if (dead || (mine === dieAt && moment === "before")) {
        dead = true;
        throw new Killed();
      }
      const rows = await database.query<Row>(sql, parameters);
      if (mine === dieAt) dead = true;
      if (dead) throw new Killed();
      return rows;
    },
  });
  const pool: DatabasePool = {
    ...wrap(harness.pool),
    transaction: (work) => harness.pool.transaction((database) => work(wrap(database))),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const base = harness.runtime();
  const runtime: Runtime = {
    ...base,
    database: () => pool,
    fetch: (input, init) => dead ? Promise.reject(new Killed()) : base.fetch(input, init),
  };
  return { runtime, statements: () => sent, died: () => dead };
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
  const undisturbed = mortal(harness, Infinity, "before");
  assertEquals(await run(undisturbed.runtime, { wait: true }), 200);
  const wanted = await endState(harness.pool);
  assertEquals(wanted.crosswalk.length, 620);

  const deaths = undisturbed.statements();
  assert(deaths > 15);
  for (let dieAt = 1; dieAt <= deaths; dieAt++) {
    for (const moment of ["before", "after"] as const) {
      await forgetRuns(harness.pool);
      const victim = mortal(harness, dieAt, moment);
      await run(victim.runtime, { wait: true });
      assert(victim.died(), `statement ${dieAt} was not reached`);
      const where = `killed ${moment} statement ${dieAt} of ${deaths}`;
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
