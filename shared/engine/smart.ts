/**
 * The run over named records: those somebody asked for, and those that wait in the
 * queue. It finds them, reads side B by id and key, and hands them to the same
 * planner and the same batch as the two-way run.
 *
 * It decides nothing about what is gone: that takes a complete enumeration.
 *
 * @module
 */
import type { RemoteRecord } from "../connectors/connector.ts";
import { UnreadableRecordsError } from "../connectors/unreadable_records_error.ts";
import { canonicalKey } from "../merge/canonical.ts";
import { commitPageRest } from "../store/enumeration_store.ts";
import type { LocalTable } from "../store/local_table.ts";
import { type KeyedTable, matchFreeByKey, reuniteOrphans } from "../store/match_store.ts";
import type { Run } from "../store/run.ts";
import { clearRun, guardedSince, moveRun } from "../store/run_store.ts";
import { forgetSchema, recallSchema, rememberSchema } from "../store/schema_store.ts";
import {
  findSubjects,
  linksOf,
  type Named,
  stageAbsent,
  stagedWork,
  stageFreeRecords,
  type Subject,
} from "../store/subject_store.ts";
import type { WorkItem } from "../store/work_store.ts";
import { applyBatch } from "./apply_batch.ts";
import type { AppliedItem, Batch, Tally } from "./batch.ts";
import { flowOf, keyedTable, managedSets, storedSchema } from "./batch_config.ts";
import { runGuard } from "./guard.ts";
import { checkRemoteSchema, openLocalTable } from "./open_sides.ts";
import { resolveIntents } from "./resolve_intents.ts";
import { runSlice, type Slice, type SliceDeps, type WorkEnd } from "./slice.ts";
import { stageText } from "./stage_text.ts";
import type { StopReason } from "./stop_reason.ts";

const BATCH_RECORDS = 196;

/** How long what the account holds is taken for known, in ms. */
const SCHEMA_LIFE_MS = 24 * 60 * 60_000;

/** What repair found wrong about a record; each is mended by the plan that follows. */
export type RepairFinding =
  | "shadow_missing"
  | "remote_vanished"
  | "relinked"
  | "intent_left_over"
  | "drift";

/** What became of a record that was named. */
export interface SmartOutcome {
  readonly by: Subject["by"];
  readonly ref: string;
  readonly outcome: "changed" | "skipped" | "failed";
  readonly bId: string | null;
  /** A code: why it was skipped or failed. */
  readonly reason: string | null;
  /** Fields that wait for a person. */
  readonly conflicts: number;
  readonly repairs: readonly RepairFinding[];
}

/** What one call asks of a run. */
export interface SmartCall {
  readonly named: Named;
  readonly repair: boolean;
  readonly tally: Tally;
  /** Takes what became of the records; called once, whatever happens. */
  readonly onOutcomes: (outcomes: readonly SmartOutcome[]) => void;
}

interface Step {
  readonly slice: Slice;
  readonly run: Run;
  readonly table: LocalTable;
  readonly keyed: KeyedTable;
}

/** What side B answered about the records in question. */
interface RemoteView {
  readonly records: ReadonlyMap<string, RemoteRecord>;
  readonly gone: ReadonlySet<string>;
  readonly unreadable: ReadonlySet<string>;
  /** Keys of the records, by their ids. */
  readonly keys: ReadonlyMap<string, string>;
}

const NOTHING_READ: RemoteView = {
  records: new Map(),
  gone: new Set(),
  unreadable: new Set(),
  keys: new Map(),
};

function isLinked({ linkState, aId, bId }: Subject): boolean {
  return linkState === "linked" && aId !== null && bId !== null;
}

async function getAll(
  slice: Slice,
  ids: readonly string[],
): Promise<Omit<RemoteView, "keys">> {
  const { connector } = slice.deps.pair.remote;
  const unreadable = new Set<string>();
  let wanted = [...new Set(ids)];
  for (;;) {
    try {
      const read = wanted.length === 0 ? [] : await connector.get(slice.remote, wanted);
      const records = new Map<string, RemoteRecord>();
      const gone = new Set<string>();
      for (const [index, id] of wanted.entries()) {
        const record = read[index] ?? null;
        if (record === null) gone.add(id);
        else records.set(id, record);
      }
      return { records, gone, unreadable };
    } catch (error) {
      if (!(error instanceof UnreadableRecordsError) || error.indexes.length === 0) throw error;
      const bad = new Set(error.indexes);
      for (const [index, id] of wanted.entries()) if (bad.has(index)) unreadable.add(id);
      wanted = wanted.filter((_, index) => !bad.has(index));
    }
  }
}

async function findAll(slice: Slice, keys: readonly string[]): Promise<RemoteRecord[]> {
  const wanted = [...new Set(keys)].filter((key) => key !== "");
  if (wanted.length === 0) return [];
  return (await slice.deps.pair.remote.connector.find(slice.remote, wanted)).flat();
}

/** Reads side B: linked records by id, in batches, and by key whoever has no link. */
async function readRemote(
  step: Step,
  subjects: readonly Subject[],
  repair: boolean,
): Promise<RemoteView> {
  const { slice } = step;
  const ids = subjects.flatMap((subject) =>
    subject.bId !== null && (isLinked(subject) || subject.by === "b") ? [subject.bId] : []
  );
  const view = await getAll(slice, ids);
  const keys = subjects.flatMap((subject) => {
    if (isLinked(subject)) {
      // Its partner may have come back under another id.
      const lost = repair && subject.bId !== null && view.gone.has(subject.bId);
      return lost && subject.aKey !== null ? [subject.aKey] : [];
    }
    if (subject.aId !== null) return subject.aKey === null ? [] : [subject.aKey];
    return subject.by === "key" ? [subject.ref] : [];
  });
  const records = new Map(view.records);
  for (const record of await findAll(slice, keys)) records.set(record.id, record);
  const { key } = slice.deps.pair.remote.connector.spec;
  const byId = [...records.values()].map(({ id, doc }): [string, string] => [
    id,
    canonicalKey(doc[key.path], key.compare),
  ]);
  return { ...view, records, keys: new Map(byId) };
}

async function stageRemote(step: Step, view: RemoteView): Promise<void> {
  const { slice, run } = step;
  const { pool, pair } = slice.deps;
  const left = stageText([...view.records.values()], "remote", pair.rules);
  const unreadable = [...left.unreadable.map(({ id }) => id), ...view.unreadable];
  if (view.records.size === 0 && unreadable.length === 0) return;
  slice.committed(
    await commitPageRest(pool, run, {
      side: "b",
      records: left.text,
      unreadable,
      noted: null,
      requests: slice.takeRequests(),
      seen: view.records.size + unreadable.length,
      cursor: {},
      phase: "Reading both sides",
    }),
  );
}

/** Links to look at: those of the records named, and those that a key led to. */
async function linkedItems(
  step: Step,
  subjects: readonly Subject[],
  view: RemoteView,
  relinking: ReadonlySet<string>,
): Promise<WorkItem[]> {
  const links = new Map<number, { aId: string; bId: string }>();
  for (const { crosswalkId, aId, bId, linkState } of subjects) {
    if (crosswalkId === null || aId === null || bId === null || linkState !== "linked") continue;
    if (!view.gone.has(bId)) links.set(crosswalkId, { aId, bId });
  }
  const known = new Set([...links.values()].map(({ bId }) => bId));
  const others = [...view.records.keys()].filter((id) => !known.has(id));
  if (others.length > 0) {
    for (const link of await linksOf(step.slice.deps.pool, step.run.pair, others)) {
      links.set(link.crosswalkId, link);
    }
  }
  return [...links].filter(([, { bId }]) => !relinking.has(bId)).map((
    [crosswalkId, ids],
    index,
  ) => ({
    ordinal: index + 1,
    kind: "pair",
    crosswalkId,
    ...ids,
  }));
}

/** Records without a living link, matched by key with whoever has the same. */
async function freeItems(
  step: Step,
  subjects: readonly Subject[],
  view: RemoteView,
  relinking: ReadonlySet<string>,
  after: number,
): Promise<WorkItem[]> {
  const { slice: { deps: { pool, pair } }, run, keyed } = step;
  const free = subjects.flatMap(({ aId, aKey, bId, linkState }) => {
    if (aId === null) return [];
    const orphan = linkState !== null;
    const isFree = linkState === null || linkState === "b_missing" || linkState === "unlinked" ||
      linkState === "linked" && bId !== null && relinking.has(bId);
    return isFree ? [{ aId, key: aKey ?? "", orphan }] : [];
  });
  const strangers = await strangersOf(step, view);
  if (free.length === 0 && !strangers) return [];
  if (relinking.size > 0) await stageAbsent(pool, run, [...relinking]);
  await stageFreeRecords(pool, run, free);
  await reuniteOrphans(pool, run);
  await matchFreeByKey(pool, run, keyed, pair.rules.keyField);
  return await stagedWork(pool, run, after);
}

async function strangersOf(step: Step, view: RemoteView): Promise<boolean> {
  const ids = [...view.records.keys()];
  const linked = await linksOf(step.slice.deps.pool, step.run.pair, ids);
  return linked.length < ids.length;
}

async function schemaOf(step: Step) {
  const { slice } = step;
  const { pool, pair } = slice.deps;
  const stored = await recallSchema(pool, pair.name, SCHEMA_LIFE_MS);
  if (stored !== null) return storedSchema(stored);
  const schema = await pair.remote.connector.describe(slice.remote);
  checkRemoteSchema(pair, schema);
  await rememberSchema(pool, pair.name, managedSets(pair, schema));
  return schema;
}

function outcomeOf(
  subject: Subject,
  applied: readonly AppliedItem[],
  view: RemoteView,
  several: boolean,
): Omit<SmartOutcome, "repairs"> {
  const { by, ref } = subject;
  const item = applied.find(({ plan: { record } }) =>
    subject.aId !== null && record.aId === subject.aId ||
    subject.bId !== null && record.bId === subject.bId ||
    by === "key" && record.bId !== null && view.keys.get(record.bId) === ref
  );
  const nothing = { by, ref, bId: subject.bId, conflicts: 0 };
  if (several) return { ...nothing, outcome: "skipped", reason: "duplicate_key" };
  if (item === undefined) {
    const reason = subject.linkState === "linked" && subject.aId === null
      ? "gone_local"
      : subject.bId !== null && view.gone.has(subject.bId)
      ? "gone_remote"
      : "unknown_record";
    return { ...nothing, outcome: "skipped", reason };
  }
  const { plan, recordClass, reason, bId } = item;
  const conflicts = plan.kind === "merge" ? plan.plan.conflicts.length : 0;
  const changes = plan.kind === "merge" ? plan.plan.changes.length : 1;
  if (recordClass === "failed") return { by, ref, bId, conflicts, outcome: "failed", reason };
  if (recordClass === "changed" || recordClass === "conflicted" && changes > 0) {
    return { by, ref, bId, conflicts, outcome: "changed", reason: null };
  }
  const why = reason ?? (recordClass === "conflicted" ? "conflict" : "unchanged");
  return { by, ref, bId, conflicts, outcome: "skipped", reason: why };
}

function repairsOf(
  subject: Subject,
  applied: readonly AppliedItem[],
  view: RemoteView,
): RepairFinding[] {
  const findings: RepairFinding[] = [];
  const item = applied.find(({ plan: { record } }) =>
    record.aId !== null && record.aId === subject.aId
  );
  if (isLinked(subject) && !subject.hasShadow) findings.push("shadow_missing");
  if (subject.bId !== null && view.gone.has(subject.bId)) findings.push("remote_vanished");
  if (item?.plan.record.kind === "match" && subject.crosswalkId !== null) findings.push("relinked");
  if (item?.plan.kind === "merge" && item.plan.record.shadow !== null) {
    const { shadow, a } = item.plan.record;
    const untouched = a !== null && item.plan.plan.changes.length > 0 &&
      shadow.settled.length === 0 &&
      item.plan.state.base !== null &&
      JSON.stringify(item.plan.state.a) === JSON.stringify(shadow.a) &&
      JSON.stringify(item.plan.state.b) === JSON.stringify(shadow.b);
    if (untouched) findings.push("drift");
  }
  return findings;
}

async function work(slice: Slice, run: Run, call: SmartCall): Promise<WorkEnd> {
  const { pool, pair } = slice.deps;
  const step: Step = {
    slice,
    run,
    table: await openLocalTable(pool, pair),
    keyed: keyedTable(pair),
  };
  if (call.repair) await resolveIntents(slice, run);
  const subjects = await findSubjects(pool, pair.name, step.keyed, call.named);
  const counts = new Map<string, number>();
  for (const { by, ref } of subjects) {
    counts.set(`${by}:${ref}`, (counts.get(`${by}:${ref}`) ?? 0) + 1);
  }
  const isSeveral = ({ by, ref }: Subject) => (counts.get(`${by}:${ref}`) ?? 0) > 1;
  const single = subjects.filter((subject) => !isSeveral(subject));
  const applied: AppliedItem[] = [];
  let view = NOTHING_READ;
  let stop: StopReason | null = null;
  try {
    view = await readRemote(step, single, call.repair);
    await stageRemote(step, view);
    const relinking = new Set(
      call.repair
        ? single.flatMap((subject) =>
          isLinked(subject) && subject.bId !== null && view.gone.has(subject.bId)
            ? [subject.bId]
            : []
        )
        : [],
    );
    const linked = await linkedItems(step, single, view, relinking);
    const items = [...linked, ...await freeItems(step, single, view, relinking, linked.length)];
    stop = await apply(step, items, call, applied);
  } finally {
    const seen = new Set<string>();
    call.onOutcomes(subjects.flatMap((subject) => {
      const name = `${subject.by}:${subject.ref}`;
      if (seen.has(name)) return [];
      seen.add(name);
      const outcome = outcomeOf(subject, applied, view, isSeveral(subject));
      return [{ ...outcome, repairs: call.repair ? repairsOf(subject, applied, view) : [] }];
    }));
  }
  await clearRun(pool, run);
  if (stop !== null) return { done: false, reason: stop };
  return {
    done: true,
    phases: {
      completed: "Done: every record named was looked at",
      failed: "Finished, but some records could not be synced",
    },
  };
}

async function apply(
  step: Step,
  items: readonly WorkItem[],
  call: SmartCall,
  applied: AppliedItem[],
): Promise<StopReason | null> {
  const { slice, run, table, keyed } = step;
  const { pool, pair } = slice.deps;
  if (items.length === 0) {
    await moveRun(pool, run, { cursor: {}, phase: "Done", requests: slice.takeRequests() });
    return null;
  }
  const { linked, counts } = await guardedSince(pool, run);
  const batch: Batch = {
    slice,
    run,
    table,
    keyed,
    schema: await schemaOf(step),
    flow: flowOf(run),
    dryRun: run.params["dryRun"] === true,
    justRead: true,
    guard: runGuard(pair.rules, linked, counts, new Set()),
  };
  for (let from = 0; from < items.length; from += BATCH_RECORDS) {
    const stretch = items.slice(from, from + BATCH_RECORDS);
    const done = await applyBatch(
      batch,
      { items: stretch, from, to: from + stretch.length },
      call.tally,
    );
    applied.push(...done);
    if (done.some(({ reason }) => reason === "group_missing")) await forgetSchema(pool, pair.name);
    const stop = slice.stopReason();
    if (stop !== null && from + BATCH_RECORDS < items.length) return stop;
  }
  return null;
}

/**
 * Works on a run over named records.
 *
 * @returns The run as it was left, or null if another worker took it over.
 */
export async function smart(deps: SliceDeps, run: Run, call: SmartCall): Promise<Run | null> {
  return await runSlice(deps, run, (slice) => work(slice, run, call));
}
