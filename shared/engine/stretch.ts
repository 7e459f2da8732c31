import { passStretch } from "../store/run_store.ts";
import type { Run } from "../store/run.ts";
import type { WorkItem } from "../store/work_store.ts";
import type { Tally } from "./batch.ts";
import type { Slice } from "./slice.ts";

/** A stretch of the walk: the records to look at in it, and where it ends. */
export interface Stretch {
  readonly items: readonly WorkItem[];
  /** Place before its first record. */
  readonly from: number;
  /** Place of its last record. */
  readonly to: number;
}

/** What a run says of itself at a place of its walk. */
export function phaseAt(at: number, run: Pick<Run, "cursor">): string {
  return `Syncing: ${at} of ${String(run.cursor["total"] ?? "?")} records`;
}

/** Puts a stretch behind a run of which no record has to be looked at. */
export async function passOver(
  slice: Slice,
  run: Run,
  { from, to }: Stretch,
  tally: Tally,
): Promise<void> {
  const records = to - from;
  const phase = phaseAt(to, run);
  const requests = slice.takeRequests();
  slice.committed(await passStretch(slice.deps.pool, run, { at: to, records, phase, requests }));
  tally.processed += records;
}
