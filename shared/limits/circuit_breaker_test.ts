import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CircuitBreakerModel } from "../../tests/lib/circuit_breaker_model.ts";
import { CircuitBreaker, type CircuitBreakerOptions } from "./circuit_breaker.ts";
import { CircuitOpenError } from "./circuit_breaker_open_error.ts";
import type { CircuitBreakerStore } from "./circuit_breaker_store.ts";

const SUBJECT = "remote:crm";
const MINUTE_MS = 60_000;

class RemoteDown extends Error {
  readonly code = "remote_unavailable";
}

const isDown = (error: unknown) => error instanceof RemoteDown ? error.code : null;
const fails = () => Promise.reject(new RemoteDown("Cannot call"));
const works = () => Promise.resolve("done");

/** Workers that share one store on one clock. */
function shared() {
  let now = Date.UTC(2026, 0, 1);
  const model = new CircuitBreakerModel(() => now);
  const statements: string[] = [];
  let broken = false;
  async function call<Answer>(name: string, answer: () => Promise<Answer>): Promise<Answer> {
    statements.push(name);
    if (broken) throw new Error("Connection terminated");
    return await answer();
  }
  const store: CircuitBreakerStore = {
    enter: (subject, limits) => call("enter", () => model.enter(subject, limits)),
    report: (subject, limits, report) =>
      call("report", () => model.report(subject, limits, report)),
    state: (subject, limits) => call("state", () => model.state(subject, limits)),
  };
  return {
    statements,
    pass: (ms: number) => {
      now += ms;
    },
    breakStore: () => {
      broken = true;
    },
    worker: (options: Partial<CircuitBreakerOptions> = {}) =>
      new CircuitBreaker({ store, ...options }),
    async open(breaker: CircuitBreaker) {
      for (let i = 0; i < 3; i++) {
        await assertRejects(() => breaker.run(SUBJECT, fails, isDown), RemoteDown);
      }
    },
  };
}

Deno.test("run() stops calling after 3 failures and says for how long and why", async () => {
  const { worker, open } = shared();
  const breaker = worker();
  await open(breaker);
  let called = false;
  const error = await assertRejects(
    () =>
      breaker.run(SUBJECT, () => {
        called = true;
        return works();
      }, isDown),
    CircuitOpenError,
    "Cannot call 'remote:crm' as its circuit is open after 'remote_unavailable': it is tried again in 60 s",
  );
  assert(!called);
  assertEquals(
    [error.code, error.subject, error.retryAfterMs, error.reason],
    ["circuit_open", SUBJECT, MINUTE_MS, "remote_unavailable"],
  );
});

Deno.test("run() stops the other workers too, and no other subject", async () => {
  const { worker, open } = shared();
  await open(worker());
  await assertRejects(() => worker().run(SUBJECT, works, isDown), CircuitOpenError);
  assertEquals(await worker().run("database", works, isDown), "done");
});

Deno.test("run() does not count what the subject is not to blame for", async () => {
  const { worker } = shared();
  const breaker = worker();
  const refused = () => Promise.reject(new RangeError("Cannot write a record"));
  for (let i = 0; i < 10; i++) {
    await assertRejects(() => breaker.run(SUBJECT, refused, isDown), RangeError);
  }
  assertEquals(await breaker.run(SUBJECT, works, isDown), "done");
});

Deno.test("run() costs one statement while all is well, and two when the call fails", async () => {
  const { worker, statements } = shared();
  const breaker = worker();
  await breaker.run(SUBJECT, works, isDown);
  assertEquals(statements.splice(0), ["enter"]);
  await assertRejects(() => breaker.run(SUBJECT, fails, isDown), RemoteDown);
  assertEquals(statements, ["enter", "report"]);
});

Deno.test("run() lets one caller try after the cool-down, and its success lets all in", async () => {
  const { worker, open, pass } = shared();
  const breaker = worker();
  await open(breaker);
  pass(MINUTE_MS);
  const result = await breaker.run(SUBJECT, async ({ probe }) => {
    assert(probe !== null);
    await assertRejects(() => worker().run(SUBJECT, works, isDown), CircuitOpenError);
    return "tried";
  }, isDown);
  assertEquals(result, "tried");
  const { probe } = await worker().enter(SUBJECT);
  assertEquals(probe, null);
  assertEquals((await breaker.state(SUBJECT)).state, "closed");
});

Deno.test("run() doubles the cool-down up to 15 minutes while the probe fails", async () => {
  const { worker, open, pass } = shared();
  const breaker = worker();
  await open(breaker);
  for (const minutes of [1, 2, 4, 8, 15, 15]) {
    const error = await assertRejects(() => breaker.enter(SUBJECT), CircuitOpenError);
    assertEquals(error.retryAfterMs, minutes * MINUTE_MS);
    pass(minutes * MINUTE_MS - 1);
    await assertRejects(() => breaker.enter(SUBJECT), CircuitOpenError);
    pass(1);
    await assertRejects(() => breaker.run(SUBJECT, fails, isDown), RemoteDown);
  }
});

Deno.test("run() gives the probe's place back at once when the probe told nothing", async () => {
  const { worker, open, pass } = shared();
  const breaker = worker();
  await open(breaker);
  pass(MINUTE_MS);
  const aborted = () => Promise.reject(new DOMException("Aborted", "AbortError"));
  await assertRejects(() => breaker.run(SUBJECT, aborted, isDown), DOMException);
  const { probe } = await breaker.enter(SUBJECT);
  assert(probe !== null);
});

Deno.test("run() passes the work's outcome on when the report cannot be sent", async () => {
  const { worker, breakStore } = shared();
  const errors: string[] = [];
  const breaker = worker({
    onReportError: (subject, error) => {
      errors.push(`${subject} ${error instanceof Error ? error.message : ""}`);
      throw new TypeError("Cannot log");
    },
  });
  const failsAfterwards = () => {
    breakStore();
    return fails();
  };
  await assertRejects(() => breaker.run(SUBJECT, failsAfterwards, isDown), RemoteDown);
  assertEquals(errors, ["remote:crm Connection terminated"]);
});

Deno.test("run() does not begin the work when it cannot ask", async () => {
  const { worker, breakStore } = shared();
  breakStore();
  let called = false;
  const work = () => {
    called = true;
    return works();
  };
  await assertRejects(
    () => worker().run(SUBJECT, work, isDown),
    Error,
    "Connection terminated",
  );
  assert(!called);
});

Deno.test("onChange is told once when a circuit opens and closes, and cannot disturb", async () => {
  const { worker, open, pass } = shared();
  const changes: unknown[][] = [];
  const breaker = worker({
    onChange: (...change) => {
      changes.push(change);
      throw new TypeError("Cannot log");
    },
  });
  await open(breaker);
  pass(MINUTE_MS);
  await breaker.run(SUBJECT, works, isDown);
  assertEquals(changes, [
    [SUBJECT, "open", "remote_unavailable"],
    [SUBJECT, "closed", null],
  ]);
});

Deno.test("report() by hand decides as run() does", async () => {
  const { worker, pass, statements } = shared();
  const breaker = worker({ failureThreshold: 1, cooldownMs: 1_000 });
  const pass1 = await breaker.enter(SUBJECT);
  await breaker.report(pass1, { kind: "undecided" });
  await breaker.report(pass1, { kind: "succeeded" });
  assertEquals(statements, ["enter"]);
  await breaker.report(pass1, { kind: "failed", code: "remote_timeout" });
  assertEquals((await breaker.state(SUBJECT)).reason, "remote_timeout");
  pass(1_000);
  const probe = await breaker.enter(SUBJECT);
  await breaker.report(probe, { kind: "succeeded" });
  assertEquals((await breaker.state(SUBJECT)).state, "closed");
});

Deno.test("a circuit breaker is not created with limits that are none", () => {
  const { worker } = shared();
  assertThrows(() => worker({ failureThreshold: 0 }), RangeError, "'failureThreshold'");
});
