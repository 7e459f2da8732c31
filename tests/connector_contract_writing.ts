import { assert, assertEquals, fail } from "@std/assert";
import type { RemoteSchema, WriteOp, WriteResult } from "../shared/connectors/connector.ts";
import {
  type ContractCase,
  oneRecord,
  someRecords,
  type World,
} from "./connector_contract_world.ts";
import { theRecord } from "./connector_contract_reading.ts";

const outcomes = (results: readonly WriteResult[]) => results.map((result) => result.outcome);

function update(id: string, over: Partial<WriteOp & { op: "update" }>): WriteOp {
  return { op: "update", id, fields: {}, sets: {}, ...over };
}

function create(world: World, key: string, over: Record<string, string | null> = {}): WriteOp {
  const { path } = world.connector.spec.key;
  return { op: "create", fields: { [path]: key, ...over }, sets: {} };
}

/** The record a write answered. */
function recordOf(result: WriteResult | undefined) {
  assert(result?.outcome === "ok", `the write is ${result?.outcome}`);
  return result.record;
}

/** Writes as a caller does: what may be tried again is tried again. */
async function writeAll(
  { connector, context }: World,
  schema: RemoteSchema,
  ops: readonly WriteOp[],
): Promise<readonly WriteResult[]> {
  const results = [...await connector.write(context, schema, ops)];
  assertEquals(results.length, ops.length);
  for (let round = 0; round < 5; round++) {
    const again = [...results.keys()].filter((i) => results[i]?.outcome === "retryable");
    const rest = await connector.write(context, schema, again.flatMap((i) => ops[i] ?? []));
    for (const [index, i] of again.entries()) {
      results[i] = rest[index] ?? fail("a result is missing");
    }
  }
  return results;
}

async function writeOne(world: World, op: (id: string) => WriteOp) {
  const { schema, record } = await theRecord(world);
  const [result] = await world.connector.write(world.context, schema, [op(record.id)]);
  const [after] = world.records();
  return { before: record, result, after };
}

/** Cases about writing. */
export const writingCases: readonly ContractCase[] = [
  {
    about: "write",
    name: "results come one an operation, in their order, over any number of operations",
    run: async (make) => {
      const world = make(someRecords(130).map((seed) => ({ ...seed, status: "subscribed" })));
      const { schema } = await theRecord(world);
      const old = world.records();
      const ops = old.flatMap(({ id }, i): WriteOp[] => [
        update(id, { fields: { [world.textPath]: `New ${i}` } }),
        create(world, `new.${i}@example.test`),
      ]);
      const results = await writeAll(world, schema, ops);
      assertEquals(outcomes(results), ops.map(() => "ok"));
      assertEquals(world.records().length, 260);
      const keyPath = world.connector.spec.key.path;
      for (const [index, op] of ops.entries()) {
        const result = results[index];
        const record = recordOf(result);
        if (op.op === "update") {
          assertEquals(result?.outcome === "ok" && result.id, op.id);
          assertEquals(record?.doc[world.textPath], op.fields[world.textPath]);
        } else if (op.op === "create") {
          assertEquals(record?.doc[keyPath], op.fields[keyPath]);
        }
      }
    },
  },
  {
    about: "write",
    name: "no operations are no requests",
    run: async (make) => {
      const world = make([]);
      const schema = await world.connector.describe(world.context);
      const before = world.requests();
      assertEquals(await world.connector.write(world.context, schema, []), []);
      assertEquals(world.requests(), before);
    },
  },
  {
    about: "write",
    name: "a refused operation fails alone, and an unknown id is not found",
    run: async (make) => {
      const world = make([oneRecord()]);
      const { schema, record } = await theRecord(world);
      const fields = { [world.textPath]: "after" };
      const results = await world.connector.write(world.context, schema, [
        create(world, world.badKey),
        update(record.id, { fields }),
        update(world.unknownId, { fields }),
        { op: "delete", id: world.unknownId },
        create(world, "new@example.test"),
      ]);
      assertEquals(outcomes(results), ["rejected", "ok", "not_found", "not_found", "ok"]);
      assertEquals(world.records().length, 2);
    },
  },
  {
    about: "write",
    name: "the record in a result is the record as the remote then holds it",
    run: async (make) => {
      const world = make([oneRecord()]);
      const { result, after } = await writeOne(world, (id) =>
        update(id, {
          fields: { [world.textPath]: "after" },
          sets: { [world.setPath]: { add: ["Managed one"], remove: ["Kept"] } },
        }));
      assertEquals(recordOf(result), after);
    },
  },
  {
    about: "write",
    name: "an update changes what it names and nothing else",
    run: async (make) => {
      const world = make([oneRecord({ names: ["Kept", "Managed two"] })]);
      const { before, after } = await writeOne(
        world,
        (id) => update(id, { fields: { [world.textPath]: "after" } }),
      );
      assertEquals(after, {
        ...before,
        doc: { ...before.doc, [world.textPath]: "after" },
      });
    },
  },
  {
    about: "write",
    name: "a set change leaves the names it does not mention, and may be repeated",
    run: async (make) => {
      const world = make([oneRecord({ names: ["Kept", "Managed two"] })]);
      const sets = { [world.setPath]: { add: ["Managed one"], remove: ["Managed two"] } };
      for (let time = 0; time < 2; time++) {
        const { result, after } = await writeOne(world, (id) => update(id, { sets }));
        assertEquals(recordOf(result)?.doc[world.setPath], ["Kept", "Managed one"]);
        assertEquals(after?.doc[world.setPath], ["Kept", "Managed one"]);
      }
    },
  },
  {
    about: "write",
    name: "a name that the set may not hold is refused before anything is sent",
    run: async (make) => {
      const world = make([oneRecord()]);
      const { schema, record } = await theRecord(world);
      const before = world.requests();
      const sets = { [world.setPath]: { add: ["Unheard of"], remove: [] } };
      const results = await world.connector.write(world.context, schema, [
        update(record.id, { sets, fields: { [world.textPath]: "after" } }),
      ]);
      assertEquals(outcomes(results), ["rejected"]);
      assertEquals(world.requests(), before);
    },
  },
  {
    about: "write",
    name: "names that are made can be used at once",
    run: async (make) => {
      const world = make([oneRecord()]);
      const { connector, context, setPath } = world;
      if (connector.createSetNames === undefined) return;
      const { schema, record } = await theRecord(world);
      const wider = await connector.createSetNames(context, schema, setPath, ["New", "Kept"]);
      assertEquals(wider.sets[setPath]?.Kept, schema.sets[setPath]?.Kept);
      assertEquals((await connector.describe(context)).sets, wider.sets);
      const sets = { [setPath]: { add: ["New"], remove: [] } };
      await connector.write(context, wider, [update(record.id, { sets })]);
      assertEquals(world.records()[0]?.doc[setPath], ["Kept", "New"]);
    },
  },
  {
    about: "write",
    name: "null clears a value",
    run: async (make) => {
      const world = make([oneRecord()]);
      const { result, after } = await writeOne(
        world,
        (id) => update(id, { fields: { [world.textPath]: null } }),
      );
      assertEquals(recordOf(result)?.doc[world.textPath], null);
      assertEquals(after?.doc[world.textPath], null);
    },
  },
  {
    about: "write",
    name: "consent is lowered where that is asked, and never raised or set by another write",
    run: async (make) => {
      const world = make([oneRecord()]);
      const { path } = world.connector.spec.consent;
      const lowered = await writeOne(
        world,
        (id) => update(id, { fields: { [path]: "unsubscribed" } }),
      );
      assertEquals(recordOf(lowered.result)?.doc[path], "unsubscribed");
      for (const status of ["subscribed", "pending"]) {
        const raised = await writeOne(world, (id) => update(id, { fields: { [path]: status } }));
        assertEquals(raised.result?.outcome, "rejected");
        assertEquals(raised.after?.doc[path], "unsubscribed");
      }
      const waiting = make([oneRecord({ status: "pending" })]);
      const edited = await writeOne(
        waiting,
        (id) => update(id, { fields: { [waiting.textPath]: "after" } }),
      );
      assertEquals(edited.after?.doc[path], "pending");
    },
  },
  {
    about: "write",
    name: "a create over a record that is there adds to it, and confirms nobody",
    run: async (make) => {
      const world = make([oneRecord({ status: "pending" })]);
      const { schema, record } = await theRecord(world);
      const { key, consent } = world.connector.spec;
      const op: WriteOp = {
        op: "create",
        fields: {
          [key.path]: String(record.doc[key.path]),
          [consent.path]: "subscribed",
          [world.textPath]: "after",
        },
        sets: { [world.setPath]: ["Managed one"] },
      };
      const [result] = await world.connector.write(world.context, schema, [op]);
      const written = recordOf(result);
      assertEquals(written?.id, record.id);
      assertEquals(written?.doc[consent.path], "pending");
      assertEquals(written?.doc[world.setPath], ["Kept", "Managed one"]);
      assertEquals(world.records(), [written]);
    },
  },
  {
    about: "write",
    name: "a deleted record is gone from get, find and the list",
    run: async (make) => {
      const world = make([oneRecord(), oneRecord({ key: "stays@example.test" })]);
      const { connector, context } = world;
      const { schema, record } = await theRecord(world);
      const key = String(record.doc[connector.spec.key.path]);
      const results = await connector.write(context, schema, [{ op: "delete", id: record.id }]);
      assertEquals(outcomes(results), ["ok"]);
      assertEquals(await connector.get(context, [record.id]), [null]);
      assertEquals(await connector.find(context, [key]), [[]]);
      const page = await connector.list(context, schema.start);
      assertEquals(page.records.length, 1);
    },
  },
];
