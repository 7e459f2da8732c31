import type { Json } from "../merge/json.ts";
import type { Database } from "./database.ts";
import { identifier } from "./identifier.ts";
import { type KeyedTable, tableOf } from "./keyed_table.ts";
import type { Run } from "./run.ts";

/** A value that side B wants to give to the record that a record of side A refers to. */
export interface ReferenceEdit {
  readonly aId: string;
  /** Name of the mapped field. */
  readonly field: string;
  /** Canonical. */
  readonly value: Json;
  /** Whether a person has decided on it, who speaks for all who share the record. */
  readonly decided: boolean;
}

/** Who shares the record referred to. */
export interface ReferenceShare {
  readonly aId: string;
  readonly field: string;
  readonly decided: boolean;
  /**
   * Records of side A that refer to it: this one, and those that are linked or about to be; 0 where
   * nothing is referred to.
   */
  readonly sharers: number;
  /** Of them, those whose record of side B holds the value. */
  readonly agreeing: number;
}

/**
 * Tells for each edit whether all who share the record referred to want it: only
 * then is it clear what is meant.
 *
 * @param head What the foreign key `head_id` is called by in paths.
 */
export async function readReferenceShares(
  database: Database,
  run: Run,
  table: KeyedTable,
  head: string,
  edits: readonly ReferenceEdit[],
): Promise<ReferenceShare[]> {
  const name = tableOf(table);
  const key = identifier(`${head}_id`);
  const id = identifier(table.id);
  return await database.query<ReferenceShare>(
    `select e."aId" as "aId", e.field, e.decided,
       count(t.${id}) filter (where sharing.mine or sharing.b_id is not null)::integer as sharers,
       count(t.${id}) filter (
         where sharing.mine or coalesce(sb.doc, s.b) -> e.field is not distinct from e.value
           and sharing.b_id is not null
       )::integer as agreeing
     from jsonb_to_recordset($4::jsonb) e ("aId" uuid, field text, value jsonb, decided boolean)
     left join ${name} me on me.${id} = e."aId"
     left join ${name} t on t.${key} = me.${key}
     left join public.integration_crosswalk cw
       on cw.pair = $3 and cw.a_id = t.${id} and cw.link_state = 'linked'
     left join public.sync_stage sa on sa.run_id = $1 and sa.epoch = $2 and sa.side = 'a'
       and sa.record_id = t.${id}::text and sa.state = 'matched'
     cross join lateral (
       select t.${id} = e."aId" as mine, coalesce(sa.partner_id, cw.b_id) as b_id
     ) sharing
     left join public.shadow_snapshots s on s.crosswalk_id = cw.id and sa.record_id is null
     left join public.sync_stage sb on sb.run_id = $1 and sb.epoch = $2 and sb.side = 'b'
       and sb.record_id = sharing.b_id and jsonb_typeof(sb.doc) = 'object'
     group by e."aId", e.field, e.decided`,
    [run.id, run.epoch, run.pair, JSON.stringify(edits)],
  );
}
