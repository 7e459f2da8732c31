import { isForbidding } from "../merge/consent_order.ts";
import type { Json } from "../merge/json.ts";
import type { CanonicalRecord, PairRules } from "../merge/pair.ts";
import type { ConflictReason } from "../merge/record_plan.ts";
import type { Database } from "../store/database.ts";
import { movesToFormerKeys } from "../store/former_keys.ts";
import { readReferenceShares, type ReferenceEdit } from "../store/reference_store.ts";
import { loadRecords, type WorkItem } from "../store/work_store.ts";
import type { Batch } from "./batch.ts";
import { keyRefusals, takenKey } from "./key_moves.ts";
import { type ItemPlan, planItem, type PlanOptions } from "./plan_item.ts";

type Refusals = Map<string, Record<string, ConflictReason>>;

/** Edits that would reach through a reference of side A, by what the reference is called. */
function referenceEdits(batch: Batch, plans: readonly ItemPlan[]): Map<string, ReferenceEdit[]> {
  const { rules } = batch.slice.deps.pair;
  const edits = new Map<string, ReferenceEdit[]>();
  for (const plan of plans) {
    if (plan.kind !== "merge" || plan.record.aId === null) continue;
    for (const { field, side, after, rule } of plan.plan.changes) {
      const [head, column] = (rules.fields[field]?.local ?? "").split(".");
      if (side !== "local" || head === undefined || column === undefined) continue;
      const edit = { aId: plan.record.aId, field, value: after, decided: rule === "decision" };
      const others = edits.get(head);
      if (others === undefined) edits.set(head, [edit]);
      else others.push(edit);
    }
  }
  return edits;
}

/** Which of those edits are not for this run to make, as others share the record they would change. */
async function refusalsOf(
  batch: Batch,
  database: Database,
  plans: readonly ItemPlan[],
): Promise<Refusals> {
  const refusals: Refusals = new Map();
  for (const [head, edits] of referenceEdits(batch, plans)) {
    const shares = await readReferenceShares(database, batch.run, batch.keyed, head, edits);
    for (const { aId, field, sharers, agreeing, decided } of shares) {
      if (sharers > 0 && (decided || agreeing === sharers)) continue;
      const reason = sharers === 0 ? "no_reference" : "shared_reference";
      refusals.set(aId, { ...refusals.get(aId), [field]: reason });
    }
  }
  return refusals;
}

/** Whether a plan goes by what others were about to do, which may be something else by now. */
function isKeyRefused(plan: ItemPlan): boolean {
  return plan.kind === "merge" && Object.keys(plan.state.remoteRefusals ?? {}).length > 0;
}

function optionsFor({ slice, flow, justRead }: Batch): PlanOptions {
  return { rules: slice.deps.pair.rules, flow, absences: justRead ? "leave" : "decide" };
}

/**
 * Plans records anew with what was found out since.
 *
 * @param fresh Side B by ordinal, where it was read just now; null if it is gone.
 */
export async function replan(
  batch: Batch,
  database: Database,
  plans: readonly ItemPlan[],
  fresh: ReadonlyMap<number, CanonicalRecord | null> = new Map(),
): Promise<ItemPlan[]> {
  const optionsOf = (plan: ItemPlan): PlanOptions => {
    const read = fresh.get(plan.record.ordinal);
    return { ...optionsFor(batch), ...(read === undefined ? {} : { fresh: read }) };
  };
  const first = plans.map((plan) =>
    fresh.has(plan.record.ordinal) || isKeyRefused(plan)
      ? planItem(plan.record, optionsOf(plan))
      : plan
  );
  const refusals = await refusalsOf(batch, database, first);
  const ofKeys = await keyRefusals(batch, database, first);
  if (refusals.size === 0 && ofKeys.size === 0) return first;
  const { keyField } = batch.slice.deps.pair.rules;
  return first.map((plan) => {
    const localRefusals = refusals.get(plan.record.aId ?? "");
    const ofKey = ofKeys.get(plan.record.ordinal);
    if (localRefusals === undefined && ofKey === undefined) return plan;
    return planItem(plan.record, {
      ...optionsOf(plan),
      ...(localRefusals === undefined ? {} : { localRefusals }),
      ...(ofKey === undefined ? {} : { remoteRefusals: { [keyField]: ofKey } }),
    });
  });
}

/**
 * Keeps apart whoever would be created under a key of somebody of the same batch
 * who must not be written to: that this key is suppressed is not written down yet.
 */
function withoutForbidden(plans: readonly ItemPlan[], { keyField, fields }: PairRules): ItemPlan[] {
  const consent = Object.keys(fields).find((field) => fields[field]?.kind === "consent");
  if (consent === undefined) return [...plans];
  const keys = new Set<Json>();
  for (const plan of plans) {
    const { shadow } = plan.record;
    const sides = plan.kind === "merge"
      ? [plan.state.a, plan.state.b]
      : plan.kind === "absence" && plan.left !== null
      ? [plan.left]
      : [];
    const known = shadow === null ? sides : [...sides, shadow.a, shadow.b];
    if (!known.some((side) => isForbidding(side[consent]))) continue;
    for (const side of known) if (typeof side[keyField] === "string") keys.add(side[keyField]);
  }
  return plans.map((plan) =>
    plan.kind === "create_remote" && keys.has(plan.a[keyField] ?? null)
      ? { kind: "excluded", record: plan.record, reason: "suppressed" }
      : plan
  );
}

/** Keeps keys from records that somebody who must not be written to has given up and no run has committed. */
async function withoutFormerKeys(
  batch: Batch,
  database: Database,
  plans: readonly ItemPlan[],
): Promise<readonly ItemPlan[]> {
  const { rules } = batch.slice.deps.pair;
  const moves = plans.flatMap((plan) => {
    const key = takenKey(plan, rules.keyField);
    const { ordinal, crosswalkId } = plan.record;
    return key === null ? [] : [{ ordinal, crosswalkId, key }];
  });
  const held = await movesToFormerKeys(database, batch.run, batch.keyed, rules, moves);
  return plans.map((plan) =>
    held.has(plan.record.ordinal)
      ? planItem({ ...plan.record, suppressed: true }, optionsFor(batch))
      : plan
  );
}

/** Loads and plans records of the walk. */
export async function planBatch(
  batch: Batch,
  database: Database,
  items: readonly WorkItem[],
): Promise<ItemPlan[]> {
  const { fields, keyField } = batch.slice.deps.pair.rules;
  const keyPath = fields[keyField]?.local ?? "";
  const records = await loadRecords(database, batch.run, batch.table, keyPath, items);
  const first = records.map((record) => planItem(record, optionsFor(batch)));
  const plans = await withoutFormerKeys(batch, database, first);
  return withoutForbidden(await replan(batch, database, plans), batch.slice.deps.pair.rules);
}
