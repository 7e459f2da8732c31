import type { Json } from "../merge/json.ts";
import type { Database } from "./database.ts";
import { identifier } from "./identifier.ts";
import { type KeyedTable, tableOf } from "./keyed_table.ts";
import { literal } from "./plain_sql.ts";
import type { Run } from "./run.ts";

/** A linked record that holds a key at the remote. */
export interface KeyHolder {
  readonly key: string;
  /** The key of its record of side A; not canonical. */
  readonly local: Json;
}

/**
 * Finds the linked records that hold keys at the remote, as far as a run knows,
 * and that a run would bring to their key of side A: none of which the key waits
 * for a person for another reason, and none that was refused.
 */
export async function keyHolders(
  database: Database,
  run: Run,
  table: KeyedTable,
  keyField: string,
  keys: readonly string[],
): Promise<KeyHolder[]> {
  const field = literal(keyField);
  return await database.query<KeyHolder>(
    `select held.key, to_jsonb(t.${identifier(table.keyColumn)}) as local
     from public.sync_runs r
     join public.integration_crosswalk cw on cw.pair = r.pair and cw.link_state = 'linked'
     join public.shadow_snapshots s on s.crosswalk_id = cw.id
     left join public.sync_stage sb on sb.run_id = r.id and sb.epoch = $2 and sb.side = 'b'
       and sb.record_id = cw.b_id
     cross join lateral (
       -- What was listed may be older than what a run has written since.
       select case when sb.record_id is not null and s.taken_at <= r.started_at then sb.natural_key
         else s.b ->> ${field} end collate "C" as key
     ) held
     join ${tableOf(table)} t
       on t.${identifier(table.id)} = cw.a_id
     where r.id = $1 and held.key = any ($3::text[]) and coalesce(sb.state, 'pair') = 'pair'
       and not exists (
         select 1 from public.sync_failures f
         where f.pair = r.pair and f.record_key = 'cw:' || cw.id)
       and not exists (
         select 1 from public.sync_conflicts c
         where c.pair = r.pair and c.record_key = 'cw:' || cw.id and c.field = ${field}
           and c.status = 'open' and c.reason <> 'key_cycle')`,
    [run.id, run.epoch, keys],
  );
}
