/** Pages of the remote that the database reads while it is still at work on the page before. */
import { assertEquals } from "@std/assert";
import { samplePeople } from "../scripts/sample/sample_people.ts";
import { backfillSync } from "../shared/http/backfill_sync.ts";
import type { DatabasePool } from "../shared/store/database.ts";
import config from "../sync.config.ts";
import type { AnswerBody } from "./lib/answer_body.ts";
import { functionHarness, functionRequest, type Harness } from "./lib/function_harness.ts";

const people = samplePeople({
  pairs: 320,
  sharedAddresses: 1,
  onlyLocal: 2,
  onlyRemote: 2,
  drift: 3,
});
const SMALL_PAGES = { switches: { subscribersPageMax: "clamp_100" } } as const;

interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  /** Sends it to the database. */
  readonly send: () => Promise<unknown>;
}

/** The harness's pool, whose statements go through `pass`. */
function watched(harness: Harness, pass: (statement: Statement) => Promise<void>): DatabasePool {
  const { pool } = harness;
  return {
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      let rows: Row[] = [];
      const send = async () => rows = await pool.query<Row>(sql, parameters);
      await pass({ sql, parameters, send });
      return rows;
    },
    transaction: (work) => pool.transaction(work),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

const readsRemotePage = ({ sql }: Statement) => sql.includes("convert_from(");

function commitsPageOf(side: "a" | "b", { sql, parameters }: Statement): boolean {
  return sql.includes("'unreadable_remote'") && parameters[2] === side;
}

Deno.test("the database reads a page of the remote while it is at work on the page before", async () => {
  await using harness = await functionHarness(import.meta.url, { people, simulator: SMALL_PAGES });
  const second = Promise.withResolvers<void>();
  let reads = 0;
  const pool = watched(harness, async (statement) => {
    if (readsRemotePage(statement)) {
      reads++;
      if (reads === 2) second.resolve();
      // Without the second on its way, this one is never sent, and the test ends here.
      if (reads === 1) await second.promise;
    }
    await statement.send();
  });
  const fetch = backfillSync(config, harness.runtime({ database: () => pool }));
  const response = await fetch(functionRequest("backfill-sync", { wait: true }));
  const body: AnswerBody = await response.json();
  assertEquals([response.status, body.counters.remoteListed, reads], [200, 323, 4]);
});

Deno.test("a slice that fails says so only when no page is under way any more", async () => {
  await using harness = await functionHarness(import.meta.url, { people, simulator: SMALL_PAGES });
  const third = Promise.withResolvers<void>();
  const localEnd = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  let reads = 0;
  let underWay = 0;
  let whenItFailed: number | null = null;
  const pool = watched(harness, async (statement) => {
    if (commitsPageOf("b", statement)) {
      await Promise.all([third.promise, localEnd.promise]);
      // Whatever waits for nothing else goes on before the timer.
      setTimeout(release.resolve);
      throw new Error("Cannot commit");
    }
    if (!readsRemotePage(statement)) {
      await statement.send();
      if (commitsPageOf("a", statement)) localEnd.resolve();
      return;
    }
    underWay++;
    if (++reads === 3) {
      third.resolve();
      await release.promise;
    }
    await statement.send();
    underWay--;
  });
  const base = harness.runtime();
  const fetch = backfillSync(config, {
    ...base,
    database: () => pool,
    log(level, event, fields) {
      if (event === "slice_failed") whenItFailed = underWay;
      base.log(level, event, fields);
    },
  });
  const response = await fetch(functionRequest("backfill-sync", { wait: true }));
  await response.body?.cancel();
  assertEquals([response.status, reads, whenItFailed], [500, 3, 0]);
});
