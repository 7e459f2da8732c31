import { assert, assertEquals, assertNotEquals } from "@std/assert";
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
  oddKey: null,
  locate: (path) =>
    path === "tags" ? { keys: ["tags"], nameKey: "name" } : { keys: path.split(".") },
};
const print = fingerprintOf(rules, projection);

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
      const [one, other] = [moved(a, b), moved(c, d)];
      assert(one !== null && other !== null);
      assertEquals(printText(one) === printText(other), a === c && b === d);
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("fingerprintOf() answers null for a row that is not of the form it knows", () => {
  for (
    const odd of [
      null,
      "row",
      row({ tags: null }),
      row({ tags: "VIP" }),
      row({ fields: { city: { name: "Oslo" }, age: 40 } }),
    ]
  ) assertEquals(print(odd), null);
});
