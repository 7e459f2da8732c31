/**
 * Side A as the commands read it: over the Data API, or over a connection to the
 * database where there is one.
 *
 * @module
 */
import type { Pair } from "../../shared/engine/pair.ts";
import type { Doc, Json } from "../../shared/merge/json.ts";
import { openDatabase } from "../../shared/store/database.ts";
import { LocalTable } from "../../shared/store/local_table.ts";
import type { RowFilter } from "./row_query.ts";
import { LookError, type SyncClient } from "./sync_client.ts";

/** One record of side A: mapped values by their paths, and the foreign keys that paths reach through. */
export interface LocalRow {
  readonly id: string;
  readonly doc: Doc;
}

/** Reads records of side A. */
export interface LocalReader extends AsyncDisposable {
  /** Records after an id, in the order of their ids; only an empty page is the end. @throws {LookError} */
  readPage(afterId: string | null): Promise<LocalRow[]>;
  /** The records of these ids that there are, in any order. @throws {LookError} */
  readByIds(ids: readonly string[]): Promise<LocalRow[]>;
}

/** Records of a page: what a hosted Data API gives at most unless it is told otherwise. */
const PAGE_RECORDS = 1_000;

/** Ids in one request, so that its address stays short. */
const IDS_A_REQUEST = 100;

/** The paths to read: those that are mapped, and the foreign keys some of them reach through. */
export function localPaths(pair: Pair): string[] {
  const paths = Object.values(pair.rules.fields).map(({ local }) => local);
  return [...new Set(paths.flatMap((path) => [path, ...foreignKeyOf(path)]))];
}

/** The foreign key that a path reaches through: `partner_id` for `partner.name`. */
export function foreignKeyOf(path: string): readonly [string] | readonly [] {
  const [head = "", column] = path.split(".");
  return column === undefined ? [] : [`${head}_id`];
}

/** The columns in the Data API's notation: `id,email,partner_id,partner:partner_id(name,email)`. */
export function localColumns(id: string, paths: readonly string[]): string {
  const own = new Set([id]);
  const reached = new Map<string, string[]>();
  for (const path of paths) {
    const [head = "", column] = path.split(".");
    if (column === undefined) own.add(head);
    else reached.set(head, [...reached.get(head) ?? [], column]);
  }
  const embedded = [...reached].map(([head, columns]) =>
    `${head}:${head}_id(${columns.join(",")})`
  );
  return [...own, ...embedded].join(",");
}

function isJson(value: unknown): value is Json {
  // Whatever came out of JSON.parse.
  return value !== undefined;
}

/** A row of the Data API as a record: what it reached through foreign keys laid flat. */
export function localRowOf(
  row: Readonly<Record<string, unknown>>,
  id: string,
  paths: readonly string[],
): LocalRow {
  const doc: Doc = {};
  for (const path of paths) {
    const [head = "", column] = path.split(".");
    const held = row[head];
    const value = column === undefined
      ? held
      : typeof held === "object" && held !== null
      ? Reflect.get(held, column)
      : null;
    doc[path] = isJson(value) ? value : null;
  }
  return { id: String(row[id]), doc };
}

/** Reads side A over the Data API. */
export function dataApiReader(client: Pick<SyncClient, "select">, pair: Pair): LocalReader {
  const { schema, table, id } = pair.local;
  const paths = localPaths(pair);
  const query = { schema, table, columns: localColumns(id, paths) };
  const read = async (where: readonly RowFilter[], limit?: number) => {
    const rows = await client.select({
      ...query,
      where,
      order: { column: id },
      ...(limit === undefined ? {} : { limit }),
    });
    return rows.map((row) => localRowOf(row, id, paths));
  };
  return {
    readPage: async (afterId) =>
      await read(afterId === null ? [] : [[id, "gt", afterId]], PAGE_RECORDS),
    async readByIds(ids) {
      const found: LocalRow[] = [];
      for (let from = 0; from < ids.length; from += IDS_A_REQUEST) {
        found.push(...await read([[id, "in", ids.slice(from, from + IDS_A_REQUEST)]]));
      }
      return found;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Reads side A over a connection to the database. @throws {LookError} if a mapped column does not exist */
export async function databaseReader(url: string, pair: Pair): Promise<LocalReader> {
  const database = openDatabase({ url, name: "sync cli", max: 1 });
  const told = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (error instanceof LookError) throw error;
      const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
      throw new LookError(
        `Cannot read ${pair.local.table}: the database answered ${
          typeof code === "string" ? code : "nothing"
        }; check SYNC_DB_URL or SUPABASE_DB_URL`,
      );
    }
  };
  try {
    const opened = await told(LocalTable.open(database, pair.local, localPaths(pair)));
    if ("missing" in opened) {
      const list = opened.missing.map(({ message }) => message).join("; ");
      throw new LookError(`Cannot use sync.config.ts: ${list}`);
    }
    const { table } = opened;
    return {
      readPage: (afterId) => told(table.readPage(database, afterId, PAGE_RECORDS)),
      readByIds: (ids) => told(table.readByIds(database, ids)),
      [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
    };
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
}

/** Reads side A over `SYNC_DB_URL` or `SUPABASE_DB_URL` where one is set, else over the Data API. */
export async function openLocalReader(
  env: (name: string) => string | undefined,
  client: Pick<SyncClient, "select">,
  pair: Pair,
): Promise<LocalReader> {
  const url = env("SYNC_DB_URL") || env("SUPABASE_DB_URL");
  return url === undefined || url === ""
    ? dataApiReader(client, pair)
    : await databaseReader(url, pair);
}
