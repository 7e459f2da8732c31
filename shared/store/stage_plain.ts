/**
 * Stages what is canonical as it stands, inside the database. What it leaves goes
 * through `stagePage()`, which also moves the cursor: so a worker that is killed
 * in between reads the page again, and nothing is counted twice.
 *
 * @module
 */
import type { Json } from "../merge/json.ts";
import type { PairRules } from "../merge/pair.ts";
import type { Projection } from "../merge/projection.ts";
import type { Database } from "./database.ts";
import { LeaseLostError } from "./lease_lost_error.ts";
import type { LocalRecord, LocalTable } from "./local_table.ts";
import { literal, plainSql } from "./plain_sql.ts";
import type { Run } from "./run.ts";
import { token } from "./token.ts";

// Without a lock on the run, so that both sides are staged at once. A worker that
// loses its lease meanwhile leaves rows that were true when it read them, and
// after a restart of the enumeration they are of an epoch that nobody joins.
const FENCE = `select r.id, r.epoch from public.sync_runs r
  where r.id = $1 and r.fencing = $2 and r.status = 'running'`;

// A primary key is there once; a remote may show a record twice on a page, and
// one statement cannot write the same row twice.
function insertPlain(side: "a" | "b", doc: string): string {
  const unique = side === "a" ? "" : `distinct on (read.id collate "C")`;
  return `insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token)
    select ${unique} fence.id, fence.epoch, '${side}', read.id, read.key, read.canonical, ${
    token(doc)
  }
    from fence, read
    where read.plain
    ${side === "a" ? "" : `order by read.id collate "C"`}
    on conflict (run_id, epoch, side, record_id) do update
      set natural_key = excluded.natural_key, doc = excluded.doc, token = excluded.token`;
}

function held<Row extends { readonly held: boolean }>(rows: readonly Row[], run: Run): Row {
  const row = rows[0];
  if (row === undefined || !row.held) throw new LeaseLostError(run.id);
  return row;
}

/** What the database read of a page of side B. */
export interface PlainRemotePage {
  /** Records it staged. */
  readonly staged: number;
  /** The answer without its records. */
  readonly envelope: Json;
  /** The records it left. */
  readonly rows: readonly Json[];
  /** Which of the watched ids are on the page. */
  readonly watched: readonly string[];
}

/** The statement of {@linkcode stagePlainRemote}, the same for every page. */
export function plainRemoteSql(rules: PairRules, projection: Projection): string {
  const sql = plainSql(rules, "remote", "r.value", projection.locate);
  const { id, oddKey, rows: path } = projection;
  const rowsPath = `${literal(`{${path.map((key) => JSON.stringify(key)).join(",")}}`)}::text[]`;
  const isOdd = oddKey === null
    ? "false"
    : `coalesce(jsonb_typeof(r.value -> ${literal(oddKey)}), 'null') <> 'null'`;
  return `with fence as materialized (${FENCE}),
     answer as materialized (select convert_from($3::bytea, 'UTF8')::jsonb as body),
     read as materialized (
       select r.value as row, r.value ->> ${literal(id.key)} as id,
         ${sql.key} as key, ${sql.canonical} as canonical,
         coalesce(jsonb_typeof(r.value -> ${literal(id.key)}) = 'string'
           and (r.value ->> ${literal(id.key)}) ~ ${literal(id.pattern)}, false)
         and not (${isOdd})
         and ${sql.isPlain} as plain
       from answer cross join jsonb_array_elements(answer.body #> ${rowsPath}) r
       ${sql.values}
     ),
     staged as (${insertPlain("b", "read.canonical")})
     select exists (select 1 from fence) as held,
       (select count(*)::integer from read where plain) as staged,
       (select body #- ${rowsPath} from answer) as envelope,
       (select coalesce(jsonb_agg(row), '[]') from read where not plain) as rows,
       (select coalesce(jsonb_agg(distinct id), '[]') from read where id = any ($4::text[])) as watched`;
}

/**
 * Reads a page of side B as the remote sent it, and stages its plain records.
 *
 * @param sql From {@linkcode plainRemoteSql}.
 * @param answer The remote's answer, JSON in UTF-8.
 * @param watch Ids to look for.
 */
export async function stagePlainRemote(
  database: Database,
  run: Run,
  sql: string,
  answer: Uint8Array,
  watch: readonly string[],
): Promise<PlainRemotePage> {
  const rows = await database.query<PlainRemotePage & { held: boolean }>(
    sql,
    [run.id, run.fencing, answer, watch],
  );
  return held(rows, run);
}

/** What the database read of a page of side A. */
export interface PlainLocalPage {
  readonly staged: number;
  /** Id of the last record; null where there was none. */
  readonly last: string | null;
  readonly rest: readonly LocalRecord[];
}

/** The statements of {@linkcode stagePlainLocal}, the same for every page. */
export interface PlainLocalSql {
  readonly first: string;
  readonly next: string;
}

/** Builds the statements that read side A from `table`. */
export function plainLocalSql(rules: PairRules, table: LocalTable): PlainLocalSql {
  const sql = plainSql(rules, "local", "r.doc", (path) => ({ keys: [path] }));
  // Two texts, because "is null or greater" keeps the planner from the index.
  const from = (after: string) =>
    `with fence as materialized (${FENCE}),
     page as materialized (
       select r.id::text as id, r.doc from (${table.select}) r ${after} order by r.id limit $3
     ),
     read as materialized (
       select r.id, r.doc, ${sql.key} as key, ${sql.canonical} as canonical,
         ${sql.isPlain} as plain
       from page r ${sql.values}
     ),
     staged as (${insertPlain("a", "read.doc")})
     select exists (select 1 from fence) as held,
       (select count(*)::integer from read where plain) as staged,
       (select max(id) from read) as last,
       (select coalesce(jsonb_agg(
          jsonb_build_object('id', id, 'token', ${token("doc")}, 'doc', doc)), '[]')
        from read where not plain) as rest`;
  return { first: from(""), next: from("where r.id > $4::uuid") };
}

/**
 * Reads the records of side A after `afterId`, and stages the plain ones.
 *
 * @param sql From {@linkcode plainLocalSql}.
 */
export async function stagePlainLocal(
  database: Database,
  run: Run,
  sql: PlainLocalSql,
  afterId: string | null,
  limit: number,
): Promise<PlainLocalPage> {
  const rows = await database.query<PlainLocalPage & { held: boolean }>(
    afterId === null ? sql.first : sql.next,
    afterId === null ? [run.id, run.fencing, limit] : [run.id, run.fencing, limit, afterId],
  );
  return held(rows, run);
}
