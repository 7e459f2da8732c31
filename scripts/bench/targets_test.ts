import { assertEquals } from "@std/assert";
import type { Measurement } from "./measurement.ts";
import { judge, maxRequests } from "./targets.ts";

const RUN: Measurement = {
  wallMs: 5_000,
  cpuMs: 800,
  bootCpuMs: 300,
  peakRssBytes: 256 * 2 ** 20,
  requests: 26,
  snapshotChars: 1,
  snapshots: 24_222,
};
const FLOOR: Measurement = { ...RUN, wallMs: 2_000, requests: 25 };

function misses(ours: Partial<Measurement>, big?: Partial<Measurement>): number[] {
  const verdicts = judge({
    subscribers: 24_241,
    ours: [{ ...RUN, ...ours }],
    floor: [FLOOR],
    smallPages: [{ ...RUN, requests: 245 }],
    ...(big === undefined ? {} : { big: [{ ...RUN, ...big }] }),
  });
  return verdicts.flatMap(({ met }, n) => met ? [] : [n]);
}

Deno.test("judge() holds each target at its border and misses it just beyond", () => {
  assertEquals(misses({}), []);
  assertEquals(misses({ requests: 27 }), [0]);
  assertEquals(misses({ cpuMs: 801 }), [2]);
  assertEquals(misses({ wallMs: 5_001 }), [3]);
  assertEquals(misses({ peakRssBytes: RUN.peakRssBytes + 1 }), [4]);
  assertEquals(misses({}, { peakRssBytes: RUN.peakRssBytes * 1.2 }), []);
  assertEquals(misses({}, { peakRssBytes: RUN.peakRssBytes * 1.21 }), [5]);
});

Deno.test("judge() compares the middle of the runs, and the most requests of any", () => {
  const judged = judge({
    subscribers: 24_241,
    ours: [{ ...RUN, cpuMs: 9_000 }, RUN, { ...RUN, cpuMs: 700, requests: 27 }],
    floor: [FLOOR, { ...FLOOR, wallMs: 1 }, FLOOR],
  });
  assertEquals(judged.map(({ met }) => met), [false, true, true, true]);
});

Deno.test("maxRequests() is 26 for 24,222 pairs and the few around them, 245 with small pages", () => {
  assertEquals([maxRequests(24_222, 1000), maxRequests(24_241, 1000)], [26, 26]);
  assertEquals([maxRequests(24_222, 100), maxRequests(24_241, 100)], [245, 245]);
});
