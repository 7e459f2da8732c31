import { Buffer } from "node:buffer";
import type { Database } from "../store/database.ts";
import { readPrints } from "../store/enumeration_store.ts";
import type { Run } from "../store/run.ts";
import { PrintSet } from "./print_set.ts";

/** Fingerprints read in one answer, of 43 kB: a larger text outlives the young generation. */
const AT_ONCE = 4_000;

/** Fingerprints held at most, in 32 MB; records beyond them are compared with their shadows. */
const MOST = 2_000_000;

/** How long they are kept for the next slice, in ms. */
const LIFE_MS = 10 * 60_000;

interface Kept {
  readonly list: string;
  readonly readAt: number;
  readonly prints: PrintSet;
}

const kept = new WeakMap<object, Kept>();

function listOf({ id, epoch }: Run): string {
  return `${id}:${epoch}`;
}

/** Fingerprints side B was last seen with, and when they were read. */
export interface KnownPrints {
  readonly prints: PrintSet;
  /** Milliseconds since 1970. */
  readonly readAt: number;
}

/**
 * Reads the fingerprints side B was last seen with.
 *
 * The next slice of a list takes those over that the one before has left in this isolate:
 * a quarter of a million take a fifth of a slice to read. What was agreed on since is
 * not among them and costs a look at its record. What was given up since still is; so
 * an edit that brings it back is found a run later, as if it had been made after the
 * page was read.
 */
export async function readKnownPrints(
  database: Database,
  run: Run,
  now: number,
): Promise<KnownPrints> {
  const left = kept.get(database);
  if (left !== undefined && left.list === listOf(run) && now - left.readAt <= LIFE_MS) {
    kept.delete(database);
    return left;
  }
  forgetKnownPrints(database);
  let prints: PrintSet | null = null;
  let after = 0;
  for (let read = 0; read < MOST;) {
    const answer = await readPrints(database, after, AT_ONCE);
    prints ??= new PrintSet(Math.min(answer.estimate, MOST));
    prints.add(Buffer.from(answer.prints, "base64"));
    if (answer.count < AT_ONCE) break;
    after = answer.last;
    read += answer.count;
  }
  return { prints: prints ?? new PrintSet(), readAt: now };
}

/** Leaves them to the next slice of the list that is worked on in this isolate. */
export function keepKnownPrints(database: Database, run: Run, known: KnownPrints): void {
  forgetKnownPrints(database);
  kept.set(database, { list: listOf(run), ...known });
}

/** Gives back what was left for a list that is at its end. */
export function forgetKnownPrints(database: Database): void {
  kept.get(database)?.prints[Symbol.dispose]();
  kept.delete(database);
}
