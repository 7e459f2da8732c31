import { assertEquals } from "@std/assert";
import { judgeSmart } from "./smart_targets.ts";

const calls = (wallMs: number, requests: number, n = 100) =>
  Array.from({ length: n }, () => ({ wallMs, requests }));

const GOOD = { hundred: calls(400, 3, 3), unchanged: calls(20, 1), edited: calls(40, 2) };

Deno.test("judgeSmart() finds every target met by a run that is well below them", () => {
  const verdicts = judgeSmart({ ...GOOD, drains: { one: [900], three: [400] } });
  assertEquals(verdicts.filter(({ met }) => !met), []);
  assertEquals(verdicts.length, 9);
  assertEquals(verdicts.at(-1)?.measured, "2.25 x");
  assertEquals(judgeSmart(GOOD).length, 8);
});

Deno.test("judgeSmart() names each target that is missed", () => {
  const missed = (changes: Partial<Parameters<typeof judgeSmart>[0]>) =>
    judgeSmart({ ...GOOD, ...changes }).filter(({ met }) => !met).map(({ target }) => target);
  assertEquals(missed({ hundred: calls(1_001, 5, 3) }).length, 2);
  assertEquals(missed({ unchanged: [...calls(20, 1), ...calls(201, 1, 2)] }), [
    "one person, unchanged: p99, at most 200 ms",
  ]);
  assertEquals(missed({ edited: calls(61, 3) }).length, 2);
  assertEquals(missed({ drains: { one: [400], three: [401] } }).length, 1);
});
