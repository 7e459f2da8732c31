/**
 * Waits for the end of a backfill by its status.
 *
 * @module
 */
import type { BackfillStatus } from "./sync_status.ts";

/** How a watched backfill ended, or that it no longer gives a sign. */
export type WatchEnd =
  | { readonly outcome: "completed" | "failed" | "paused"; readonly status: BackfillStatus }
  | {
    readonly outcome: "silent";
    readonly status: BackfillStatus;
    /** How long nothing has moved, in ms. */
    readonly silentMs: number;
  };

/** What watching needs. */
export interface WatchDeps {
  readonly read: () => Promise<BackfillStatus>;
  readonly sleep: (ms: number) => Promise<void>;
  /** Milliseconds since some fixed point; never set back. */
  readonly now: () => number;
  readonly onStatus: (status: BackfillStatus) => void;
  /** Time between two looks, in ms. */
  readonly everyMs: number;
}

/** A worker that is silent for longer may be replaced by the next call, in ms. */
export const SILENT_MS = 90_000;

/** Looks until the run is over. Whether it moves is told by this clock alone, as the database's may be another. */
export async function watchBackfill(deps: WatchDeps): Promise<WatchEnd> {
  let seen: string | null = null;
  let movedAt = deps.now();
  for (;;) {
    const status = await deps.read();
    deps.onStatus(status);
    if (status.status !== "running") return { outcome: status.status, status };
    if (status.lastUpdatedAt !== seen) {
      seen = status.lastUpdatedAt;
      movedAt = deps.now();
    }
    const silentMs = deps.now() - movedAt;
    if (silentMs > SILENT_MS) return { outcome: "silent", status, silentMs };
    await deps.sleep(deps.everyMs);
  }
}

/** Why a run that did not complete did not, for a person. */
export function explainEnd(end: WatchEnd): string {
  switch (end.outcome) {
    case "completed":
    case "failed":
    case "paused":
      return end.status.phase;
    case "silent":
      return `Nothing has moved for ${
        Math.round(end.silentMs / 1_000)
      } s; take the run over with --force. The last phase was: ${end.status.phase}`;
  }
}
