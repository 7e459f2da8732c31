import { assert, assertEquals, assertThrows } from "@std/assert";
import { demoSize, readSettings } from "./demo.ts";
import { samplePeople } from "./sample/sample_people.ts";

Deno.test("readSettings() takes the size and whether to stay", () => {
  assertEquals(readSettings([]), { pairs: 24_222, keep: false });
  assertEquals(readSettings(["--pairs", "50", "--keep"]), { pairs: 50, keep: true });
  assertEquals(readSettings(["--help"]), undefined);
  for (const args of [["--pairs", "0"], ["--pairs", "1e3"], ["--stay"], ["now"]]) {
    assertThrows(() => readSettings(args), TypeError);
  }
});

Deno.test("demoSize() keeps the pages as many as the pairs need, and drift possible in a small one", () => {
  const { pairs, sharedAddresses, onlyRemote } = demoSize(24_222);
  assert(pairs + sharedAddresses + onlyRemote <= 24_300);
  for (const pairs of [1, 5, 99]) {
    assertEquals([...samplePeople(demoSize(pairs)).subscribers()].length, pairs + 12 + 7);
  }
});
