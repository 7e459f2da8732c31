import { assertEquals, assertThrows } from "@std/assert";
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

Deno.test("BusyMeter counts work that falls between two ticks, once, and also where it fails", () => {
  let now = 0;
  let tick = () => {};
  using meter = new BusyMeter(() => now, (_, call) => {
    tick = call;
    return () => {};
  });
  const compute = (ms: number) => {
    now += ms;
    return ms;
  };
  assertEquals(meter.time(() => compute(8)), 8);
  now += 17;
  tick();
  assertEquals(meter.usedMs(), 8);
  assertThrows(() =>
    meter.time(() => {
      compute(40);
      throw new RangeError("broken");
    }), RangeError);
  tick();
  assertEquals(meter.usedMs(), 48);
  // Late by 30 ms, of which 10 are counted already.
  meter.time(() => compute(10));
  now += 45;
  tick();
  assertEquals(meter.usedMs(), 78);
});
