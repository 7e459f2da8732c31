import { assert, assertEquals } from "@std/assert";
import type { RateObservation } from "../shared/limits/rate_limiter.ts";
import { MailerLiteSimulator } from "../simulators/mailerlite/mod.ts";
import { type TestDatabase, testDatabase } from "./lib/database.ts";
import { busiestWindow, RateWorld } from "./lib/rate_workers.ts";

const BUDGET = 120;
const TEN_MINUTES_MS = 600_000;
const WINDOW_MS = 60_000;

/** An account that answers on the world's clock, and everything it answered to the workers. */
function accountIn(world: RateWorld) {
  const simulator = new MailerLiteSimulator({ now: world.clock.now });
  const answers: { readonly at: number; readonly status: number }[] = [];
  // Started in the order of arrival, because the simulator counts before it first waits.
  const get = () =>
    world.clock.outside(async () => {
      const response = await simulator.handle(
        new Request("https://connect.mailerlite.com/api/groups?limit=1", {
          headers: { authorization: "Bearer simulator-token" },
        }),
      );
      await response.text();
      return response;
    });
  const remote = async (): Promise<RateObservation> => {
    const { status, headers } = await get();
    answers.push({ at: world.clock.now() - world.startedAt, status });
    const retryAfter = headers.get("retry-after");
    return {
      limit: Number(headers.get("x-ratelimit-limit")),
      remaining: Number(headers.get("x-ratelimit-remaining")),
      retryAfterMs: retryAfter === null ? null : Number(retryAfter) * 1000,
    };
  };
  /** Somebody else's requests, `perMinute` on the average. */
  const somebodyElse = async (perMinute: number) => {
    let accepted = 0;
    while (world.clock.now() < world.startedAt + TEN_MINUTES_MS) {
      await world.clock.sleep(world.between(0, 2 * WINDOW_MS / perMinute));
      if ((await get()).status === 200) accepted++;
    }
    return accepted;
  };
  return { remote, somebodyElse, answers };
}

function fullDemand(remote: () => Promise<RateObservation>) {
  return {
    workers: 8,
    durationMs: TEN_MINUTES_MS,
    limits: { budget: BUDGET },
    latencyMs: [50, 600],
    remote,
  } as const;
}

Deno.test("8 workers at full demand get no 429 from MailerLite's fixed window in ten minutes", async () => {
  await using db = await testDatabase(import.meta.url);
  const world = new RateWorld(db, 11);
  const { remote, answers } = accountIn(world);
  const { arrivals } = await world.send(fullDemand(remote));
  assertEquals(answers.filter(({ status }) => status !== 200), []);
  assertEquals(answers.length, arrivals.length);
  assert(answers.length >= 0.95 * BUDGET * 10, `${answers.length} of ${BUDGET * 10} used`);
});

Deno.test("8 workers share an account with somebody else", async (t) => {
  for (const perMinute of [30, 60]) {
    await t.step(`who sends ${perMinute} requests a minute`, async () => {
      await using db = await testDatabase(import.meta.url);
      await share(db, perMinute);
    });
  }
});

async function share(db: TestDatabase, perMinute: number): Promise<void> {
  const world = new RateWorld(db, perMinute);
  const { remote, somebodyElse, answers } = accountIn(world);
  let others = 0;
  const { arrivals } = await world.send(fullDemand(remote), [
    somebodyElse(perMinute).then((accepted) => {
      others = accepted;
    }),
  ]);
  assert(busiestWindow(arrivals, WINDOW_MS) <= BUDGET);
  const refused = answers.filter(({ status }) => status === 429);
  // Nobody can know of a request that somebody else sends just before one's own:
  // the first 429 of a window is the news of it, and ends the sending.
  assert(refused.length <= 20, `${refused.length} answers of 429`);
  const used = (answers.length - refused.length + others) / (BUDGET * 10);
  assert(used >= 0.95, `used ${used} of the budget`);
}

Deno.test("a pause that one worker is told is kept by all", async () => {
  await using db = await testDatabase(import.meta.url);
  const world = new RateWorld(db, 13);
  const pauseMs = 90_000;
  let toldAt: number | null = null;
  const { arrivals } = await world.send({
    ...fullDemand(() => {
      const at = world.clock.now() - world.startedAt;
      if (toldAt !== null || at < 130_000) return Promise.resolve(ANSWER);
      toldAt = at;
      return Promise.resolve({ ...ANSWER, retryAfterMs: pauseMs });
    }),
  });
  assert(toldAt !== null);
  // Until its block ends a worker has not heard of it; the answer's way and the statement come on top.
  const heardBy = toldAt + 8_000 + 1_500;
  const inPause = arrivals.filter((at) => at > heardBy && at < Number(toldAt) + pauseMs);
  assertEquals(inPause, []);
  const afterwards = arrivals.filter((at) => at >= Number(toldAt) + pauseMs);
  assert(afterwards.length > BUDGET, "the work went on");
});

const ANSWER: RateObservation = { limit: BUDGET, remaining: null, retryAfterMs: null };
