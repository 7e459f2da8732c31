import { assert, assertEquals } from "@std/assert";
import { testDatabase } from "./lib/database.ts";
import { TokenBucket } from "../shared/limits/token_bucket.ts";
import { BUCKET, busiestWindow, RateWorld } from "./lib/rate_workers.ts";

const WINDOW_MS = 60_000;
const TEN_MINUTES_MS = 600_000;
const BUDGET = 120;

Deno.test("busiestWindow() counts a window without its end", () => {
  assertEquals(busiestWindow([0, 1, 60_000, 60_000.5], WINDOW_MS), 3);
  assertEquals(busiestWindow([0, 60_000, 120_000], WINDOW_MS), 1);
  assertEquals(busiestWindow([], WINDOW_MS), 0);
});

// A window of the remote that begins anywhere, opened by a request or by the
// clock, is one of the windows that are checked.
Deno.test("8 workers at full demand stay inside the budget and use nearly all of it", async (t) => {
  const loads = [
    { name: "quick answers", latencyMs: [20, 600], concurrency: 1, statements: 1 / 5 },
    // 48 requests under way and 80 tokens in hand are more than there are: some
    // workers get part of a block.
    {
      name: "slow answers, many at a time",
      latencyMs: [50, 9_000],
      concurrency: 6,
      statements: 1 / 4,
    },
  ] as const;
  for (const { name, latencyMs, concurrency, statements: most } of loads) {
    await t.step(name, async () => {
      await using db = await testDatabase(import.meta.url);
      const { arrivals, statements } = await new RateWorld(db, 1).send({
        workers: 8,
        concurrency,
        durationMs: TEN_MINUTES_MS,
        limits: { budget: BUDGET, block: 10 },
        latencyMs,
        remote: () => null,
      });
      assertEquals(busiestWindow(arrivals, WINDOW_MS), BUDGET);
      const used = arrivals.length / (BUDGET * 10);
      assert(used >= 0.95, `used ${used} of the budget`);
      const ratio = statements / arrivals.length;
      assert(ratio <= most, `${ratio} statements a request`);
      const { rows } = await db.pool.query(
        "select length(value::text) as size from public.sync_state where key = 'token_bucket_state'",
      );
      assert(rows[0].size < 4_000, `${rows[0].size} characters of state`);
    });
  }
});

Deno.test("8 workers stay inside a budget of 5 and use nearly all of it", async () => {
  await using db = await testDatabase(import.meta.url);
  const { arrivals } = await new RateWorld(db, 2).send({
    workers: 8,
    durationMs: TEN_MINUTES_MS,
    limits: { budget: 5 },
    latencyMs: [50, 500],
    remote: () => null,
  });
  assertEquals(busiestWindow(arrivals, WINDOW_MS), 5);
  assert(arrivals.length >= 0.95 * 50, `${arrivals.length} of 50`);
});

Deno.test("one worker alone asks the database once a block", async () => {
  await using db = await testDatabase(import.meta.url);
  const { arrivals, statements } = await new RateWorld(db, 3).send({
    workers: 1,
    durationMs: TEN_MINUTES_MS,
    limits: { budget: BUDGET, block: 10 },
    latencyMs: [20, 300],
    remote: () => null,
  });
  assertEquals(busiestWindow(arrivals, WINDOW_MS), BUDGET);
  const ratio = statements / arrivals.length;
  assert(ratio <= 0.12, `${ratio} statements a request`);
});

Deno.test("workers killed at any time cost no over-use, and their tokens come back", async () => {
  await using db = await testDatabase(import.meta.url);
  const world = new RateWorld(db, 4);
  const limits = { budget: BUDGET, block: 10 };
  // Killed in the first burst, while waiting, and in a later burst: with tokens
  // in hand, with requests under way, and with places in the queue.
  const killed = await world.send({
    workers: 8,
    durationMs: 120_000,
    limits,
    latencyMs: [50, 500],
    remote: () => null,
    killedAfterMs: (worker) => [1_500, 3_000, 20_000, 58_000, 61_500, 63_000][worker] ?? 120_000,
  });
  const before = killed.arrivals.at(-1) ?? 0;
  assert(before > 60_000, "the later burst was reached");
  await world.clock.run(world.clock.sleep(180_000 - (world.clock.now() - world.startedAt)));
  const { arrivals } = await world.send({
    workers: 2,
    durationMs: 300_000,
    limits,
    latencyMs: [50, 500],
    remote: () => null,
  });
  const all = [...killed.arrivals, ...arrivals];
  assert(busiestWindow(all, WINDOW_MS) <= BUDGET);
  // Life, flight and window of the last grant ended 78 s after 120 s at the latest.
  const late = arrivals.filter((at) => at >= 198_000 && at < 258_000).length;
  assert(late >= 0.95 * BUDGET, `${late} requests in the minute after all tokens were back`);
});

Deno.test("a run that releases its tokens gives them back at once", async () => {
  await using db = await testDatabase(import.meta.url);
  const world = new RateWorld(db, 5);
  const demand = {
    workers: 8,
    limits: { budget: BUDGET, block: 10 },
    latencyMs: [50, 500],
    remote: () => null,
  } as const;
  const first = await world.send({ ...demand, durationMs: 1_500 });
  const { rows } = await db.pool.query(
    "select value -> $1 -> 'grants' as grants from public.sync_state where key = 'token_bucket_state'",
    [BUCKET],
  );
  assertEquals(rows[0].grants, {});
  const second = await world.send({ ...demand, durationMs: 50_000 });
  assertEquals(first.arrivals.length + second.arrivals.length, BUDGET);
});

/** How long small bursts of urgent requests wait beside workers that want all there is, in ms, and what arrived in all. */
async function besideBulk(seed: number, leaves: number) {
  await using db = await testDatabase(import.meta.url);
  const world = new RateWorld(db, seed);
  const { clock } = world;
  const { store, end } = await world.connect();
  const waits: number[] = [];
  const arrivals: number[] = [];
  const buckets = { [BUCKET]: { budget: BUDGET } };
  const urgent = async () => {
    while (clock.now() < world.startedAt + TEN_MINUTES_MS - WINDOW_MS) {
      await clock.sleep(world.between(15_000, 25_000));
      // Each burst is a call of its own, in an isolate of its own.
      await using bucket = new TokenBucket({ store, buckets, now: clock.now, sleep: clock.sleep });
      await Promise.all(Array.from({ length: 4 }, async () => {
        const asked = clock.now();
        const permit = await bucket.take(BUCKET);
        waits.push(clock.now() - asked);
        arrivals.push(clock.now() - world.startedAt);
        await clock.sleep(100);
        permit.settle(null);
      }));
    }
  };
  const bulk = await world.send({
    workers: 4,
    concurrency: 2,
    durationMs: TEN_MINUTES_MS,
    limits: { budget: BUDGET },
    latencyMs: [50, 500],
    remote: () => null,
    leaves,
  }, [urgent()]);
  await end();
  const all = [...bulk.arrivals, ...arrivals].sort((one, other) => one - other);
  return { longest: Math.max(...waits), all, bulk: bulk.arrivals.length };
}

Deno.test("what is urgent passes bulk work that wants all there is, at once, and the budget is kept", async () => {
  const { longest, all, bulk } = await besideBulk(6, 0.2);
  // A call of the database, and no wait.
  assert(longest <= 50, `waited ${longest} ms`);
  assert(busiestWindow(all, WINDOW_MS) <= BUDGET);
  assert(bulk >= 0.65 * BUDGET * 10, `${bulk} requests of bulk work`);
  // Without the order it stands in the queue like anybody.
  const { longest: without } = await besideBulk(6, 0);
  assert(without > 5_000, `waited ${without} ms`);
});
