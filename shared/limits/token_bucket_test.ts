import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { TokenBucketModel } from "../../tests/lib/token_bucket_model.ts";
import { VirtualClock } from "../../tests/lib/virtual_clock.ts";
import type { BucketLimits } from "./bucket_limits.ts";
import type { Permit, RateObservation } from "./rate_limiter.ts";
import { RateWaitError } from "./rate_wait_error.ts";
import { TokenBucket, type TokenBucketOptions } from "./token_bucket.ts";
import type { TakeAnswer, TakeRequest } from "./token_bucket_store.ts";

const START = Date.UTC(2026, 0, 1);

/** Workers that share one bucket on one clock. */
class Shared {
  readonly clock = new VirtualClock(START);
  readonly requests: TakeRequest[] = [];
  readonly #limits: BucketLimits;
  readonly #model = new TokenBucketModel(this.clock.now);
  #failures = 0;

  constructor(limits: BucketLimits) {
    this.#limits = limits;
  }

  worker(options: Partial<TokenBucketOptions> = {}): TokenBucket {
    return new TokenBucket({
      store: { take: (request) => this.#take(request) },
      buckets: { remote: this.#limits },
      now: this.clock.now,
      sleep: this.clock.sleep,
      ...options,
    });
  }

  /** The next statement is carried out, and its answer is lost. */
  loseNextAnswer(): void {
    this.#failures++;
  }

  get wants(): number[] {
    return this.requests.map(({ want }) => want);
  }

  passed(): number {
    return this.clock.now() - START;
  }

  async #take(request: TakeRequest): Promise<TakeAnswer> {
    this.requests.push(request);
    const answer = await this.#model.take(request);
    if (this.#failures === 0) return answer;
    this.#failures--;
    throw new Error("Connection terminated");
  }
}

function said(remaining: number | null, retryAfterMs: number | null = null): RateObservation {
  return { limit: 12, remaining, retryAfterMs };
}

async function take(bucket: TokenBucket, count: number): Promise<Permit[]> {
  return await Promise.all(Array.from({ length: count }, () => bucket.take("remote")));
}

Deno.test("take() asks the database once for all who wait", async () => {
  const shared = new Shared({ budget: 12, block: 12 });
  await shared.clock.run(take(shared.worker(), 10));
  assertEquals(shared.wants, [10]);
});

Deno.test("take() asks for larger blocks while they are used up, and for smaller ones when not", async () => {
  const shared = new Shared({ budget: 1_000, block: 10 });
  const bucket = shared.worker();
  await shared.clock.run((async () => {
    for (let i = 0; i < 34; i++) (await bucket.take("remote")).settle(null);
    assertEquals(shared.wants, [1, 2, 4, 8, 10, 10]);
    // The last of that block, then one of the next, until it is over.
    (await bucket.take("remote")).settle(null);
    (await bucket.take("remote")).settle(null);
    await shared.clock.sleep(8_000);
    (await bucket.take("remote")).settle(null);
  })());
  assertEquals(shared.wants.slice(-1), [1]);
});

Deno.test("take() asks for the next block while the last token of one is in use, and never for a single request", async () => {
  const shared = new Shared({ budget: 1_000, block: 10 });
  const bucket = shared.worker();
  await shared.clock.run((async () => {
    const first = await bucket.take("remote");
    assertEquals(shared.wants, [1]);
    first.settle(null);
    await take(bucket, 2);
    await shared.clock.sleep(1);
    assertEquals(shared.wants, [1, 2, 4]);
    await bucket.release();
  })());
  // What was asked for ahead and not needed is given back.
  assertEquals(shared.wants.slice(-1), [0]);
});

Deno.test("take() asks for what is expected with the first, as far as a block goes, and release() gives the rest back", async () => {
  const shared = new Shared({ budget: 12, block: 4 });
  const first = shared.worker({ expected: 3 });
  await shared.clock.run((async () => {
    for (let i = 0; i < 2; i++) (await first.take("remote")).settle(null);
    assertEquals(shared.wants, [3]);
    await first.release();
    await take(shared.worker({ expected: 9 }), 1);
    assertEquals(shared.wants, [3, 0, 4]);
    await take(shared.worker(), 6);
  })());
  assertEquals(shared.passed(), 0);
  assertThrows(() => shared.worker({ expected: 0 }), RangeError, "current value is 0");
});

Deno.test("take() does not use a block after its life", async () => {
  const shared = new Shared({ budget: 12, block: 4, lifeMs: 8_000 });
  const bucket = shared.worker();
  await shared.clock.run((async () => {
    await take(bucket, 3);
    await shared.clock.sleep(7_999);
    await take(bucket, 1);
    assertEquals(shared.requests.length, 2);
    await shared.clock.sleep(8_000);
    await take(bucket, 1);
  })());
  assertEquals(shared.requests.length, 3);
});

Deno.test("take() goes on one window after the answer, not after the request", async () => {
  const shared = new Shared({ budget: 2, block: 2 });
  const bucket = shared.worker();
  await shared.clock.run((async () => {
    const permits = await take(bucket, 2);
    await shared.clock.sleep(5_000);
    permits.forEach((permit) => permit.settle(null));
    await bucket.take("remote");
  })());
  assertEquals(shared.passed(), 65_001);
});

Deno.test("take() throws at once when the wait is too long, and loses nothing", async () => {
  const shared = new Shared({ budget: 2, block: 2 });
  const bucket = shared.worker();
  await shared.clock.run((async () => {
    for (const permit of await take(bucket, 2)) permit.settle(null);
    const error = await assertRejects(
      () => bucket.take("remote", { maxWaitMs: 30_000 }),
      RateWaitError,
      "Cannot send now: the budget 'remote' is free again in 61 s",
    );
    assertEquals([error.bucket, error.waitMs], ["remote", 60_001]);
    assertEquals(shared.passed(), 0);
    await take(bucket, 2);
  })());
  assertEquals(shared.passed(), 60_001);
});

Deno.test("take() asks the limiter's deadline anew each time", async () => {
  const shared = new Shared({ budget: 1 });
  const end = START + 90_000;
  const bucket = shared.worker({ maxWaitMs: () => end - shared.clock.now() });
  await shared.clock.run((async () => {
    (await bucket.take("remote")).settle(null);
    (await bucket.take("remote")).settle(null);
    assertEquals(shared.passed(), 60_001);
    await assertRejects(() => bucket.take("remote"), RateWaitError);
  })());
});

Deno.test("take() turns away only those whose token comes too late", async () => {
  const shared = new Shared({ budget: 2, block: 2 });
  const bucket = shared.worker();
  await shared.clock.run((async () => {
    const [first, second] = await take(bucket, 2);
    first?.settle(null);
    await shared.clock.sleep(10_000);
    second?.settle(null);
    const waits = [70_000, 65_000, 61_000];
    const outcomes = await Promise.allSettled(
      waits.map((maxWaitMs) => bucket.take("remote", { maxWaitMs })),
    );
    assertEquals(outcomes.map(({ status }) => status), ["fulfilled", "fulfilled", "rejected"]);
  })());
  assertEquals(shared.passed(), 70_001);
});

Deno.test("take() ends when its signal aborts, and the others keep their turn", async () => {
  const shared = new Shared({ budget: 1 });
  const bucket = shared.worker();
  const controller = new AbortController();
  await shared.clock.run((async () => {
    (await bucket.take("remote")).settle(null);
    const gone = bucket.take("remote", { signal: controller.signal });
    const stays = bucket.take("remote");
    const rejected = assertRejects(() => gone, Error, "Stopped by a person");
    await shared.clock.sleep(1_000);
    controller.abort(new Error("Stopped by a person"));
    await rejected;
    assertEquals(shared.passed(), 1_000);
    await stays;
    assertEquals(shared.passed(), 60_001);
    await assertRejects(
      () => bucket.take("remote", { signal: controller.signal }),
      Error,
      "Stopped by a person",
    );
  })());
});

Deno.test("release() gives back what is unsent to other workers", async () => {
  const shared = new Shared({ budget: 12, block: 12 });
  const bucket = shared.worker();
  await shared.clock.run((async () => {
    // 1 + 2 + 4 taken, 4 used: 3 are left in hand.
    for (let i = 0; i < 4; i++) (await bucket.take("remote")).settle(null);
    await bucket.release();
    await take(shared.worker(), 8);
    assertEquals(shared.passed(), 0);
    await bucket.release();
  })());
  assertEquals(shared.wants, [1, 2, 4, 0, 8]);
});

Deno.test("release() leaves alone those who still wait", async () => {
  const shared = new Shared({ budget: 1 });
  const bucket = shared.worker();
  await shared.clock.run((async () => {
    (await bucket.take("remote")).settle(null);
    const waiting = bucket.take("remote");
    await shared.clock.sleep(1_000);
    await bucket.release();
    await waiting;
  })());
  assertEquals(shared.passed(), 60_001);
});

Deno.test("settle() gives back what the remote no longer has, and asks again", async () => {
  const shared = new Shared({ budget: 12, block: 12 });
  const bucket = shared.worker();
  await shared.clock.run((async () => {
    // 1 + 2 + 4 taken, 4 used: 3 are left in hand.
    for (let i = 0; i < 3; i++) (await bucket.take("remote")).settle(said(12 - i - 1));
    const last = await bucket.take("remote");
    await shared.clock.sleep(100);
    assertEquals(shared.wants, [1, 2, 4]);
    // 4 are ours, so 6 are somebody else's.
    last.settle(said(2));
    await take(bucket, 2);
    assertEquals([shared.passed(), shared.requests.length], [100, 4]);
    await take(bucket, 1);
  })());
  assert(shared.passed() >= 60_000, "the others' requests count for a window");
});

Deno.test("settle() with a pause stops every worker", async () => {
  const shared = new Shared({ budget: 12, block: 4 });
  const told = shared.worker();
  await shared.clock.run((async () => {
    (await told.take("remote")).settle(said(0, 30_000));
    const sent = [told.take("remote"), told.take("remote", { reserve: 1 })];
    await shared.clock.sleep(1);
    sent.push(shared.worker().take("remote"));
    await Promise.race(sent);
    assertEquals(shared.passed(), 30_000);
    await Promise.all(sent);
  })());
  assertEquals(shared.passed(), 30_000);
});

Deno.test("settle() counts once, however often it is called", async () => {
  const shared = new Shared({ budget: 12, block: 2 });
  const bucket = shared.worker();
  await shared.clock.run((async () => {
    const [first] = await take(bucket, 2);
    first?.settle(null);
    first?.settle(null);
    await bucket.release();
  })());
  assertEquals(
    shared.requests.at(-1)?.reports.map(({ answeredMs, inFlight }) => [answeredMs, inFlight]),
    [
      [[0], 1],
    ],
  );
});

Deno.test("take() sends nothing without the database, and no answer stays unreported", async () => {
  const shared = new Shared({ budget: 4, block: 2 });
  const bucket = shared.worker();
  await shared.clock.run((async () => {
    for (const permit of await take(bucket, 2)) permit.settle(null);
    shared.loseNextAnswer();
    const outcomes = await Promise.allSettled([bucket.take("remote"), bucket.take("remote")]);
    assertEquals(outcomes.map(({ status }) => status), ["rejected", "rejected"]);
    await assertRejects(() => bucket.take("remote", { maxWaitMs: 0 }), RateWaitError);
  })());
  const [, lost, again] = shared.requests;
  assertEquals(again?.reports, lost?.reports);
});

Deno.test("take() keeps apart tokens of different urgency", async () => {
  const shared = new Shared({ budget: 12, block: 12 });
  const bucket = shared.worker();
  await shared.clock.run((async () => {
    const bulk = await Promise.all(
      Array.from({ length: 9 }, () => bucket.take("remote", { reserve: 3, maxWaitMs: 0 })),
    );
    assertEquals(bulk.length, 9);
    await assertRejects(
      () => bucket.take("remote", { reserve: 3, maxWaitMs: 0 }),
      RateWaitError,
    );
    await take(bucket, 3);
  })());
  assertEquals(shared.passed(), 0);
});

Deno.test("take() refuses a bucket or a reserve there is not", async () => {
  const bucket = new Shared({ budget: 12 }).worker();
  await assertRejects(
    () => bucket.take("other"),
    RangeError,
    "Cannot take from bucket 'other' as the buckets are: 'remote'",
  );
  for (const reserve of [-1, 12, 0.5]) {
    await assertRejects(
      () => bucket.take("remote", { reserve }),
      RangeError,
      `'reserve' must be an integer from 0 to 11: current value is ${reserve}`,
    );
  }
});
