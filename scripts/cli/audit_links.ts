/**
 * The links of a pair in memory: ids, and nothing of what the sync remembers of
 * the records.
 *
 * @module
 */
import { z } from "zod";
import { readAllRows, readRowsOf } from "./read_rows.ts";
import type { SyncClient } from "./sync_client.ts";

const linkRow = z.object({
  id: z.number(),
  a_id: z.string(),
  b_id: z.string(),
  link_state: z.string(),
});

/** A row of a living link. */
export type LinkRow = z.infer<typeof linkRow>;

// A link that was given up may have no record of side B any more.
const anyRow = linkRow.extend({ b_id: z.string().nullable() });

const COLUMNS = "id,a_id,b_id,link_state";
const TABLE = "integration_crosswalk";

/** Links by either id. A living link is told by its place; of the others the state is kept. */
export interface Links {
  readonly ids: readonly number[];
  readonly aIds: readonly string[];
  readonly bIds: readonly string[];
  readonly placeOfA: ReadonlyMap<string, number>;
  readonly placeOfB: ReadonlyMap<string, number>;
  /** State of a record's link that is not a living one, by its id on side A or B. */
  readonly lostA: ReadonlyMap<string, string>;
  readonly lostB: ReadonlyMap<string, string>;
}

/** Reads all links of a pair. @throws {LookError} */
export async function readLinks(
  client: Pick<SyncClient, "select">,
  pair: string,
  onRead: (n: number) => void,
): Promise<Links> {
  const ids: number[] = [];
  const aIds: string[] = [];
  const bIds: string[] = [];
  const placeOfA = new Map<string, number>();
  const placeOfB = new Map<string, number>();
  const lostA = new Map<string, string>();
  const lostB = new Map<string, string>();
  const query = { table: TABLE, columns: COLUMNS, where: [["pair", "eq", pair]] as const };
  for await (const page of readAllRows(client, query, anyRow, "id", ({ id }) => id)) {
    for (const { id, a_id, b_id, link_state } of page) {
      if (link_state !== "linked" || b_id === null) {
        lostA.set(a_id, link_state);
        if (b_id !== null) lostB.set(b_id, link_state);
        continue;
      }
      const place = ids.push(id) - 1;
      aIds.push(a_id);
      bIds.push(b_id);
      placeOfA.set(a_id, place);
      placeOfB.set(b_id, place);
    }
    onRead(ids.length);
  }
  return { ids, aIds, bIds, placeOfA, placeOfB, lostA, lostB };
}

/** Reads the living links of these rows, or of these records of one side, as they are now. @throws {LookError} */
export async function readLivingLinks(
  client: Pick<SyncClient, "select">,
  pair: string,
  column: "id" | "a_id" | "b_id",
  values: readonly (string | number)[],
): Promise<LinkRow[]> {
  const where = [["pair", "eq", pair], ["link_state", "eq", "linked"]] as const;
  return await readRowsOf(
    client,
    { table: TABLE, columns: COLUMNS, where },
    linkRow,
    column,
    values,
  );
}
