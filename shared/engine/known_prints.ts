import type { Database } from "../store/database.ts";
import { readPrints } from "../store/enumeration_store.ts";
import { PrintSet } from "./print_set.ts";

/** Fingerprints read in one answer, of 43 kB: a larger text outlives the young generation. */
const AT_ONCE = 4_000;

/** Fingerprints held at most, in 32 MB; records beyond them are compared with their shadows. */
const MOST = 2_000_000;

/** Reads the fingerprints side B was last seen with, as they are now. */
export async function readKnownPrints(database: Database): Promise<PrintSet> {
  const known = new PrintSet();
  let after = 0;
  for (let read = 0; read < MOST;) {
    const { prints, count, last } = await readPrints(database, after, AT_ONCE);
    known.add(atob(prints));
    if (count < AT_ONCE) break;
    after = last;
    read += count;
  }
  return known;
}
