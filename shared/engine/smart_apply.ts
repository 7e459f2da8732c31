import { RemoteError } from "../connectors/remote_error.ts";
import { type guardedSince, noteGuard } from "../store/run_store.ts";
import type { LocalTable } from "../store/local_table.ts";
import type { WorkItem } from "../store/work_store.ts";
import { applyBatch } from "./apply_batch.ts";
import type { AppliedItem, Batch, Tally } from "./batch.ts";
import { flowOf } from "./batch_config.ts";
import { GuardError } from "./guard_error.ts";
import { countKinds, runGuard } from "./guard.ts";
import { inTurn } from "./in_turn.ts";
import { forgetAccount, knownSchema } from "./known_facts.ts";
import { planBatch } from "./plan_batch.ts";
import type { SmartStep } from "./smart_items.ts";
import type { RemoteView } from "./smart_remote.ts";
import type { StopReason } from "./stop_reason.ts";

/** Records of a batch: four batch calls of writes at most. */
const BATCH_RECORDS = 200;

/** Takes what becomes of records, as it becomes known. */
export interface SmartLedger {
  readonly applied: Map<WorkItem, AppliedItem>;
  readonly guarded: Set<WorkItem>;
}

/** What the runs of a function have counted towards the limits within a day. */
export type GuardedDay = Awaited<ReturnType<typeof guardedSince>>;

/** Takes the records that break a limit out of a stretch, and notes them. */
async function withoutGuilty(
  batch: Batch,
  items: readonly WorkItem[],
  error: GuardError,
  ledger: SmartLedger,
  original: readonly WorkItem[],
): Promise<WorkItem[]> {
  const { pool, pair: { rules } } = batch.slice.deps;
  const { kind } = error.tripped;
  const plans = await planBatch(batch, pool, items);
  const guilty = new Set(
    plans.filter((plan) => (countKinds([plan], rules)[kind] ?? 0) > 0)
      .map(({ record }) => record.ordinal),
  );
  // It was planned a moment ago, and is not any more: the whole stretch waits.
  if (guilty.size === 0) { for (const { ordinal } of items) guilty.add(ordinal); }
  const held = items.filter(({ ordinal }) => guilty.has(ordinal));
  await noteGuard(
    pool,
    batch.run,
    kind,
    held.flatMap(({ aId }) => aId ?? []),
    held.flatMap(({ bId }) => bId ?? []),
  );
  return items.flatMap(({ ordinal }, index) => {
    const item = original[index];
    if (item === undefined) return [];
    if (!guilty.has(ordinal)) return [item];
    ledger.guarded.add(item);
    return [];
  });
}

/** Whether the remote took none of the writes it was sent, for now. */
function refusedAll(done: readonly AppliedItem[]): string | null {
  const sent = done.flatMap(({ sent }) => sent === null ? [] : [sent]);
  let code: string | null = null;
  for (const result of sent) {
    if (result.outcome !== "retryable" && result.outcome !== "unknown") return null;
    code ??= result.code;
  }
  return code;
}

/**
 * Applies what there is to look at. Records that would break a limit are left out,
 * and the others are not kept waiting for them.
 *
 * @param onGuard Is told of each limit that would have been broken.
 * @returns Why it stopped before the end, or null.
 * @throws {RemoteError} If the remote did not take a single write of a stretch.
 */
export async function smartApply(
  step: SmartStep,
  table: LocalTable,
  items: readonly WorkItem[],
  view: RemoteView,
  day: GuardedDay,
  tally: Tally,
  ledger: SmartLedger,
  onGuard: (error: GuardError) => void,
): Promise<StopReason | null> {
  const { slice, run, keyed } = step;
  const { pair: { rules } } = slice.deps;
  if (items.length === 0) return null;
  const batch: Batch = {
    slice,
    run,
    table,
    keyed,
    schema: await knownSchema(slice, view.records.values()),
    flow: flowOf(run),
    dryRun: run.params["dryRun"] === true,
    justRead: true,
    sharesLimits: true,
    guard: runGuard(rules, day.linked, day.counts, new Set()),
  };
  let at = 0;
  for (let from = 0; from < items.length; from += BATCH_RECORDS) {
    let rest = items.slice(from, from + BATCH_RECORDS);
    let done: readonly AppliedItem[] = [];
    while (rest.length > 0) {
      const stretch = rest.map((item, index) => ({ ...item, ordinal: at + index + 1 }));
      try {
        const place = { items: stretch, from: at, to: at + rest.length };
        done = await inTurn(slice.deps.pool, () => applyBatch(batch, place, tally));
        break;
      } catch (error) {
        if (!(error instanceof GuardError)) throw error;
        onGuard(error);
        rest = await withoutGuilty(batch, stretch, error, ledger, rest);
      }
    }
    for (const applied of done) {
      const item = rest[applied.plan.record.ordinal - at - 1];
      if (item !== undefined) ledger.applied.set(item, applied);
    }
    at += rest.length;
    if (done.some(({ reason }) => reason === "group_missing")) await forgetAccount(slice);
    const code = refusedAll(done);
    if (code !== null) {
      const message = "Cannot finish: the remote took no write for now";
      throw new RemoteError("retryable", code, message);
    }
    const stop = slice.stopReason();
    if (stop !== null && from + BATCH_RECORDS < items.length) return stop;
  }
  return null;
}
