import type { RemoteRecord } from "../connectors/connector.ts";
import { UnreadableRecordsError } from "../connectors/unreadable_records_error.ts";
import { canonicalRecord, UnreadableValueError } from "../merge/canonical.ts";
import { isForbidding } from "../merge/consent_order.ts";
import type { CanonicalRecord } from "../merge/pair.ts";
import { sameJson } from "../merge/same_json.ts";
import type { Database } from "../store/database.ts";
import { keysTaken } from "../store/match_store.ts";
import type { Batch } from "./batch.ts";
import { replan } from "./plan_batch.ts";
import type { ItemPlan } from "./plan_item.ts";
import type { Slice } from "./slice.ts";

/** A batch's plans, each made from what the remote holds this moment where it is about to be written there. */
export interface Confirmed {
  readonly plans: readonly ItemPlan[];
  /** Records to be left for another time, by ordinal, with the reason. */
  readonly skipped: ReadonlyMap<number, string>;
}

/** Whether a person about to be made a client may be written to: then they may have left since the list was read. */
function mayHaveLeft(plan: ItemPlan & { kind: "create_local" }, { slice }: Batch): boolean {
  return Object.entries(slice.deps.pair.rules.fields).some(([field, { kind }]) =>
    kind === "consent" && !isForbidding(plan.b[field])
  );
}

function needsReading(plan: ItemPlan, batch: Batch): boolean {
  const { dryRun, justRead } = batch;
  if (plan.record.bId === null) return false;
  if (plan.record.outdated && (plan.kind === "merge" || plan.kind === "absence")) return true;
  if (justRead) return false;
  // Absence is proved by a read by id; that a page did not hold somebody is only a hint.
  if (plan.kind === "absence") return plan.gone !== "local" || plan.action !== "mark";
  if (dryRun) return false;
  if (plan.kind === "create_local") return mayHaveLeft(plan, batch);
  if (plan.kind !== "merge") return false;
  return plan.plan.changes.some(({ side }) => side === "remote");
}

/** Reads records by id; a record that cannot be read does not hide the others. */
async function getReadable(
  batch: Batch,
  ids: readonly string[],
): Promise<(RemoteRecord | null | "unreadable")[]> {
  const { pair: { remote: { connector } } } = batch.slice.deps;
  try {
    return [...await connector.get(batch.slice.remote, ids)];
  } catch (error) {
    if (!(error instanceof UnreadableRecordsError) || error.indexes.length === 0) throw error;
    const bad = new Set(error.indexes);
    const good = await getReadable(batch, ids.filter((_, index) => !bad.has(index)));
    let next = 0;
    return ids.map((_, index) => bad.has(index) ? "unreadable" : good[next++] ?? null);
  }
}

/** Finds records by key; a record that cannot be read does not hide the others. */
export async function findReadable(
  slice: Slice,
  keys: readonly string[],
): Promise<(readonly RemoteRecord[] | "unreadable")[]> {
  if (keys.length === 0) return [];
  try {
    return [...await slice.deps.pair.remote.connector.find(slice.remote, keys)];
  } catch (error) {
    if (!(error instanceof UnreadableRecordsError) || error.indexes.length === 0) throw error;
    const bad = new Set(error.indexes);
    const good = await findReadable(slice, keys.filter((_, index) => !bad.has(index)));
    let next = 0;
    return keys.map((_, index) => bad.has(index) ? "unreadable" : good[next++] ?? []);
  }
}

/** Records about to be made of which the other side has got one since they were matched. */
async function findAppeared(
  batch: Batch,
  database: Database,
  plans: readonly ItemPlan[],
): Promise<ReadonlyMap<number, string>> {
  const { keyField } = batch.slice.deps.pair.rules;
  const skipped = new Map<number, string>();
  const creates = plans.flatMap((plan) => plan.kind === "create_remote" ? [plan] : []);
  const keys = creates.map(({ fields }) => String(fields[keyField] ?? ""));
  const found = await findReadable(batch.slice, keys);
  for (const [index, { record: { ordinal } }] of creates.entries()) {
    const records = found[index] ?? [];
    if (records === "unreadable") skipped.set(ordinal, "unreadable_record");
    // It came since the list was read. Created, its fields would be written over.
    else if (records.length > 0) skipped.set(ordinal, "appeared_at_remote");
  }
  const strangers = plans.filter(({ kind }) => kind === "create_local");
  if (strangers.length === 0) return skipped;
  const bIds = strangers.flatMap(({ record }) => record.bId ?? []);
  const taken = await keysTaken(database, batch.run, batch.keyed, bIds);
  for (const { record: { ordinal, bId } } of strangers) {
    if (taken.has(bId ?? "")) skipped.set(ordinal, "appeared_locally");
  }
  return skipped;
}

/**
 * Reads, just before writing, what is about to be written over, and who is about to
 * be made on side A as somebody who may be written to, and plans anew what has
 * changed since it was listed. The remote cannot be asked to write only
 * if nothing changed, so this is as close as one can get.
 */
export async function confirmRemote(
  batch: Batch,
  database: Database,
  plans: readonly ItemPlan[],
): Promise<Confirmed> {
  const { rules } = batch.slice.deps.pair;
  const skipped = new Map<number, string>();
  const reading = plans.filter((plan) => needsReading(plan, batch));
  const fresh = new Map<number, CanonicalRecord | null>();
  const read = await getReadable(batch, reading.map((plan) => plan.record.bId ?? ""));
  for (const [index, plan] of reading.entries()) {
    const answer = read[index] ?? null;
    const { ordinal } = plan.record;
    if (answer === "unreadable") {
      skipped.set(ordinal, "unreadable_record");
      continue;
    }
    try {
      const b = answer === null ? null : canonicalRecord(answer.doc, "remote", rules);
      const known = plan.kind === "merge"
        ? plan.state.b
        : plan.kind === "absence"
        ? plan.left
        : plan.kind === "create_local"
        ? plan.b
        : null;
      const isKnown = plan.kind !== "absence" || plan.gone === "local";
      if (!isKnown || !sameJson(b, known)) fresh.set(ordinal, b);
      // Whoever else has the new key was not looked for.
      if (
        plan.kind === "create_local" && b !== null && b[rules.keyField] !== plan.b[rules.keyField]
      ) {
        skipped.set(ordinal, "key_changed");
      }
    } catch (error) {
      if (!(error instanceof UnreadableValueError)) throw error;
      skipped.set(ordinal, error.code);
    }
  }
  const confirmed = fresh.size === 0 ? plans : await replan(batch, database, plans, fresh);
  for (const plan of confirmed) {
    // Read a moment ago it was there, listed before; the next list tells for certain.
    if (plan.kind === "absence" && plan.gone !== "local" && plan.record.kind === "pair") {
      skipped.set(plan.record.ordinal, "vanished");
    }
  }
  if (!batch.dryRun && !batch.justRead) {
    const appeared = await findAppeared(batch, database, confirmed);
    for (const [ordinal, reason] of appeared) skipped.set(ordinal, reason);
  }
  return { plans: confirmed, skipped };
}
