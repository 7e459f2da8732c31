import { assertEquals, assertRejects } from "@std/assert";
import { VirtualClock } from "./virtual_clock.ts";

Deno.test("VirtualClock passes time only when all sleep, and wakes them in order", async () => {
  const clock = new VirtualClock(1_000);
  const woken: [string, number][] = [];
  const sleeper = async (name: string, ms: number) => {
    await clock.sleep(ms);
    woken.push([name, clock.now()]);
  };
  await clock.run(Promise.all([sleeper("late", 3_600_000), sleeper("a", 5), sleeper("b", 5)]));
  assertEquals(woken, [["a", 1_005], ["b", 1_005], ["late", 3_601_000]]);
});

Deno.test("VirtualClock stands still while work is done outside", async () => {
  const clock = new VirtualClock(0);
  const { promise, resolve } = Promise.withResolvers<void>();
  const times: number[] = [];
  const outside = clock.outside(() => promise).then(() => times.push(clock.now()));
  const sleeper = clock.sleep(1).then(() => times.push(clock.now()));
  const timer = setTimeout(resolve, 5);
  await clock.run(Promise.all([outside, sleeper]));
  clearTimeout(timer);
  assertEquals(times, [0, 1]);
});

Deno.test("VirtualClock ends a sleep when the signal aborts", async () => {
  const clock = new VirtualClock(0);
  const controller = new AbortController();
  const sleep = clock.sleep(60_000, controller.signal);
  controller.abort();
  await clock.run(sleep);
  assertEquals(clock.now(), 0);
});

Deno.test("VirtualClock.run() refuses to wait for what cannot come", async () => {
  const clock = new VirtualClock(0);
  await assertRejects(
    () => clock.run(new Promise(() => {})),
    Error,
    "Cannot let time pass as nobody is waiting for it",
  );
});
