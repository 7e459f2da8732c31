import type { Json } from "../merge/json.ts";
import type { Run } from "../store/run.ts";

/** A run's status in the words of `sync_status`, which has no word for "between two slices". */
export function publicStatus(run: Run): "running" | "completed" | "failed" | "paused" {
  if (run.status !== "waiting") return run.status;
  if (run.error !== null) return "failed";
  return run.params["autoContinue"] === true ? "running" : "paused";
}

/** What an answer tells of a run: ids, words and counts. */
export function summarise(run: Run): { readonly [name: string]: Json } {
  return {
    runId: run.id,
    status: publicStatus(run),
    stopReason: run.stopReason,
    phase: run.phase,
    currentBatch: run.currentBatch,
    totalBatches: run.totalBatches,
    errors: run.errors,
    counters: { ...run.counters },
    slices: run.slices,
    startedAt: run.startedAt,
    endedAt: run.endedAt,
  };
}
