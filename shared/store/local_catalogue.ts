import type { Database } from "./database.ts";

/** Where side A's records stand. */
export interface LocalTableName {
  readonly schema: string;
  readonly table: string;
  /** The uuid primary key column. */
  readonly id: string;
}

/** A column as the database's catalogue has it. */
export interface CatalogueColumn {
  /** With its schema, so that it means the same under any search path. */
  readonly type: string;
  /** Only the database gives it a value: generated, or an identity that is always generated. */
  readonly readOnly: boolean;
}

/** What the database's catalogue tells of a table. */
export interface LocalCatalogue {
  readonly columns: Readonly<Record<string, CatalogueColumn>>;
  /** What a foreign key of one column points at, by that column. */
  readonly references: Readonly<
    Record<
      string,
      {
        readonly schema: string;
        readonly table: string;
        readonly key: string;
        readonly columns: Readonly<Record<string, CatalogueColumn>>;
      }
    >
  >;
  /** Whether a write can break a constraint that is looked at only when the transaction commits. */
  readonly deferred: boolean;
}

function columnsOf(table: string): string {
  return `(select jsonb_object_agg(x.attname, jsonb_build_object(
       'type', format('%I.%I', xn.nspname, xt.typname),
       'readOnly', x.attgenerated <> '' or x.attidentity = 'a'))
     from pg_catalog.pg_attribute x
     join pg_catalog.pg_type xt on xt.oid = x.atttypid
     join pg_catalog.pg_namespace xn on xn.oid = xt.typnamespace
     where x.attrelid = ${table} and x.attnum > 0 and not x.attisdropped)`;
}

/** Looks a table or view up; null if there is none. */
export async function readCatalogue(
  database: Database,
  name: LocalTableName,
): Promise<LocalCatalogue | null> {
  const rows = await database.query<LocalCatalogue>(
    `with me as (
       select t.oid
       from pg_catalog.pg_class t
       join pg_catalog.pg_namespace n on n.oid = t.relnamespace
       where n.nspname = $1 and t.relname = $2 and t.relkind in ('r', 'p', 'v', 'm', 'f')
     ),
     foreign_keys as (
       select c.confrelid, c.conkey[1] as attnum, c.confkey[1] as key_attnum
       from me
       join pg_catalog.pg_constraint c on c.conrelid = me.oid
       where c.contype = 'f' and cardinality(c.conkey) = 1
         -- A key to a partitioned table has a copy for each partition.
         and not exists (
           select 1 from pg_catalog.pg_constraint p
           where p.oid = c.conparentid and p.conrelid = c.conrelid)
     ),
     written as (
       select oid from me union select confrelid from foreign_keys
     )
     select
       ${columnsOf("me.oid")} as columns,
       (select coalesce(jsonb_object_agg(a.attname, jsonb_build_object(
          'schema', fn.nspname, 'table', f.relname, 'key', fa.attname,
          'columns', ${columnsOf("f.oid")})), '{}')
        from foreign_keys k
        join pg_catalog.pg_class f on f.oid = k.confrelid
        join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
        join pg_catalog.pg_attribute a on a.attrelid = me.oid and a.attnum = k.attnum
        join pg_catalog.pg_attribute fa on fa.attrelid = f.oid and fa.attnum = k.key_attnum
       ) as references,
       exists (
         select 1 from pg_catalog.pg_constraint c
         where c.condeferred and (c.conrelid in (select oid from written)
           or c.confrelid in (select oid from written))
       ) as deferred
     from me`,
    [name.schema, name.table],
  );
  return rows[0] ?? null;
}
