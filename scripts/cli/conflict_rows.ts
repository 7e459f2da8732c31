/**
 * Conflicts as the commands read them.
 *
 * @module
 */
import { z } from "zod";
import type { Json } from "../../shared/merge/json.ts";
import { readAllRows, readRows } from "./read_rows.ts";
import type { RowFilter } from "./row_query.ts";
import type { SyncClient } from "./sync_client.ts";

const row = z.object({
  id: z.number(),
  pair: z.string(),
  record_key: z.string(),
  field: z.string(),
  base: z.json().nullable(),
  a: z.json().nullable(),
  b: z.json().nullable(),
  reason: z.string(),
  status: z.enum(["open", "resolved", "superseded"]),
  choice: z.string().nullable(),
  resolved_value: z.json().nullable(),
  resolved_by: z.string().nullable(),
  created_at: z.string(),
  resolved_at: z.string().nullable(),
  applied_at: z.string().nullable(),
  // Whose record it is, where there is a link. One that was given up may have no record of side B.
  link: z.object({ a_id: z.string(), b_id: z.string().nullable() }).nullable(),
});

/** One conflict, with the values of both sides. */
export type ConflictRow = z.infer<typeof row>;

const QUERY = {
  table: "sync_conflicts",
  columns: "id,pair,record_key,field,base,a,b,reason,status,choice,resolved_value,resolved_by," +
    "created_at,resolved_at,applied_at,link:crosswalk_id(a_id,b_id)",
};

/** The conflict of an id, or null. @throws {LookError} */
export async function readConflict(client: SyncClient, id: number): Promise<ConflictRow | null> {
  const rows = await readRows(client, { ...QUERY, where: [["id", "eq", id]] }, row);
  return rows[0] ?? null;
}

/** Conflicts, the oldest first. @throws {LookError} */
export async function readConflicts(
  client: SyncClient,
  where: readonly RowFilter[],
  limit: number,
): Promise<ConflictRow[]> {
  const found: ConflictRow[] = [];
  for await (const page of readAllRows(client, { ...QUERY, where }, row, "id", ({ id }) => id)) {
    found.push(...page);
    if (found.length >= limit) return found.slice(0, limit);
  }
  return found;
}

const REASONS: Readonly<Record<string, string>> = {
  both_changed: "both sides were edited, apart",
  first_link: "the sides held different values when they were linked",
  blank_not_allowed: "one side was emptied, and the field may not be blanked",
  shared_reference: "the value belongs to a record that others share",
  no_reference: "the value belongs to a record that there is none of",
  suppressed_key: "the new address is that of somebody who left",
  key_cycle:
    "others have the addresses these are to take, in a circle: give one of them another address, sync, then the right one",
  deleted_but_edited: "one side was deleted, the other edited since",
};

/** A conflict's reason in words. */
export function conflictReason(reason: string): string {
  return REASONS[reason] ?? reason.replaceAll("_", " ");
}

/** A value as a terminal shows it. */
export function showValue(value: Json | undefined): string {
  if (value === null || value === undefined || value === "") return "(empty)";
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) {
    return value.length === 0 ? "(none)" : value.join(", ");
  }
  return JSON.stringify(value);
}
