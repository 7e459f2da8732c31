import { fieldBase, oneWayMark } from "./field_base.ts";
import type { Json } from "./json.ts";
import type { CanonicalRecord, PairRules } from "./pair.ts";
import type { FieldChange, RecordPlan, RecordState } from "./record_plan.ts";
import { sameJson } from "./same_json.ts";
import { type FieldAfter, setAfter, type SideAfter, valueAfter } from "./shadow_field.ts";

/** Which parts of a plan were done. */
export interface PlanDone {
  readonly local: boolean;
  /** null: done, and the remote did not answer a record. Else what it answered, canonical. */
  readonly remote: "not_done" | CanonicalRecord | null;
  /** What the remote holds of sets, by field, where these were done and the rest was not. */
  readonly remoteSets?: CanonicalRecord;
}

/** A base to be stored. */
export interface ShadowAfter {
  readonly a: CanonicalRecord;
  readonly b: CanonicalRecord;
  /** Fields that differ, as is accepted, and marks; see {@linkcode oneWayMark}. */
  readonly settled: readonly string[];
  /**
   * Whether `a` is what side A holds now. If so its change token may be stored
   * too; else the record has to be looked at again.
   */
  readonly localClean: boolean;
}

function sideAfter(
  read: Json,
  change: FieldChange | undefined,
  isDone: boolean,
  answered: Json | undefined,
): SideAfter {
  if (change === undefined) return { read, wanted: undefined, written: false, held: read };
  const wanted = change.after;
  if (!isDone) return { read, wanted, written: false, held: answered ?? read };
  return { read, wanted, written: true, held: answered === undefined ? wanted : answered };
}

/**
 * Makes the base that the next plan starts from, once a plan or parts of it were
 * done. It never runs ahead of what is known: what was not done still looks like
 * an edit, and what was not written is as it was read, whatever the remote
 * answered about it, since an edit made there in the meantime must look like one.
 *
 * @param state What the plan was made from.
 */
export function shadowAfter(
  rules: PairRules,
  state: RecordState,
  plan: RecordPlan,
  done: PlanDone,
): ShadowAfter {
  const changeOf = (field: string, side: FieldChange["side"]) =>
    plan.changes.find((change) => change.field === field && change.side === side);
  const answered = done.remote === "not_done" ? done.remoteSets ?? null : done.remote;
  const a: CanonicalRecord = {};
  const b: CanonicalRecord = {};
  const settled: string[] = [];
  let localClean = true;

  for (const [field, rule] of Object.entries(rules.fields)) {
    const after: FieldAfter = {
      base: fieldBase(state.base, field),
      a: sideAfter(state.a[field] ?? null, changeOf(field, "local"), done.local, undefined),
      b: sideAfter(
        state.b[field] ?? null,
        changeOf(field, "remote"),
        done.remote !== "not_done",
        // null is an answer too: the remote may have refused a value by dropping it.
        answered !== null && Object.hasOwn(answered, field) ? answered[field] : undefined,
      ),
      isConflict: plan.conflicts.some((conflict) => conflict.field === field),
      kept: plan.kept.find((kept) => kept.field === field)?.reason ?? null,
    };
    const next = rule.kind === "set" ? setAfter(rule, after) : valueAfter(after);
    a[field] = next.a;
    b[field] = next.b;
    if (next.settled && !sameJson(next.a, next.b)) {
      settled.push(field);
      if (next.keptApart === true) settled.push(oneWayMark(field));
    }
    localClean &&= sameJson(next.a, after.a.held);
  }
  return { a, b, settled, localClean };
}
