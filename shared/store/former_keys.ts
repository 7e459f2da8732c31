import { FORBIDDING } from "../merge/consent_order.ts";
import type { PairRules } from "../merge/pair.ts";
import type { Database } from "./database.ts";
import { FENCE } from "./fence.ts";
import { identifier } from "./identifier.ts";
import type { KeyedTable } from "./match_store.ts";
import { literal } from "./plain_sql.ts";
import type { Run } from "./run.ts";

/**
 * Holds back who is new on side A under a key that somebody who must not be written to
 * had at the last agreement. They may have been given another one since, on either side
 * or on both, and as long as no run has committed that, the shadow alone knows the old one.
 *
 * To be asked once the others are matched: who has a partner by that key needs none made.
 */
export async function holdFormerKeys(
  database: Database,
  run: Run,
  table: KeyedTable,
  { fields, keyField }: PairRules,
): Promise<void> {
  const [consent] = Object.entries(fields).filter(([, { kind }]) => kind === "consent");
  if (consent === undefined) return;
  const [field, { local }] = consent;
  // What is found by way of a reference is not the person's own.
  const live = local.includes(".") ? "null" : `lower(btrim(t.${identifier(local)}::text))`;
  const isFresh = (side: string) =>
    `((${side} ->> ${literal(keyField)}) collate "C" in (select natural_key from fresh)) is true`;
  const words = FORBIDDING.map(literal).join(", ");
  await database.query(
    `with fence as materialized (${FENCE}),
     fresh as materialized (
       select s.record_id, s.natural_key
       from fence join public.sync_stage s on s.run_id = fence.id and s.epoch = fence.epoch
       where s.side = 'a' and s.state = 'free' and s.natural_key <> ''
     ),
     -- Read once, and not at all where nobody is new. "is true" makes a look-up in a hash of it;
     -- and of each shadow first, before its keys become rows, which would cost twice as much.
     former as materialized (
       select held.key, s.crosswalk_id,
         array[s.a ->> ${literal(field)}, s.b ->> ${literal(field)}] as consents
       from public.shadow_snapshots s
       cross join lateral (
         values (s.a ->> ${literal(keyField)}), (s.b ->> ${literal(keyField)})
       ) held (key)
       where exists (select from fresh)
         and (${isFresh("s.a")} or ${isFresh("s.b")})
         and held.key collate "C" in (select natural_key from fresh)
     ),
     taken as (
       select fresh.record_id, min(cw.b_id) as b_id
       from fence
       cross join former
       join fresh on fresh.natural_key = former.key
       join public.integration_crosswalk cw
         on cw.id = former.crosswalk_id and cw.pair = fence.pair and cw.link_state <> 'keep_apart'
       left join lateral (
         select s.doc ->> ${literal(field)} as consent from public.sync_stage s
         where s.run_id = fence.id and s.epoch = fence.epoch and s.side = 'b'
           and s.record_id = cw.b_id and jsonb_typeof(s.doc) = 'object' limit 1
       ) listed on true
       left join lateral (
         select ${live} as consent from ${identifier(table.schema)}.${identifier(table.table)} t
         where t.${identifier(table.id)} = cw.a_id limit 1
       ) held on true
       where former.consents || listed.consent || held.consent && array[${words}]
       group by 1
     ),
     found as (
       insert into public.sync_findings (run_id, kind, a_ids, b_ids)
       select fence.id, 'key_taken', array[record_id], array_remove(array[b_id], null)
       from fence, taken
     )
     update public.sync_stage s set state = 'key_taken'
     from fence, taken
     where s.run_id = fence.id and s.epoch = fence.epoch and s.side = 'a'
       and s.record_id = taken.record_id`,
    [run.id, run.fencing],
  );
}
