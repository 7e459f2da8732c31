import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  canonicalKey,
  canonicalRecord,
  canonicalValue,
  UnreadableValueError,
} from "./canonical.ts";
import type { Json } from "./json.ts";
import type { PairRules, ValueType } from "./pair.ts";

const LIMIT = { percent: 5, floor: 20 };
const RULES: PairRules = {
  name: "people",
  keyField: "mail",
  keyCompare: "lower-trim",
  fields: {
    mail: {
      kind: "value",
      local: "mail",
      remote: "m",
      wins: "manual",
      flow: "both",
      mayBlank: false,
      type: "text",
    },
    city: {
      kind: "value",
      local: "city",
      remote: "f.city",
      wins: "remote",
      flow: "both",
      mayBlank: true,
      type: "text",
    },
    allowed: { kind: "consent", local: "allowed", remote: "status" },
    tags: { kind: "set", local: "tags", remote: "tags", managed: ["Clients", "VIP"] },
  },
  onNewRemote: "create",
  onNewLocal: "create",
  onLocalDelete: "unlink",
  onRemoteMissing: "mark",
  limits: { deletes: LIMIT, unsubscribes: LIMIT, blanks: LIMIT, updates: LIMIT },
};

Deno.test("canonicalValue() refuses what is not of the type and names the field only", () => {
  const wrong: [Json, ValueType][] = [
    ["twelve", "number"],
    [{ a: 1 }, "text"],
    [["a"], "text"],
    ["soon", "date"],
    ["2026-13-45", "date"],
    [20260101, "date"],
    ["perhaps", "boolean"],
    [true, "number"],
    ["nul\0", "text"],
    ["half \ud83d", "text"],
  ];
  for (const [value, type] of wrong) {
    const error = assertThrows(() => canonicalValue(value, type, "age"), UnreadableValueError);
    assertEquals(error.code, "unreadable_value");
    assert(error.message.includes("'age'"));
    assert(!error.message.includes(JSON.stringify(value)));
  }
});

Deno.test("canonicalValue() reads every spelling of one value alike", () => {
  const alike: [ValueType, Json[], Json][] = [
    ["text", [null, undefined as unknown as Json, "", "  ", "\t\n"], null],
    ["text", ["Köln", "  Köln ", "Ko\u0308ln"], "Köln"],
    ["text", [7, "7"], "7"],
    ["number", [5, "5", "5.00", "05", " 5 ", "+5", "5."], "5"],
    ["number", ["0", 0, "-0", "0.000"], "0"],
    ["number", ["-1.50", -1.5], "-1.5"],
    ["number", ["12345678901234567890.10"], "12345678901234567890.1"],
    ["number", [1e21], "1e+21"],
    ["number", ["", null], null],
    ["date", ["2026-02-03", "2026-02-03T10:00:00Z", " 2026-02-03 "], "2026-02-03"],
    ["date", [""], null],
    ["boolean", [true, "true", "TRUE", 1, "1"], true],
    ["boolean", [false, "false", 0], false],
    ["boolean", [""], null],
  ];
  for (const [type, inputs, expected] of alike) {
    for (const input of inputs) assertEquals(canonicalValue(input, type, "f"), expected);
  }
});

Deno.test("canonicalKey() matches keys across case, space and Unicode form, and only where asked to", () => {
  assertEquals(canonicalKey("  Ann@Example.ORG ", "lower-trim"), "ann@example.org");
  assertEquals(canonicalKey("E\u0301", "lower-trim"), "é");
  assertEquals(canonicalKey("Ann", "exact"), "Ann");
  assertEquals(canonicalKey(null, "lower-trim"), "");
  assertEquals(canonicalKey(["a"], "lower-trim"), "");
});

Deno.test("canonicalRecord() reads each side by its own paths into one form", () => {
  const local = canonicalRecord(
    { mail: "A@x.org", city: "", allowed: "subscribed", tags: ["VIP", "Mine", "Clients"] },
    "local",
    RULES,
  );
  const remote = canonicalRecord(
    { m: "a@x.org ", "f.city": null, status: "subscribed", tags: ["Clients", "VIP", "Other"] },
    "remote",
    RULES,
  );
  assertEquals(local, {
    mail: "a@x.org",
    city: null,
    allowed: "subscribed",
    tags: ["Clients", "VIP"],
  });
  assertEquals(JSON.stringify(local), JSON.stringify(remote));
});

Deno.test("canonicalRecord() refuses an unknown consent word instead of choosing one", () => {
  for (const allowed of ["active", "", null, 1]) {
    assertThrows(
      () => canonicalRecord({ mail: "a@x.org", city: null, allowed, tags: [] }, "local", RULES),
      UnreadableValueError,
      "'allowed'",
    );
  }
});

Deno.test("canonicalRecord() never takes a set from something that is not a list", () => {
  assertThrows(
    () => canonicalRecord({ allowed: "none", tags: "VIP" }, "local", RULES),
    UnreadableValueError,
    "'tags'",
  );
});

Deno.test("canonicalValue() is idempotent: what is canonical stays as it is", () => {
  const anyText = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.string({ unit: "binary" }),
    fc.constantFrom("\u0041\u030a", " \u00a0x", "\ufb01", "\u1e9b\u0323"),
  );
  fc.assert(
    fc.property(anyText.filter((text) => text.isWellFormed() && !text.includes("\0")), (text) => {
      const once = canonicalValue(text, "text", "f");
      assertEquals(canonicalValue(once, "text", "f"), once);
      const key = canonicalKey(text, "lower-trim");
      assertEquals(canonicalKey(key, "lower-trim"), key);
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(
      fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer()),
      (n) => {
        const once = canonicalValue(n, "number", "f");
        assertEquals(canonicalValue(once, "number", "f"), once);
        assertEquals(Number(once), n === 0 ? 0 : n);
      },
    ),
    { numRuns: 2000 },
  );
});
