import { canonicalField, canonicalRecord, UnreadableValueError } from "../merge/canonical.ts";
import type { CanonicalRecord, PairRules } from "../merge/pair.ts";
import { type AbsencePlan, changedSince, planAbsence } from "../merge/plan_absence.ts";
import { planNewLocal, planNewRemote } from "../merge/plan_new.ts";
import { planRecord } from "../merge/plan_record.ts";
import type {
  ConflictReason,
  Decision,
  Flow,
  RecordPlan,
  RecordState,
  RemoteRefusal,
} from "../merge/record_plan.ts";
import { sameJson } from "../merge/same_json.ts";
import type { LoadedRecord, StoredConflict } from "../store/work_store.ts";

/** Runs in a row after which a refused record is left alone until it changes. */
export const DEAD_AFTER_RUNS = 3;

/** Under which field a conflict about a whole record is kept. */
export const WHOLE_RECORD = "(record)";

/** What is to be done about one record of the walk. */
export type ItemPlan =
  | {
    readonly kind: "merge";
    readonly record: LoadedRecord;
    readonly state: RecordState;
    readonly plan: RecordPlan;
  }
  | {
    readonly kind: "create_local";
    readonly record: LoadedRecord;
    readonly b: CanonicalRecord;
    readonly values: CanonicalRecord;
  }
  | {
    readonly kind: "create_remote";
    readonly record: LoadedRecord;
    readonly a: CanonicalRecord;
    readonly fields: CanonicalRecord;
    readonly sets: Readonly<Record<string, readonly string[]>>;
  }
  | {
    readonly kind: "absence";
    readonly record: LoadedRecord;
    readonly gone: "local" | "remote" | "both";
    readonly action: AbsencePlan["action"];
    /** The record that is left, canonical; null where both are gone. */
    readonly left: CanonicalRecord | null;
    /** Decisions about the record that do not fit, or no longer. */
    readonly staleDecisions: readonly number[];
  }
  | { readonly kind: "excluded"; readonly record: LoadedRecord; readonly reason: string }
  | { readonly kind: "failed"; readonly record: LoadedRecord; readonly code: string };

/** What the plan of a record depends on besides the record. */
export interface PlanOptions {
  readonly rules: PairRules;
  readonly flow: Flow;
  /** Side B as it was read just now; null if it is gone. Absent: as it was listed. */
  readonly fresh?: CanonicalRecord | null;
  readonly localRefusals?: Readonly<Record<string, ConflictReason>>;
  readonly remoteRefusals?: Readonly<Record<string, RemoteRefusal>>;
  /** Whether anything is decided about a record of which a side is gone; default `decide`. */
  readonly absences?: "decide" | "leave";
}

/** Decisions in canonical form, and those that cannot be brought into it. */
function decisionsOf(
  conflicts: readonly StoredConflict[],
  rules: PairRules,
): { readonly decisions: Decision[]; readonly unusable: number[] } {
  const decisions: Decision[] = [];
  const unusable: number[] = [];
  for (const { id, field, status, choice, value, a, b } of conflicts) {
    const rule = rules.fields[field];
    if (status !== "resolved" || choice === null) continue;
    try {
      // The record is whole again where a merge asks for this, and WHOLE_RECORD is no field.
      if (rule === undefined) throw new UnreadableValueError(field, "of a mapped field");
      const wanted = choice === "value" ? canonicalField(value, rule, field, rules) : null;
      decisions.push({ conflictId: id, field, choice, value: wanted, a, b });
    } catch (error) {
      if (!(error instanceof UnreadableValueError)) throw error;
      unusable.push(id);
    }
  }
  return { decisions, unusable };
}

function isDead({ failure, a, bToken }: LoadedRecord): boolean {
  return failure !== null && failure.runs >= DEAD_AFTER_RUNS && !failure.thisRun &&
    !failure.decidedSince && failure.aToken === (a?.token ?? "") && failure.bToken === bToken;
}

function merge(
  record: LoadedRecord,
  a: CanonicalRecord,
  b: CanonicalRecord,
  { rules, flow, localRefusals = {}, remoteRefusals = {} }: PlanOptions,
): ItemPlan {
  const base = record.kind === "match" ? null : record.shadow;
  const { decisions, unusable } = decisionsOf(record.conflicts, rules);
  const { suppressed: keySuppressed } = record;
  const state: RecordState = {
    base,
    a,
    b,
    decisions,
    localRefusals,
    remoteRefusals,
    keySuppressed,
  };
  const plan = planRecord(rules, state, flow);
  const staleDecisions = [...plan.staleDecisions, ...unusable];
  return { kind: "merge", record, state, plan: { ...plan, staleDecisions } };
}

/** What was decided about a whole record that is still as it was then, and what no longer counts. */
function wholeRecordDecision(
  record: LoadedRecord,
  gone: "local" | "remote",
  left: CanonicalRecord,
): { readonly choice: "local" | "remote" | null; readonly staleDecisions: number[] } {
  let choice: "local" | "remote" | null = null;
  const staleDecisions: number[] = [];
  for (const conflict of record.conflicts) {
    if (conflict.status !== "resolved") continue;
    const seen = conflict[gone === "local" ? "b" : "a"];
    const isOfRecord = conflict.field === WHOLE_RECORD && conflict.choice !== "value";
    if (isOfRecord && sameJson(seen, left)) choice = conflict.choice;
    else staleDecisions.push(conflict.id);
  }
  return { choice, staleDecisions };
}

function absence(
  record: LoadedRecord,
  gone: "local" | "remote",
  left: CanonicalRecord,
  { rules, flow }: PlanOptions,
): ItemPlan {
  // What is gone from one side is an edit of that side, and travels to the other.
  const travels = gone === "remote" ? flow !== "to_remote" : flow !== "to_local";
  if (!travels) return { kind: "excluded", record, reason: "direction" };
  const policy = gone === "remote" ? rules.onRemoteMissing : rules.onLocalDelete;
  const base = gone === "remote" ? record.shadow?.a : record.shadow?.b;
  const { choice, staleDecisions } = wholeRecordDecision(record, gone, left);
  const changed = base === undefined || changedSince(rules, base, left);
  const action = choice === null
    ? planAbsence(policy, changed).action
    : choice === gone
    ? "delete"
    : "mark";
  return { kind: "absence", record, gone, left, action, staleDecisions };
}

function planLinked(record: LoadedRecord, options: PlanOptions): ItemPlan {
  const { rules, fresh } = options;
  const { keyField } = rules;
  const a = record.a === null ? null : canonicalRecord(record.a.doc, "local", rules);
  const listed = record.bState === "absent" ? null : record.b;
  const b = fresh === undefined ? listed : fresh;
  if (a !== null && b !== null) {
    // Who shared a key and does not any more may be two: the next run matches them anew.
    const isUndone = record.matchedByKey && !sameJson(a[keyField] ?? null, b[keyField] ?? null);
    return isUndone ? { kind: "excluded", record, reason: "moved" } : merge(record, a, b, options);
  }
  if (record.kind === "match") return { kind: "excluded", record, reason: "vanished" };
  if (options.absences === "leave") {
    return { kind: "excluded", record, reason: a === null ? "gone_local" : "gone_remote" };
  }
  if (b !== null) return absence(record, "local", b, options);
  if (a !== null) return absence(record, "remote", a, options);
  const staleDecisions = record.conflicts.flatMap(({ id, status }) =>
    status === "resolved" ? id : []
  );
  return { kind: "absence", record, gone: "both", action: "unlink", left: null, staleDecisions };
}

function planNew(record: LoadedRecord, { rules, flow, fresh }: PlanOptions): ItemPlan {
  if (record.kind === "new_remote") {
    const b = fresh === undefined ? record.b : fresh;
    if (flow === "to_remote") return { kind: "excluded", record, reason: "direction" };
    if (b === null) return { kind: "excluded", record, reason: "vanished" };
    const plan = planNewLocal(rules, b);
    if (plan.kind === "excluded") return { kind: "excluded", record, reason: plan.reason };
    return { kind: "create_local", record, b, values: plan.record };
  }
  if (flow === "to_local") return { kind: "excluded", record, reason: "direction" };
  if (record.a === null) return { kind: "excluded", record, reason: "vanished" };
  const a = canonicalRecord(record.a.doc, "local", rules);
  const plan = planNewRemote(rules, a, { suppressed: record.suppressed });
  if (plan.kind === "excluded") return { kind: "excluded", record, reason: plan.reason };
  return { kind: "create_remote", record, a, fields: plan.fields, sets: plan.sets };
}

/** Plans one record of the walk. Depends on nothing but its arguments. */
export function planItem(record: LoadedRecord, options: PlanOptions): ItemPlan {
  const isUnreadable = record.state === "unreadable" && record.b === null;
  if (record.kind === "held" && !isUnreadable) {
    return { kind: "excluded", record, reason: record.state ?? "unknown" };
  }
  if (isDead(record)) return { kind: "excluded", record, reason: "dead_letter" };
  if (isUnreadable) return { kind: "failed", record, code: "unreadable_record" };
  try {
    return record.kind === "new_local" || record.kind === "new_remote"
      ? planNew(record, options)
      : planLinked(record, options);
  } catch (error) {
    if (!(error instanceof UnreadableValueError)) throw error;
    return { kind: "failed", record, code: error.code };
  }
}
