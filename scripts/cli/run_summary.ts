import { z } from "zod";

/** Checks what the function tells of a run; further keys pass. */
export const runSummarySchema = z.looseObject({
  runId: z.string(),
  status: z.string(),
  stopReason: z.string().nullable(),
  phase: z.string(),
  errors: z.number(),
  counters: z.record(z.string(), z.number()),
  slices: z.number(),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
});

/** A run in numbers. */
export type RunSummary = z.infer<typeof runSummarySchema>;
