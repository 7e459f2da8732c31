import type { Database } from "./database.ts";
import { identifier } from "./identifier.ts";
import type { LocalTable } from "./local_table.ts";
import { literal } from "./plain_sql.ts";

/** A row that a record of side A refers to. */
export interface ReferenceShare {
  /** The value of the foreign key, as text; null where the record refers to nothing. */
  readonly refId: string | null;
  /** Records of side A that refer to the same row, this one among them. */
  readonly sharers: number;
}

/**
 * Tells what records of side A refer to, and how many share it.
 *
 * @returns For each id that there is a record of, its references by the head of the paths that
 * reach through them: `partner` for `partner.name`.
 */
export async function readReferenceShares(
  database: Database,
  table: LocalTable,
  ids: readonly string[],
): Promise<Map<string, Record<string, ReferenceShare>>> {
  if (ids.length === 0) return new Map();
  const id = identifier(table.id);
  // Counted once a referred row, not once a record: a foreign key need not have an index.
  const counts = table.references.map(({ column }, index) => {
    const key = identifier(column);
    return `, c${index} as (
       select t.${key} as ref, count(*)::integer as sharers from ${table.source} t
       where t.${key} in (select m.${key} from mine m) group by t.${key})`;
  });
  const members = table.references.map(({ column, head }, index) =>
    `${literal(head)}, jsonb_build_object(
       'refId', m.${identifier(column)}::text, 'sharers', coalesce(c${index}.sharers, 0))`
  );
  const joins = table.references.map(({ column }, index) =>
    `left join c${index} on c${index}.ref = m.${identifier(column)}`
  );
  const rows = await database.query<{ id: string; shares: Record<string, ReferenceShare> }>(
    `with mine as materialized (
       select t.* from ${table.source} t where t.${id} = any ($1::uuid[])
     )${counts.join("")}
     select m.${id}::text as id, jsonb_build_object(${members.join(", ")}) as shares
     from mine m ${joins.join(" ")}`,
    [ids],
  );
  return new Map(rows.map(({ id, shares }) => [id, shares]));
}
