import { isForbidding } from "./consent_order.ts";
import { decide, isCurrent } from "./decide.ts";
import { fieldBase } from "./field_base.ts";
import { type FieldOutcome, type RunOutcome, withinRun } from "./field_outcome.ts";
import type { Json } from "./json.ts";
import { mergeConsent } from "./merge_consent.ts";
import { mergeSet } from "./merge_set.ts";
import { mergeValue } from "./merge_value.ts";
import type { FieldRule, PairRules } from "./pair.ts";
import type {
  Decision,
  FieldChange,
  FieldConflict,
  FieldKept,
  Flow,
  RecordPlan,
  RecordState,
} from "./record_plan.ts";

/** The newest decision of a field that still counts. */
function currentDecision(
  rule: FieldRule,
  field: string,
  state: RecordState,
): Decision | null {
  let current: Decision | null = null;
  for (const decision of state.decisions) {
    if (decision.field !== field || decision.conflictId < (current?.conflictId ?? 0)) continue;
    if (isCurrent(rule, decision, state.a[field] ?? null, state.b[field] ?? null)) {
      current = decision;
    }
  }
  return current;
}

function mergeField(
  rules: PairRules,
  rule: FieldRule,
  field: string,
  state: RecordState,
  decision: Decision | null,
): FieldOutcome {
  const a: Json = state.a[field] ?? null;
  const b: Json = state.b[field] ?? null;
  const base = fieldBase(state.base, field);
  if (rule.kind === "consent") return mergeConsent(base, a, b);
  const isKey = field === rules.keyField;
  const outcome = decision !== null
    ? decide(rule, isKey, decision, a, b)
    : rule.kind === "set"
    ? mergeSet(rule, base, a, b)
    : mergeValue(rule, isKey, base, a, b);
  return isKey && wouldReturn(rules, state, outcome)
    ? { kind: "conflict", reason: "suppressed_key" }
    : outcome;
}

/** Whether a new key would put somebody who left on the remote's list again, as somebody else. */
function wouldReturn(rules: PairRules, state: RecordState, outcome: FieldOutcome): boolean {
  if (state.keySuppressed !== true || outcome.kind !== "changes") return false;
  if (!outcome.changes.some(({ side }) => side === "remote")) return false;
  return !Object.entries(rules.fields).some(([field, { kind }]) =>
    kind === "consent" && (isForbidding(state.a[field]) || isForbidding(state.b[field]))
  );
}

/**
 * Plans what a run does about one linked record, field by field in the order of
 * the rules. It depends on nothing but its arguments: no clock, no order of
 * events, no earlier plan.
 *
 * A field is in one of four places: changed on a side, in conflict, kept, or in
 * none because there is nothing to do. Only a field that a run may write on one
 * side and not on the other is both changed and kept.
 *
 * @param flow Which way this run goes. What travels the other way is kept, for another run.
 */
export function planRecord(rules: PairRules, state: RecordState, flow: Flow): RecordPlan {
  const changes: FieldChange[] = [];
  const conflicts: FieldConflict[] = [];
  const kept: FieldKept[] = [];
  const current = new Set<Decision>();
  const decided: number[] = [];

  for (const [field, rule] of Object.entries(rules.fields)) {
    const decision = currentDecision(rule, field, state);
    const outcome: RunOutcome = withinRun(
      mergeField(rules, rule, field, state, decision),
      flow,
      Object.hasOwn(state.localRefusals, field) ? state.localRefusals[field] : undefined,
      state.remoteRefusals !== undefined && Object.hasOwn(state.remoteRefusals, field)
        ? state.remoteRefusals[field]
        : undefined,
    );
    for (const change of outcome.changes) changes.push({ field, ...change });
    if (outcome.kept !== null) kept.push({ field, reason: outcome.kept });
    if (outcome.conflict !== null) {
      const base = fieldBase(state.base, field);
      conflicts.push({
        field,
        base: base === null ? null : { a: base.a, b: base.b },
        a: state.a[field] ?? null,
        b: state.b[field] ?? null,
        reason: outcome.conflict,
      });
    }
    if (decision !== null) {
      current.add(decision);
      if (outcome.kept === null && outcome.conflict === null) decided.push(decision.conflictId);
    }
  }

  const staleDecisions = state.decisions
    .filter((decision) => !current.has(decision))
    .map(({ conflictId }) => conflictId);
  return { changes, conflicts, kept, decided, staleDecisions };
}
