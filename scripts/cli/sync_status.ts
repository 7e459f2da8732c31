import { z } from "zod";

const backfill = z.object({
  status: z.enum(["running", "completed", "failed", "paused"]),
  phase: z.string(),
  currentBatch: z.number(),
  totalBatches: z.number(),
  shadowsCreated: z.number(),
  errors: z.number(),
  startedAt: z.string().nullable(),
  lastUpdatedAt: z.string().nullable(),
  completedAt: z.string().nullable(),
  paused: z.boolean(),
});

/** Checks what `sync_state.sync_status` holds; further keys pass. */
export const syncStatusSchema = z.looseObject({ backfill });

/** The status as dashboards read it. */
export type SyncStatus = z.infer<typeof syncStatusSchema>;

/** The backfill's part of the status. */
export type BackfillStatus = SyncStatus["backfill"];
