import type { RemoteRecord } from "../connectors/connector.ts";
import { canonicalRecord, UnreadableValueError } from "../merge/canonical.ts";
import { oneWayMark } from "../merge/field_base.ts";
import type { Json } from "../merge/json.ts";
import type { CanonicalRecord, PairRules } from "../merge/pair.ts";
import { planNewRemote } from "../merge/plan_new.ts";
import { planRecord } from "../merge/plan_record.ts";
import type { RecordState } from "../merge/record_plan.ts";
import { sameJson } from "../merge/same_json.ts";
import { shadowAfter } from "../merge/shadow_after.ts";
import { holdFence } from "../store/commit_store.ts";
import type { Database } from "../store/database.ts";
import {
  clearIntents,
  type FoundLink,
  givenUpLinks,
  type Intent,
  type LeftOverIntent,
  leftOverIntents,
  type LinkBase,
  linkFound,
  type PairIds,
  readBases,
  renewBases,
} from "../store/intent_store.ts";
import type { Run } from "../store/run.ts";
import { lockKeys, tryLockRecords } from "../store/work_store.ts";
import { findReadable, getReadable } from "./confirm_remote.ts";
import { openLocalTable } from "./open_sides.ts";
import { findRevived, giveUpLinks } from "./revived.ts";
import { type Slice, STALE_MS } from "./slice.ts";

/**
 * Settles intents that were left over.
 *
 * A worker that lost its lease, or was asleep for as long, may still be about to send
 * what it intends. It holds its records locked, and their intents wait for it.
 *
 * @param after As it was when they were read.
 */
export async function settleIntents(
  slice: Slice,
  run: Run,
  leftOver: readonly LeftOverIntent[],
  after: LeftOverIntent | null,
): Promise<void> {
  const { pool, pair } = slice.deps;
  await pool.transaction(async (locks) => {
    const locked = await tryLockRecords(locks, pair.name, leftOver.flatMap(lockKeys));
    const ours = leftOver.filter((intent) => lockKeys(intent).every((key) => locked.has(key)));
    // What was settled while they were being locked is no longer there.
    const now = await leftOverIntents(pool, run, STALE_MS, after);
    const still = new Set(now.map(({ id }) => id));
    await resolve(slice, run, locks, ours.filter(({ id }) => still.has(id)));
  });
}

function isRecord(value: Json | undefined): value is CanonicalRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * What the sides agreed on when the record was made. Without it an edit made on
 * side A since would meet the value that was sent as if the two had never met.
 */
function baseOf(rules: PairRules, { payload }: Intent, found: RemoteRecord): FoundLink["base"] {
  const { a } = payload;
  if (!isRecord(a)) return null;
  try {
    const b = canonicalRecord(found.doc, "remote", rules);
    const state: RecordState = { base: null, a, b, decisions: [], localRefusals: {} };
    const nothing = planRecord(rules, state, "both");
    return shadowAfter(rules, state, nothing, { local: false, remote: "not_done" });
  } catch (error) {
    if (error instanceof UnreadableValueError) return null;
    throw error;
  }
}

/** Whether a record holds all that a create was sent with, and more of it than the key. */
function isMadeOf(rules: PairRules, { payload: { a } }: Intent, found: RemoteRecord): boolean {
  const plan = isRecord(a) ? planNewRemote(rules, a, { suppressed: false }) : null;
  if (plan?.kind !== "create") return false;
  try {
    const b = canonicalRecord(found.doc, "remote", rules);
    const sent = Object.entries(plan.fields).filter(([field]) =>
      rules.fields[field]?.kind === "value"
    );
    return sent.length > 1 && sent.every(([field, value]) => sameJson(value, b[field] ?? null));
  } catch (error) {
    if (error instanceof UnreadableValueError) return false;
    throw error;
  }
}

type Agreement = Pick<LinkBase, "a" | "b" | "settled">;

/** The base once the fields that an update was sent with stand at the remote; null where none does. */
function baseAfter(
  rules: PairRules,
  base: Agreement,
  { payload: { sent } }: Intent,
  found: RemoteRecord,
): Agreement | null {
  if (!isRecord(sent)) return null;
  try {
    const held = canonicalRecord(found.doc, "remote", rules);
    const fields = Object.keys(sent).filter((field) => Object.hasOwn(rules.fields, field));
    const of = (record: CanonicalRecord) =>
      Object.fromEntries(fields.map((field) => [field, record[field] ?? null]));
    const [a, b] = [{ ...base.a, ...of(sent) }, { ...base.b, ...of(held) }];
    const state: RecordState = { base, a, b, decisions: [], localRefusals: {} };
    const done = { local: false, remote: "not_done" } as const;
    const after = shadowAfter(rules, state, planRecord(rules, state, "both"), done);
    const own = fields.flatMap((field) => [field, oneWayMark(field)]);
    const settled = [
      ...base.settled.filter((name) => !own.includes(name)),
      ...after.settled.filter((name) => own.includes(name)),
    ];
    const [nextA, nextB] = [{ ...base.a, ...of(after.a) }, { ...base.b, ...of(after.b) }];
    const isAsBefore = sameJson(nextA, base.a) && sameJson(nextB, base.b);
    return isAsBefore ? null : { a: nextA, b: nextB, settled };
  } catch (error) {
    if (error instanceof UnreadableValueError) return null;
    throw error;
  }
}

/** What the sides of a link that was about to be made agreed on when the update was sent. */
function plannedBase({ payload: { base } }: Intent): Agreement | null {
  if (!isRecord(base)) return null;
  const { a, b, settled } = base;
  if (!isRecord(a) || !isRecord(b) || !Array.isArray(settled)) return null;
  return { a, b, settled: settled.filter((field) => typeof field === "string") };
}

/** What updates without an answer have changed: bases of links, and links that nobody came to make. */
async function findUpdated(
  slice: Slice,
  run: Run,
  intents: readonly Intent[],
): Promise<{ readonly bases: readonly LinkBase[]; readonly links: readonly FoundLink[] }> {
  const { pool, pair: { rules } } = slice.deps;
  const updates = intents.flatMap((intent) => {
    const { operation, aId, bId } = intent;
    return operation === "update" && aId !== null && bId !== null ? [{ intent, aId, bId }] : [];
  });
  if (updates.length === 0) return { bases: [], links: [] };
  const keyOf = ({ aId, bId }: PairIds) => JSON.stringify([aId, bId]);
  const read = await readBases(pool, run, updates.map(({ aId, bId }) => ({ aId, bId })));
  const linked = new Map(read.map((base) => [keyOf(base), base]));
  const known = updates.filter((update) =>
    linked.has(keyOf(update)) || plannedBase(update.intent) !== null
  );
  const found = await getReadable(slice, known.map(({ bId }) => bId));
  const bases = new Map<string, LinkBase>();
  const links = new Map<string, FoundLink>();
  for (const [index, { intent, aId, bId }] of known.entries()) {
    const record = found[index];
    if (record === undefined || record === null || record === "unreadable") continue;
    const key = keyOf({ aId, bId });
    const link = bases.get(key) ?? linked.get(key);
    const base = link ?? plannedBase(intent);
    const after = base === null ? null : baseAfter(rules, base, intent, record);
    if (after === null) continue;
    if (link !== undefined) bases.set(key, { ...link, ...after });
    else links.set(key, { aId, bId, base: after });
  }
  return { bases: [...bases.values()], links: [...links.values()] };
}

async function resolve(
  slice: Slice,
  run: Run,
  locks: Database,
  intents: readonly Intent[],
): Promise<void> {
  const { pool, pair, log } = slice.deps;
  if (intents.length === 0) return;
  const creates = intents.filter(({ operation }) => operation === "create");
  const keys = creates.map(({ payload }) => String(payload["key"] ?? ""));
  const found = await findReadable(slice, keys);
  const links: FoundLink[] = [];
  const made = new Map<string, Intent>();
  const open = new Set<string>();
  // Whoever has one of them locked may be about to make it somebody new.
  const ids = found.flatMap((records) =>
    records === "unreadable" ? [] : records.map(({ id }) => id)
  );
  const locked = await tryLockRecords(
    locks,
    pair.name,
    ids.flatMap((bId) => lockKeys({ aId: null, bId })),
  );
  for (const [index, intent] of creates.entries()) {
    const { id, aId } = intent;
    const records = found[index] ?? [];
    const isOurs = records !== "unreadable" &&
      records.every((record) =>
        lockKeys({ aId: null, bId: record.id }).every((key) => locked.has(key))
      );
    if (!isOurs || records.length > 1) {
      open.add(id);
      continue;
    }
    const [record] = records;
    if (record !== undefined && aId !== null) {
      links.push({ aId, bId: record.id, base: baseOf(pair.rules, intent, record) });
      if (isMadeOf(pair.rules, intent, record)) made.set(record.id, intent);
    }
  }
  const revived = await findRevived(locks, run.pair, links.filter(({ bId }) => made.has(bId)));
  for (const bId of revived.busy) open.add(made.get(bId)?.id ?? "");
  const settled = intents.flatMap(({ id }) => open.has(id) ? [] : [id]);
  const updated = await findUpdated(slice, run, intents);
  links.push(...updated.links);
  const { bases } = updated;
  if (links.length === 0 && bases.length === 0) await clearIntents(pool, settled);
  else {
    const table = await openLocalTable(pool, pair);
    await pool.transaction(async (database) => {
      await holdFence(database, run);
      const giveUp = (ids: readonly number[]) =>
        giveUpLinks(database, run, pair.rules, table, ids, links);
      await giveUp(revived.givenUp);
      await giveUp(await givenUpLinks(database, run, links));
      await linkFound(database, run, links, settled);
      if (bases.length > 0) await renewBases(database, run, bases);
    });
  }
  log("info", "intents_resolved", {
    runId: run.id,
    intents: settled.length,
    linked: links.length,
    pair: pair.name,
  });
}
