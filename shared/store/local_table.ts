import type { Doc } from "../merge/json.ts";
import type { Database } from "./database.ts";
import { literal } from "./plain_sql.ts";
import { token } from "./token.ts";

/** Where side A's records stand. */
export interface LocalTableName {
  readonly schema: string;
  readonly table: string;
  /** The uuid primary key column. */
  readonly id: string;
}

/** A mapped path that the table does not have. */
export interface MissingColumn {
  readonly path: string;
  readonly message: string;
}

/** One record of side A. */
export interface LocalRecord {
  readonly id: string;
  /** Changes with any mapped value; equal tokens mean that nothing mapped was edited. */
  readonly token: string;
  readonly doc: Doc;
}

interface Catalogue {
  readonly columns: Readonly<Record<string, string>>;
  readonly references: Readonly<
    Record<
      string,
      { schema: string; table: string; key: string; columns: readonly string[] }
    >
  >;
}

async function readCatalogue(
  database: Database,
  name: LocalTableName,
): Promise<Catalogue | null> {
  const rows = await database.query<Catalogue>(
    `with me as (
       select t.oid
       from pg_catalog.pg_class t
       join pg_catalog.pg_namespace n on n.oid = t.relnamespace
       where n.nspname = $1 and t.relname = $2 and t.relkind in ('r', 'p', 'v', 'm', 'f')
     )
     select
       (select jsonb_object_agg(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
        from pg_catalog.pg_attribute a
        where a.attrelid = me.oid and a.attnum > 0 and not a.attisdropped) as columns,
       (select coalesce(jsonb_object_agg(a.attname, jsonb_build_object(
          'schema', fn.nspname, 'table', f.relname, 'key', fa.attname,
          'columns', (select jsonb_agg(x.attname) from pg_catalog.pg_attribute x
                      where x.attrelid = f.oid and x.attnum > 0 and not x.attisdropped))), '{}')
        from pg_catalog.pg_constraint c
        join pg_catalog.pg_class f on f.oid = c.confrelid
        join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
        join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
        join pg_catalog.pg_attribute fa on fa.attrelid = c.confrelid and fa.attnum = c.confkey[1]
        where c.conrelid = me.oid and c.contype = 'f' and cardinality(c.conkey) = 1) as references
     from me`,
    [name.schema, name.table],
  );
  return rows[0] ?? null;
}

// Names come from the configuration and were checked against the catalogue;
// they are quoted all the same, since a column may be called "order".
function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** A table of side A whose mapped columns are known to exist. */
export class LocalTable {
  private constructor(
    /** SQL that selects `id` and `doc`, the mapped values as JSON by their paths. */
    readonly select: string,
  ) {}

  /**
   * Looks the mapped paths up in the database's catalogue.
   *
   * @param paths Columns, or `name.column` to reach through the foreign key `name_id`.
   * @returns The table, or every path it does not have.
   */
  static async open(
    database: Database,
    name: LocalTableName,
    paths: readonly string[],
  ): Promise<{ table: LocalTable } | { missing: MissingColumn[] }> {
    const catalogue = await readCatalogue(database, name);
    if (catalogue === null) {
      return {
        missing: [{
          path: "",
          message: `there is no table '${name.schema}.${name.table}'`,
        }],
      };
    }
    const missing: MissingColumn[] = [];
    if (catalogue.columns[name.id] !== "uuid") {
      missing.push({
        path: name.id,
        message: `'${name.table}.${name.id}' must be a uuid column`,
      });
    }
    const joins = new Map<string, string>();
    const values: string[] = [];
    for (const path of paths) {
      const [head = "", column] = path.split(".");
      if (column === undefined) {
        if (catalogue.columns[head] === undefined) {
          missing.push({
            path,
            message: `there is no column '${head}' in '${name.schema}.${name.table}'`,
          });
        }
        values.push(`${literal(path)}, t.${quote(head)}`);
        continue;
      }
      const reference = catalogue.references[`${head}_id`];
      if (reference === undefined) {
        missing.push({
          path,
          message: `there is no foreign key '${head}_id' in '${name.schema}.${name.table}'`,
        });
      } else if (!reference.columns.includes(column)) {
        missing.push({
          path,
          message: `there is no column '${column}' in '${reference.schema}.${reference.table}'`,
        });
      } else {
        const alias = quote(`ref_${head}`);
        joins.set(
          head,
          `left join ${quote(reference.schema)}.${quote(reference.table)} ${alias} ` +
            `on ${alias}.${quote(reference.key)} = t.${quote(`${head}_id`)}`,
        );
        values.push(`${literal(path)}, ${alias}.${quote(column)}`);
      }
    }
    if (missing.length > 0) return { missing };
    return {
      table: new LocalTable(
        `select t.${quote(name.id)} as id, jsonb_build_object(${values.join(", ")}) as doc ` +
          `from ${quote(name.schema)}.${quote(name.table)} t ${[...joins.values()].join(" ")}`,
      ),
    };
  }

  /** How many records there are. */
  async count(database: Database): Promise<number> {
    const rows = await database.query<{ n: number }>(
      `select count(*)::integer as n from (${this.select}) r`,
    );
    return rows[0]?.n ?? 0;
  }

  /**
   * Reads the records after `afterId` in the order of their ids.
   *
   * They come as one text: parsing a thousand rows one by one costs the isolate
   * several times what one parse does.
   */
  async readPage(
    database: Database,
    afterId: string | null,
    limit: number,
  ): Promise<LocalRecord[]> {
    // Two texts, because "is null or greater" keeps the planner from the index.
    const after = afterId === null ? "" : "where r.id > $2::uuid";
    const rows = await database.query<{ page: string }>(
      `with page as (select r.id, r.doc from (${this.select}) r ${after} order by r.id limit $1)
       select coalesce(
         json_agg(json_build_object('id', id, 'token', ${token("doc")}, 'doc', doc) order by id),
         '[]')::text as page
       from page`,
      afterId === null ? [limit] : [limit, afterId],
    );
    return JSON.parse(rows[0]?.page ?? "[]") as LocalRecord[];
  }
}
