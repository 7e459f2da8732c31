import { canonicalRecord, UnreadableValueError } from "../merge/canonical.ts";
import { isForbidding } from "../merge/consent_order.ts";
import type { Json } from "../merge/json.ts";
import type { CanonicalRecord, PairRules } from "../merge/pair.ts";
import { holdsName, managedNames } from "../merge/merge_set.ts";
import type { FieldChange, RecordState } from "../merge/record_plan.ts";
import { planRecord } from "../merge/plan_record.ts";
import { sameJson } from "../merge/same_json.ts";
import { shadowAfter } from "../merge/shadow_after.ts";
import type {
  BatchCommit,
  ConflictWrite,
  FailureWrite,
  LinkChange,
  LinkMade,
  LogLine,
  ShadowWrite,
} from "../store/commit_store.ts";
import type { ItemResult, RecordClass } from "./batch.ts";
import { type ItemPlan, WHOLE_RECORD } from "./plan_item.ts";
import { consentFieldOf, givenUpSuppressions, suppressionsOf } from "./suppressions.ts";

/** What a batch leaves behind, but for what only the run knows. */
export type BatchEffects = Omit<BatchCommit, "counters" | "errors" | "cursor" | "phase" | "at"> & {
  readonly classes: ReadonlyMap<number, RecordClass>;
  /** Why records were excluded, skipped or failed, by ordinal. */
  readonly reasons: ReadonlyMap<number, string>;
  /** Writes that were made: one a record and side. */
  readonly updates: number;
  /** Fields that wait for a person, by record. */
  readonly conflictCounts: ReadonlyMap<number, number>;
  readonly counters: Readonly<Record<string, number>>;
};

function emptyDraft() {
  return {
    links: [] as LinkMade[],
    removedLinks: [] as number[],
    linkChanges: [] as LinkChange[],
    shadows: [] as ShadowWrite[],
    conflicts: [] as ConflictWrite[],
    plannedRecords: [] as string[],
    decided: [] as number[],
    staleDecisions: [] as number[],
    failures: [] as FailureWrite[],
    mended: [] as string[],
    suppressions: [] as { key: string; consent: string }[],
    log: [] as LogLine[],
    intents: [] as string[],
    classes: new Map<number, RecordClass>(),
    reasons: new Map<number, string>(),
    updates: 0,
    conflictCounts: new Map<number, number>(),
    counters: {} as Record<string, number>,
  };
}

type Effects = ReturnType<typeof emptyDraft>;

/** Side A as the table holds it after the write, canonical; null where it cannot be read. */
function localAfter(result: ItemResult, rules: PairRules): CanonicalRecord | null {
  if (result.local?.outcome !== "done") return null;
  try {
    return canonicalRecord(result.local.doc, "local", rules);
  } catch (error) {
    if (error instanceof UnreadableValueError) return null;
    throw error;
  }
}

function logLine(
  plan: ItemPlan,
  line: Omit<LogLine, "crosswalkId" | "aId" | "bId">,
  ids: { readonly aId?: string; readonly bId?: string } = {},
): LogLine {
  const { crosswalkId, aId, bId } = plan.record;
  return { crosswalkId, aId: ids.aId ?? aId, bId: ids.bId ?? bId, ...line };
}

function addFailure(effects: Effects, { record }: ItemPlan, code: string): void {
  const { recordKey, aId, bId, a, bToken } = record;
  effects.failures.push({ recordKey, aId, bId, code, aToken: a?.token ?? "", bToken });
}

function addMended(effects: Effects, { record }: ItemPlan): void {
  if (record.failure !== null) effects.mended.push(record.recordKey);
}

function openConflict(
  effects: Effects,
  plan: ItemPlan,
  conflict: { field: string; base: Json; a: Json; b: Json; reason: string },
): void {
  const { crosswalkId, aId, bId, recordKey } = plan.record;
  effects.conflicts.push({ crosswalkId, aId, bId, recordKey, ...conflict });
}

/** Makes a link; what failed of either record while it had none is over. */
function addLink(effects: Effects, link: LinkMade): void {
  effects.links.push(link);
  effects.mended.push(`a:${link.aId}`, `b:${link.bId}`);
}

/** What the remote holds of sets that were written although the rest of the write was refused. */
function setsDone(
  { remote }: ItemResult,
  changes: readonly FieldChange[],
  rules: PairRules,
): CanonicalRecord {
  const held: CanonicalRecord = {};
  if (remote === null || remote.outcome === "ok") return held;
  for (const { field, side, before } of changes) {
    const rule = rules.fields[field];
    const done = rule === undefined ? undefined : remote.sets?.[rule.remote];
    if (side !== "remote" || rule?.kind !== "set" || done === undefined) continue;
    held[field] = managedNames(
      rule,
      (name) => done.add.includes(name) || holdsName(before, name) && !done.remove.includes(name),
    );
  }
  return held;
}

function addMerge(
  effects: Effects,
  result: ItemResult,
  plan: ItemPlan & { kind: "merge" },
  rules: PairRules,
): RecordClass {
  const { record, state } = plan;
  const { changes, conflicts, decided, staleDecisions } = plan.plan;
  const remoteDone = result.remote?.outcome === "ok";
  const localDone = result.local?.outcome === "done";
  const remoteSets = setsDone(result, changes, rules);
  const shadow = shadowAfter(rules, state, plan.plan, {
    local: localDone,
    remote: remoteDone ? result.answered : "not_done",
    remoteSets,
  });
  const held = localDone ? localAfter(result, rules) : state.a;
  const token = localDone ? result.local.token : record.a?.token ?? "";
  if (record.kind === "match" && record.aId !== null && record.bId !== null) {
    addLink(effects, { aId: record.aId, bId: record.bId, withClient: false });
    effects.log.push(logLine(plan, {
      side: "b",
      action: "link",
      field: null,
      before: null,
      after: null,
      rule: "equal_key",
      applied: true,
    }));
  }
  effects.shadows.push({
    crosswalkId: record.crosswalkId,
    aId: record.aId ?? "",
    bId: record.bId ?? "",
    a: shadow.a,
    b: shadow.b,
    settled: shadow.settled,
    bSeen: !remoteDone && sameJson(state.b, record.b) && sameJson(shadow.b, state.b)
      ? record.bSeen
      : null,
    // A record that the table keeps in another form than was written has to be looked at again.
    aToken: held !== null && sameJson(held, shadow.a) ? token : "",
    version: record.kind === "match" ? 0 : record.shadow?.version ?? 0,
  });
  for (const { field, side, before, after, rule } of changes) {
    const isDone = side === "local"
      ? localDone
      : remoteDone || Object.hasOwn(remoteSets, field) && sameJson(remoteSets[field], after);
    effects.log.push(logLine(plan, {
      side: side === "local" ? "a" : "b",
      action: isDone ? "update" : "refuse",
      field,
      before,
      after,
      rule,
      applied: isDone,
    }));
  }
  if (changes.some(({ field }) => field === rules.keyField)) {
    effects.suppressions.push(...suppressionsOf(rules, state.a, state.b));
  }
  effects.suppressions.push(...givenUpSuppressions(rules, plan, state.a, state.b));
  for (const { field, base, a, b, reason } of conflicts) {
    openConflict(effects, plan, { field, base: base === null ? null : { ...base }, a, b, reason });
  }
  effects.conflictCounts.set(record.ordinal, conflicts.length);
  effects.plannedRecords.push(record.recordKey);
  const isComplete = changes.every(({ side }) => side === "local" ? localDone : remoteDone);
  if (isComplete) effects.decided.push(...decided);
  effects.staleDecisions.push(...staleDecisions);
  const isWritten = remoteDone || Object.keys(remoteSets).length > 0;
  effects.updates += Number(isWritten) + Number(localDone);
  if (conflicts.length > 0) return "conflicted";
  return changes.length > 0 ? "changed" : "unchanged";
}

/** The base of a pair that was just made: equal fields are agreed on, the others are merged next time. */
function addNewPair(
  effects: Effects,
  plan: ItemPlan,
  ids: { readonly aId: string; readonly bId: string },
  a: CanonicalRecord,
  b: CanonicalRecord,
  token: string,
  rules: PairRules,
): void {
  const state: RecordState = { base: null, a, b, decisions: [], localRefusals: {} };
  const nothing = planRecord(rules, state, "both");
  const shadow = shadowAfter(rules, state, nothing, { local: false, remote: "not_done" });
  addLink(effects, { ...ids, withClient: plan.kind === "create_local" });
  effects.shadows.push({
    crosswalkId: null,
    ...ids,
    a: shadow.a,
    b: shadow.b,
    settled: shadow.settled,
    bSeen: plan.kind === "create_local" && sameJson(shadow.b, plan.b) &&
        sameJson(plan.b, plan.record.b)
      ? plan.record.bSeen
      : null,
    aToken: sameJson(shadow.a, a) ? token : "",
    version: 0,
  });
  noteCreate(effects, plan, ids, plan.kind === "create_local" ? a : b);
}

function noteCreate(
  effects: Effects,
  plan: ItemPlan,
  ids: { readonly aId: string; readonly bId: string },
  made: CanonicalRecord,
): void {
  effects.log.push(logLine(plan, {
    side: plan.kind === "create_local" ? "a" : "b",
    action: "create",
    field: null,
    before: null,
    after: { ...made },
    rule: "new",
    applied: true,
  }, ids));
  effects.updates++;
}

function addCreate(effects: Effects, result: ItemResult, rules: PairRules): RecordClass {
  const { plan } = result;
  const { record } = plan;
  if (plan.kind === "create_local" && result.local?.outcome === "done" && record.bId !== null) {
    const a = localAfter(result, rules);
    const aId = result.newId ?? "";
    if (a !== null) {
      addNewPair(effects, plan, { aId, bId: record.bId }, a, plan.b, result.local.token, rules);
      effects.counters["createdLocal"] = (effects.counters["createdLocal"] ?? 0) + 1;
    }
    return "changed";
  }
  if (plan.kind === "create_remote" && result.remote?.outcome === "ok" && record.aId !== null) {
    const ids = { aId: record.aId, bId: result.remote.id };
    if (result.answered === null) {
      // What it brought back cannot be read; what was sent is known.
      addLink(effects, { ...ids, withClient: false });
      noteCreate(effects, plan, ids, plan.fields);
    } else addNewPair(effects, plan, ids, plan.a, result.answered, record.a?.token ?? "", rules);
    effects.counters["createdRemote"] = (effects.counters["createdRemote"] ?? 0) + 1;
    return "changed";
  }
  return "skipped";
}

function addAbsence(
  effects: Effects,
  result: ItemResult,
  plan: ItemPlan & { kind: "absence" },
  rules: PairRules,
): RecordClass {
  const { record, gone, action, left, staleDecisions } = plan;
  effects.plannedRecords.push(record.recordKey);
  effects.staleDecisions.push(...staleDecisions);
  if (action === "conflict") {
    openConflict(effects, plan, {
      field: WHOLE_RECORD,
      base: null,
      a: gone === "local" ? null : { ...left },
      b: gone === "local" ? { ...left } : null,
      reason: "deleted_but_edited",
    });
    effects.conflictCounts.set(record.ordinal, 1);
    if (left !== null) effects.suppressions.push(...givenUpSuppressions(rules, plan, left));
    return "conflicted";
  }
  const consent = consentFieldOf(rules);
  // Also where the write that unsubscribed them was an earlier worker's, which was
  // cut off before it could commit: then it shows in the record that is left.
  const isLeaving = action === "unsubscribe" && consent !== undefined &&
    !isForbidding(left?.[consent]);
  const told = isLeaving ? { ...left, [consent]: "unsubscribed" } : left;
  effects.suppressions.push(...suppressionsOf(rules, told, record.shadow?.a, record.shadow?.b));
  if (record.crosswalkId === null) return "excluded";
  const isWrite = action === "delete" || action === "unsubscribe";
  const deleted = action === "delete";
  const missing = gone === "local" ? "a_missing" : "b_missing";
  effects.linkChanges.push({
    crosswalkId: record.crosswalkId,
    state: action === "unlink" || deleted || gone === "both" ? "unlinked" : missing,
  });
  effects.log.push(logLine(plan, {
    side: gone === "local" ? "b" : "a",
    action: deleted ? "delete" : action === "unlink" ? "unlink" : "mark",
    field: null,
    before: left === null ? null : { ...left },
    after: null,
    rule: gone === "local" ? "local_deleted" : gone === "remote" ? "remote_missing" : "both_gone",
    applied: true,
  }));
  for (const { id, field } of record.conflicts) {
    if (field === WHOLE_RECORD && !staleDecisions.includes(id)) effects.decided.push(id);
  }
  if (action === "unsubscribe" && consent !== undefined && result.remote?.outcome === "ok") {
    effects.log.push(logLine(plan, {
      side: "b",
      action: "update",
      field: consent,
      before: left?.[consent] ?? null,
      after: "unsubscribed",
      rule: "local_deleted",
      applied: true,
    }));
  }
  if (isWrite && (result.remote?.outcome === "ok" || result.local?.outcome === "done")) {
    effects.updates++;
  }
  const counter = gone === "local" ? "missingLocal" : "missingRemote";
  effects.counters[counter] = (effects.counters[counter] ?? 0) + 1;
  return "changed";
}

/** Why a record's write did not come to pass for now; null if it did or there was none. */
function skipReason(result: ItemResult): string | null {
  if (result.skipped !== null) return result.skipped;
  const { remote, local } = result;
  if (remote?.outcome === "unknown") return "unconfirmed";
  if (remote?.outcome === "retryable") return "retry";
  const { plan } = result;
  const waits = plan.kind === "merge" &&
    plan.plan.kept.some(({ reason }) => reason === "key_waits");
  if (waits) return "key_waits";
  if (remote?.outcome === "not_found" && result.plan.kind !== "absence") return "vanished";
  return local?.outcome === "moved" ? "moved" : null;
}

function failureCode(result: ItemResult): string | null {
  if (result.plan.kind === "failed") return result.plan.code;
  if (result.remote?.outcome === "rejected") return result.remote.code;
  return result.local?.outcome === "rejected" ? result.local.code : null;
}

function addItem(effects: Effects, result: ItemResult, rules: PairRules): RecordClass {
  const { plan } = result;
  if (plan.kind === "excluded" && result.skipped === null) {
    // Somebody who is left alone for good does not fail any more.
    const mayFail = plan.reason === "dead_letter" || plan.reason === "direction";
    if (!mayFail) addMended(effects, plan);
    return "excluded";
  }
  const failed = failureCode(result);
  if (failed !== null) addFailure(effects, plan, failed);
  const skipped = skipReason(result);
  // What was done of a merge is kept, whatever became of the rest; everything
  // else is done as a whole or not at all.
  if (plan.kind === "merge" && result.skipped === null) {
    const done = addMerge(effects, result, plan, rules);
    if (failed !== null) return "failed";
    if (skipped !== null) return "skipped";
    addMended(effects, plan);
    return done;
  }
  if (failed !== null) return "failed";
  if (skipped !== null) return "skipped";
  addMended(effects, plan);
  return plan.kind === "absence"
    ? addAbsence(effects, result, plan, rules)
    : addCreate(effects, result, rules);
}

/** Puts together what a batch leaves behind. */
export function buildCommit(results: readonly ItemResult[], rules: PairRules): BatchEffects {
  const effects = emptyDraft();
  for (const result of results) {
    const { ordinal } = result.plan.record;
    effects.classes.set(ordinal, addItem(effects, result, rules));
    const reason = failureCode(result) ?? skipReason(result) ??
      (result.plan.kind === "excluded" ? result.plan.reason : null);
    if (reason !== null) effects.reasons.set(ordinal, reason);
  }
  return effects;
}
