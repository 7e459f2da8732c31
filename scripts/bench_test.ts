import { assertEquals, assertThrows } from "@std/assert";
import { readSettings } from "./bench.ts";

Deno.test("readSettings() measures the whole comparison three times unless told otherwise", () => {
  assertEquals(readSettings(["backfill"]), {
    what: "backfill",
    pairs: 24_222,
    runs: 3,
    big: false,
    slow: true,
    check: false,
  });
  assertEquals(
    readSettings(["enterprise", "--pairs", "500", "--runs", "1", "--quick", "--big", "--check"]),
    { what: "enterprise", pairs: 500, runs: 1, big: true, slow: false, check: true },
  );
  assertEquals(readSettings(["--help"]), undefined);
});

Deno.test("readSettings() refuses what it cannot measure", () => {
  const lines = [[], ["frontfill"], ["toString"], ["backfill", "enterprise"], [
    "backfill",
    "--runs",
    "0",
  ], [
    "backfill",
    "--pairs",
    "many",
  ], ["backfill", "--fast"]];
  for (const args of lines) assertThrows(() => readSettings(args), TypeError);
});
