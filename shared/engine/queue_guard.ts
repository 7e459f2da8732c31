/**
 * The guard of the queue: what comes out of it comes in small pieces, and a mishap
 * in small pieces is one mishap. So all that is in it is counted first.
 *
 * @module
 */
import { trippedGuard } from "../merge/guard_kinds.ts";
import type { Run } from "../store/run.ts";
import { type ForeseenKind, foreseeQueue, type HeldBack, holdQueued } from "../store/queue_scan.ts";
import { guardedSince } from "../store/run_store.ts";
import { GuardError } from "./guard_error.ts";
import { leastFloor } from "./guard.ts";
import type { SliceDeps } from "./slice.ts";
import { knownTable } from "./known_facts.ts";

/** How long an edit is held back that a limit does not let through, in ms. */
export const HOLD_MS = 60 * 60_000;

/** A limit that all that is in the queue would break. */
export interface TrippedQueue {
  readonly error: GuardError;
  /** What was held back now; earlier ones wait already. */
  readonly back: HeldBack;
}

/**
 * Counts what the edits of side A in the queue would come to, together with what
 * the day's runs have done, and holds those back that a limit stops.
 *
 * @param waiting Records in the queue, due or not.
 * @param hold Whether they are held back; else it is only told.
 */
export async function guardQueue(
  deps: SliceDeps,
  run: Pick<Run, "pair" | "function">,
  waiting: number,
  hold: boolean,
): Promise<TrippedQueue[]> {
  const { pool, pair: { rules } } = deps;
  // Fewer records than any limit minds need no look ahead.
  if (waiting <= leastFloor(rules)) return [];
  const table = await knownTable({ deps });
  const { linked, counts } = await guardedSince(pool, run);
  const day = (kind: string) => counts[`guarded_${kind}`] ?? 0;
  const held: ForeseenKind[] = [];
  const tripped: TrippedQueue[] = [];
  for (;;) {
    const foreseen = await foreseeQueue(pool, run.pair, table, rules, held);
    const broken = trippedGuard(
      {
        deletes: 0,
        unsubscribes: day("unsubscribes") + foreseen.unsubscribes,
        blanks: day("blanks") + foreseen.blanks,
        updates: day("updates") + foreseen.updates,
      },
      linked,
      rules.limits,
      // What is held is not asked about again: the day's own count may stand above a limit.
      new Set(held),
    );
    if (broken === null || broken.kind === "deletes") return tripped;
    const { kind } = broken;
    const nothing: HeldBack = { held: 0, aIds: [], bIds: [] };
    const back = hold
      ? await holdQueued(pool, run.pair, table, rules, kind, held, HOLD_MS)
      : nothing;
    tripped.push({ error: new GuardError(broken, linked), back });
    held.push(kind);
  }
}
