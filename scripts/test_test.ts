import { assertEquals } from "@std/assert";
import { testFiles } from "./ok.ts";
import { inOrder, readCounts } from "./test.ts";

Deno.test("inOrder begins with what takes long and loses no file", async () => {
  const files = ["a/x_test.ts", "a/x_db_test.ts", "a/x_e2e_test.ts", "a/simulation_db_test.ts"];
  assertEquals(inOrder(files), [...files].reverse());
  const all = await testFiles();
  assertEquals(inOrder(all).sort(), all);
});

Deno.test("readCounts reads the last summary, with and without colours", () => {
  assertEquals(readCounts("\nok | 3 passed | 0 failed (5ms)\n"), { passed: 3, failed: 0 });
  assertEquals(
    readCounts("FAILED | 12 passed (13 steps) | 2 failed (1 step) | 4 ignored (6s)\n"),
    { passed: 12, failed: 2 },
  );
  assertEquals(
    readCounts("\x1b[0m\x1b[32mok\x1b[0m | 7 passed (2 steps) | 0 failed \x1b[0m(1s)\n"),
    { passed: 7, failed: 0 },
  );
  assertEquals(readCounts("error: Type checking failed.\n"), undefined);
});
