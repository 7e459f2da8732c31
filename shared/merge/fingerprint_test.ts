import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { fingerprintOf } from "./fingerprint.ts";
import type { Json } from "./json.ts";
import type { PairRules } from "./pair.ts";
import { printText } from "./print.ts";
import type { Projection } from "./projection.ts";

const LIMIT = { percent: 5, floor: 20 };
const value = {
  kind: "value",
  wins: "manual",
  flow: "both",
  mayBlank: false,
  type: "text",
} as const;
const rules: PairRules = {
  name: "people",
  keyField: "mail",
  keyCompare: "lower-trim",
  fields: {
    mail: { ...value, local: "mail", remote: "mail" },
    city: { ...value, local: "city", remote: "fields.city" },
    age: { ...value, local: "age", remote: "fields.age", type: "number" },
    consent: { kind: "consent", local: "consent", remote: "status" },
    tags: { kind: "set", local: "tags", remote: "tags", managed: ["VIP", "Clients"] },
  },
  onNewRemote: "create",
  onNewLocal: "create",
  onLocalDelete: "mark",
  onRemoteMissing: "mark",
  limits: { deletes: LIMIT, unsubscribes: LIMIT, blanks: LIMIT, updates: LIMIT },
};
const projection: Projection = {
  rows: ["data"],
  id: { key: "id", pattern: "^[0-9]+$" },
  oddKey: "gone",
  locate: (path) =>
    path === "tags" ? { keys: ["tags"], nameKey: "name" } : { keys: path.split(".") },
};
const fingerprint = fingerprintOf(rules, projection);
const encoder = new TextEncoder();

function printIn(text: string): string | null {
  const bytes = encoder.encode(`[${text},`);
  const row = fingerprint(bytes, 1);
  assertEquals(row.end, bytes.length - 1);
  return row.isPlain ? printText(row) : null;
}

function print(row: Json): string | null {
  return printIn(JSON.stringify(row));
}

function row(changes: { [key: string]: Json } = {}): Json {
  return {
    id: "1",
    mail: "a@example.com",
    status: "active",
    fields: { city: "Oslo", age: 40, other: "x" },
    tags: [{ name: "VIP", count: 7 }],
    opened: 3,
    ...changes,
  };
}

Deno.test("fingerprintOf() sees the id and every mapped value, and nothing else", () => {
  const same = print(row());
  assert(same !== null);
  for (
    const unseen of [
      row({ opened: 4 }),
      row({ fields: { city: "Oslo", age: 40, other: "y" } }),
      row({ tags: [{ name: "Others", count: 1 }, { name: "VIP", count: 8 }] }),
    ]
  ) assertEquals(print(unseen), same);
  for (
    const seen of [
      row({ id: "2" }),
      row({ mail: "A@example.com" }),
      row({ status: "unsubscribed" }),
      row({ fields: { city: "Oslo ", age: 40 } }),
      row({ fields: { city: "", age: 40 } }),
      row({ fields: { city: null, age: 40 } }),
      row({ fields: { city: "Oslo", age: "40" } }),
      row({ fields: { city: "Oslo", age: 41 } }),
      row({ tags: [] }),
      row({ tags: [{ name: "VIP" }, { name: "Clients" }] }),
      row({ tags: [{ name: "Clients" }] }),
    ]
  ) assertNotEquals(print(seen), same);
});

Deno.test("fingerprintOf() does not take a value for a part of its neighbour", () => {
  const moved = (mail: string, city: string) => print(row({ mail, fields: { city, age: 40 } }));
  assertNotEquals(moved("ab", "c"), moved("a", "bc"));
  assertNotEquals(moved("s1:x", ""), moved("", "s1:x"));
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (a, b, c, d) => {
      assertEquals(moved(a, b) === moved(c, d), a === c && b === d);
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("fingerprintOf() answers no print for a row that is not of the form it knows", () => {
  for (
    const odd of [
      row({ tags: null }),
      row({ tags: "VIP" }),
      row({ tags: ["VIP"] }),
      row({ tags: [{ name: 1 }] }),
      row({ fields: { city: { name: "Oslo" }, age: 40 } }),
      row({ fields: { city: ["Oslo"], age: 40 } }),
      row({ fields: null }),
      row({ id: 1 }),
      row({ id: null }),
      row({ gone: "2026-01-01" }),
      row({ gone: { at: 1 } }),
    ]
  ) assertEquals(print(odd), null);
  assertEquals(print(row({ gone: null })), print(row()));
  for (const text of ["null", '"row"', "1", "[]", '{"id":"1"', '{"id" "1"}', '{"id":}']) {
    assertThrows(() => fingerprint(encoder.encode(text), 0), SyntaxError);
  }
});

Deno.test("fingerprintOf() sees the names of a list that holds nothing else", () => {
  const locate = (path: string) => ({ keys: path.split(".") });
  const bare = fingerprintOf(rules, { ...projection, locate });
  const printed = (tags: Json) => {
    const found = bare(encoder.encode(JSON.stringify(row({ tags }))), 0);
    return found.isPlain ? printText(found) : null;
  };
  assertEquals(printed(["x", "VIP"]), printed(["VIP", "VIP", ""]));
  assertNotEquals(printed(["VIP"]), printed([]));
  assertNotEquals(printed(["VIP"]), printed(["VIP", "Clients"]));
  for (const odd of [null, "VIP", [1], [["VIP"]], [{ name: "VIP" }]]) {
    assertEquals(printed(odd), null);
  }
});

Deno.test("fingerprintOf() knows a key and a name in whichever form JSON has for them", () => {
  const text = JSON.stringify(row());
  const escaped = text.replace('"mail"', '"m\\u0061il"').replace('"VIP"', '"\\u0056IP"')
    .replace('"name"', '"n\\u0061me"').replace('"id"', '"\\u0069d"');
  assertEquals(JSON.parse(escaped), row());
  assertEquals(printIn(escaped), printIn(text));
  const edited = escaped.replace("a@example.com", "b@example.com");
  assertNotEquals(printIn(edited), printIn(escaped));
  assertNotEquals(printIn(escaped.replace("u0056", "u0057")), printIn(escaped));
});

Deno.test("fingerprintOf() tells where the id of a row stands, and where the row ends among others", () => {
  const rows = [row(), row({ id: "27", mail: '}"],[{\\"' }), row({ id: 3 })];
  const bytes = encoder.encode(JSON.stringify(rows));
  const text = (from: number, to: number) => new TextDecoder().decode(bytes.subarray(from, to));
  let at = 1;
  const ids = rows.map((one) => {
    const { end, idFrom, idTo, isPlain } = fingerprint(bytes, at);
    assertEquals(text(at, end), JSON.stringify(one));
    at = end + 1;
    return isPlain ? text(idFrom, idTo) : null;
  });
  assertEquals(ids, ["1", "27", null]);
  const escaped = encoder.encode('{"id":"\\u0031","mail":"a"}');
  assertEquals(fingerprint(escaped, 0).isPlain, false);
});

Deno.test("fingerprintOf() sees every edit of a mapped value of any row, and no other", () => {
  const text = fc.string({ unit: "binary", maxLength: 4 });
  const value = fc.oneof(text, fc.integer(), fc.constantFrom(null, true, 1.5, ""));
  const anyRow = fc.record({
    id: fc.constantFrom("1", "2"),
    mail: value,
    status: value,
    fields: fc.record({ city: value, age: value, other: value }),
    tags: fc.array(fc.record({ name: fc.constantFrom("VIP", "Clients", "x", "\u00e9") })),
    opened: fc.oneof(value, fc.constantFrom([], {}, { "]": "}" }, ['"', ["\\"]])),
  });
  const seen = ({ id, mail, status, fields, tags }: Record<string, Json>) => {
    const { city = null, age = null } = fields as Record<string, Json>;
    const names = (tags as { name: string }[]).map(({ name }) => name);
    return JSON.stringify(
      [id, mail, status, city, age, names.includes("VIP"), names.includes("Clients")].map((x) =>
        x ?? null
      ),
    );
  };
  fc.assert(
    fc.property(anyRow, anyRow, (one, other) => {
      const [a, b] = [one as Record<string, Json>, other as Record<string, Json>];
      for (
        const row of [b, { ...b, opened: a["opened"] ?? null }, { ...a, ...b, id: a["id"] ?? "" }]
      ) {
        assertEquals(print(a) === print(row), seen(a) === seen(row));
      }
    }),
    { numRuns: 300 },
  );
});
