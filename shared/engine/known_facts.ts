/**
 * What an isolate looks up once and not for every call: the columns of side A, and
 * the names the remote account holds.
 *
 * @module
 */
import type { RemoteRecord, RemoteSchema } from "../connectors/connector.ts";
import type { DatabasePool } from "../store/database.ts";
import type { LocalTable } from "../store/local_table.ts";
import { forgetSchema, recallSchema, rememberSchema } from "../store/schema_store.ts";
import { managedSets, storedSchema } from "./batch_config.ts";
import { checkRemoteSchema, openLocalTable } from "./open_sides.ts";
import type { Pair } from "./pair.ts";
import type { Slice } from "./slice.ts";

/** How long an isolate goes by what it looked up, in ms: that late it hears of a new column. */
const KNOWN_MS = 60_000;

/** How long the project goes by what the account held, in ms. */
const SCHEMA_LIFE_MS = 24 * 60 * 60_000;

interface Facts {
  table?: { readonly value: LocalTable; readonly until: number };
  schema?: {
    readonly value: RemoteSchema;
    readonly until: number;
    /** Whether it was read from the account itself, and not from what the project remembers. */
    readonly isFresh: boolean;
  };
}

// By pool, which an isolate has one of, and by what of the configuration it depends on.
const known = new WeakMap<DatabasePool, Map<string, Facts>>();

function factsOf(pool: DatabasePool, { name, fingerprint }: Pair): Facts {
  const all = known.get(pool) ?? new Map<string, Facts>();
  known.set(pool, all);
  const key = `${name}:${fingerprint}`;
  const facts = all.get(key) ?? {};
  all.set(key, facts);
  return facts;
}

/** Side A's table, as {@linkcode openLocalTable} finds it. */
export async function knownTable(slice: Pick<Slice, "deps">): Promise<LocalTable> {
  const { pool, pair, remote: { now } } = slice.deps;
  const facts = factsOf(pool, pair);
  if (facts.table !== undefined && facts.table.until > now()) return facts.table.value;
  const value = await openLocalTable(pool, pair);
  facts.table = { value, until: now() + KNOWN_MS };
  return value;
}

/** Whether a mapped field is missing that every record of the account has, blank or not. */
function lacksField({ remote: { connector }, rules }: Pair, { doc }: RemoteRecord): boolean {
  return Object.values(rules.fields).some(({ remote }) =>
    remote.startsWith(connector.spec.fieldPrefix) && !Object.hasOwn(doc, remote)
  );
}

/**
 * The names the remote account holds, as far as the pair uses them.
 *
 * @param records Of the account, as they were read just now. A field that one of
 * them lacks may have been taken out of the account, and would read as blank on
 * every record: then the account is looked at anew.
 * @throws {ConfigurationError} If a mapped field or a managed name does not exist there.
 */
export async function knownSchema(
  slice: Slice,
  records: Iterable<RemoteRecord>,
): Promise<RemoteSchema> {
  const { pool, pair, remote: { now } } = slice.deps;
  const facts = factsOf(pool, pair);
  const isDoubtful = [...records].some((record) => lacksField(pair, record));
  if (facts.schema !== undefined && facts.schema.until > now()) {
    if (!isDoubtful || facts.schema.isFresh) return facts.schema.value;
  }
  const stored = isDoubtful
    ? null
    : await recallSchema(pool, pair.name, pair.fingerprint, SCHEMA_LIFE_MS);
  const value = stored === null ? await describe(slice) : storedSchema(stored);
  facts.schema = { value, until: now() + KNOWN_MS, isFresh: stored === null };
  return value;
}

async function describe(slice: Slice): Promise<RemoteSchema> {
  const { pool, pair } = slice.deps;
  const schema = await pair.remote.connector.describe(slice.remote);
  checkRemoteSchema(pair, schema);
  await rememberSchema(pool, pair.name, pair.fingerprint, managedSets(pair, schema));
  return schema;
}

/** Looks everything up anew next time: something has shown that it is no longer so. */
export function forgetKnown(pool: DatabasePool): void {
  known.delete(pool);
}

/** As {@linkcode forgetKnown}, for the whole project: the account no longer holds what it held. */
export async function forgetAccount({ deps: { pool, pair } }: Slice): Promise<void> {
  forgetKnown(pool);
  await forgetSchema(pool, pair.name);
}
