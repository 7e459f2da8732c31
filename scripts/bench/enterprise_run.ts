/** enterprise-sync itself: a fresh process on a database that was in sync, called as an app calls it. */
import { applyEdits, type EditCounts, pickEdits } from "./edits.ts";
import { callUntilDone } from "./enterprise_call.ts";
import { MeasureError } from "./measure_error.ts";
import type { ProcessUse } from "./process_use.ts";
import type { SyncedWorld } from "./synced_world.ts";

const NAME = "enterprise-sync";

/** A run of enterprise-sync; its wall time is that of its calls. */
export interface EnterpriseMeasurement extends ProcessUse {
  readonly calls: number;
  /** Records it walked over. */
  readonly records: number;
  /** Writes, one a record and side. */
  readonly updates: number;
}

/**
 * Edits records, then measures the run that carries the edits over.
 *
 * @param round Other records for each; see {@linkcode pickEdits}.
 * @throws {MeasureError} If the run does not do just that.
 */
export async function measureEnterprise(
  synced: SyncedWorld,
  edits: EditCounts,
  round: number,
): Promise<EnterpriseMeasurement> {
  const { world: { control }, database, links } = synced;
  await applyEdits(database, control, pickEdits(links, edits, round), round);
  await synced.settle();
  await using stack = await synced.startStack();
  await stack.functions.start(NAME);
  await control.resetRequests();
  const boot = await stack.functions.stats(NAME);

  const begin = performance.now();
  const { calls, recordsProcessed: records, updatesApplied: updates } = await callUntilDone(stack);
  const wallMs = performance.now() - begin;
  const { cpuMs, peakRssBytes } = await stack.functions.stats(NAME);
  const wanted = edits.local + edits.remote;
  if (updates !== wanted || records !== synced.records) {
    throw new MeasureError(
      `Cannot measure: the run made ${updates} updates of ${wanted}, over ${records} records of ${synced.records}`,
    );
  }
  const requests = (await control.requests()).total;
  return { wallMs, cpuMs, bootCpuMs: boot.cpuMs, peakRssBytes, requests, calls, records, updates };
}
