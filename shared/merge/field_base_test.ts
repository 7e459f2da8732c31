import { assertEquals } from "@std/assert";
import { fieldBase } from "./field_base.ts";

Deno.test("fieldBase() reads both sides of one field, and whether it is settled", () => {
  const base = { a: { city: "x", phone: "1" }, b: { city: "y", phone: "1" }, settled: ["city"] };
  assertEquals(fieldBase(base, "city"), { a: "x", b: "y", settled: true });
  assertEquals(fieldBase(base, "phone"), { a: "1", b: "1", settled: false });
});

Deno.test("fieldBase() knows nothing of a field that was mapped after the base was taken", () => {
  assertEquals(fieldBase(null, "city"), null);
  for (const field of ["city", "constructor"]) {
    assertEquals(fieldBase({ a: {}, b: {}, settled: [] }, field), null);
    assertEquals(fieldBase({ a: { city: "x" }, b: {}, settled: [] }, field), null);
  }
});
