/**
 * Intents: what is about to be sent to the remote, written down first. One that is
 * left over tells that nobody knows what became of the call.
 *
 * @module
 */
import type { Json } from "../merge/json.ts";
import type { ShadowWrite } from "./commit_store.ts";
import type { Database } from "./database.ts";
import { committed, FENCE } from "./fence.ts";
import type { Run } from "./run.ts";

/** A call that is about to be sent, or was and is not confirmed. */
export interface Intent {
  readonly id: string;
  readonly crosswalkId: number | null;
  readonly aId: string | null;
  readonly bId: string | null;
  readonly operation: "create" | "update" | "delete";
  /**
   * For a create, the key it can be found by, and the record of side A it was made
   * of (`a`), canonical. For an update, `sent`: side A's values of its fields; and where
   * the sides are being linked, `base`: what they agree on if nothing of it arrives.
   */
  readonly payload: { readonly [name: string]: Json };
}

/** Writes intents down. */
export async function writeIntents(
  database: Database,
  run: Run,
  intents: readonly Intent[],
): Promise<void> {
  const rows = await database.query(
    `with fence as materialized (${FENCE}),
     written as (
       insert into public.sync_intents
         (id, run_id, pair, crosswalk_id, a_id, b_id, operation, payload, state, fencing, sent_at)
       select i.id, fence.id, fence.pair, i."crosswalkId", i."aId", i."bId", i.operation, i.payload,
         'sent', $2, now()
       from fence, jsonb_to_recordset($3::jsonb) as i (
         id uuid, "crosswalkId" bigint, "aId" uuid, "bId" text, operation text, payload jsonb)
     )
     select 1 from fence`,
    [run.id, run.fencing, JSON.stringify(intents)],
  );
  committed(rows, run);
}

/** An intent that is left over, and its place among the others. */
export interface LeftOverIntent extends Intent {
  /** When it was written down; exact, as a date of JavaScript is not. */
  readonly createdAt: string;
}

/** Left-over intents that are looked into at once. */
export const LEFT_OVER_PAGE = 500;

/**
 * Intents that nobody is at any more: of runs that are not at work, and of
 * workers that lost their lease, or could lose it to whoever asks. The run of one
 * that was killed is at work as long as nobody goes on with it, and that may be for ever.
 *
 * @param staleMs How long a worker may be silent, in ms.
 * @param after The last one before them; null for the oldest.
 * @returns The oldest, {@linkcode LEFT_OVER_PAGE} at most.
 */
export async function leftOverIntents(
  database: Database,
  run: Run,
  staleMs: number,
  after: LeftOverIntent | null = null,
): Promise<LeftOverIntent[]> {
  return await database.query<LeftOverIntent>(
    `select i.id, i.crosswalk_id::float8 as "crosswalkId", i.a_id::text as "aId", i.b_id as "bId",
       i.operation, i.payload, i.created_at::text as "createdAt"
     from public.sync_intents i
     left join public.sync_runs r on r.id = i.run_id
     where i.pair = $1 and (r.id is null or r.status <> 'running' or r.fencing <> i.fencing or r.id = $2
       or r.heartbeat_at < now() - make_interval(secs => $3::double precision / 1000))
       and ($4::timestamptz is null or (i.created_at, i.id) > ($4::timestamptz, $5::uuid))
     order by i.created_at, i.id limit $6`,
    [run.pair, run.id, staleMs, after?.createdAt ?? null, after?.id ?? null, LEFT_OVER_PAGE],
  );
}

/** Forgets intents whose outcome is known. */
export async function clearIntents(database: Database, ids: readonly string[]): Promise<void> {
  await database.query(`delete from public.sync_intents where id = any ($1::uuid[])`, [ids]);
}

/** A record of each side. */
export interface PairIds {
  readonly aId: string;
  readonly bId: string;
}

/** A record of each side that a lost answer has made one. */
export interface FoundLink extends PairIds {
  /** What the sides agree on: the record that was sent, and the one that was found. Null where it cannot be read. */
  readonly base: Pick<ShadowWrite, "a" | "b" | "settled"> | null;
}

/**
 * Links that were given up and stand in the way of new ones: a remote may bring a
 * deleted record back under its old id. None where one of the two is linked by now,
 * as then no new link is made.
 */
export async function givenUpLinks(
  database: Database,
  run: Run,
  links: readonly FoundLink[],
): Promise<number[]> {
  const rows = await database.query<{ id: number }>(
    `select cw.id::float8 as id
     from jsonb_to_recordset($2::jsonb) as l ("aId" uuid, "bId" text)
     join public.integration_crosswalk cw on cw.pair = $1
       and cw.link_state not in ('linked', 'keep_apart') and (cw.a_id = l."aId" or cw.b_id = l."bId")
     where not exists (
       select 1 from public.integration_crosswalk living
       where living.pair = $1 and living.link_state = 'linked'
         and (living.a_id = l."aId" or living.b_id = l."bId"))`,
    [run.pair, JSON.stringify(links)],
  );
  return rows.map(({ id }) => id);
}

/** A living link. */
export interface TakenLink extends PairIds {
  readonly id: number;
}

/** Living links of these records of side B to others of side A, but for what has a partner elsewhere. */
export async function takenLinks(
  database: Database,
  pair: string,
  pairs: readonly PairIds[],
): Promise<TakenLink[]> {
  return await database.query<TakenLink>(
    `select distinct cw.id::float8 as id, cw.a_id::text as "aId", cw.b_id as "bId"
     from jsonb_to_recordset($2::jsonb) as l ("aId" uuid, "bId" text)
     join public.integration_crosswalk cw on cw.pair = $1 and cw.link_state = 'linked'
       and cw.b_id = l."bId"
     where not exists (
       select 1 from public.integration_crosswalk own
       where own.pair = $1 and own.link_state = 'linked' and own.a_id = l."aId")`,
    [pair, JSON.stringify(pairs)],
  );
}

/**
 * Links what calls without an answer had made one, with what was sent as the base, and
 * forgets the intents. A record that is linked by now, or gone, is left as it is.
 */
export async function linkFound(
  database: Database,
  run: Run,
  links: readonly FoundLink[],
  intents: readonly string[],
): Promise<void> {
  const rows = await database.query(
    `with fence as materialized (${FENCE}),
     linked as (
       insert into public.integration_crosswalk (pair, a_id, b_id)
       select fence.pair, l."aId", l."bId"
       from fence, jsonb_to_recordset($3::jsonb) as l ("aId" uuid, "bId" text)
       on conflict do nothing
       returning id, a_id, b_id
     ),
     shadowed as (
       -- Without side A's token: it has to be looked at again.
       insert into public.shadow_snapshots
         (crosswalk_id, a, b, settled, a_token, b_token, version, taken_at)
       select linked.id, l.base -> 'a', l.base -> 'b',
         array(select jsonb_array_elements_text(l.base -> 'settled')), '',
         jsonb_hash_extended(l.base -> 'b', 0)::text, 1, now()
       from linked join jsonb_to_recordset($3::jsonb) as l ("aId" uuid, "bId" text, base jsonb)
         on l."aId" = linked.a_id and l."bId" = linked.b_id
       where jsonb_typeof(l.base) = 'object'
     ),
     logged as (
       insert into public.sync_log (run_id, pair, crosswalk_id, a_id, b_id, side, action, rule, applied)
       select fence.id, fence.pair, linked.id, linked.a_id, linked.b_id, 'b', 'link', 'found_after_lost_answer', true
       from fence, linked
     ),
     cleared as (
       delete from public.sync_intents i using fence where i.id = any ($4::uuid[])
     )
     select 1 from fence`,
    [run.id, run.fencing, JSON.stringify(links), intents],
  );
  committed(rows, run);
}

/** The base of a link, and which version of it. */
export interface LinkBase extends PairIds, Pick<ShadowWrite, "a" | "b" | "settled" | "version"> {
  readonly crosswalkId: number;
}

/** Reads the bases of living links. One without a base has no row. */
export async function readBases(
  database: Database,
  run: Run,
  pairs: readonly PairIds[],
): Promise<LinkBase[]> {
  return await database.query<LinkBase>(
    `select s.crosswalk_id::float8 as "crosswalkId", cw.a_id::text as "aId", cw.b_id as "bId",
       s.a, s.b, s.settled, s.version::float8 as version
     from jsonb_to_recordset($2::jsonb) as l ("aId" uuid, "bId" text)
     join public.integration_crosswalk cw on cw.pair = $1 and cw.link_state = 'linked'
       and cw.a_id = l."aId" and cw.b_id = l."bId"
     join public.shadow_snapshots s on s.crosswalk_id = cw.id`,
    [run.pair, JSON.stringify(pairs)],
  );
}

/** Replaces bases, of the version that was read, by what an update without an answer has made of them. */
export async function renewBases(
  database: Database,
  run: Run,
  bases: readonly LinkBase[],
): Promise<void> {
  const rows = await database.query(
    `with fence as materialized (${FENCE}),
     renewed as (
       -- Without side A's token: it has to be looked at again.
       update public.shadow_snapshots s
       set a = w.a, b = w.b, settled = array(select jsonb_array_elements_text(w.settled)), a_token = '',
         b_token = jsonb_hash_extended(w.b, 0)::text, version = s.version + 1, taken_at = now()
       from fence, jsonb_to_recordset($3::jsonb)
         as w ("crosswalkId" bigint, a jsonb, b jsonb, settled jsonb, version bigint)
       where s.crosswalk_id = w."crosswalkId" and s.version = w.version
       returning s.crosswalk_id, s.version
     ),
     printed as (
       insert into public.shadow_fingerprints as f (crosswalk_id, version)
       select r.crosswalk_id, r.version from renewed r
       order by r.crosswalk_id
       on conflict (crosswalk_id) do update
         set version = excluded.version, print = null, a_print = null
     )
     select 1 from fence`,
    [run.id, run.fencing, JSON.stringify(bases)],
  );
  committed(rows, run);
}
