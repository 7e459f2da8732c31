import { assertEquals } from "@std/assert";
import type { Doc } from "../../merge/json.ts";
import { encodeFields } from "./encode.ts";

Deno.test("encodeFields() sends the given paths and no others", () => {
  assertEquals(
    encodeFields({ "fields.city": "Köln", "fields.name": null }, "update"),
    { body: { fields: { city: "Köln", name: null } } },
  );
  assertEquals(
    encodeFields({ email: " Ann@Example.test " }, "update"),
    { body: { email: "ann@example.test" } },
  );
  assertEquals(encodeFields({}, "update"), { body: {} });
});

Deno.test("encodeFields() clears with null and turns truth values into text", () => {
  const doc = { "fields.a": "", "fields.b": true, "fields.c": 0 };
  assertEquals(encodeFields(doc, "update"), {
    body: { fields: { a: null, b: "true", c: 0 } },
  });
});

Deno.test("encodeFields() lets an update lower the status and never raise it", () => {
  assertEquals(encodeFields({ status: "unsubscribed" }, "update"), {
    body: { status: "unsubscribed" },
  });
  for (
    const status of ["subscribed", "pending", "none", "bounced", "complained"]
  ) {
    assertEquals(encodeFields({ status }, "update"), {
      refused: "status_not_writable",
    });
  }
});

Deno.test("encodeFields() sends no status with a new subscriber who may be written to", () => {
  const email = "a@b.test";
  assertEquals(encodeFields({ email }, "create"), { body: { email } });
  assertEquals(encodeFields({ email, status: "subscribed" }, "create"), {
    body: { email },
  });
  assertEquals(encodeFields({ email, status: "pending" }, "create"), {
    body: { email, status: "unconfirmed" },
  });
  assertEquals(encodeFields({ email, status: "unsubscribed" }, "create"), {
    body: { email, status: "unsubscribed" },
  });
  for (const status of ["none", "bounced", "complained", "active", 1, null]) {
    assertEquals(encodeFields({ email, status }, "create"), {
      refused: "status_not_writable",
    });
  }
});

Deno.test("encodeFields() refuses what the API would drop or misread", () => {
  const cases: [Doc, string][] = [
    [{ id: "1" }, "unsupported_path"],
    [{ groups: ["VIP"] }, "unsupported_path"],
    [{ "fields.": "x" }, "unsupported_value"],
    [{ "fields.tags": ["x"] }, "unsupported_value"],
    [{ email: null }, "rejected_email"],
    [{ email: "12345" }, "rejected_email"],
  ];
  for (const [doc, code] of cases) {
    assertEquals(encodeFields(doc, "update"), { refused: code });
  }
  assertEquals(encodeFields({ "fields.a": "x" }, "create"), {
    refused: "rejected_email",
  });
});
