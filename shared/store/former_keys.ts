/**
 * The statements about keys that somebody who must not be written to had at the last
 * agreement. They may have been given another one since, on either side or on both, and
 * as long as no run has committed that, the shadow alone knows the old one.
 *
 * @module
 */
import { FORBIDDING } from "../merge/consent_order.ts";
import type { PairRules } from "../merge/pair.ts";
import type { Database } from "./database.ts";
import { FENCE } from "./fence.ts";
import { identifier } from "./identifier.ts";
import { type KeyedTable, tableOf } from "./keyed_table.ts";
import { literal } from "./plain_sql.ts";
import type { Run } from "./run.ts";
import { shadowsByKey } from "./shadows_by_key.ts";

/**
 * SQL for `taken`: the links whose shadow holds one of the keys in `wanted`, and of
 * which anything forbids to write. Null where the pair maps no consent. Takes `fence`.
 */
function takenSql(table: KeyedTable, { fields, keyField }: PairRules): string | null {
  const [consent] = Object.entries(fields).filter(([, { kind }]) => kind === "consent");
  if (consent === undefined) return null;
  const [field, { local }] = consent;
  // What is found by way of a reference is not the person's own.
  const live = local.includes(".") ? "null" : `lower(btrim(t.${identifier(local)}::text))`;
  const words = FORBIDDING.map(literal).join(", ");
  return `
     wanted_keys as materialized (select distinct key as natural_key from wanted),
     shadowed as materialized (${
    shadowsByKey("wanted_keys", keyField, "s.crosswalk_id, s.a, s.b")
  }),
     former as materialized (
       select held.key, s.crosswalk_id,
         array[s.a ->> ${literal(field)}, s.b ->> ${literal(field)}] as consents
       from shadowed s
       cross join lateral (
         values (s.a ->> ${literal(keyField)}), (s.b ->> ${literal(keyField)})
       ) held (key)
       join wanted_keys w on w.natural_key = held.key collate "C"
     ),
     taken as materialized (
       select former.key, cw.id as crosswalk_id, cw.b_id
       from fence
       cross join former
       join public.integration_crosswalk cw
         on cw.id = former.crosswalk_id and cw.pair = fence.pair and cw.link_state <> 'keep_apart'
       left join lateral (
         select s.doc ->> ${literal(field)} as consent from public.sync_stage s
         where s.run_id = fence.id and s.epoch = fence.epoch and s.side = 'b'
           and s.record_id = cw.b_id and jsonb_typeof(s.doc) = 'object' limit 1
       ) listed on true
       left join lateral (
         select ${live} as consent from ${tableOf(table)} t
         where t.${identifier(table.id)} = cw.a_id limit 1
       ) held on true
       where former.consents || listed.consent || held.consent && array[${words}]
     )`;
}

/**
 * Holds back who is new on side A under such a key. To be asked once the others are
 * matched: who has a partner by that key needs none made.
 */
export async function holdFormerKeys(
  database: Database,
  run: Run,
  table: KeyedTable,
  rules: PairRules,
): Promise<void> {
  const taken = takenSql(table, rules);
  if (taken === null) return;
  await database.query(
    `with fence as materialized (${FENCE}),
     wanted as materialized (
       select s.record_id, s.natural_key as key
       from fence join public.sync_stage s on s.run_id = fence.id and s.epoch = fence.epoch
       where s.side = 'a' and s.state = 'free' and s.natural_key <> ''
     ),${taken},
     held_back as materialized (
       select wanted.record_id, min(taken.b_id) as b_id
       from wanted join taken on taken.key = wanted.key collate "C"
       group by 1
     ),
     found as (
       insert into public.sync_findings (run_id, kind, a_ids, b_ids)
       select fence.id, 'key_taken', array[record_id], array_remove(array[b_id], null)
       from fence, held_back
     )
     update public.sync_stage s set state = 'key_taken'
     from fence, held_back
     where s.run_id = fence.id and s.epoch = fence.epoch and s.side = 'a'
       and s.record_id = held_back.record_id`,
    [run.id, run.fencing],
  );
}

/** A record of the walk that is about to get another key. */
export interface KeyMove {
  /** Place in the walk. */
  readonly ordinal: number;
  readonly crosswalkId: number | null;
  readonly key: string;
}

/** The places of those of whom the new key is such a key of somebody else. */
export async function movesToFormerKeys(
  database: Database,
  run: Run,
  table: KeyedTable,
  rules: PairRules,
  moves: readonly KeyMove[],
): Promise<ReadonlySet<number>> {
  const taken = takenSql(table, rules);
  if (taken === null || moves.length === 0) return new Set();
  const rows = await database.query<{ ordinal: number }>(
    `with fence as materialized (
       select r.id, r.epoch, r.pair from public.sync_runs r where r.id = $1
     ),
     wanted as materialized (
       select m.ordinal, m."crosswalkId" as crosswalk_id, m.key
       from jsonb_to_recordset($2::jsonb) m (ordinal integer, "crosswalkId" bigint, key text)
     ),${taken}
     select distinct wanted.ordinal
     from wanted join taken on taken.key = wanted.key
       and taken.crosswalk_id is distinct from wanted.crosswalk_id`,
    [run.id, JSON.stringify(moves)],
  );
  return new Set(rows.map(({ ordinal }) => ordinal));
}
