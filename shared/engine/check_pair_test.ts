import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Connector } from "../connectors/connector.ts";
import type { RemoteEndpoint } from "../connectors/remote_endpoint.ts";
import { consent, defineSync, pair, requirePair, set } from "./config.ts";
import { ConfigurationError } from "./configuration_error.ts";
import type { FieldInput, PairInput } from "./pair.ts";

const unused = () => Promise.reject(new Error("Not called while a configuration is checked"));
const connector: Connector = {
  spec: {
    connector: "acme",
    type: "people",
    key: { path: "mail", compare: "lower-trim" },
    writable: ["mail", "status", "tags", "fields."],
    readOnly: ["id", "created_at"],
    consent: { path: "status", editable: ["unsubscribed"] },
    sets: ["tags"],
    batchMax: 50,
    requiredEnv: [],
    budgets: {},
    projection: {
      rows: ["data"],
      id: { key: "id", pattern: "." },
      oddKey: null,
      locate: (path) => ({ keys: [path] }),
    },
    fieldPrefix: "fields.",
  },
  describe: unused,
  list: unused,
  fetchPage: unused,
  readRest: () => ({ records: [], unreadable: [], next: null }),
  get: unused,
  find: unused,
  write: unused,
};
const remote: RemoteEndpoint = { connector, managed: { tags: ["VIP"] }, createMissing: false };
const mail: FieldInput = { local: "mail", remote: "mail" };

function people(fields: Record<string, FieldInput>, more: Partial<PairInput> = {}): PairInput {
  return pair({
    local: { table: "people", id: "id", naturalKey: "mail" },
    remote,
    fields,
    ...more,
  });
}

function issuesOf(input: unknown): string[] {
  return defineSync({ people: input as PairInput }).issues.map((i) => `${i.path}: ${i.message}`);
}

Deno.test("defineSync() fills in the cautious defaults", () => {
  const config = defineSync({
    people: people({
      mail,
      status: consent({ local: "allowed", remote: "status" }),
      tags: set({ local: "tags", remote: "tags" }),
    }),
  });
  assertEquals(config.issues, []);
  const { rules, local } = requirePair(config);
  assertEquals(local, { schema: "public", table: "people", id: "id" });
  assertEquals(rules.keyField, "mail");
  assertEquals(rules.fields["mail"], {
    kind: "value",
    local: "mail",
    remote: "mail",
    wins: "manual",
    flow: "both",
    mayBlank: false,
    type: "text",
  });
  assertEquals(rules.fields["tags"], {
    kind: "set",
    local: "tags",
    remote: "tags",
    managed: ["VIP"],
  });
  assertEquals(rules.onLocalDelete, "mark");
  assertEquals(rules.onRemoteMissing, "mark");
  assertEquals(rules.limits.deletes, { percent: 5, floor: 20 });
});

Deno.test("defineSync() names the path of whatever is wrong", () => {
  const cases: [unknown, string][] = [
    [
      people({ mail, city: { local: "city", remote: "mail" } }),
      "people.fields.city.remote: 'mail' is already mapped by field 'mail'",
    ],
    [
      people({ mail, city: { local: "mail", remote: "fields.city" } }),
      "people.fields.city.local: 'mail' is already mapped by field 'mail'",
    ],
    [
      people({ mail, city: { local: "city; drop table x", remote: "fields.city" } }),
      "people.fields.city.local: must be a column, or name.column",
    ],
    [
      people({ mail, at: { local: "at", remote: "created_at" } }),
      "people.fields.at.remote: 'created_at' belongs to the remote and cannot be written",
    ],
    [
      people({ mail, x: { local: "x", remote: "fields." } }),
      "people.fields.x.remote: 'fields.' is not a field of this remote",
    ],
    [
      people({ mail, x: { local: "x", remote: "nonsense" } }),
      "people.fields.x.remote: 'nonsense' is not a field of this remote",
    ],
    [
      people({ mail, s: { local: "s", remote: "status" } }),
      "people.fields.s.remote: 'status' holds what a person allows: map it with consent()",
    ],
    [
      people({ mail, c: consent({ local: "c", remote: "fields.c" }) }),
      "people.fields.c.remote: 'fields.c' is not the consent field of this remote: that is 'status'",
    ],
    [
      people({ mail, t: { local: "t", remote: "tags" } }),
      "people.fields.t.remote: 'tags' holds a set: map it with set()",
    ],
    [
      people({ mail, t: set({ local: "t", remote: "fields.t" }) }),
      "people.fields.t.remote: 'fields.t' is not a set of this remote: those are 'tags'",
    ],
    [
      people({ city: { local: "city", remote: "fields.city" } }),
      "people.local.naturalKey: no field maps column 'mail' to 'mail', by which records are matched",
    ],
    [
      { ...people({ mail }), local: { table: "a.b.c", id: "id", naturalKey: "mail" } },
      "people.local.table: must be a table, or schema.table",
    ],
    [
      { ...people({ mail }), onRemoteMissing: "explode" },
      'people.onRemoteMissing: Invalid option: expected one of "mark"|"unlink"|"delete"',
    ],
    [
      { ...people({ mail }), limits: { deletes: { percent: 500, floor: 1 } } },
      "people.limits.deletes.percent: Too big: expected number to be <=100",
    ],
    [{ ...people({ mail }), onNewRemotes: "create" }, 'people: Unrecognized key: "onNewRemotes"'],
    [people({ mail: { ...mail, wins: "newest" as "local" } }), "people.fields.mail"],
  ];
  for (const [input, wanted] of cases) {
    const issues = issuesOf(input);
    assert(
      issues.some((issue) => issue.startsWith(wanted)),
      `wanted ${wanted}, got ${issues.join(" | ")}`,
    );
  }
});

Deno.test("defineSync() refuses a configuration without a pair", () => {
  assertEquals(defineSync({}).issues.length, 1);
});

Deno.test("requirePair() refuses an invalid configuration with every issue", () => {
  const error = assertThrows(
    () => requirePair(defineSync({ people: people({}), other: people({}) })),
    ConfigurationError,
    "people.local.naturalKey",
  );
  assertEquals(error.issues.length, 2);
});

Deno.test("requirePair() wants a name where there is more than one pair", () => {
  const config = defineSync({ one: people({ mail }), two: people({ mail }) });
  assertThrows(() => requirePair(config), ConfigurationError, "more than one");
  assertThrows(() => requirePair(config, "three"), ConfigurationError, "no pair of that name");
  assertEquals(requirePair(config, "two").name, "two");
});

Deno.test("the fingerprint changes with what changes canonical values, and with nothing else", () => {
  const print = (input: PairInput) => requirePair(defineSync({ people: input })).fingerprint;
  const base = print(people({ mail }));
  assertEquals(print(people({ mail }, { onNewLocal: "ignore" })), base);
  assert(print(people({ mail, city: { local: "city", remote: "fields.city" } })) !== base);
});
