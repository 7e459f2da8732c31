import type { ProcessUse } from "./process_use.ts";

/** What one run of one way of doing it took. */
export interface Measurement extends ProcessUse {
  /** Characters of the snapshots' values as text, both sides. */
  readonly snapshotChars: number;
  /** Snapshots written. */
  readonly snapshots: number;
}
