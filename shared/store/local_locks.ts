/**
 * Locks rows of side A and compares them with what was read. Rows that somebody
 * else has locked are passed over, so that nobody's open transaction is waited for.
 *
 * @module
 */
import type { Doc } from "../merge/json.ts";
import type { Database } from "./database.ts";
import { identifier } from "./identifier.ts";
import type { LocalReference, LocalTable } from "./local_table.ts";

/** Locks the records of these ids and answers the places in `ids` of those it has. */
export async function lockRecords(
  database: Database,
  table: LocalTable,
  ids: readonly string[],
): Promise<Set<number>> {
  const rows = await database.query<{ at: number }>(
    `select (n.at - 1)::integer as at
     from unnest($1::uuid[]) with ordinality n (id, at)
     join ${table.source} t on t.${identifier(table.id)} = n.id
     order by n.id
     for update of t skip locked`,
    [ids],
  );
  return new Set(rows.map(({ at }) => at));
}

/** A row that a record refers to. */
export interface ReferredRow {
  /** The value of the column that the foreign key points at, as text. */
  readonly key: string;
  /** Tells the row from all others of its table, whichever foreign key led to it. */
  readonly row: string;
}

/**
 * Locks the rows that the records of these ids refer to, by places in `ids`.
 *
 * The records themselves must be locked, so that their foreign keys stand still.
 */
export async function lockReferred(
  database: Database,
  table: LocalTable,
  reference: LocalReference,
  ids: readonly string[],
): Promise<Map<number, ReferredRow>> {
  // A row of the table itself goes by its id, as it does where it is written directly.
  const row = reference.source === table.source
    ? `r.${identifier(table.id)}::text`
    : `r.tableoid::text || r.ctid::text`;
  const rows = await database.query<ReferredRow & { at: number }>(
    `select (n.at - 1)::integer as at, r.${identifier(reference.key)}::text as key, ${row} as row
     from unnest($1::uuid[]) with ordinality n (id, at)
     join ${table.source} t on t.${identifier(table.id)} = n.id
     join ${reference.source} r
       on r.${identifier(reference.key)} = t.${identifier(reference.column)}
     order by r.${identifier(reference.key)}
     for update of r skip locked`,
    [ids],
  );
  return new Map(rows.map(({ at, key, row }) => [at, { key, row }]));
}

// A reader in JavaScript has every number as a double, so of a longer number this is all that can
// be compared. Within the bounds, since the cast fails outside the range of a double.
function isAsRead(now: string, read: string): string {
  const fits = (value: string) => `abs((${value})::numeric) between 1e-300 and 1e300`;
  return `case when ${now} = ${read} then true
    when jsonb_typeof(${now}) = 'number' and jsonb_typeof(${read}) = 'number' then
      case when ${fits(now)} and ${fits(read)}
        then (${now})::double precision = (${read})::double precision else false end
    else false end`;
}

/** What a record is compared with. */
export interface Expectation {
  readonly id: string;
  /** Values by path; paths that are not in it may hold anything. */
  readonly read: Doc;
}

/** Answers the places of the expectations that hold at this moment. */
export async function findUnchanged(
  database: Database,
  table: LocalTable,
  expectations: readonly Expectation[],
): Promise<Set<number>> {
  const rows = await database.query<{ at: number }>(
    `select n.at
     from jsonb_to_recordset($1::jsonb) n (at integer, id uuid, read jsonb)
     join (${table.select}) r on r.id = n.id
     where not exists (
       select 1 from jsonb_each(n.read) e
       where not coalesce(${isAsRead("(r.doc -> e.key)", "e.value")}, false))`,
    [JSON.stringify(expectations.map(({ id, read }, at) => ({ at, id, read })))],
  );
  return new Set(rows.map(({ at }) => at));
}
