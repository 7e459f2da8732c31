/** enterprise-sync, called as an app calls it. */
import { createClient } from "@supabase/supabase-js";
import { z } from "zod";
import type { Stack } from "../stack/stack.ts";
import { MeasureError } from "./measure_error.ts";

const NAME = "enterprise-sync";
const MAX_RECORDS = 100_000;
const MAX_CALLS = 100;

const answerSchema = z.object({
  recordsProcessed: z.number(),
  updatesApplied: z.number(),
  conflictsDetected: z.number(),
  errors: z.number(),
  skipped: z.number(),
  done: z.boolean(),
  nextCursor: z.string().nullable(),
  stopReason: z.string(),
});

/** What the calls of one run did, together. */
export interface EnterpriseOutcome {
  readonly calls: number;
  readonly recordsProcessed: number;
  readonly updatesApplied: number;
}

/**
 * Calls it until the run is done: once, unless it stops itself on the way.
 *
 * @throws {MeasureError} If a call fails, a record is left out, or a field is in conflict.
 */
export async function callUntilDone(stack: Stack): Promise<EnterpriseOutcome> {
  const supabase = createClient(stack.url, stack.keys.secret["default"] ?? "");
  let recordsProcessed = 0;
  let updatesApplied = 0;
  let cursor: string | null = null;
  for (let calls = 1; calls <= MAX_CALLS; calls++) {
    const body: Record<string, unknown> = {
      maxRecords: MAX_RECORDS,
      ...(cursor === null ? {} : { cursor }),
    };
    const { data, error } = await supabase.functions.invoke(NAME, { body });
    if (error !== null) throw new MeasureError(`Cannot measure: ${NAME} failed: ${error.message}`);
    const answer = answerSchema.parse(data);
    const { errors, skipped, conflictsDetected, stopReason } = answer;
    if (errors + skipped + conflictsDetected > 0) {
      throw new MeasureError(
        `Cannot measure: the run left records out (${errors} failed, ${skipped} skipped, ${conflictsDetected} conflicts)`,
      );
    }
    recordsProcessed += answer.recordsProcessed;
    updatesApplied += answer.updatesApplied;
    if (answer.done) return { calls, recordsProcessed, updatesApplied };
    cursor = answer.nextCursor;
    if (cursor === null) {
      throw new MeasureError(`Cannot measure: the run ended before it was done (${stopReason})`);
    }
  }
  throw new MeasureError(`Cannot measure: the run was not done after ${MAX_CALLS} calls`);
}
