/**
 * Side B as a run over named records sees it: linked records read by id, and by
 * key whoever has no link.
 *
 * @module
 */
import type { RemoteRecord } from "../connectors/connector.ts";
import { UnreadableRecordsError } from "../connectors/unreadable_records_error.ts";
import { canonicalKey, canonicalRecord, UnreadableValueError } from "../merge/canonical.ts";
import type { Json } from "../merge/json.ts";
import type { CanonicalRecord, PairRules } from "../merge/pair.ts";
import { sameJson } from "../merge/same_json.ts";
import type { Subject } from "../store/subject_store.ts";
import { findReadable } from "./confirm_remote.ts";
import type { Slice } from "./slice.ts";

/** What side B answered about the records in question. */
export interface RemoteView {
  readonly records: ReadonlyMap<string, RemoteRecord>;
  /** Ids that were asked for and are not there. */
  readonly gone: ReadonlySet<string>;
  /** Ids of records that are there and cannot be read. */
  readonly unreadable: ReadonlySet<string>;
  /** Keys of records that are there and cannot be read. */
  readonly unreadableKeys: ReadonlySet<string>;
  /** Ids of the records that were found by a key. */
  readonly byKey: ReadonlyMap<string, readonly string[]>;
}

/** A view of nothing. */
export const NOTHING_READ: RemoteView = {
  records: new Map(),
  gone: new Set(),
  unreadable: new Set(),
  unreadableKeys: new Set(),
  byKey: new Map(),
};

/** Whether a record has a link of which both sides are said to be there. */
export function isLinked({ linkState, aId, bId }: Subject): boolean {
  return linkState === "linked" && aId !== null && bId !== null;
}

/** The key a record is looked up by at side B, in canonical form; null where there is none. */
export function keyOf({ by, ref, aId, aKey }: Subject, rules: PairRules): string | null {
  if (by === "key") return ref;
  if (aId === null || aKey === null) return null;
  try {
    return canonicalKey(aKey, rules.keyCompare) || null;
  } catch (error) {
    if (error instanceof UnreadableValueError) return null;
    throw error;
  }
}

async function getAll(
  slice: Slice,
  ids: readonly string[],
): Promise<Pick<RemoteView, "records" | "gone" | "unreadable">> {
  const { connector } = slice.deps.pair.remote;
  const unreadable = new Set<string>();
  let wanted = [...new Set(ids)];
  for (;;) {
    try {
      const read = wanted.length === 0 ? [] : await connector.get(slice.remote, wanted);
      const records = new Map<string, RemoteRecord>();
      const gone = new Set<string>();
      for (const [index, id] of wanted.entries()) {
        const record = read[index] ?? null;
        if (record === null) gone.add(id);
        else records.set(id, record);
      }
      return { records, gone, unreadable };
    } catch (error) {
      if (!(error instanceof UnreadableRecordsError) || error.indexes.length === 0) throw error;
      const bad = new Set(error.indexes);
      for (const [index, id] of wanted.entries()) if (bad.has(index)) unreadable.add(id);
      wanted = wanted.filter((_, index) => !bad.has(index));
    }
  }
}

/**
 * Reads side B in batches.
 *
 * @param repair Whether linked records are looked up by key too: theirs may be another one by now.
 */
export async function readRemote(
  slice: Slice,
  subjects: readonly Subject[],
  repair: boolean,
): Promise<RemoteView> {
  const { rules } = slice.deps.pair;
  const { records, gone, unreadable } = await getAll(
    slice,
    subjects.flatMap((subject) => subject.bId === null || isWidowed(subject) ? [] : [subject.bId]),
  );
  const keys = new Set<string>();
  for (const subject of subjects) {
    const key = keyOf(subject, rules);
    if (key !== null && (repair || !isLinked(subject)) && !isWidowed(subject)) keys.add(key);
  }
  const found = await findReadable(slice, [...keys]);
  const all = new Map(records);
  const byKey = new Map<string, string[]>();
  const unreadableKeys = new Set<string>();
  for (const [index, key] of [...keys].entries()) {
    const some = found[index] ?? [];
    if (some === "unreadable") unreadableKeys.add(key);
    else {
      for (const record of some) all.set(record.id, record);
      byKey.set(key, some.map(({ id }) => id));
    }
  }
  const { key } = slice.deps.pair.remote.connector.spec;
  for (const record of all.values()) {
    if (!isReadable(record, rules)) unreadableKeys.add(keyIn(record.doc[key.path], rules));
  }
  unreadableKeys.delete("");
  return { records: all, gone, unreadable, unreadableKeys, byKey };
}

/** A key in the form records are matched by; empty where there is none to match by. */
export function keyIn(value: Json | undefined, { keyCompare }: PairRules): string {
  try {
    return canonicalKey(value, keyCompare);
  } catch (error) {
    if (error instanceof UnreadableValueError) return "";
    throw error;
  }
}

/** Whether every mapped value of a record is of its field's type. */
function isReadable({ doc }: RemoteRecord, rules: PairRules): boolean {
  try {
    canonicalRecord(doc, "remote", rules);
    return true;
  } catch (error) {
    if (error instanceof UnreadableValueError) return false;
    throw error;
  }
}

/** Whether a record of side A is gone, and what becomes of its partner takes a complete run. */
function isWidowed({ by, linkState, aId }: Subject): boolean {
  return aId === null && (by === "a" || linkState === "linked");
}

/** The records read that are not as they were at the last agreement, or have no living link. */
export function changedRecords(
  view: RemoteView,
  subjects: readonly Subject[],
  rules: PairRules,
): RemoteRecord[] {
  const shadows = new Map<string, CanonicalRecord>();
  for (const { bId, shadowB, linkState } of subjects) {
    if (bId !== null && shadowB !== null && linkState === "linked") shadows.set(bId, shadowB);
  }
  return [...view.records.values()].filter(({ id, doc }) => {
    const shadow = shadows.get(id);
    if (shadow === undefined) return true;
    try {
      return !sameJson(canonicalRecord(doc, "remote", rules), shadow);
    } catch (error) {
      if (error instanceof UnreadableValueError) return true;
      throw error;
    }
  });
}
