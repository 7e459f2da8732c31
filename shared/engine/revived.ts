import { canonicalRecord, UnreadableValueError } from "../merge/canonical.ts";
import type { CanonicalRecord, PairRules } from "../merge/pair.ts";
import { removeLinks } from "../store/commit_store.ts";
import type { Database } from "../store/database.ts";
import { forsakeLinks, type ForsakenRecord, readForsaken } from "../store/forsaken_links.ts";
import { type PairIds, type TakenLink, takenLinks } from "../store/intent_store.ts";
import type { LocalTable } from "../store/local_table.ts";
import type { Run } from "../store/run.ts";
import { lockKeys, tryLockRecords } from "../store/work_store.ts";
import { suppressionsOf } from "./suppressions.ts";

/** Links of others whose record is somebody else's by now. */
export interface Revived {
  /** Links to be given up. */
  readonly givenUp: readonly number[];
  /** Records of side B whose link another worker is at. */
  readonly busy: ReadonlySet<string>;
}

/**
 * Finds the links that still claim what creates have brought back. A remote may give
 * a new record the id of a deleted one that last had its key; whoever was linked to
 * that one would get what belongs to somebody else.
 *
 * @param locks A transaction, until the end of which those links are locked.
 * @param made Records of side A, each with the id the remote gave what was made of it.
 */
export async function findRevived(
  locks: Database,
  pair: string,
  made: readonly PairIds[],
): Promise<Revived> {
  const taken = made.length === 0 ? [] : await takenLinks(locks, pair, made);
  if (taken.length === 0) return { givenUp: [], busy: new Set() };
  const locked = await tryLockRecords(locks, pair, taken.flatMap(lockKeys));
  const isOurs = (link: TakenLink) => lockKeys(link).every((key) => locked.has(key));
  return {
    givenUp: taken.flatMap((link) => isOurs(link) ? [link.id] : []),
    busy: new Set(taken.flatMap((link) => isOurs(link) ? [] : [link.bId])),
  };
}

function readableOrNull({ doc }: ForsakenRecord, rules: PairRules): CanonicalRecord | null {
  try {
    return canonicalRecord(doc, "local", rules);
  } catch (error) {
    if (error instanceof UnreadableValueError) return null;
    throw error;
  }
}

/**
 * Takes links away whose place others are about to take. Of one whose record of side B
 * is somebody else's from now on, the record of side A has lost its partner as if that
 * had been deleted: it is not made anew, and who left is remembered.
 *
 * @param ids Links that give way.
 * @param links What takes their place.
 */
export async function giveUpLinks(
  database: Database,
  run: Run,
  rules: PairRules,
  table: LocalTable,
  ids: readonly number[],
  links: readonly PairIds[],
): Promise<void> {
  if (ids.length === 0) return;
  const forsaken = await readForsaken(database, table, ids, links.map(({ aId }) => aId));
  const kept = forsaken.map(({ crosswalkId }) => crosswalkId);
  if (kept.length > 0) {
    const suppressions = forsaken.flatMap((record) =>
      suppressionsOf(rules, readableOrNull(record, rules), record.shadow?.a, record.shadow?.b)
    );
    await forsakeLinks(database, run, kept, suppressions);
  }
  await removeLinks(database, run, ids.filter((id) => !kept.includes(id)));
}
