import { assertEquals } from "@std/assert";
import { isUnitTest } from "./ok.ts";

Deno.test("isUnitTest goes by the end of the name", () => {
  assertEquals(
    ["a_test.ts", "a_db_test.ts", "a_e2e_test.ts", "a.ts", "db_test.ts"].map(isUnitTest),
    [true, false, false, false, true],
  );
});
