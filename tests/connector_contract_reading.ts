import { assert, assertEquals, assertRejects } from "@std/assert";
import type { RawPage, RemoteRecord } from "../shared/connectors/connector.ts";
import { RemoteError } from "../shared/connectors/remote_error.ts";
import {
  type ContractCase,
  oneRecord,
  SET_NAMES,
  someRecords,
  type World,
} from "./connector_contract_world.ts";

/** Enough for several pages of any size a remote may give. */
export const MANY = 2_300;

const byId = (a: RemoteRecord, b: RemoteRecord) => a.id < b.id ? -1 : 1;

/** Every record from a cursor on, and the cursors that led there. */
export async function enumerate({ connector, context }: World, from?: string) {
  const records: RemoteRecord[] = [];
  const cursors: string[] = [];
  let cursor: string | null = from ?? (await connector.describe(context)).start;
  while (cursor !== null) {
    cursors.push(cursor);
    const page = await connector.list(context, cursor);
    assertEquals(page.unreadable, []);
    records.push(...page.records);
    cursor = page.next;
  }
  return { records, cursors };
}

/** Asserts that records are what the remote holds, each once, whatever the order. */
export function assertHolds(world: World, records: readonly RemoteRecord[]) {
  assertEquals([...records].sort(byId), world.records().sort(byId));
}

/** The schema and the first record. */
export async function theRecord(world: World) {
  const schema = await world.connector.describe(world.context);
  const [record] = world.records();
  assert(record !== undefined);
  return { schema, record };
}

/** Cases about reading. */
export const readingCases: readonly ContractCase[] = [
  {
    about: "list",
    name: "an enumeration sees every record exactly once, of every status",
    run: async (make) => {
      const world = make(someRecords(MANY));
      const { records } = await enumerate(world);
      assertEquals(new Set(records.map(({ id }) => id)).size, MANY);
      assertHolds(world, records);
    },
  },
  {
    about: "list",
    name: "fetched raw, with the next page on its way or not, the list is the same",
    run: async (make) => {
      const world = make(someRecords(MANY));
      const { connector, context } = world;
      const { records, cursors } = await enumerate(world);
      for (const ahead of [false, true]) {
        const read: RemoteRecord[] = [];
        const places: string[] = [];
        let previous: RawPage | null = null;
        let cursor: string | null = (await connector.describe(context)).start;
        while (cursor !== null) {
          places.push(cursor);
          const raw: RawPage = await connector.fetchPage(context, cursor, { previous, ahead });
          const envelope = JSON.parse(new TextDecoder().decode(raw.answer));
          const rows = connector.spec.projection.rows.reduce((at, key) => at[key], envelope);
          const page = connector.readRest(cursor, { envelope, rows, watched: [] });
          assertEquals(page.unreadable, []);
          read.push(...page.records);
          previous = raw;
          cursor = page.next;
        }
        assertEquals(read, records);
        assertEquals(places, cursors);
      }
    },
  },
  {
    about: "list",
    name: "an enumeration can be taken up at every cursor",
    run: async (make) => {
      const world = make(someRecords(MANY));
      const { records, cursors } = await enumerate(world);
      assert(cursors.length > 2);
      const steps = Math.max(1, Math.floor(cursors.length / 4));
      for (let index = 0; index < cursors.length; index += steps) {
        const rest = await enumerate(world, cursors[index]);
        const ids = rest.records.map(({ id }) => id);
        const tail = records.slice(records.length - ids.length);
        assertEquals(ids, tail.map(({ id }) => id));
        assertEquals(rest.cursors.length, cursors.length - index);
      }
    },
  },
  {
    about: "list",
    name: "an empty remote is one empty page",
    run: async (make) => {
      const { records, cursors } = await enumerate(make([]));
      assertEquals([records.length, cursors.length], [0, 1]);
    },
  },
  {
    about: "list",
    name: "damaged and foreign cursors are refused without a request",
    run: async (make) => {
      const world = make(someRecords(3));
      const { connector, context } = world;
      const { start } = await connector.describe(context);
      const before = world.requests();
      const middle = Math.floor(start.length / 2);
      const flipped = start[middle] === "x" ? "y" : "x";
      const wrong = [
        "",
        "1",
        "null",
        "https://example.test/?cursor=1",
        start.slice(0, middle),
        start + start,
        start.slice(0, middle) + flipped + start.slice(middle + 1),
      ];
      for (const cursor of wrong) {
        const error = await assertRejects(
          () => connector.list(context, cursor),
          RemoteError,
        );
        assertEquals(error.code, "invalid_cursor");
      }
      assertEquals(world.requests(), before);
    },
  },
  {
    about: "list",
    name: "the schema names the account's fields and the set's names, with an id each",
    run: async (make) => {
      const world = make([]);
      const schema = await world.connector.describe(world.context);
      assert(schema.fields.includes(world.textPath));
      const names = schema.sets[world.setPath] ?? {};
      for (const name of SET_NAMES) {
        assertEquals(names[name]?.length, 1);
      }
      const { fieldPrefix } = world.connector.spec;
      assert(schema.fields.every((path) => path.startsWith(fieldPrefix)));
    },
  },
  {
    about: "read",
    name: "records are got by id in the order asked, null for those that are not there",
    run: async (make) => {
      const world = make(someRecords(120));
      const wanted = world.records();
      const ids = [world.unknownId, ...wanted.map(({ id }) => id).reverse()];
      const got = await world.connector.get(world.context, [...ids, ids[1] ?? ""]);
      assertEquals(got.map((record) => record?.id ?? null), [
        null,
        ...ids.slice(1),
        ids[1] ?? null,
      ]);
      assertHolds(world, got.slice(1, -1).flatMap((record) => record ?? []));
      assertEquals(await world.connector.get(world.context, []), []);
    },
  },
  {
    about: "read",
    name: "records are found by key, as the key is compared, and nothing under no key",
    run: async (make) => {
      const world = make([...someRecords(60), oneRecord()]);
      const { spec } = world.connector;
      const wanted = world.records();
      const keys = wanted.map(({ doc }) => String(doc[spec.key.path]));
      const spelt = spec.key.compare === "lower-trim"
        ? keys.map((key) => ` ${key.toUpperCase()} `)
        : keys;
      const none = ["nobody@example.test", "", wanted[0]?.id ?? ""];
      const found = await world.connector.find(world.context, [...spelt, ...none]);
      assertEquals(found.length, spelt.length + none.length);
      assertEquals(found.slice(0, keys.length), wanted.map((record) => [record]));
      assertEquals(found.slice(keys.length), none.map(() => []));
    },
  },
];
