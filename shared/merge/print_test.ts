import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { printText } from "./print.ts";

Deno.test("printText() tells the integer whose bytes the halves are", () => {
  assertEquals(printText({ high: 0, low: -1 }), "4294967295");
  assertEquals(printText({ high: -1, low: -1 }), "-1");
  fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigInt64(0, value);
    assertEquals(printText({ high: view.getInt32(0), low: view.getInt32(4) }), String(value));
  }));
});
