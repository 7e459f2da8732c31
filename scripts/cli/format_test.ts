import { assertEquals } from "@std/assert";
import { count, duration, megabytes } from "./format.ts";

Deno.test("duration() keeps to one unit until minutes, and rounds across the borders", () => {
  const cases: [number, string][] = [
    [0, "0 ms"],
    [999, "999 ms"],
    [1_000, "1.0 s"],
    [59_949, "59.9 s"],
    [59_950, "1 min 00 s"],
    [125_400, "2 min 05 s"],
    [12_111_000, "201 min 51 s"],
  ];
  for (const [ms, text] of cases) assertEquals(duration(ms), text);
});

Deno.test("count() and megabytes() round", () => {
  assertEquals(count(24_222.4), "24,222");
  assertEquals(megabytes(256 * 2 ** 20), "256 MB");
});
