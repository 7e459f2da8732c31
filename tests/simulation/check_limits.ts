import { FORBIDDING } from "../../shared/merge/consent_order.ts";
import type { PairRules } from "../../shared/merge/pair.ts";
import type { World } from "./world.ts";

type Limits = PairRules["limits"];
type Kind = keyof Limits;

/** The looser of two policies, kind by kind: one may take the other's place while a run is under way. */
export function looser(one: Limits, other: Limits): Limits {
  const of = (kind: Kind) => ({
    percent: Math.max(one[kind].percent, other[kind].percent),
    floor: Math.max(one[kind].floor, other[kind].floor),
  });
  return {
    deletes: of("deletes"),
    unsubscribes: of("unsubscribes"),
    blanks: of("blanks"),
    updates: of("updates"),
  };
}

interface Dangerous {
  /** Null for the calls of smart-sync within a day, whose limits are those of all of them. */
  readonly run: string | null;
  readonly kind: Kind;
  readonly records: number;
}

/**
 * How many records were changed in a way that is limited, by what the log has of it: by each
 * run, and by the calls of smart-sync that began within a day. Of how many records these
 * update, several at once need not know of each other.
 */
async function dangerous(world: World): Promise<Dangerous[]> {
  const blankable = Object.entries(world.rules.fields)
    .filter(([, { kind }]) => kind === "value").map(([field]) => field);
  return await world.database.pool.query(
    `with done as materialized (
       select r.id::text as run, r.function, r.started_at, l.created_at, danger.kind,
         coalesce(l.crosswalk_id::text, l.a_id::text, l.b_id) as record
       from public.sync_log l
       join public.sync_runs r on r.id = l.run_id
       cross join lateral (values
         ('deletes', l.action in ('mark', 'unlink', 'delete')
           and l.rule in ('local_deleted', 'remote_missing', 'both_gone')),
         ('unsubscribes', l.action = 'update' and l.field = 'consent'
           and l.after #>> '{}' = any ($1)),
         ('blanks', l.action = 'update' and l.field = any ($2)
           and l.before <> 'null' and coalesce(l.after, 'null') = 'null'),
         ('updates', l.action = 'update' and l.rule <> 'local_deleted')
       ) as danger (kind, isIt)
       where l.applied and l.rule <> 'undo' and danger.isIt
     )
     select run, kind, count(distinct record)::integer as records
     from done where function = 'enterprise-sync' group by run, kind
     union all
     select null, kind, max(records)::integer
     from (
       select last.kind, count(distinct earlier.record) as records
       from done last
       join done earlier on earlier.function = 'smart-sync' and earlier.kind = last.kind
         and earlier.created_at <= last.created_at
         and earlier.started_at > last.created_at - interval '1 day'
       where last.function = 'smart-sync' and last.kind <> 'updates'
       group by last.kind, last.created_at
     ) days group by kind
     order by 1, 2`,
    [FORBIDDING, blankable],
  );
}

/** Checks that no run changed more records than its limits let it, or an operator. */
export async function checkLimits(world: World): Promise<void> {
  const allowed = await world.database.pool.query<{ run: string; kind: string }>(
    `select l.run_id::text as run, g.kind
     from public.sync_log l cross join jsonb_array_elements_text(l.after -> 'guards') as g (kind)
     where l.action = 'allow'`,
  );
  const isAllowed = new Set(allowed.map(({ run, kind }) => `${run} ${kind}`));
  for (const { run, kind, records } of await dangerous(world)) {
    const { percent, floor } = world.loosest[kind];
    // Of all that were ever linked: how many there were just then is known to nobody any more.
    const limit = Math.max(floor, Math.floor((percent * world.partners.size) / 100));
    if (records <= limit || isAllowed.has(`${run} ${kind}`)) continue;
    world.violate(
      "no run changes more than its limits allow",
      `${records} ${kind} where ${limit} are let through`,
    );
  }
}
