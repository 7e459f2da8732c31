import { assertEquals } from "@std/assert";
import { BusyMeter } from "./busy_meter.ts";

Deno.test("BusyMeter counts what a timer is late by, and nothing while the isolate waits", () => {
  let now = 0;
  let tick = () => {};
  let cancelled = false;
  const meter = new BusyMeter(() => now, (ms, call) => {
    assertEquals(ms, 25);
    tick = call;
    return () => cancelled = true;
  });
  for (let i = 0; i < 100; i++) {
    now += 25;
    tick();
  }
  assertEquals(meter.usedMs(), 0);
  now += 90;
  tick();
  assertEquals(meter.usedMs(), 65);
  // A clock that is set back must not give time back.
  now -= 1_000;
  tick();
  assertEquals(meter.usedMs(), 65);
  meter[Symbol.dispose]();
  assertEquals(cancelled, true);
});
