import { z } from "zod";
import { readAllRows } from "./read_rows.ts";
import type { SyncClient } from "./sync_client.ts";

const row = z.object({
  id: z.number(),
  crosswalk_id: z.number().nullable(),
  field: z.string(),
});

/** Which fields wait for a person. */
export interface OpenConflicts {
  /** How many there are. */
  readonly open: number;
  /** Fields by link. */
  readonly fields: ReadonlyMap<number, readonly string[]>;
}

/** Reads which fields of a pair's records wait for a person. @throws {LookError} */
export async function readOpenConflicts(
  client: Pick<SyncClient, "select">,
  pair: string,
): Promise<OpenConflicts> {
  const fields = new Map<number, string[]>();
  let open = 0;
  const query = {
    table: "sync_conflicts",
    columns: "id,crosswalk_id,field",
    where: [["pair", "eq", pair], ["status", "eq", "open"]] as const,
  };
  for await (const page of readAllRows(client, query, row, "id", ({ id }) => id)) {
    open += page.length;
    for (const { crosswalk_id, field } of page) {
      if (crosswalk_id === null) continue;
      const known = fields.get(crosswalk_id);
      if (known === undefined) fields.set(crosswalk_id, [field]);
      else known.push(field);
    }
  }
  return { open, fields };
}
