/** Edits on both sides, as people make them between two runs. */
import type { Database } from "../../shared/store/database.ts";
import type { ControlClient } from "../../simulators/mailerlite/control_client.ts";

/** A pair of linked records. */
export interface LinkedIds {
  readonly localId: string;
  readonly remoteId: string;
}

/** How many records to edit on each side; no record is edited on both. */
export interface EditCounts {
  readonly local: number;
  readonly remote: number;
}

/** Which records to edit. */
export interface Edits {
  readonly localIds: readonly string[];
  readonly remoteIds: readonly string[];
}

/** Edits under way at once: enough to keep the remote busy. */
const AT_ONCE = 8;

/**
 * Chooses the records to edit, the two sides' taking turns, spread over all links.
 *
 * @param round Each has other records, as long as there are enough.
 * @throws {RangeError} If there are fewer links than records to edit.
 */
export function pickEdits(
  links: readonly LinkedIds[],
  { local, remote }: EditCounts,
  round: number,
): Edits {
  const wanted = local + remote;
  if (wanted > links.length) {
    throw new RangeError(
      `Cannot edit ${wanted} records: there are ${links.length} linked ones`,
    );
  }
  const localIds: string[] = [];
  const remoteIds: string[] = [];
  for (let n = 0; n < wanted; n++) {
    const place = Math.floor(n * links.length / wanted) + round;
    const link = links[place % links.length];
    if (link === undefined) continue;
    const isLocal = n % 2 === 0 ? localIds.length < local : remoteIds.length >= remote;
    if (isLocal) localIds.push(link.localId);
    else remoteIds.push(link.remoteId);
  }
  return { localIds, remoteIds };
}

/** The links of a database, oldest first. */
export async function readLinks(database: Database): Promise<LinkedIds[]> {
  return await database.query<LinkedIds>(
    `select a_id::text as "localId", b_id as "remoteId"
     from public.integration_crosswalk where link_state = 'linked' order by id`,
  );
}

/** Edits one plain field of each record: on side A the first name, on side B the city. */
export async function applyEdits(
  database: Database,
  control: ControlClient,
  { localIds, remoteIds }: Edits,
  round: number,
): Promise<void> {
  await database.query(
    `update public.clients set first_name = $2 where id = any ($1::uuid[])`,
    [localIds, `Edited ${round}`],
  );
  const rest = [...remoteIds];
  const edit = async () => {
    for (let id = rest.pop(); id !== undefined; id = rest.pop()) {
      await control.change(id, { fields: { city: `Moved ${round}` } });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, edit));
}
