import { RemoteError } from "../connectors/remote_error.ts";
import type { Doc } from "../merge/json.ts";
import type { PairRules } from "../merge/pair.ts";
import { commitBatch, holdFence } from "../store/commit_store.ts";
import type { Database } from "../store/database.ts";
import { applyLocalWrites, type LocalResult, type LocalWrite } from "../store/local_writes.ts";
import { deadLinks, lockKeys, tryLockRecords } from "../store/work_store.ts";
import type { AppliedItem, Batch, ItemResult, Tally } from "./batch.ts";
import { type BatchEffects, buildCommit } from "./build_commit.ts";
import { appearedLocally, confirmRemote } from "./confirm_remote.ts";
import { countKinds, guardCounters } from "./guard.ts";
import { localWriteOf } from "./local_write_of.ts";
import { planBatch } from "./plan_batch.ts";
import type { ItemPlan } from "./plan_item.ts";
import { giveUpLinks } from "./revived.ts";
import { shareLimits } from "./share_limits.ts";
import { phaseAt, type Stretch } from "./stretch.ts";
import { type RemoteWrites, writeOpOf, writeRemote } from "./write_remote.ts";

interface Write {
  readonly plans: readonly ItemPlan[];
  readonly skipped: ReadonlyMap<number, string>;
  readonly remote: RemoteWrites;
}

async function writeLocal(
  database: Database,
  batch: Batch,
  { plans, skipped, remote }: Write,
): Promise<ItemResult[]> {
  const { rules } = batch.slice.deps.pair;
  const writes: LocalWrite[] = [];
  const drafts = plans.map((plan) => {
    const newId = crypto.randomUUID();
    const isSkipped = skipped.has(plan.record.ordinal);
    const write = isSkipped ? null : localWriteOf(plan, newId, rules);
    const index = write === null ? null : writes.push(write) - 1;
    return { plan, newId: write?.op === "insert" ? newId : null, index };
  });
  const done: readonly LocalResult[] = writes.length === 0
    ? []
    : await applyLocalWrites(database, batch.table, writes);
  return drafts.map(({ plan, newId, index }) => ({
    plan,
    newId,
    skipped: skipped.get(plan.record.ordinal) ?? null,
    remote: remote.results.get(plan.record.ordinal) ?? null,
    answered: remote.answered.get(plan.record.ordinal) ?? null,
    local: index === null ? null : done[index] ?? null,
  }));
}

const CLASS_COUNTERS = {
  unchanged: "unchanged",
  changed: "changed",
  conflicted: "conflicted",
  excluded: "excluded",
  failed: "failed",
  skipped: "skipped",
} as const;

/**
 * Where the walk may go on: behind the stretch, or before the first record that
 * the remote did not take for now. One that is refused a second time in the same
 * place is passed over, so that a single record never holds up the others for ever.
 */
function placeAfter(
  stretch: Stretch,
  results: readonly ItemResult[],
  retried: number | null,
): { readonly at: number; readonly retry: ItemResult | null } {
  for (const result of results) {
    const { ordinal } = result.plan.record;
    if (result.remote?.outcome === "retryable" && ordinal !== retried) {
      return { at: ordinal - 1, retry: result };
    }
  }
  return { at: stretch.to, retry: null };
}

function countersOf(
  stretch: Stretch,
  at: number,
  effects: BatchEffects,
  guarded: Readonly<Record<string, number>>,
): {
  readonly counters: Record<string, number>;
  readonly conflicts: number;
  readonly failed: number;
  readonly skipped: number;
} {
  const counters: Record<string, number> = { ...effects.counters, ...guardCounters(guarded) };
  const add = (name: string, n: number) => counters[name] = (counters[name] ?? 0) + n;
  let looked = 0;
  for (const [ordinal, recordClass] of effects.classes) {
    if (ordinal > at) continue;
    looked++;
    add(CLASS_COUNTERS[recordClass], 1);
  }
  add("processed", at - stretch.from);
  add("unchanged", at - stretch.from - looked);
  add("updates", effects.updates);
  add("updated", counters["changed"] ?? 0);
  for (const [ordinal, n] of effects.conflictCounts) if (ordinal <= at) add("conflicts", n);
  const { conflicts = 0, failed = 0, skipped = 0 } = counters;
  return { counters, conflicts, failed, skipped };
}

function note(
  tally: Tally,
  processed: number,
  effects: BatchEffects,
  counted: {
    readonly conflicts: number;
    readonly failed: number;
    readonly skipped: number;
  },
): void {
  tally.processed += processed;
  tally.conflicts += counted.conflicts;
  tally.updates += effects.updates;
  tally.errors += counted.failed;
  tally.skipped += counted.skipped;
}

/** What was found out about a record whose link is gone by now has no place any more; what was done has. */
function withoutLinks(
  results: readonly ItemResult[],
  removed: readonly number[],
): ItemResult[] {
  return results.map((result) => {
    const { crosswalkId } = result.plan.record;
    const isLeft = result.local === null && result.remote === null;
    return isLeft && crosswalkId !== null && removed.includes(crosswalkId)
      ? { ...result, skipped: "link_changed" }
      : result;
  });
}

async function commit(
  batch: Batch,
  stretch: Stretch,
  planned: Write,
  tally: Tally,
): Promise<readonly AppliedItem[]> {
  const { slice, run } = batch;
  const { pool, pair: { rules } } = slice.deps;
  const retried = run.cursor["retried"];
  const committed = await pool.transaction(async (database) => {
    await holdFence(database, run);
    const appeared = batch.justRead ? [] : await appearedLocally(
      batch,
      database,
      planned.plans.filter(({ record }) => !planned.skipped.has(record.ordinal)),
    );
    const write = { ...planned, skipped: new Map([...planned.skipped, ...appeared]) };
    const results = await writeLocal(database, batch, write);
    let effects = buildCommit(results, rules);
    const { at, retry } = placeAfter(
      stretch,
      // Records that were named are told of one by one, and there is no walk to go back in.
      batch.justRead ? [] : results,
      typeof retried === "number" ? retried : null,
    );
    const replaced = effects.links.length === 0
      ? []
      : [...write.remote.givenUp, ...await deadLinks(database, run, batch.table, effects.links)];
    if (replaced.length > 0) {
      await giveUpLinks(database, run, rules, batch.table, replaced, effects.links);
      effects = buildCommit(withoutLinks(results, replaced), rules);
    }
    // What is behind `at` is planned and counted again.
    const guarded = countKinds(
      write.plans.filter(({ record: { ordinal } }) => ordinal <= at && !write.skipped.has(ordinal)),
      rules,
    );
    const counted = countersOf(stretch, at, effects, guarded);
    const requests = slice.takeRequests();
    const answer = await commitBatch(database, run, {
      ...effects,
      intents: write.remote.settled,
      counters: { ...counted.counters, requests },
      errors: counted.failed,
      cursor: { at, retried: retry?.plan.record.ordinal ?? null },
      phase: phaseAt(at, run),
      at,
    });
    return { answer, effects, counted, at, retry, results };
  });
  const { answer, effects, counted, at, retry, results } = committed;
  slice.committed(answer);
  note(tally, at - stretch.from, effects, counted);
  for (const result of results) {
    if (result.plan.kind !== "failed") continue;
    slice.deps.log("warn", "record_failed", {
      runId: run.id,
      record: result.plan.record.recordKey,
      code: result.plan.code,
    });
  }
  if (retry?.remote?.outcome === "retryable") {
    const { code, retryAfterMs } = retry.remote;
    throw new RemoteError(
      "retryable",
      code,
      "Cannot finish the batch: the remote did not take a write for now",
      null,
      retryAfterMs,
    );
  }
  return appliedItems(results, effects);
}

function appliedItems(
  results: readonly ItemResult[],
  effects: BatchEffects,
): readonly AppliedItem[] {
  return results.map((result) => {
    const { ordinal, bId } = result.plan.record;
    return {
      plan: result.plan,
      recordClass: effects.classes.get(ordinal) ?? "skipped",
      reason: effects.reasons.get(ordinal) ?? null,
      bId: result.remote?.outcome === "ok" ? result.remote.id : bId,
      sent: result.remote,
    };
  });
}

/** What a dry run counts in place of what would have been done. */
async function pretend(
  batch: Batch,
  stretch: Stretch,
  tally: Tally,
): Promise<readonly AppliedItem[]> {
  const { slice, run } = batch;
  const { pool, pair: { rules } } = slice.deps;
  const planned = await planBatch(batch, pool, stretch.items);
  const { plans, skipped } = await confirmRemote(batch, pool, planned);
  const guarded = batch.guard.add(plans.filter(({ record }) => !skipped.has(record.ordinal)));
  const results = plans.map((plan): ItemResult => pretended(plan, skipped, rules));
  const effects = buildCommit(results, rules);
  const counted = countersOf(stretch, stretch.to, effects, guarded);
  slice.committed(
    await commitBatch(pool, run, {
      links: [],
      removedLinks: [],
      linkChanges: [],
      shadows: [],
      conflicts: [],
      plannedRecords: [],
      decided: [],
      staleDecisions: [],
      failures: [],
      mended: [],
      suppressions: [],
      log: [],
      intents: [],
      counters: { ...counted.counters, requests: slice.takeRequests() },
      errors: counted.failed,
      cursor: { at: stretch.to },
      phase: phaseAt(stretch.to, run),
      at: stretch.to,
    }),
  );
  note(tally, stretch.to - stretch.from, effects, counted);
  return appliedItems(results, effects);
}

function pretended(
  plan: ItemPlan,
  skipped: ReadonlyMap<number, string>,
  rules: PairRules,
): ItemResult {
  const isSkipped = skipped.get(plan.record.ordinal) ?? null;
  const id = plan.record.bId ?? "";
  const hasRemote = writeOpOf(plan, rules) !== null;
  const local = localWriteOf(plan, "", rules);
  return {
    plan,
    newId: null,
    skipped: isSkipped,
    remote: hasRemote ? { outcome: "ok", id, record: null, created: true } : null,
    answered: plan.kind === "create_remote" ? plan.fields : null,
    local: local === null
      ? null
      : { outcome: "done", doc: { ...(plan.record.a?.doc ?? localDoc(plan, rules)) }, token: "" },
  };
}

function localDoc(plan: ItemPlan, rules: PairRules): Doc {
  const doc: Doc = {};
  if (plan.kind !== "create_local") return doc;
  for (const [field, rule] of Object.entries(rules.fields)) doc[rule.local] = plan.b[field] ?? null;
  return doc;
}

/**
 * Applies a stretch of the walk: locks its records, plans them from what both
 * sides hold this moment, writes the remote, then commits side A, shadows, links,
 * conflicts and log at once. The locks are held in a transaction of their own,
 * on their own connection, which frees them whatever happens to this worker.
 *
 * @returns What became of each record, for who wants to tell.
 * @throws {RemoteError} If the remote did not take a write for now; what was done is committed.
 * @throws {GuardError} If a limit would be broken; then nothing of the stretch was written.
 */
export async function applyBatch(
  batch: Batch,
  stretch: Stretch,
  tally: Tally,
): Promise<readonly AppliedItem[]> {
  if (batch.dryRun) return await pretend(batch, stretch, tally);
  const { pool } = batch.slice.deps;
  return await pool.transaction(async (locks) => {
    const keys = stretch.items.flatMap(lockKeys);
    const locked = await tryLockRecords(locks, batch.run.pair, keys);
    const planned = await planBatch(batch, pool, stretch.items);
    const elsewhere = new Map<number, string>();
    for (const { record } of planned) {
      if (!lockKeys(record).every((key) => locked.has(key))) {
        elsewhere.set(record.ordinal, "locked");
      } else if (record.overtaken) elsewhere.set(record.ordinal, "link_changed");
    }
    const ours = planned.filter(({ record }) => !elsewhere.has(record.ordinal));
    const confirmed = await confirmRemote(batch, pool, ours);
    const skipped = new Map([...elsewhere, ...confirmed.skipped]);
    const isLeft = ({ record }: ItemPlan) => !skipped.has(record.ordinal);
    for (const { record } of await shareLimits(batch, locks, confirmed.plans.filter(isLeft))) {
      skipped.set(record.ordinal, "locked");
    }
    const writable = confirmed.plans.filter(isLeft);
    batch.guard.add(writable);
    const remote = await writeRemote(batch, locks, writable);
    for (const { record } of writable) {
      if (remote.givenUp.includes(record.crosswalkId ?? 0)) {
        skipped.set(record.ordinal, "link_changed");
      }
    }
    const plans = [
      ...planned.filter(({ record }) => elsewhere.has(record.ordinal)),
      ...confirmed.plans,
    ];
    plans.sort((one, other) => one.record.ordinal - other.record.ordinal);
    return await commit(batch, stretch, { plans, skipped, remote }, tally);
  });
}
