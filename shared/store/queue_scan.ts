/**
 * The statements that look at many records of side A at once, before any of them
 * is taken out of the queue: what changed without being in it, and what all that
 * is in it would come to.
 *
 * @module
 */
import type { GuardKind } from "../merge/guard_kinds.ts";
import { CREATABLE, FORBIDDING } from "../merge/consent_order.ts";
import type { PairRules } from "../merge/pair.ts";
import type { Database } from "./database.ts";
import type { LocalTable } from "./local_table.ts";
import { literal } from "./plain_sql.ts";
import { token } from "./token.ts";
import { keyDigest } from "./work_store.ts";

/**
 * SQL for whether a record without a link could be made at the remote. One that could not may still
 * belong to somebody there, who is found by a hint about them or a full run; looked up each time it
 * would cost a request for nothing.
 */
function couldBeMade(rules: PairRules): string {
  const key = rules.fields[rules.keyField]?.local;
  const consents = Object.values(rules.fields).filter(({ kind }) => kind === "consent");
  if (rules.onNewLocal === "ignore" || key === undefined || consents.length === 0) return "false";
  const keySql = `lower(btrim(a.doc ->> ${literal(key)}))`;
  const words = CREATABLE.map(literal).join(", ");
  return [
    `${keySql} <> ''`,
    ...consents.map(({ local }) => `a.doc ->> ${literal(local)} in (${words})`),
    `not exists (
       select 1 from public.sync_suppressions p
       where p.pair = $1 and p.key_digest = ${keyDigest("$1", keySql)})`,
  ].join(" and ");
}

/** SQL for the ids of records of side A that the sync has to look at. Takes the pair and the runs after which a failed record is left alone. */
function changedSql(table: LocalTable, rules: PairRules): string {
  const dead = (key: string) =>
    `exists (
       select 1 from public.sync_failures f
       where f.pair = $1 and f.record_key = ${key} and f.runs >= $2 and f.a_token = ${
      token("a.doc")
    })`;
  return `
    select a.id::text as id
    from (${table.select}) a
    left join public.integration_crosswalk cw
      on cw.pair = $1 and cw.a_id = a.id and cw.link_state <> 'keep_apart'
    left join public.shadow_snapshots s on s.crosswalk_id = cw.id
    where cw.id is null and not ${dead("'a:' || a.id")} and ${couldBeMade(rules)}
      or cw.link_state = 'linked' and not ${dead("'cw:' || cw.id")} and (
        s.crosswalk_id is null or s.a_token is distinct from ${token("a.doc")}
        or exists (
          select 1 from public.sync_conflicts c
          where c.pair = $1 and c.record_key = 'cw:' || cw.id and c.status = 'resolved'
            and c.applied_at is null))`;
}

/**
 * Puts every record of side A into the queue that was edited since the last
 * agreement, or belongs to nobody and could be made at the remote. One that is in
 * it stays as it is.
 *
 * @param deadAfterRuns Failing runs after which a record is left alone until it changes.
 * @returns How many were put in.
 */
export async function enqueueChanged(
  database: Database,
  pair: string,
  table: LocalTable,
  rules: PairRules,
  deadAfterRuns: number,
): Promise<number> {
  const rows = await database.query<{ n: number }>(
    `with queued as (
       insert into public.sync_queue (pair, side, record_id, reason)
       select $1, 'a', changed.id, 'changed' from (${changedSql(table, rules)}) changed
       where (changed.id in (
         select q.record_id from public.sync_queue q where q.pair = $1 and q.side = 'a')) is not true
       order by changed.id
       returning 1
     )
     select count(*)::integer as n from queued`,
    [pair, deadAfterRuns],
  );
  return rows[0]?.n ?? 0;
}

/** Some of the records that {@linkcode enqueueChanged} would put in, or that are in the queue and due. */
export async function peekChanged(
  database: Database,
  pair: string,
  table: LocalTable,
  rules: PairRules,
  deadAfterRuns: number,
  limit: number,
): Promise<string[]> {
  const rows = await database.query<{ id: string }>(
    `select changed.id from (${changedSql(table, rules)}) changed
     left join public.sync_queue q
       on q.pair = $1 and q.side = 'a' and q.record_id = changed.id
     where q.record_id is null order by changed.id limit $3`,
    [pair, deadAfterRuns, limit],
  );
  return rows.map(({ id }) => id);
}

/** Kinds of change that can be told of a record of side A without asking side B. */
export type ForeseenKind = Exclude<GuardKind, "deletes">;

function conditions(rules: PairRules): Readonly<Record<ForeseenKind, string>> {
  const unsubscribes: string[] = [];
  const blanks: string[] = [];
  const words = FORBIDDING.map(literal).join(", ");
  for (const [name, rule] of Object.entries(rules.fields)) {
    const local = `a.doc ->> ${literal(rule.local)}`;
    const remote = `s.b ->> ${literal(name)}`;
    if (rule.kind === "consent") {
      unsubscribes.push(`${local} in (${words}) and coalesce(${remote}, '') not in (${words})`);
    } else if (rule.kind === "value" && rule.mayBlank && rule.flow !== "to_local") {
      blanks.push(`coalesce(btrim(${local}), '') = '' and ${remote} is not null`);
    }
  }
  const any = (tests: readonly string[]) =>
    tests.length === 0 ? "false" : tests.map((test) => `(${test})`).join(" or ");
  return { unsubscribes: any(unsubscribes), blanks: any(blanks), updates: "true" };
}

/**
 * SQL for the records of side A in the queue that were edited, each with the kinds of change it would be.
 *
 * "not keep_apart" says nothing new, but the planner does not see that the index on a link's records
 * is for this, and would read all links for each record.
 */
function queuedSql(table: LocalTable, rules: PairRules): string {
  const { unsubscribes, blanks, updates } = conditions(rules);
  return `
    select q.record_id, q.not_before, cw.a_id, cw.b_id, (${unsubscribes}) as unsubscribes,
      (${blanks}) as blanks, ${updates} as updates
    from (
      select q.record_id, min(q.not_before) as not_before,
        case when q.record_id ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
          then q.record_id::uuid end as a_id
      from public.sync_queue q where q.pair = $1 and q.side = 'a' group by q.record_id
    ) q
    join public.integration_crosswalk cw
      on cw.pair = $1 and cw.a_id = q.a_id and cw.link_state = 'linked'
        and cw.link_state <> 'keep_apart'
    join public.shadow_snapshots s on s.crosswalk_id = cw.id
    join (${table.select}) a on a.id = cw.a_id
    where s.a_token is distinct from ${token("a.doc")}`;
}

// What is held for one reason is not counted for another.
function free(held: readonly ForeseenKind[]): string {
  return held.map((kind) => `not e.${kind}`).join(" and ") || "true";
}

/**
 * Counts what all edits in the queue, due or not, would come to on side B. An
 * estimate, from side B as it stood at the last agreement.
 *
 * @param held Kinds that are not let through: what is of one is not counted.
 */
export async function foreseeQueue(
  database: Database,
  pair: string,
  table: LocalTable,
  rules: PairRules,
  held: readonly ForeseenKind[],
): Promise<Record<ForeseenKind, number>> {
  const rows = await database.query<Record<ForeseenKind, number>>(
    `select count(*) filter (where e.unsubscribes)::integer as unsubscribes,
       count(*) filter (where e.blanks)::integer as blanks,
       count(*)::integer as updates
     from (${queuedSql(table, rules)}) e where ${free(held)}`,
    [pair],
  );
  return rows[0] ?? { unsubscribes: 0, blanks: 0, updates: 0 };
}

/** What was held back. */
export interface HeldBack {
  readonly held: number;
  /** Some of the records. */
  readonly aIds: readonly string[];
  readonly bIds: readonly string[];
}

/**
 * Holds those due edits in the queue back for a while that are of a kind.
 *
 * @param except Kinds that are held already.
 */
export async function holdQueued(
  database: Database,
  pair: string,
  table: LocalTable,
  rules: PairRules,
  kind: ForeseenKind,
  except: readonly ForeseenKind[],
  holdMs: number,
): Promise<HeldBack> {
  // "is true" keeps each list a hash that is built once. As joins, planned from
  // statistics of before the queue was filled, they would compare each with each.
  const rows = await database.query<HeldBack>(
    `with guilty as materialized (
       select e.record_id, e.a_id, e.b_id from (${queuedSql(table, rules)}) e
       where e.${kind} and e.not_before <= now() and ${free(except)}
     ),
     locked as materialized (
       select q.record_id from public.sync_queue q
       where q.pair = $1 and q.side = 'a' and (q.record_id in (select record_id from guilty)) is true
       order by q.record_id for update skip locked
     ),
     held as (
       update public.sync_queue q
       set not_before = now() + make_interval(secs => $2::double precision / 1000), reason = $3
       where q.pair = $1 and q.side = 'a' and (q.record_id in (select record_id from locked)) is true
       returning q.record_id
     ),
     told as (
       select g.a_id, g.b_id from guilty g
       where (g.record_id in (select record_id from held)) is true order by g.a_id limit 1000
     )
     select (select count(distinct record_id)::integer from held) as held,
       array(select a_id::text from told) as "aIds", array(select b_id from told) as "bIds"`,
    [pair, holdMs, `held:${kind}`],
  );
  return rows[0] ?? { held: 0, aIds: [], bIds: [] };
}
