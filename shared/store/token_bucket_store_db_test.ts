import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import type { TakeRequest } from "../limits/token_bucket_store.ts";
import { type TestDatabase, testDatabase } from "../../tests/lib/database.ts";
import { TokenBucketModel } from "../../tests/lib/token_bucket_model.ts";
import { DatabaseTokenBuckets } from "./token_bucket_store.ts";

const START = Date.UTC(2026, 0, 1);
const WINDOW_MS = 60_000;
const LIFE_MS = 8_000;
const FLIGHT_MS = 10_000;

const REQUEST: TakeRequest = {
  bucket: "remote",
  budget: 12,
  windowMs: WINDOW_MS,
  want: 4,
  reserve: 0,
  maxWaitMs: 600_000,
  lifeMs: LIFE_MS,
  flightMs: FLIGHT_MS,
  reports: [],
  observed: null,
  retryAfterMs: null,
};

/** Takes with the clock at `at` ms after the start. */
function bucketsOf(db: TestDatabase) {
  let now = START;
  const database = {
    async query<Row>(sql: string, parameters: readonly unknown[] = []) {
      return (await db.pool.query(sql, [...parameters])).rows as Row[];
    },
  };
  const buckets = new DatabaseTokenBuckets(database, () => now);
  return {
    database,
    take(at: number, request: Partial<TakeRequest> = {}) {
      now = START + at;
      return buckets.take({ ...REQUEST, ...request });
    },
    async reset(value: unknown = {}) {
      await db.pool.query(
        "update public.sync_state set value = $1 where key = 'token_bucket_state'",
        [JSON.stringify(value)],
      );
    },
    async value(): Promise<Record<string, Record<string, unknown>>> {
      const { rows } = await db.pool.query(
        "select value from public.sync_state where key = 'token_bucket_state'",
      );
      return rows[0].value;
    },
  };
}

/** One step of a random history, as choices that are always possible. */
interface Step {
  readonly passMs: number;
  readonly worker: number;
  readonly want: number;
  readonly reserve: number;
  readonly maxWaitMs: number;
  /** Share of the worker's tokens it sends, and of its requests that get an answer before the next step. */
  readonly send: number;
  readonly answer: number;
  readonly delay: number;
  readonly killed: boolean;
  /** Share of the budget that the remote says is left. */
  readonly remaining: number;
  readonly retryAfterMs: number | null;
}

const STEP: fc.Arbitrary<Step> = fc.record({
  passMs: fc.oneof(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 40_000 })),
  worker: fc.integer({ min: 0, max: 3 }),
  want: fc.integer({ min: 0, max: 8 }),
  reserve: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 15 })),
  maxWaitMs: fc.oneof(fc.constant(600_000), fc.integer({ min: 0, max: 60_000 })),
  send: fc.double({ min: 0, max: 1, noNaN: true }),
  answer: fc.double({ min: 0, max: 1, noNaN: true }),
  delay: fc.double({ min: 0, max: 1, noNaN: true }),
  killed: fc.boolean(),
  remaining: fc.double({ min: 0, max: 1, noNaN: true }),
  retryAfterMs: fc.option(fc.integer({ min: 1, max: 400_000 }), { freq: 8 }),
});

/** A worker of the random history, which keeps to the rules and knows nothing but answers. */
class Worker {
  #grant: { id: number; usable: number[]; by: number } | null = null;
  #flying: { id: number; sent: number; arrival: number }[] = [];
  #answered: { id: number; sent: number; at: number }[] = [];

  /** Sends some of what it may until `now` and hears some answers; returns arrivals at the remote. */
  live(from: number, now: number, step: Step): number[] {
    const arrivals: number[] = [];
    const grant = this.#grant;
    if (grant !== null) {
      const due = grant.usable.filter((at) => at <= now && at < grant.by);
      for (const at of due.slice(0, Math.round(due.length * step.send))) {
        grant.usable.shift();
        const sent = Math.max(at, from) +
          Math.floor((Math.min(now, grant.by - 1) - Math.max(at, from)) * step.delay);
        if (sent < Math.max(at, from)) continue;
        const arrival = sent + Math.floor(step.delay * FLIGHT_MS);
        arrivals.push(arrival);
        this.#flying.push({ id: grant.id, sent, arrival });
      }
    }
    const heard = this.#flying.filter((request) => request.arrival <= now)
      .slice(0, Math.round(this.#flying.length * step.answer));
    for (const request of heard) {
      this.#flying.splice(this.#flying.indexOf(request), 1);
      const at = request.arrival + Math.floor((now - request.arrival) * step.delay);
      this.#answered.push({ id: request.id, sent: request.sent, at });
    }
    return arrivals;
  }

  request(now: number, step: Step, budget: number): TakeRequest {
    const ids = new Set([
      ...this.#answered.map(({ id }) => id),
      ...this.#flying.map(({ id }) => id),
      ...(this.#grant === null ? [] : [this.#grant.id]),
    ]);
    const last = this.#answered.at(-1);
    const reports = [...ids].map((id) => ({
      id,
      answeredMs: this.#answered.filter((one) => one.id === id).map(({ at }) => now - at),
      inFlight: this.#flying.filter((one) => one.id === id).length,
    }));
    this.#answered = [];
    this.#grant = null;
    return {
      ...REQUEST,
      budget,
      want: step.want,
      reserve: step.reserve,
      maxWaitMs: step.maxWaitMs,
      reports,
      observed: last === undefined ? null : {
        sentMs: now - last.sent,
        remaining: Math.round(budget * step.remaining),
      },
      retryAfterMs: step.retryAfterMs,
    };
  }

  granted(now: number, id: number, offsetsMs: readonly number[]): void {
    this.#grant = { id, usable: offsetsMs.map((ms) => now + ms), by: now + LIFE_MS };
  }
}

Deno.test("sync_take_tokens() does what the model does, and no window ever sees more than the budget", async () => {
  await using db = await testDatabase(import.meta.url);
  const buckets = bucketsOf(db);
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 20 }),
    fc.array(STEP, { minLength: 5, maxLength: 40 }),
    async (budget, steps) => {
      await buckets.reset();
      let at = 0;
      const model = new TokenBucketModel(() => START + at);
      const workers = Array.from({ length: 4 }, () => new Worker());
      const arrivals: number[] = [];
      for (const step of steps) {
        const from = at;
        at += step.passMs;
        for (const worker of workers) arrivals.push(...worker.live(from, at, step));
        // A killed worker is never heard of again; what it sent arrives all the same.
        if (step.killed && step.send > 0.7) workers[step.worker] = new Worker();
        const worker = workers[step.worker];
        assert(worker !== undefined);
        const request = worker.request(at, step, budget);
        const answer = await buckets.take(at, request);
        assertEquals(answer, await model.take(request));
        assert(answer.offsetsMs.length <= step.want);
        assert(answer.offsetsMs.every((ms) => ms >= 0 && ms <= step.maxWaitMs));
        if (answer.grantId === null) assert(step.want === 0 || answer.waitMs > 0);
        else worker.granted(at, answer.grantId, answer.offsetsMs);
      }
      assertWindows(arrivals, budget);
      const { used } = (await buckets.value())["remote"] ?? {};
      assert(Array.isArray(used) && used.length <= budget, "more entries than the budget");
      // Whatever was killed, paused or seen of others: in the end all tokens are back.
      const rest = await buckets.take(at + 300_000, { budget, want: 100 });
      assertEquals(rest.offsetsMs, Array(budget).fill(0));
    },
  );
  await fc.assert(property, { numRuns: 50, seed: 20260101 });
});

/** No window of 60 s, wherever it begins, holds more arrivals than the budget. */
function assertWindows(arrivals: readonly number[], budget: number): void {
  const inOrder = arrivals.toSorted((one, other) => one - other);
  inOrder.forEach((first, i) => {
    const next = inOrder[i + budget];
    assert(
      next === undefined || next - first >= WINDOW_MS,
      `${budget + 1} arrivals in ${(next ?? 0) - first} ms`,
    );
  });
}

Deno.test("sync_take_tokens() gives the full budget of a bucket nobody has used", async () => {
  await using db = await testDatabase(import.meta.url);
  const { take } = bucketsOf(db);
  const { offsetsMs } = await take(0, { want: 20 });
  assertEquals(offsetsMs, Array(12).fill(0));
  const next = await take(1_000, { want: 1 });
  assertEquals(next, { grantId: null, offsetsMs: [], waitMs: LIFE_MS });
});

Deno.test("sync_take_tokens() takes the full window for used when the state is lost", async (t) => {
  await using db = await testDatabase(import.meta.url);
  const { take, reset, value } = bucketsOf(db);
  const sound = (await take(0), (await value())["remote"]);
  assert(sound !== undefined);
  const lost: Record<string, unknown> = {
    "not an object": 7,
    "null": null,
    "a bucket that is text": { remote: "x" },
    "a bucket with nothing in it": { remote: {} },
    "times that are no numbers": { remote: { ...sound, used: ["soon"] } },
    "a time that is null": { remote: { ...sound, used: [null] } },
    "grants that are a list": { remote: { ...sound, grants: [] } },
    "a grant without an end": { remote: { ...sound, grants: { 1: { at: [START] } } } },
    "a grant without tokens": { remote: { ...sound, grants: { 1: { by: START } } } },
    "a pause that is null": { remote: { ...sound, pause: null } },
    "others without an end": { remote: { ...sound, others: [1] } },
    "a time far in the future": { remote: { ...sound, now: START + 3_600_000 } },
  };
  for (const [name, state] of Object.entries(lost)) {
    await t.step(name, async () => {
      await reset(state);
      assertEquals(await take(0, { maxWaitMs: 1_000 }), {
        grantId: null,
        offsetsMs: [],
        waitMs: WINDOW_MS,
      });
      assertEquals((await take(WINDOW_MS, { want: 20 })).offsetsMs, Array(12).fill(0));
    });
  }
  await t.step("every bucket of a state that is lost, also one asked later", async () => {
    await reset(null);
    await take(0);
    assertEquals((await take(20_000, { bucket: "other", maxWaitMs: 0 })).waitMs, 40_000);
  });
  await t.step("a row that is gone", async () => {
    await db.pool.query("delete from public.sync_state where key = 'token_bucket_state'");
    assertEquals((await take(0, { maxWaitMs: 0 })).waitMs, WINDOW_MS);
  });
});

Deno.test("sync_take_tokens() stands still while the clock is a little behind", async () => {
  await using db = await testDatabase(import.meta.url);
  const { take } = bucketsOf(db);
  const { grantId } = await take(30_000, { want: 12 });
  assert(grantId !== null);
  const reports = [{ id: grantId, answeredMs: Array<number>(12).fill(0), inFlight: 0 }];
  assertEquals((await take(10_000, { reports, maxWaitMs: 0 })).waitMs, WINDOW_MS + 1);
  assertEquals((await take(90_000, { maxWaitMs: 0 })).waitMs, 1);
  assertEquals((await take(90_001, { want: 12 })).offsetsMs, Array(12).fill(0));
});

Deno.test("sync_take_tokens() frees the tokens of a killed worker when its requests have left the window", async () => {
  await using db = await testDatabase(import.meta.url);
  const { take } = bucketsOf(db);
  await take(0, { want: 12 });
  const free = LIFE_MS + FLIGHT_MS + WINDOW_MS;
  assertEquals((await take(free - 1, { want: 12 })).offsetsMs, []);
  assertEquals((await take(free, { want: 12 })).offsetsMs, Array(12).fill(0));
});

Deno.test("sync_take_tokens() frees places nobody claims without a window's wait", async () => {
  await using db = await testDatabase(import.meta.url);
  const { take } = bucketsOf(db);
  const { grantId } = await take(0, { want: 12 });
  assert(grantId !== null);
  const reports = [{ id: grantId, answeredMs: Array<number>(12).fill(0), inFlight: 0 }];
  const places = await take(0, { want: 12, reports });
  assertEquals(places.offsetsMs, Array(12).fill(WINDOW_MS + 1));
  const lapse = WINDOW_MS + 1 + LIFE_MS;
  assertEquals((await take(lapse - 1, { want: 1 })).offsetsMs, []);
  assertEquals((await take(lapse, { want: 12 })).offsetsMs, Array(12).fill(0));
});

Deno.test("sync_take_tokens() counts an answer twice when a report is sent again, never less than once", async () => {
  await using db = await testDatabase(import.meta.url);
  const { take } = bucketsOf(db);
  const { grantId } = await take(0, { want: 4 });
  assert(grantId !== null);
  const reports = [{ id: grantId, answeredMs: [0, 0], inFlight: 0 }];
  await take(0, { want: 0, reports });
  await take(0, { want: 0, reports });
  const { offsetsMs } = await take(0, { want: 12 });
  assertEquals(offsetsMs, [...Array(8).fill(0), ...Array(4).fill(WINDOW_MS + 1)]);
});

Deno.test("sync_take_tokens() leaves the reserve to takes that need none", async () => {
  await using db = await testDatabase(import.meta.url);
  const { take } = bucketsOf(db);
  assertEquals((await take(0, { want: 12, reserve: 3 })).offsetsMs, Array(9).fill(0));
  assertEquals((await take(0, { want: 1, reserve: 3 })).grantId, null);
  assertEquals((await take(0, { want: 12 })).offsetsMs, Array(3).fill(0));
});

Deno.test("sync_take_tokens() lets nobody send before a pause ends, and no pause last over 180 s", async () => {
  await using db = await testDatabase(import.meta.url);
  const { take } = bucketsOf(db);
  await take(0, { want: 0, retryAfterMs: 119_000 });
  assertEquals((await take(1_000, { want: 2 })).offsetsMs, [118_000, 118_000]);
  await take(1_000, { want: 0, retryAfterMs: 86_400_000 });
  assertEquals((await take(1_000, { want: 1 })).offsetsMs, [180_000]);
});

Deno.test("sync_take_tokens() leaves to others what the remote counted for them", async () => {
  await using db = await testDatabase(import.meta.url);
  const { take } = bucketsOf(db);
  const { grantId: id } = await take(0);
  assert(id !== null);
  const reports = [{ id, answeredMs: [0, 0, 0], inFlight: 1 }];
  // Of 12, 2 are left and 4 are ours: 6 are somebody else's.
  const observed = { sentMs: 500, remaining: 2 };
  const low = await take(1_000, { reports, observed, want: 12, maxWaitMs: 0 });
  assertEquals(low.offsetsMs, [0, 0]);
  assertEquals((await take(1_000, { maxWaitMs: 0 })).waitMs, WINDOW_MS);
  // An older answer that arrives late changes nothing.
  const older = await take(1_500, { observed: { sentMs: 1_200, remaining: 8 }, maxWaitMs: 0 });
  assertEquals(older.offsetsMs, []);
  // The remote's window is a new one: of the others there is nothing left in it.
  const refilled = await take(2_000, { observed: { sentMs: 0, remaining: 11 }, want: 12 });
  assertEquals(refilled.offsetsMs.filter((ms) => ms === 0).length, 6);
});

Deno.test("sync_take_tokens() hears of others no longer than a window, and not of an old answer", async () => {
  await using db = await testDatabase(import.meta.url);
  const { take } = bucketsOf(db);
  await take(0, { observed: { sentMs: FLIGHT_MS, remaining: 0 }, want: 0 });
  assertEquals((await take(0, { want: 1 })).offsetsMs, [0]);
  await take(0, { observed: { sentMs: FLIGHT_MS - 1, remaining: 0 }, want: 0 });
  assertEquals((await take(0, { maxWaitMs: 0 })).waitMs, WINDOW_MS);
  assertEquals((await take(WINDOW_MS, { want: 12 })).offsetsMs.length, 11);
});

Deno.test("sync_take_tokens() gives no token to two of many who ask at once", async () => {
  await using db = await testDatabase(import.meta.url);
  const clients = await Promise.all(Array.from({ length: 8 }, () => db.connect()));
  try {
    const answers = await Promise.all(
      clients.map((client) =>
        new DatabaseTokenBuckets({
          async query<Row>(sql: string, parameters: readonly unknown[] = []) {
            return (await client.query(sql, [...parameters])).rows as Row[];
          },
        }, () => START).take(REQUEST)
      ),
    );
    assertEquals(answers.flatMap(({ offsetsMs }) => offsetsMs), Array(12).fill(0));
    const ids = answers.flatMap(({ grantId }) => grantId ?? []);
    assertEquals(new Set(ids).size, 3);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
});

Deno.test("sync_take_tokens() keeps a bucket's number from another", async () => {
  await using db = await testDatabase(import.meta.url);
  const { take } = bucketsOf(db);
  await take(0, { want: 12 });
  assertEquals(
    (await take(0, { bucket: "remote:import", budget: 5, want: 12 })).offsetsMs,
    Array(5).fill(0),
  );
});

Deno.test("sync_take_tokens() goes by the database's clock by default", async () => {
  await using db = await testDatabase(import.meta.url);
  const { database } = bucketsOf(db);
  const before = Date.now();
  const { grantId, offsetsMs } = await new DatabaseTokenBuckets(database).take(REQUEST);
  assertEquals(offsetsMs, [0, 0, 0, 0]);
  assert(grantId !== null && grantId >= before - 1_000 && grantId <= Date.now() + 1_000);
});

Deno.test("sync_take_tokens() refuses numbers that make no budget", async () => {
  await using db = await testDatabase(import.meta.url);
  const { take } = bucketsOf(db);
  for (const wrong of [{ budget: 0 }, { windowMs: 0 }, { want: -1 }, { reserve: -1 }]) {
    await assertRejects(() => take(0, wrong), Error, "Cannot take tokens of 'remote'");
  }
});

Deno.test("sync_take_tokens() may be called by the service role and by no other role of the API", async () => {
  await using db = await testDatabase(import.meta.url);
  const { rows } = await db.pool.query(`
    select r.role, has_function_privilege(r.role, p.oid, 'execute') as may, p.prosecdef as definer
    from pg_proc p, unnest(array['anon', 'authenticated', 'service_role']) r (role)
    where p.proname = 'sync_take_tokens' order by r.role`);
  assertEquals(rows, [
    { role: "anon", may: false, definer: false },
    { role: "authenticated", may: false, definer: false },
    { role: "service_role", may: true, definer: false },
  ]);
  const client = await db.connect();
  try {
    await client.query("set role service_role");
    const answer = await new DatabaseTokenBuckets({
      async query<Row>(sql: string, parameters: readonly unknown[] = []) {
        return (await client.query(sql, [...parameters])).rows as Row[];
      },
    }).take(REQUEST);
    assertEquals(answer.offsetsMs.length, 4);
  } finally {
    await client.end();
  }
});
