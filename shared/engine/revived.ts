import type { Database } from "../store/database.ts";
import { type PairIds, type TakenLink, takenLinks } from "../store/intent_store.ts";
import { lockKeys, tryLockRecords } from "../store/work_store.ts";

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
