import { assert, assertEquals, assertRejects } from "@std/assert";
import type { WriteOp } from "../shared/connectors/connector.ts";
import { RemoteError } from "../shared/connectors/remote_error.ts";
import {
  type ContractCase,
  type Fault,
  oneRecord,
  someRecords,
  type World,
} from "./connector_contract_world.ts";
import { assertHolds, enumerate, MANY, theRecord } from "./connector_contract_reading.ts";

const PASSING: readonly Fault[] = [
  "reset_before",
  "reset_after",
  "server_error",
  "html",
  "truncated",
  "throttled",
  "silent",
];

/** Those after which nobody knows whether the request was done. */
const AMBIGUOUS: readonly Fault[] = [
  "reset_before",
  "reset_after",
  "html",
  "truncated",
  "silent",
];

const FOREVER = 1_000;

function creates(world: World, count: number): WriteOp[] {
  const { path } = world.connector.spec.key;
  return Array.from({ length: count }, (_, i) => ({
    op: "create",
    fields: { [path]: `new.${i}@example.test` },
    sets: {},
  }));
}

/** Cases about what goes wrong. */
export const faultCases: readonly ContractCase[] = [
  {
    about: "list",
    name: "an enumeration loses nobody to a passing fault on any page",
    run: async (make) => {
      for (const fault of PASSING) {
        const world = make(someRecords(MANY));
        world.fault(fault, 2, 2);
        assertHolds(world, (await enumerate(world)).records);
      }
    },
  },
  {
    about: "list",
    name: "a page that cannot be had is an error, and its cursor is still good",
    run: async (make) => {
      for (const fault of PASSING) {
        const world = make(someRecords(MANY));
        const { connector, context } = world;
        const { start } = await connector.describe(context);
        const first = await connector.list(context, start);
        assert(first.next !== null);
        const cursor = first.next;
        world.fault(fault, FOREVER);
        const error = await assertRejects(
          () => connector.list(context, cursor),
          RemoteError,
        );
        assertEquals(error.kind, "retryable", fault);
        world.fault(fault, 0);
        const rest = await enumerate(world, cursor);
        assertHolds(world, [...first.records, ...rest.records]);
      }
    },
  },
  {
    about: "read",
    name: "records got or found are not taken for absent in a fault",
    run: async (make) => {
      for (const fault of PASSING) {
        const world = make(someRecords(60));
        const wanted = world.records();
        const ids = wanted.map(({ id }) => id);
        world.fault(fault, 2);
        assertEquals(await world.connector.get(world.context, ids), wanted);
        world.fault(fault, FOREVER);
        for (const read of [world.connector.get, world.connector.find]) {
          const key = read === world.connector.get ? ids[0] : "person.1+tag@example.test";
          const error = await assertRejects(
            () => read(world.context, [key ?? ""]),
            RemoteError,
          );
          assertEquals(error.kind, "retryable", fault);
        }
      }
    },
  },
  {
    about: "write",
    name: "writes in doubt are unknown, are not sent again, and bear being repeated",
    run: async (make) => {
      for (const fault of AMBIGUOUS) {
        const world = make([]);
        const { connector, context } = world;
        const schema = await connector.describe(context);
        const ops = creates(world, 10);
        world.fault(fault, 1);
        const before = world.requests();
        const results = await connector.write(context, schema, ops);
        assertEquals(results.map(({ outcome }) => outcome), ops.map(() => "unknown"), fault);
        assertEquals(world.requests() - before, 1);
        const again = await connector.write(context, schema, ops);
        assertEquals(again.map(({ outcome }) => outcome), ops.map(() => "ok"));
        assertEquals(world.records().length, ops.length);
      }
    },
  },
  {
    about: "write",
    name: "writes turned away by the rate limit are sent once it is over",
    run: async (make) => {
      const world = make([]);
      const { connector, context } = world;
      const schema = await connector.describe(context);
      const ops = creates(world, 10);
      world.fault("throttled", 2);
      const results = await connector.write(context, schema, ops);
      assertEquals(results.map(({ outcome }) => outcome), ops.map(() => "ok"));
      world.fault("throttled", FOREVER);
      const held = await connector.write(context, schema, creates(world, 2));
      assertEquals(held.map(({ outcome }) => outcome), ["retryable", "retryable"]);
      assertEquals(world.records().length, ops.length);
    },
  },
  {
    about: "read",
    name: "refused credentials are told as such, and tried once",
    run: async (make) => {
      const world = make([oneRecord()]);
      const { connector, context } = world;
      const { schema, record } = await theRecord(world);
      world.fault("unauthorized", FOREVER);
      const calls = [
        () => connector.describe(context),
        () => connector.list(context, schema.start),
        () => connector.get(context, [record.id]),
        () => connector.find(context, ["ann@example.test"]),
        () => connector.write(context, schema, creates(world, 3)),
      ];
      for (const call of calls) {
        const before = world.requests();
        const error = await assertRejects<Error>(call, RemoteError);
        assertEquals(error instanceof RemoteError && error.kind, "auth");
        assertEquals(world.requests() - before, 1);
      }
    },
  },
  {
    about: "read",
    name: "a caller who has to stop sends nothing more",
    run: async (make) => {
      const world = make([oneRecord()]);
      const { connector, context } = world;
      const { schema, record } = await theRecord(world);
      const before = world.requests();
      world.stop();
      for (
        const call of [
          () => connector.list(context, schema.start),
          () => connector.get(context, [record.id]),
          () => connector.write(context, schema, creates(world, 3)),
        ]
      ) {
        const error = await assertRejects<Error>(call, RemoteError);
        assertEquals(error instanceof RemoteError && error.code, "aborted");
      }
      assertEquals(world.requests(), before);
    },
  },
  {
    about: "write",
    name: "every request has a permit, and every permit is settled once, in every fault",
    run: async (make) => {
      for (const fault of PASSING) {
        const world = make(someRecords(30));
        const { connector, context } = world;
        const { schema } = await theRecord(world);
        world.fault(fault, 1);
        await connector.list(context, schema.start);
        world.fault(fault, 1);
        await connector.write(context, schema, creates(world, 3));
        const { taken, settled } = world.permits();
        assertEquals(taken, settled);
        assert(taken >= world.requests(), fault);
      }
    },
  },
  {
    about: "read",
    name: "no error names a key, an id or a value",
    run: async (make) => {
      for (const fault of [...PASSING, "unauthorized"] as const) {
        const world = make([oneRecord({ text: "secret" })]);
        const { connector, context } = world;
        const { schema, record } = await theRecord(world);
        world.fault(fault, FOREVER);
        const calls = [
          () => connector.list(context, schema.start),
          () => connector.get(context, [record.id]),
          () => connector.find(context, ["ann@example.test"]),
        ];
        for (const call of calls) {
          const error = await assertRejects<Error>(call, RemoteError);
          const told = `${error.message} ${error.cause ?? ""}`;
          for (const word of ["ann", "example.test", "secret", record.id]) {
            assertEquals(told.includes(word), false, fault);
          }
        }
      }
    },
  },
];
