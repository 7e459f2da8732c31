import { assertEquals } from "@std/assert";
import type { RemoteSchema, WriteOp } from "../connector.ts";
import { packBatches, type PlannedWrite, planWrite } from "./write_plan.ts";

const SCHEMA: RemoteSchema = {
  fields: ["fields.name"],
  sets: { groups: { VIP: ["11"], Clients: ["12", "13"] } },
  start: "",
};

function callsOf(plan: PlannedWrite): unknown {
  if ("refused" in plan) return plan.refused;
  return plan.items.map(({ item }) =>
    item.body === undefined
      ? `${item.method} ${item.path}`
      : [`${item.method} ${item.path}`, item.body]
  );
}

const calls = (op: WriteOp) => callsOf(planWrite(SCHEMA, op));

Deno.test("planWrite() makes a create one upsert with the groups' ids", () => {
  const op: WriteOp = {
    op: "create",
    fields: { email: "a@b.test", status: "subscribed", "fields.name": "A" },
    sets: { groups: ["Clients", "VIP"] },
  };
  assertEquals(calls(op), [[
    "POST /subscribers",
    { email: "a@b.test", fields: { name: "A" }, groups: ["12", "11"] },
  ]]);
});

Deno.test("planWrite() changes groups one by one, and never through the update", () => {
  const op: WriteOp = {
    op: "update",
    id: "5",
    fields: { "fields.name": null, status: "unsubscribed" },
    sets: { groups: { add: ["VIP"], remove: ["Clients", "Unheard of"] } },
  };
  assertEquals(calls(op), [
    "POST /subscribers/5/groups/11",
    "DELETE /subscribers/5/groups/12",
    "DELETE /subscribers/5/groups/13",
    ["PUT /subscribers/5", { status: "unsubscribed", fields: { name: null } }],
  ]);
});

Deno.test("planWrite() reads the record where an update changes groups alone, or nothing", () => {
  const op = { op: "update", id: "5", fields: {} } as const;
  const sets = { groups: { add: ["VIP"], remove: [] } };
  assertEquals(calls({ ...op, sets }), [
    "POST /subscribers/5/groups/11",
    "GET /subscribers/5",
  ]);
  assertEquals(calls({ ...op, sets: {} }), ["GET /subscribers/5"]);
});

Deno.test("planWrite() deletes by id", () => {
  assertEquals(calls({ op: "delete", id: "5" }), ["DELETE /subscribers/5"]);
});

Deno.test("planWrite() refuses what cannot be sent, whole", () => {
  const update = { op: "update", id: "5", fields: {}, sets: {} } as const;
  const create = { op: "create", fields: { email: "a@b.test" } } as const;
  const refused: [WriteOp, string][] = [
    [{ ...update, id: "a@b.test" }, "invalid_id"],
    [{ ...update, id: "../groups/1" }, "invalid_id"],
    [{ op: "delete", id: "" }, "invalid_id"],
    [{ ...update, fields: { status: "subscribed" } }, "status_not_writable"],
    [{ ...update, fields: { source: "api" } }, "unsupported_path"],
    [
      { ...update, sets: { groups: { add: ["New"], remove: [] } } },
      "group_missing",
    ],
    [
      { ...update, sets: { groups: { add: ["constructor"], remove: [] } } },
      "group_missing",
    ],
    [{ ...update, sets: { tags: { add: [], remove: [] } } }, "unsupported_path"],
    [{ ...create, sets: { groups: ["New"] } }, "group_missing"],
    [{ ...create, sets: { tags: [] } }, "unsupported_path"],
    [{ op: "create", fields: {}, sets: {} }, "rejected_email"],
  ];
  for (const [op, code] of refused) assertEquals(calls(op), code);
});

const create = (id: number): PlannedWrite =>
  planWrite(SCHEMA, {
    op: "create",
    fields: { email: `${id}@b.test` },
    sets: {},
  });
const update = (id: number, changes = 0): PlannedWrite => {
  const plan = planWrite(SCHEMA, {
    op: "update",
    id: String(id),
    fields: { "fields.name": "A" },
    sets: { groups: { add: Array(changes).fill("VIP"), remove: [] } },
  });
  return plan;
};
const many = (count: number, make: (id: number) => PlannedWrite) =>
  Array.from({ length: count }, (_, id) => make(id + 1));

/** Number of calls a batch, and whether it reads along. */
function shape(plans: PlannedWrite[], avoidImport = true): string[] {
  return packBatches(plans, avoidImport).map((batch) =>
    `${batch.length}${batch.some(({ op }) => op === null) ? "+" : ""}`
  );
}

Deno.test("packBatches() lets no batch of upserts alone go out", () => {
  assertEquals(shape(many(2, create)), ["3+"]);
  assertEquals(shape(many(49, create)), ["50+"]);
  assertEquals(shape(many(50, create)), ["50+", "1"]);
  assertEquals(shape([...many(49, create), update(1)]), ["50"]);
  assertEquals(shape([update(1), ...many(49, create)]), ["50"]);
  assertEquals(shape(many(1, create)), ["1"]);
});

Deno.test("packBatches() uses all fifty places where imports are not avoided", () => {
  assertEquals(shape(many(50, create), false), ["50"]);
  assertEquals(shape(many(51, create), false), ["50", "1"]);
});

Deno.test("packBatches() fills batches and keeps an operation together where it fits", () => {
  assertEquals(shape(many(50, (id) => update(id))), ["50"]);
  assertEquals(shape(many(51, (id) => update(id))), ["50", "1"]);
  assertEquals(shape(many(20, (id) => update(id, 2))), ["48", "12"]);
  assertEquals(shape([update(1), update(2, 120), update(3)]), [
    "1",
    "50",
    "50",
    "22",
  ]);
});

Deno.test("packBatches() sends every call once, in the operations' order", () => {
  const plans = [update(1, 3), create(2), { refused: "x" }, update(4, 70)];
  const ops = packBatches(plans, true).flat().map(({ op }) => op);
  assertEquals(ops.filter((op) => op !== null), [
    ...Array(4).fill(0),
    1,
    ...Array(71).fill(3),
  ]);
});
