import type { Database } from "./database.ts";
import { FENCE } from "./fence.ts";
import { identifier } from "./identifier.ts";
import { tableOf } from "./keyed_table.ts";
import type { LocalTableName } from "./local_table.ts";
import type { Run } from "./run.ts";

/**
 * Forgets failures of earlier runs whose record nobody looks at any more: its link
 * is gone or given up, or, where it had none, it has one by now or is gone itself.
 *
 * Only after a complete enumeration.
 *
 * @param seenAll Whether the enumeration told every id of side B; else nobody is gone from there.
 */
export async function forgetFailures(
  database: Database,
  run: Run,
  table: LocalTableName,
  seenAll: boolean,
): Promise<void> {
  const local = tableOf(table);
  await database.query(
    `with fence as materialized (${FENCE}),
     seen as (
       select u.id collate "C" as id
       from fence
       join public.sync_seen n on n.run_id = fence.id and n.epoch = fence.epoch
       cross join unnest(n.ids) u (id)
     )
     delete from public.sync_failures f
     using fence
     -- One of this run, or of somebody else meanwhile, may be of a record that is newer than the list.
     where f.pair = fence.pair and f.last_failed_at < fence.started_at
       and case left(f.record_key, 2)
         when 'cw' then not exists (
           select 1 from public.integration_crosswalk cw
           where cw.id = substr(f.record_key, 4)::bigint and cw.link_state = 'linked')
         when 'a:' then not exists (select 1 from ${local} t where t.${
      identifier(table.id)
    } = f.a_id)
           or exists (
             select 1 from public.integration_crosswalk cw
             where cw.pair = f.pair and cw.a_id = f.a_id and cw.link_state = 'linked')
         else $3 and not f.b_id collate "C" in (select id from seen)
           or exists (
             select 1 from public.integration_crosswalk cw
             where cw.pair = f.pair and cw.b_id = f.b_id and cw.link_state = 'linked')
       end`,
    [run.id, run.fencing, seenAll],
  );
}
