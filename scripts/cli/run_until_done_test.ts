import { assertEquals, assertRejects } from "@std/assert";
import { readRunAnswer, type RunAnswer } from "./run_answer.ts";
import { runUntilDone } from "./run_until_done.ts";
import { LookError, RefusedError } from "./sync_client.ts";

function answerOf(changes: Partial<RunAnswer> = {}): RunAnswer {
  return readRunAnswer({
    recordsProcessed: 100,
    conflictsDetected: 1,
    updatesApplied: 10,
    errors: 0,
    done: false,
    nextCursor: "next",
    message: "Stopped at its time limit",
    runId: "r",
    stopReason: "time_limit",
    skipped: 2,
    quota: { requests: 3 },
    ...changes,
  });
}

const DONE = { done: true, nextCursor: null, stopReason: "complete", message: "Done" };

/** Calls that answer from a list; the last answer is repeated. */
function calling(answers: readonly (RunAnswer | Error)[]) {
  const bodies: Record<string, unknown>[] = [];
  const slept: number[] = [];
  return {
    bodies,
    slept,
    calls: {
      call: (body: Record<string, unknown>) => {
        const answer = answers[Math.min(bodies.length, answers.length - 1)];
        bodies.push(body);
        return answer instanceof Error || answer === undefined
          ? Promise.reject(answer)
          : Promise.resolve(answer);
      },
      sleep: (ms: number) => {
        slept.push(ms);
        return Promise.resolve();
      },
    },
  };
}

const ALL = { body: { direction: "both" }, perCall: 1_000, max: null };

Deno.test("runUntilDone() follows the cursor and adds up what all calls did", async () => {
  const { calls, bodies } = calling([answerOf(), answerOf({ nextCursor: "c2" }), answerOf(DONE)]);
  const end = await runUntilDone(calls, ALL);
  assertEquals(bodies, [
    { direction: "both", maxRecords: 1_000 },
    { direction: "both", maxRecords: 1_000, cursor: "next" },
    { direction: "both", maxRecords: 1_000, cursor: "c2" },
  ]);
  assertEquals(end.outcome, "done");
  assertEquals(end.totals, {
    calls: 3,
    recordsProcessed: 300,
    updatesApplied: 30,
    conflictsDetected: 3,
    errors: 0,
    skipped: 6,
    requests: 9,
  });
});

Deno.test("runUntilDone() never asks for more records than are left of the limit", async () => {
  const limited = { stopReason: "record_limit" };
  const { calls, bodies } = calling([answerOf(limited), answerOf(limited), answerOf(limited)]);
  const end = await runUntilDone(calls, { ...ALL, perCall: 150, max: 230 });
  assertEquals(bodies.map(({ maxRecords }) => maxRecords), [150, 130, 30]);
  assertEquals(end.outcome, "limit");
});

Deno.test("runUntilDone() ends at a limit on changes and where a run cannot go on", async () => {
  const failed = { done: false, nextCursor: null };
  for (
    const [answer, outcome] of [
      [answerOf({ ...failed, stopReason: "guard" }), "guard"],
      [answerOf({ ...failed, stopReason: "error" }), "stopped"],
      [new RefusedError("Cannot start: paused", "run_paused", null), "stopped"],
    ] as const
  ) {
    const { calls } = calling([answerOf(), answer]);
    assertEquals((await runUntilDone(calls, ALL)).outcome, outcome);
  }
});

Deno.test("runUntilDone() tries again after a failure of the remote, longer each time, and gives up", async () => {
  const error = answerOf({ stopReason: "error", recordsProcessed: 0 });
  const recovered = calling([error, error, answerOf(), answerOf(DONE)]);
  assertEquals((await runUntilDone(recovered.calls, ALL)).outcome, "done");
  assertEquals(recovered.slept, [2_000, 4_000]);
  const lost = calling([error]);
  assertEquals((await runUntilDone(lost.calls, ALL)).outcome, "stopped");
  assertEquals(lost.slept, [2_000, 4_000, 8_000, 16_000, 30_000]);
});

Deno.test("runUntilDone() throws what the first call throws, as nothing was begun", async () => {
  for (const error of [new RefusedError("No", "already_running", null), new LookError("No")]) {
    await assertRejects(
      () => runUntilDone(calling([error]).calls, ALL),
      error.constructor as never,
    );
  }
});
