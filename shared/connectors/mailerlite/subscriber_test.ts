import { assertEquals } from "@std/assert";
import { subscriber } from "./_test_util.ts";
import { decodeSubscriber } from "./subscriber.ts";

Deno.test("decodeSubscriber() maps a row to paths", () => {
  const row = subscriber("123456789012345678", {
    email: "Ann+x@example.test",
    fields: { name: "Ann", city: null, age: 41, partner_name: "Öz 漢" },
    groups: [{ id: "2", name: "VIP" }, { id: "1", name: "Clients" }],
  });
  assertEquals(decodeSubscriber(row), {
    kind: "record",
    record: {
      id: "123456789012345678",
      doc: {
        email: "Ann+x@example.test",
        status: "subscribed",
        groups: ["Clients", "VIP"],
        "fields.name": "Ann",
        "fields.city": null,
        "fields.age": 41,
        "fields.partner_name": "Öz 漢",
      },
    },
  });
});

Deno.test("decodeSubscriber() names a group once that the account holds twice", () => {
  const groups = [{ name: "VIP" }, { name: "A" }, { name: "VIP" }];
  const decoded = decodeSubscriber(subscriber("1", { groups }));
  assertEquals(
    decoded.kind === "record" && decoded.record.doc.groups,
    ["A", "VIP"],
  );
});

Deno.test("decodeSubscriber() knows MailerLite's five words and guesses no sixth", () => {
  const words = ["active", "unconfirmed", "unsubscribed", "bounced", "junk"];
  const seen = words.map((status) => {
    const decoded = decodeSubscriber(subscriber("1", { status }));
    return decoded.kind === "record" ? decoded.record.doc.status : null;
  });
  assertEquals(seen, [
    "subscribed",
    "pending",
    "unsubscribed",
    "bounced",
    "complained",
  ]);
  assertEquals(decodeSubscriber(subscriber("1", { status: "snoozed" })), {
    kind: "unreadable",
    row: { id: "1", reason: "'status' is an unknown word" },
  });
});

Deno.test("decodeSubscriber() takes a row without groups for unreadable, not for one in no group", () => {
  const { groups: _, ...row } = subscriber("7");
  assertEquals(decodeSubscriber(row), {
    kind: "unreadable",
    row: { id: "7", reason: "'groups' is not of the documented form" },
  });
});

Deno.test("decodeSubscriber() keeps the id of an unreadable row where there is one", () => {
  const cases: [unknown, string | null][] = [
    [subscriber("1", { email: "" }), "1"],
    [subscriber("1", { email: 5 }), "1"],
    [subscriber("1", { fields: [] }), "1"],
    [subscriber("1", { fields: { tags: ["a"] } }), "1"],
    [subscriber("1", { groups: [{ id: "1" }] }), "1"],
    [{ ...subscriber("1"), id: 12345 }, null],
    [{ ...subscriber("1"), id: "x" }, null],
    [null, null],
    ["row", null],
    [[], null],
  ];
  for (const [row, id] of cases) {
    const decoded = decodeSubscriber(row);
    assertEquals(decoded.kind, "unreadable");
    assertEquals(decoded.kind === "unreadable" && decoded.row.id, id);
  }
});

Deno.test("decodeSubscriber() sets deleted rows apart", () => {
  const deleted = subscriber("1", { deleted_at: "2026-01-01 00:00:00" });
  assertEquals(decodeSubscriber(deleted), { kind: "deleted" });
  const present = decodeSubscriber(subscriber("1", { deleted_at: null }));
  assertEquals(present.kind, "record");
});
