import { assertEquals } from "@std/assert";
import { freeBytes } from "./free_bytes.ts";

Deno.test("freeBytes() leaves nothing of the bytes, and of what they are a part of", () => {
  const whole = new Uint8Array(1000);
  const part = whole.subarray(10, 20);
  freeBytes(part);
  assertEquals([whole.byteLength, part.byteLength, part.buffer.byteLength], [0, 0, 0]);
});

Deno.test("freeBytes() may be called twice", () => {
  const bytes = new Uint8Array(10);
  freeBytes(bytes);
  freeBytes(bytes);
  assertEquals(bytes.byteLength, 0);
});
