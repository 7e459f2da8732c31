import { assert, assertEquals, assertThrows } from "@std/assert";
import { RemoteError } from "../remote_error.ts";
import { decodeCursor, encodeCursor, type ListState } from "./cursor.ts";

const STATE: ListState = {
  size: 1000,
  status: "junk",
  after: "eyJpZCI6MX0-ü漢",
  unseen: [["bounced", "123456789012345678"]],
  pages: 17,
  mark: "eyJpZCI6Mn0",
};

function refused(cursor: string) {
  const error = assertThrows(() => decodeCursor(cursor), RemoteError);
  assertEquals(error.code, "invalid_cursor");
  assertEquals(error.kind, "rejected");
  return error;
}

Deno.test("a cursor holds the whole state, in characters that pass through any URL", () => {
  const cursor = encodeCursor(STATE);
  assert(/^[A-Za-z0-9._-]+$/.test(cursor));
  assertEquals(decodeCursor(cursor), STATE);
  // Also where it is not the one that was made last.
  const other = encodeCursor({ ...STATE, pages: 18 });
  assertEquals(decodeCursor(cursor), STATE);
  assertEquals(decodeCursor(other).pages, 18);
});

Deno.test("decodeCursor() refuses a cursor in which any one character differs", () => {
  const cursor = encodeCursor(STATE);
  // The last character of base64 has bits that hold nothing.
  for (let i = 0; i < cursor.length - 1; i++) {
    const other = cursor[i] === "A" ? "B" : "A";
    const damaged = cursor.slice(0, i) + other + cursor.slice(i + 1);
    refused(damaged);
  }
});

Deno.test("decodeCursor() refuses what it did not make", () => {
  const cursor = encodeCursor(STATE);
  for (
    const other of [
      "",
      "null",
      "42",
      cursor.slice(0, -4),
      `${cursor}.x`,
      cursor.replace("ml1", "ml0"),
      `ml1.0.${btoa("{}")}`,
      "ml1.0.%%%",
    ]
  ) refused(other);
  assertEquals(refused("secret").message.includes("secret"), false);
});
