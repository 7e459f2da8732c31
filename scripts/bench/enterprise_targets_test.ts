import { assertEquals } from "@std/assert";
import type { EnterpriseMeasurement } from "./enterprise_run.ts";
import { cpuOfRecord, judgeEnterprise, wallOfRecord } from "./enterprise_targets.ts";
import type { Verdict } from "./targets.ts";

const UNCHANGED: EnterpriseMeasurement = {
  wallMs: 800,
  cpuMs: 600,
  bootCpuMs: 350,
  peakRssBytes: 256 * 2 ** 20,
  requests: 26,
  calls: 1,
  records: 24_250,
  updates: 0,
};
const EDITED = { ...UNCHANGED, wallMs: 1_500, cpuMs: 900, requests: 36, updates: 484 };
const DISTANT = { ...UNCHANGED, wallMs: 5_000, requests: 6, records: 500, updates: 127 };
const BIG = {
  ...UNCHANGED,
  records: 242_500,
  wallMs: 9_600,
  cpuMs: 3_350,
  peakRssBytes: UNCHANGED.peakRssBytes * 1.2,
};
const FLOOR = { wallMs: 400, cpuMs: 300, bootCpuMs: 200, peakRssBytes: 1, requests: 25 };

interface Changes {
  readonly unchanged?: Partial<EnterpriseMeasurement>;
  readonly edited?: Partial<EnterpriseMeasurement>;
  readonly distant?: Partial<EnterpriseMeasurement>;
  readonly big?: Partial<EnterpriseMeasurement>;
}

function judged({ unchanged, edited, distant, big }: Changes): Verdict[] {
  return judgeEnterprise({
    subscribers: 24_238,
    unchanged: [{ ...UNCHANGED, ...unchanged }],
    floor: [FLOOR],
    edited: [{ ...EDITED, ...edited }],
    distant: [{ ...DISTANT, ...distant }],
    big: [{ ...BIG, ...big }],
  });
}

function misses(changes: Changes): string[] {
  return judged(changes).flatMap(({ target, met }) => met ? [] : [target]);
}

Deno.test("judgeEnterprise() holds each target at its border", () => {
  assertEquals(misses({}), []);
  assertEquals(judged({}).length, 11);
});

Deno.test("judgeEnterprise() misses each target just beyond its border", () => {
  const cases: readonly (readonly [Changes, string])[] = [
    [{ unchanged: { requests: 27 } }, "no changes: requests, at most 26"],
    [{ unchanged: { calls: 2 } }, "no changes: calls, at most 1"],
    [{ unchanged: { cpuMs: 610 } }, "no changes: CPU, at most 600 ms"],
    [{ unchanged: { wallMs: 801 } }, "no changes: wall time / floor, at most 2 x"],
    [{ edited: { requests: 37 } }, "1 % edited on each side: further requests, at most 10"],
    [{ edited: { wallMs: 1_501 } }, "1 % edited on each side: wall time, at most 1.5 s"],
    [{ distant: { wallMs: 5_001 } }, "slow remote: wall time, at most 5.0 s"],
    [{ edited: { peakRssBytes: UNCHANGED.peakRssBytes + 1 } }, "peak memory, at most 256 MB"],
    [{ big: { peakRssBytes: BIG.peakRssBytes + 1 } }, "--big: peak memory, at most 1.2 x"],
    [{ big: { wallMs: 9_601 } }, "--big: wall time a record, at most 1.2 x"],
    [{ big: { cpuMs: 3_351 } }, "--big: CPU a record, at most 1.2 x"],
  ];
  for (const [changes, missed] of cases) assertEquals(misses(changes), [missed]);
});

Deno.test("judgeEnterprise() judges what was measured and no more", () => {
  const quick = { subscribers: 24_238, unchanged: [UNCHANGED], floor: [FLOOR] };
  assertEquals(judgeEnterprise(quick).length, 5);
  assertEquals(judgeEnterprise({ ...quick, big: [BIG] }).length, 8);
});

Deno.test("judgeEnterprise() compares the middle of the runs, and the most requests of any", () => {
  const verdicts = judgeEnterprise({
    subscribers: 24_238,
    unchanged: [
      { ...UNCHANGED, cpuMs: 9_000, wallMs: 1 },
      UNCHANGED,
      { ...UNCHANGED, cpuMs: 500, wallMs: 9_000, requests: 27 },
    ],
    floor: [FLOOR, { ...FLOOR, wallMs: 1 }, FLOOR],
  });
  assertEquals(verdicts.map(({ met }) => met), [false, true, true, true, true]);
});

Deno.test("a record's CPU is counted without the start of the process", () => {
  assertEquals(cpuOfRecord({ ...UNCHANGED, records: 250 }), 1);
  assertEquals(wallOfRecord({ ...UNCHANGED, records: 400 }), 2);
});
