import { canonicalRecord, UnreadableValueError } from "../merge/canonical.ts";
import type { Doc, Json } from "../merge/json.ts";
import type { PairRules } from "../merge/pair.ts";

/** One record of either side, as it was read. */
export interface RawRecord {
  readonly id: string;
  readonly doc: Doc;
  /** Side A's change token. */
  readonly token?: string;
  /** Side B's fingerprint. */
  readonly seen?: string | null;
}

/** Records in the form the stage takes, and those that have no canonical form. */
export interface StageText {
  /** A JSON array of `[id, key, canonical record, token or null, fingerprint or null]`. */
  readonly text: string;
  readonly unreadable: readonly { readonly id: string; readonly field: string }[];
}

/**
 * Brings records into canonical form and straight into one text.
 *
 * A text, and at once: thousands of small objects that live while the database
 * stores the page before them are copied by the garbage collector again and
 * again, which cost as much CPU as all the rest of a run.
 */
export function stageText(
  records: readonly RawRecord[],
  side: "local" | "remote",
  rules: PairRules,
): StageText {
  // By id, because one statement cannot write the same row twice, and a remote
  // that shows a record twice on a page must not stop the run.
  const rows = new Map<string, Json>();
  const unreadable: { id: string; field: string }[] = [];
  for (const { id, doc, token, seen } of records) {
    try {
      const canonical = canonicalRecord(doc, side, rules);
      rows.set(id, [id, canonical[rules.keyField] ?? "", canonical, token ?? null, seen ?? null]);
    } catch (error) {
      if (!(error instanceof UnreadableValueError)) throw error;
      unreadable.push({ id, field: error.field });
    }
  }
  return { text: JSON.stringify([...rows.values()]), unreadable };
}
