import type { ConnectorContext, RemoteRecord } from "../connectors/connector.ts";
import { UnreadableRecordsError } from "../connectors/unreadable_records_error.ts";
import { canonicalRecord, UnreadableValueError } from "../merge/canonical.ts";
import { isForbidding } from "../merge/consent_order.ts";
import type { CanonicalRecord } from "../merge/pair.ts";
import { sameJson } from "../merge/same_json.ts";
import type { Database } from "../store/database.ts";
import { keysTaken } from "../store/match_store.ts";
import { linksOf } from "../store/subject_store.ts";
import type { Batch } from "./batch.ts";
import { takenKey } from "./key_moves.ts";
import { replan } from "./plan_batch.ts";
import type { ItemPlan } from "./plan_item.ts";
import type { Slice } from "./slice.ts";
import { remoteFor } from "./urgency.ts";
import { listedAtOf } from "./stage_sides.ts";

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

/** How long what was listed is written to side A as it was, in ms: a run that is cut off goes on hours later. */
const LIST_FRESH_MS = 5 * 60_000;

/**
 * Whether a plan goes by what an old list says of its record, rather than by what the shadow
 * does. Of people just matched nothing is lost that way: what they edited since is an edit.
 */
function goesByOldList(plan: ItemPlan, { run, slice }: Batch): boolean {
  const listedAt = listedAtOf(run);
  const now = slice.deps.remote.now();
  if (listedAt === null || now - listedAt <= LIST_FRESH_MS) return false;
  if (plan.kind !== "merge") return plan.kind === "create_local";
  return plan.record.bState !== null &&
    (plan.record.kind === "pair" || plan.plan.changes.length > 0);
}

function needsReading(plan: ItemPlan, batch: Batch): boolean {
  const { dryRun, justRead } = batch;
  if (plan.record.bId === null) return false;
  if (plan.record.outdated && (plan.kind === "merge" || plan.kind === "absence")) return true;
  if (justRead) return false;
  // Absence is proved by a read by id; that a page did not hold somebody is only a hint.
  if (plan.kind === "absence") return plan.gone !== "local" || plan.action !== "mark";
  if (dryRun) return false;
  if (goesByOldList(plan, batch)) return true;
  if (plan.kind === "create_local") return mayHaveLeft(plan, batch);
  if (plan.kind !== "merge") return false;
  return plan.plan.changes.some(({ side }) => side === "remote");
}

/** Reads records by id; a record that cannot be read does not hide the others. */
export async function getReadable(
  slice: Slice,
  ids: readonly string[],
  remote: ConnectorContext = slice.remote,
): Promise<(RemoteRecord | null | "unreadable")[]> {
  const { pair: { remote: { connector } } } = slice.deps;
  if (ids.length === 0) return [];
  try {
    return [...await connector.get(remote, ids)];
  } catch (error) {
    if (!(error instanceof UnreadableRecordsError) || error.indexes.length === 0) throw error;
    const bad = new Set(error.indexes);
    const good = await getReadable(slice, ids.filter((_, index) => !bad.has(index)), remote);
    let next = 0;
    return ids.map((_, index) => bad.has(index) ? "unreadable" : good[next++] ?? null);
  }
}

/** Finds records by key; a record that cannot be read does not hide the others. */
export async function findReadable(
  slice: Slice,
  keys: readonly string[],
  remote: ConnectorContext = slice.remote,
): Promise<(readonly RemoteRecord[] | "unreadable")[]> {
  if (keys.length === 0) return [];
  try {
    return [...await slice.deps.pair.remote.connector.find(remote, keys)];
  } catch (error) {
    if (!(error instanceof UnreadableRecordsError) || error.indexes.length === 0) throw error;
    const bad = new Set(error.indexes);
    const good = await findReadable(slice, keys.filter((_, index) => !bad.has(index)), remote);
    let next = 0;
    return keys.map((_, index) => bad.has(index) ? "unreadable" : good[next++] ?? []);
  }
}

/** The key under which a plan makes or moves a record at the remote; null where it does neither. */
function claimedKey(plan: ItemPlan, keyField: string): string | null {
  if (plan.kind !== "create_remote") return takenKey(plan, keyField);
  const key = plan.fields[keyField];
  return typeof key === "string" ? key : null;
}

/**
 * Records about to be made at the remote whose key is somebody's by now: who came
 * since the list was read, or another record of the batch that was edited since it
 * was matched. Made all the same, they would be written over each other.
 */
async function findAppeared(
  batch: Batch,
  plans: readonly ItemPlan[],
): Promise<ReadonlyMap<number, string>> {
  const { keyField } = batch.slice.deps.pair.rules;
  const claims = new Map<string, number>();
  for (const plan of plans) {
    const key = claimedKey(plan, keyField);
    if (key !== null) claims.set(key, (claims.get(key) ?? 0) + 1);
  }
  const skipped = new Map<number, string>();
  const creates = plans.filter(({ kind }) => kind === "create_remote");
  const keys = creates.map((plan) => claimedKey(plan, keyField) ?? "");
  const found = await findReadable(batch.slice, keys, remoteFor(batch, plans));
  for (const [index, { record: { ordinal } }] of creates.entries()) {
    const records = found[index] ?? [];
    if (records === "unreadable") skipped.set(ordinal, "unreadable_record");
    else if (records.length > 0) skipped.set(ordinal, "appeared_at_remote");
    else if ((claims.get(keys[index] ?? "") ?? 0) > 1) skipped.set(ordinal, "duplicate_key");
  }
  return skipped;
}

/**
 * Records about to be taken from one side because the other lost them, although
 * somebody with their key has come there since they were matched: most likely they,
 * under a new id.
 */
async function findReturned(
  batch: Batch,
  database: Database,
  plans: readonly ItemPlan[],
): Promise<ReadonlyMap<number, string>> {
  const { keyField } = batch.slice.deps.pair.rules;
  const skipped = new Map<number, string>();
  const leaving = plans.flatMap((plan) =>
    plan.kind === "absence" && (plan.action === "delete" || plan.action === "unsubscribe")
      ? [plan]
      : []
  );
  const widowed = leaving.filter(({ gone }) => gone === "local");
  if (widowed.length > 0) {
    const bIds = widowed.flatMap(({ record }) => record.bId ?? []);
    const taken = await keysTaken(database, batch.run, batch.keyed, bIds);
    for (const { record: { ordinal, bId } } of widowed) {
      if (taken.has(bId ?? "")) skipped.set(ordinal, "appeared_locally");
    }
  }
  const orphaned = leaving.filter(({ gone }) => gone === "remote");
  const found = await findReadable(
    batch.slice,
    orphaned.map(({ left }) => String(left?.[keyField] ?? "")),
    remoteFor(batch, plans),
  );
  for (const [index, { record: { ordinal } }] of orphaned.entries()) {
    const records = found[index] ?? [];
    if (records.length > 0) skipped.set(ordinal, "appeared_at_remote");
  }
  return skipped;
}

/**
 * Records of side B about to be made on side A, which has got one with the same
 * key since they were matched, or which somebody has linked. To be asked last of
 * all, in the transaction that makes them.
 */
export async function appearedLocally(
  batch: Batch,
  database: Database,
  plans: readonly ItemPlan[],
): Promise<ReadonlyMap<number, string>> {
  const strangers = plans.filter(({ kind }) => kind === "create_local");
  if (strangers.length === 0) return new Map();
  const bIds = strangers.flatMap(({ record }) => record.bId ?? []);
  const taken = await keysTaken(database, batch.run, batch.keyed, bIds);
  const links = await linksOf(database, batch.run.pair, batch.keyed, bIds);
  const linked = new Set(links.map(({ bId }) => bId));
  return new Map(
    strangers.flatMap(({ record: { ordinal, bId } }) =>
      bId !== null && (taken.has(bId) || linked.has(bId)) ? [[ordinal, "appeared_locally"]] : []
    ),
  );
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
  const read = await getReadable(
    batch.slice,
    reading.map((plan) => plan.record.bId ?? ""),
    remoteFor(batch, plans),
  );
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
    if (plan.kind === "excluded" && plan.reason === "moved") {
      skipped.set(plan.record.ordinal, plan.reason);
    }
  }
  if (!batch.dryRun && !batch.justRead) {
    const appeared = await findAppeared(batch, confirmed);
    const returned = await findReturned(batch, database, confirmed);
    for (const [ordinal, reason] of [...appeared, ...returned]) skipped.set(ordinal, reason);
  }
  return { plans: confirmed, skipped };
}
