/**
 * The queue: records that are worth a closer look. A record of side B has one row,
 * one of side A more than one after edits of it that were open at one time.
 *
 * @module
 */
import type { Database } from "./database.ts";

/** A record of side B to put into the queue; those of side A are put in by the triggers. */
export interface QueueEntry {
  readonly pair: string;
  readonly side: "b";
  readonly recordId: string;
  /** Why, in words of ours; never a value. */
  readonly reason: string;
}

/**
 * Puts records into the queue, in one statement. One that is in it already keeps
 * its place and its attempts, takes the new reason and is due at once: what made
 * it wait may be what has changed.
 *
 * @param entries A record may be among them more than once; its last reason stands.
 * @returns How many rows were made or touched.
 */
export async function enqueue(
  database: Database,
  entries: readonly QueueEntry[],
): Promise<number> {
  // In one order for everybody, so that of two callers with the same records one
  // waits for the other instead of each for the other.
  const rows = await database.query<{ count: number }>(
    `with queued as (
       insert into public.sync_queue as q (pair, side, record_id, reason)
       select distinct on (e.pair, e.side, e.record_id) e.pair, e.side, e.record_id, e.reason
       from jsonb_to_recordset($1::jsonb)
         as e (pair text, side "char", record_id text, reason text, n integer)
       order by e.pair, e.side, e.record_id, e.n desc
       on conflict (pair, record_id) where side = 'b' do update
       set version = q.version + 1, reason = excluded.reason,
         not_before = least(q.not_before, excluded.not_before)
       returning 1
     )
     select count(*)::integer as count from queued`,
    [
      JSON.stringify(entries.map(({ pair, side, recordId, reason }, n) => (
        { pair, side, record_id: recordId, reason, n }
      ))),
    ],
  );
  return rows[0]?.count ?? 0;
}

/** A row that a worker has taken out of the queue for a while. */
export interface QueuedRecord {
  readonly id: number;
  readonly side: "a" | "b";
  readonly recordId: string;
  /** Raised whenever it is put in again. */
  readonly version: number;
  /** How often it was taken, this time included. */
  readonly attempts: number;
}

/**
 * Takes due records, the oldest first, for `leaseMs`: nobody else is given them
 * until then, unless they are put in again. One that is not settled by then comes
 * back by itself, so a killed worker loses nothing.
 */
export async function claimQueued(
  database: Database,
  pair: string,
  limit: number,
  leaseMs: number,
): Promise<QueuedRecord[]> {
  return await database.query<QueuedRecord>(
    // "is true" keeps what is due a hash that is built once. As a join, planned from
    // statistics of before the queue was filled, it would be compared with every row.
    `with due as materialized (
       select id from public.sync_queue
       where pair = $1 and not_before <= now()
       order by enqueued_at, side, record_id
       limit $2
       for update skip locked
     )
     update public.sync_queue q
     set not_before = now() + make_interval(secs => $3::double precision / 1000),
       attempts = q.attempts + 1
     where q.pair = $1 and q.not_before <= now() and (q.id in (select id from due)) is true
     returning q.id::float8 as id, q.side, q.record_id as "recordId", q.version::float8 as version, q.attempts`,
    [pair, limit, leaseMs],
  );
}

/** The records that {@linkcode claimQueued} would take; they are left where they are. */
export async function peekQueued(
  database: Database,
  pair: string,
  limit: number,
): Promise<QueuedRecord[]> {
  return await database.query<QueuedRecord>(
    `select id::float8 as id, side, record_id as "recordId", version::float8 as version, attempts
     from public.sync_queue where pair = $1 and not_before <= now()
     order by enqueued_at, side, record_id limit $2`,
    [pair, limit],
  );
}

/** What became of a row that was taken out. */
export interface QueueSettlement {
  readonly id: number;
  readonly version: number;
  /** When to look at it again, in ms from now; null if it is done with. */
  readonly againInMs: number | null;
}

/**
 * Puts taken records away, or back. One that was put in again meanwhile stays, and
 * is due at once. One that is just being put in again, by a transaction that has
 * not ended, is passed over: it comes due with that, or with the end of its lease.
 */
export async function settleQueued(
  database: Database,
  pair: string,
  settlements: readonly QueueSettlement[],
): Promise<void> {
  if (settlements.length === 0) return;
  await database.query(
    // Looked up one by one; see also claimQueued.
    `with given as materialized (
       select * from jsonb_to_recordset($2::jsonb)
         as g (id bigint, version bigint, "againInMs" double precision)
       order by id
     ),
     held as materialized (
       select q.id, q.version = g.version and g."againInMs" is null as done,
         case when q.version = g.version then now() + make_interval(secs => g."againInMs" / 1000)
           else now() end as due
       from given g cross join lateral (
         select q.id, q.version from public.sync_queue q
         where q.pair = $1 and q.id = g.id
         for update skip locked
       ) q
     ),
     gone as (
       delete from public.sync_queue q
       where q.pair = $1 and (q.id in (select id from held where done)) is true
     )
     update public.sync_queue q
     set not_before = (select held.due from held where held.id = q.id)
     where q.pair = $1 and (q.id in (select id from held where not done)) is true`,
    [pair, JSON.stringify(settlements)],
  );
}

/** How many rows of a pair are in the queue, and how many of them are due. */
export async function countQueued(
  database: Database,
  pair: string,
): Promise<{ readonly all: number; readonly due: number }> {
  const rows = await database.query<{ all: number; due: number }>(
    `select count(*)::integer as "all",
       count(*) filter (where not_before <= now())::integer as due
     from public.sync_queue where pair = $1`,
    [pair],
  );
  return rows[0] ?? { all: 0, due: 0 };
}
