import type { Doc } from "../merge/json.ts";
import type { Database } from "./database.ts";
import { identifier } from "./identifier.ts";
import { type LocalCatalogue, type LocalTableName, readCatalogue } from "./local_catalogue.ts";
import { literal } from "./plain_sql.ts";
import { token } from "./token.ts";

export type { LocalTableName } from "./local_catalogue.ts";

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

/** A foreign key that mapped paths reach through. */
export interface LocalReference {
  /** What paths call it: `partner` in `partner.name`. */
  readonly head: string;
  /** The foreign key column: `partner_id`. */
  readonly column: string;
  /** The table it points at, as SQL names it. */
  readonly source: string;
  /** The column of that table it points at. */
  readonly key: string;
  readonly keyType: string;
}

/** Where the value of a mapped path stands. */
export interface LocalPlace {
  readonly column: string;
  /** Its SQL type, without a length. */
  readonly type: string;
  /** Only the database gives it a value. */
  readonly readOnly: boolean;
  /** null for a column of the table itself. */
  readonly reference: LocalReference | null;
}

interface Mapping {
  readonly places: Map<string, LocalPlace>;
  readonly references: Map<string, LocalReference>;
}

function sourceOf(name: { readonly schema: string; readonly table: string }): string {
  return `${identifier(name.schema)}.${identifier(name.table)}`;
}

function mapPaths(
  catalogue: LocalCatalogue,
  name: LocalTableName,
  paths: readonly string[],
): Mapping | { missing: MissingColumn[] } {
  const missing: MissingColumn[] = [];
  if (catalogue.columns[name.id]?.type !== "pg_catalog.uuid") {
    missing.push({
      path: name.id,
      message: `'${name.table}.${name.id}' must be a uuid column`,
    });
  }
  const places = new Map<string, LocalPlace>();
  const references = new Map<string, LocalReference>();
  for (const path of paths) {
    const [head = "", column] = path.split(".");
    if (column === undefined) {
      const own = catalogue.columns[head];
      if (own === undefined) {
        missing.push({
          path,
          message: `there is no column '${head}' in '${name.schema}.${name.table}'`,
        });
      } else {
        places.set(path, { column: head, ...own, reference: null });
      }
      continue;
    }
    const target = catalogue.references[`${head}_id`];
    const theirs = target?.columns[column];
    if (target === undefined) {
      missing.push({
        path,
        message: `there is no foreign key '${head}_id' in '${name.schema}.${name.table}'`,
      });
    } else if (theirs === undefined) {
      missing.push({
        path,
        message: `there is no column '${column}' in '${target.schema}.${target.table}'`,
      });
    } else {
      const reference = references.get(head) ?? {
        head,
        column: `${head}_id`,
        source: sourceOf(target),
        key: target.key,
        keyType: target.columns[target.key]?.type ?? "pg_catalog.text",
      };
      references.set(head, reference);
      places.set(path, { column, ...theirs, reference });
    }
  }
  return missing.length > 0 ? { missing } : { places, references };
}

function aliasOf(head: string): string {
  return identifier(`ref_${head}`);
}

function valueOf({ column, reference }: LocalPlace): string {
  return `${reference === null ? "t" : aliasOf(reference.head)}.${identifier(column)}`;
}

// Types whose own hash is good enough. Anything else is hashed as text and byte for
// byte: bigint folds its halves, so that 1 and 4294967296 are the same to it, jsonb
// gives an empty list the hash of null, and citext takes "Ann" and "ann" for equal.
const HASHED = new Set(
  ["bool", "int2", "int4", "uuid", "date"].map((name) => `pg_catalog.${name}`),
);

/**
 * SQL for 64 bits that change with any mapped value, at a tenth of the cost of a
 * token, for which the record has to become JSON first.
 */
function printOf(places: Mapping["places"]): string {
  // With the paths in it: a value that moves to another path is another document.
  const paths = `hashtextextended(${literal(JSON.stringify([...places.keys()]))}, 0)`;
  const values = [...places.values()].map((place) =>
    HASHED.has(place.type) ? valueOf(place) : `${valueOf(place)}::text collate "C"`
  );
  return `hash_record_extended(row(${[paths, ...values].join(", ")}), 0)`;
}

function selectOf(name: LocalTableName, { places, references }: Mapping): string {
  const values = [...places].map(([path, place]) => `${literal(path)}, ${valueOf(place)}`);
  const joins = [...references.values()].map(({ head, column, source, key }) =>
    `left join ${source} ${aliasOf(head)} on ${aliasOf(head)}.${identifier(key)} = t.${
      identifier(column)
    }`
  );
  return `select t.${identifier(name.id)} as id, ${printOf(places)} as print, ` +
    `jsonb_build_object(${values.join(", ")}) as doc ` +
    `from ${sourceOf(name)} t ${joins.join(" ")}`;
}

/** A table of side A whose mapped columns are known to exist. */
export class LocalTable {
  private constructor(
    /**
     * SQL that selects `id`, `doc`, the mapped values as JSON by their paths, and
     * `print`, a hash of these values. Equal prints mean equal documents.
     */
    readonly select: string,
    /** The table as SQL names it. */
    readonly source: string,
    /** The primary key column. */
    readonly id: string,
    /** Where the value of each mapped path stands. */
    readonly places: ReadonlyMap<string, LocalPlace>,
    /** The foreign keys that mapped paths reach through. */
    readonly references: readonly LocalReference[],
    /** Whether a write can break a constraint that is looked at only when the transaction commits. */
    readonly deferred: boolean,
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
    const mapping = mapPaths(catalogue, name, paths);
    if ("missing" in mapping) return mapping;
    return {
      table: new LocalTable(
        selectOf(name, mapping),
        sourceOf(name),
        name.id,
        mapping.places,
        [...mapping.references.values()],
        catalogue.deferred,
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
    return await readRecords(
      database,
      `select r.id, r.doc from (${this.select}) r ${after} order by r.id limit $1`,
      afterId === null ? [limit] : [limit, afterId],
    );
  }

  /** Reads the records of these ids that there are, in the order of their ids. */
  async readByIds(database: Database, ids: readonly string[]): Promise<LocalRecord[]> {
    if (ids.length === 0) return [];
    return await readRecords(
      database,
      `select r.id, r.doc from (${this.select}) r where r.id = any ($1::uuid[])`,
      [ids],
    );
  }

  /** Tells which of these ids have a record. */
  async exists(database: Database, ids: readonly string[]): Promise<Set<string>> {
    if (ids.length === 0) return new Set();
    const rows = await database.query<{ id: string }>(
      `select t.${identifier(this.id)}::text as id from ${this.source} t
       where t.${identifier(this.id)} = any ($1::uuid[])`,
      [ids],
    );
    return new Set(rows.map(({ id }) => id));
  }
}

async function readRecords(
  database: Database,
  page: string,
  parameters: readonly unknown[],
): Promise<LocalRecord[]> {
  const rows = await database.query<{ page: string }>(
    `with page as (${page})
     select coalesce(
       json_agg(json_build_object('id', id, 'token', ${token("doc")}, 'doc', doc) order by id),
       '[]')::text as page
     from page`,
    parameters,
  );
  return JSON.parse(rows[0]?.page ?? "[]") as LocalRecord[];
}
