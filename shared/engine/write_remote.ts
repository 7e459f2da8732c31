import { RemoteError } from "../connectors/remote_error.ts";
import type { RemoteRecord, SetChange, WriteOp, WriteResult } from "../connectors/connector.ts";
import { RateWaitError } from "../limits/rate_wait_error.ts";
import { canonicalRecord, UnreadableValueError } from "../merge/canonical.ts";
import type { Doc, Json } from "../merge/json.ts";
import type { CanonicalRecord, PairRules } from "../merge/pair.ts";
import { shadowAfter } from "../merge/shadow_after.ts";
import type { Database } from "../store/database.ts";
import { clearIntents, type Intent, writeIntents } from "../store/intent_store.ts";
import type { Batch } from "./batch.ts";
import { inKeyTurns } from "./key_moves.ts";
import type { ItemPlan } from "./plan_item.ts";
import { findRevived } from "./revived.ts";
import { remoteFor } from "./urgency.ts";

/** What became of a batch's writes at the remote, by ordinal. */
export interface RemoteWrites {
  readonly results: ReadonlyMap<number, WriteResult>;
  /** What the remote answered, canonical. */
  readonly answered: ReadonlyMap<number, CanonicalRecord>;
  /** Intents whose outcome is known. */
  readonly settled: readonly string[];
  /** Links of others whose record a create has brought back as somebody else. */
  readonly givenUp: readonly number[];
}

function names(value: Json): readonly string[] {
  return Array.isArray(value) ? value.filter((name) => typeof name === "string") : [];
}

function setChange(before: Json, after: Json): SetChange {
  const [had, has] = [names(before), names(after)];
  return {
    add: has.filter((name) => !had.includes(name)),
    remove: had.filter((name) => !has.includes(name)),
  };
}

/** The write at the remote that a plan asks for; null where there is none. */
export function writeOpOf(plan: ItemPlan, rules: PairRules): WriteOp | null {
  const id = plan.record.bId;
  switch (plan.kind) {
    case "merge": {
      if (id === null) return null;
      const fields: Doc = {};
      const sets: Record<string, SetChange> = {};
      for (const { field, side, before, after } of plan.plan.changes) {
        const rule = rules.fields[field];
        if (side !== "remote" || rule === undefined) continue;
        if (rule.kind === "set") sets[rule.remote] = setChange(before, after);
        else fields[rule.remote] = after;
      }
      const isEmpty = Object.keys(fields).length === 0 && Object.keys(sets).length === 0;
      return isEmpty ? null : { op: "update", id, fields, sets };
    }
    case "create_remote": {
      const fields: Doc = {};
      const sets: Record<string, readonly string[]> = {};
      for (const [field, value] of Object.entries(plan.fields)) {
        const rule = rules.fields[field];
        if (rule !== undefined) fields[rule.remote] = value;
      }
      for (const [field, value] of Object.entries(plan.sets)) {
        const rule = rules.fields[field];
        if (rule !== undefined) sets[rule.remote] = value;
      }
      return { op: "create", fields, sets };
    }
    case "absence": {
      if (plan.gone !== "local" || id === null) return null;
      if (plan.action === "delete") return { op: "delete", id };
      const consent = Object.entries(rules.fields).find(([, rule]) => rule.kind === "consent");
      if (plan.action !== "unsubscribe" || consent === undefined) return null;
      const [field, rule] = consent;
      const allows = ["subscribed", "pending", "none"].includes(String(plan.left?.[field]));
      return allows
        ? { op: "update", id, fields: { [rule.remote]: "unsubscribed" }, sets: {} }
        : null;
    }
    default:
      return null;
  }
}

/** Side A's values of the fields that are about to be written. */
function sentFields({ state, plan }: ItemPlan & { kind: "merge" }): Record<string, Json> {
  return Object.fromEntries(
    plan.changes.flatMap(({ side, field }) =>
      side === "remote" ? [[field, state.a[field] ?? null]] : []
    ),
  );
}

/** What the sides of a new link agree on as long as nothing is written. */
function newBase({ state, plan }: ItemPlan & { kind: "merge" }, rules: PairRules): Json {
  const done = { local: false, remote: "not_done" } as const;
  const { a, b, settled } = shadowAfter(rules, state, plan, done);
  return { a, b, settled: [...settled] };
}

function intentOf(plan: ItemPlan, op: WriteOp, rules: PairRules): Intent {
  const { crosswalkId, aId, bId } = plan.record;
  const payload: Intent["payload"] = plan.kind === "create_remote"
    ? { key: plan.fields[rules.keyField] ?? null, a: { ...plan.a } }
    : plan.kind === "merge"
    ? {
      sent: sentFields(plan),
      ...plan.record.kind === "match" ? { base: newBase(plan, rules) } : {},
    }
    : {};
  return { id: crypto.randomUUID(), crosswalkId, aId, bId, operation: op.op, payload };
}

function canonicalAnswer(record: RemoteRecord | null, rules: PairRules): CanonicalRecord | null {
  if (record === null) return null;
  try {
    return canonicalRecord(record.doc, "remote", rules);
  } catch (error) {
    if (error instanceof UnreadableValueError) return null;
    throw error;
  }
}

/** The result of a write that was not sent; null where an error is not the remote's. */
function notSentFor(error: unknown): WriteResult | null {
  if (error instanceof RateWaitError) {
    return { outcome: "retryable", code: error.code, retryAfterMs: error.waitMs };
  }
  return error instanceof RemoteError
    ? { outcome: "retryable", code: error.code, retryAfterMs: error.retryAfterMs }
    : null;
}

/**
 * Writes intents down, sends the writes, and tells what became of each.
 *
 * @param locks The transaction that holds the locks of the batch.
 */
export async function writeRemote(
  batch: Batch,
  locks: Database,
  plans: readonly ItemPlan[],
): Promise<RemoteWrites> {
  const { pool, pair: { rules, remote: { connector } } } = batch.slice.deps;
  const writes = plans.flatMap((plan) => {
    const op = writeOpOf(plan, rules);
    return op === null ? [] : [{ plan, op, intent: intentOf(plan, op, rules) }];
  });
  const results = new Map<number, WriteResult>();
  const answered = new Map<number, CanonicalRecord>();
  const settled: string[] = [];
  if (writes.length === 0) return { results, answered, settled, givenUp: [] };
  await writeIntents(pool, batch.run, writes.map(({ intent }) => intent));
  for (const [number, turn] of inKeyTurns(writes, rules.keyField).entries()) {
    let answers: readonly WriteResult[];
    try {
      const remote = remoteFor(batch, turn.map(({ plan }) => plan));
      answers = await connector.write(remote, batch.schema, turn.map(({ op }) => op));
    } catch (error) {
      // The contract: what throws has sent nothing. What earlier turns have done is to be kept.
      const notSent = number === 0 ? null : notSentFor(error);
      if (notSent !== null) answers = turn.map(() => notSent);
      else {
        // The database may be what is gone, and then the intents are read at the next start.
        if (number === 0) {
          await clearIntents(pool, writes.map(({ intent }) => intent.id)).catch(() => {});
        }
        throw error;
      }
    }
    for (const [index, { plan, intent }] of turn.entries()) {
      const result = answers[index];
      if (result === undefined) continue;
      results.set(plan.record.ordinal, result);
      if (result.outcome !== "unknown") settled.push(intent.id);
      if (result.outcome !== "ok") continue;
      const record = canonicalAnswer(result.record, rules);
      if (record !== null) answered.set(plan.record.ordinal, record);
    }
  }
  const made = writes.flatMap(({ plan: { record, kind } }) => {
    const result = results.get(record.ordinal);
    return kind === "create_remote" && result?.outcome === "ok" && record.aId !== null
      ? [{ aId: record.aId, bId: result.id }]
      : [];
  });
  const { givenUp, busy } = await findRevived(locks, batch.run.pair, made);
  if (busy.size === 0) return { results, answered, settled, givenUp };
  // Whoever is at the old link does not know yet; the intent tells the next run.
  const waiting = new Set<string>();
  for (const { plan: { record: { ordinal } }, op, intent } of writes) {
    const result = results.get(ordinal);
    if (op.op !== "create" || result?.outcome !== "ok" || !busy.has(result.id)) continue;
    results.set(ordinal, { outcome: "unknown", code: "linked_elsewhere", retryAfterMs: null });
    answered.delete(ordinal);
    waiting.add(intent.id);
  }
  return { results, answered, settled: settled.filter((id) => !waiting.has(id)), givenUp };
}
