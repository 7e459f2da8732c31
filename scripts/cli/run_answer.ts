import { z } from "zod";
import { LookError } from "./sync_client.ts";

const planEntry = z.looseObject({
  aId: z.string().nullable(),
  bId: z.string().nullable(),
  found: z.string(),
  do: z.string(),
  reason: z.string().optional(),
  gone: z.string().optional(),
  operations: z.array(z.looseObject({ field: z.string(), side: z.string(), rule: z.string() }))
    .default([]),
  conflicts: z.array(z.looseObject({ field: z.string(), reason: z.string() })).default([]),
  kept: z.array(z.looseObject({ field: z.string(), reason: z.string() })).default([]),
});

/** What a run would do about one record: fields and rules, and no value. */
export type PlanEntry = z.infer<typeof planEntry>;

const runAnswer = z.looseObject({
  recordsProcessed: z.number(),
  conflictsDetected: z.number(),
  updatesApplied: z.number(),
  errors: z.number(),
  skipped: z.number(),
  done: z.boolean(),
  nextCursor: z.string().nullable(),
  message: z.string(),
  runId: z.string(),
  stopReason: z.string(),
  quota: z.looseObject({ requests: z.number() }),
  plan: z.array(planEntry).default([]),
});

/** What enterprise-sync answers to one call. */
export type RunAnswer = z.infer<typeof runAnswer>;

/** Checks an answer of enterprise-sync. @throws {LookError} */
export function readRunAnswer(answer: unknown): RunAnswer {
  const parsed = runAnswer.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new LookError(
    "Cannot read the answer of enterprise-sync: it is not of the known form; deploy the functions",
  );
}
