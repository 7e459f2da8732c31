import { assertEquals } from "@std/assert";
import { Deadline } from "./deadline.ts";

function clockedDeadline() {
  const state = { now: 1_000, cpu: 0, shutdown: new AbortController() };
  const deadline = new Deadline({
    now: () => state.now,
    maxDurationMs: 500,
    cpuUsedMs: () => state.cpu,
    maxCpuMs: 100,
    shutdown: state.shutdown.signal,
  });
  return { state, deadline };
}

Deno.test("Deadline has no reason to stop while every budget lasts", () => {
  const { state, deadline } = clockedDeadline();
  state.now = 1_499;
  state.cpu = 99;
  assertEquals(deadline.reason(), null);
  assertEquals(deadline.remainingMs(), 1);
});

Deno.test("Deadline names the budget that is used up, and a shutdown before all others", () => {
  const { state, deadline } = clockedDeadline();
  state.cpu = 100;
  assertEquals(deadline.reason(), "cpu_limit");
  state.now = 1_500;
  assertEquals(deadline.reason(), "time_limit");
  assertEquals(deadline.remainingMs(), 0);
  state.now = 9_000;
  assertEquals(deadline.remainingMs(), 0);
  state.shutdown.abort();
  assertEquals(deadline.reason(), "shutdown");
});
