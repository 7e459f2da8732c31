/**
 * Which records a run over named records looks at: links, and whoever has none,
 * matched by key.
 *
 * @module
 */
import type { PairRules } from "../merge/pair.ts";
import { commitPageRest } from "../store/enumeration_store.ts";
import { holdFormerKeys } from "../store/former_keys.ts";
import type { KeyedTable } from "../store/keyed_table.ts";
import { matchFreeByKey } from "../store/match_free.ts";
import { reuniteOrphans } from "../store/match_store.ts";
import type { Run } from "../store/run.ts";
import {
  type FoundLink,
  linksOf,
  stageAbsent,
  stagedWork,
  stageFreeRecords,
  type Subject,
} from "../store/subject_store.ts";
import type { WorkItem } from "../store/work_store.ts";
import type { Slice } from "./slice.ts";
import { changedRecords, isLinked, keyIn, keyOf, type RemoteView } from "./smart_remote.ts";
import { stageText } from "./stage_text.ts";

/** What a run over named records works with. */
export interface SmartStep {
  readonly slice: Slice;
  readonly run: Run;
  readonly keyed: KeyedTable;
}

/** What there is to look at. */
export interface SmartItems {
  readonly items: readonly WorkItem[];
  /** Records of side B whose partner is gone from side A. */
  readonly widowed: ReadonlySet<string>;
  /** Links that claim one person between them, by the record that was named. */
  readonly shared: ReadonlyMap<Subject, readonly FoundLink[]>;
  /** Whether anything was staged, and has to be cleared away. */
  readonly staged: boolean;
}

/** Keys of the records that were read, in the form they are matched by; by id. */
function keysById({ byKey }: RemoteView): Map<string, string> {
  return new Map([...byKey].flatMap(([key, ids]) => ids.map((id): [string, string] => [id, key])));
}

async function stageRemote(
  { slice, run }: SmartStep,
  subjects: readonly Subject[],
  view: RemoteView,
): Promise<boolean> {
  const { pool, pair: { rules } } = slice.deps;
  const left = stageText(changedRecords(view, subjects, rules), "remote", rules);
  const unreadable = [...left.unreadable.map(({ id }) => id), ...view.unreadable];
  if (left.text === "[]" && unreadable.length === 0) return false;
  slice.committed(
    await commitPageRest(pool, run, {
      side: "b",
      listed: null,
      records: left.text,
      unreadable,
      requests: slice.takeRequests(),
      seen: view.records.size + view.unreadable.size,
      cursor: {},
      phase: "Reading both sides",
    }),
  );
  return true;
}

/** Records of side A that are to be matched by key: those without a living link, and those that have lost theirs. */
function freeSubjects(
  subjects: readonly Subject[],
  relinking: ReadonlySet<string>,
  { unreadableKeys }: RemoteView,
  rules: PairRules,
): readonly (Subject & { readonly aId: string })[] {
  return subjects.filter((subject): subject is Subject & { readonly aId: string } =>
    subject.aId !== null &&
    (subject.linkState !== "linked" || subject.bId !== null && relinking.has(subject.bId)) &&
    // Somebody has its key; made anew, they would be written over unread.
    !unreadableKeys.has(keyOf(subject, rules) ?? "")
  );
}

/**
 * Stages what was read and finds out which records there are to look at.
 *
 * @param repair Whether a link whose record of side B is gone may be given to another record with the same key.
 */
export async function smartItems(
  step: SmartStep,
  subjects: readonly Subject[],
  view: RemoteView,
  repair: boolean,
): Promise<SmartItems> {
  const { slice, run, keyed } = step;
  const { pool, pair } = slice.deps;
  let staged = await stageRemote(step, subjects, view);
  const relinking = new Set(
    repair
      ? subjects.flatMap((subject) =>
        isLinked(subject) && subject.bId !== null && view.gone.has(subject.bId) ? [subject.bId] : []
      )
      : [],
  );
  const links = new Map<number, { aId: string; bId: string }>();
  for (const subject of subjects) {
    const { crosswalkId, aId, bId } = subject;
    if (!isLinked(subject) || crosswalkId === null || aId === null || bId === null) continue;
    if (!view.gone.has(bId)) links.set(crosswalkId, { aId, bId });
  }

  const own = new Set(subjects.flatMap((one) => isLinked(one) ? [one.bId ?? ""] : []));
  const strangers = [...view.records.keys(), ...view.unreadable].filter((id) => !own.has(id));
  const found = strangers.length === 0 ? [] : await linksOf(pool, pair.name, keyed, strangers);
  const foundById = new Map(found.map((link) => [link.bId, link]));
  const shared = new Map<Subject, FoundLink[]>();
  for (const subject of subjects) {
    const key = keyOf(subject, pair.rules);
    const others = (view.byKey.get(key ?? "") ?? []).flatMap((id) => foundById.get(id) ?? []);
    if (others.length === 0 || key === null) continue;
    if (subject.linkState === "linked") shared.set(subject, others);
    else for (const link of others) if (link.hasA) links.set(link.crosswalkId, link);
  }
  const pairs = [...links].map(([crosswalkId, { aId, bId }], index): WorkItem => ({
    ordinal: index + 1,
    kind: "pair",
    crosswalkId,
    aId,
    bId,
  }));

  const free = freeSubjects(subjects, relinking, view, pair.rules);
  const alone = strangers.filter((id) => !foundById.has(id));
  let matched: WorkItem[] = [];
  if (free.length > 0 || alone.length > 0) {
    if (relinking.size > 0) await stageAbsent(pool, run, [...relinking]);
    await stageFree(step, free, alone, view, relinking);
    staged = true;
    await reuniteOrphans(pool, run);
    const isKnown = await matchFreeByKey(pool, run, keyed, pair.rules.keyField);
    if (isKnown) await holdFormerKeys(pool, run, keyed, pair.rules);
    matched = await stagedWork(pool, run, pairs.length);
  }
  return {
    items: [...pairs, ...matched],
    widowed: new Set(found.filter(({ hasA }) => !hasA).map(({ bId }) => bId)),
    shared,
    staged,
  };
}

async function stageFree(
  { slice, run, keyed }: SmartStep,
  free: readonly (Subject & { readonly aId: string })[],
  alone: readonly string[],
  view: RemoteView,
  relinking: ReadonlySet<string>,
): Promise<void> {
  const { pool, pair: { rules, remote: { connector } } } = slice.deps;
  const records = free.map((subject) => ({ aId: subject.aId, key: keyOf(subject, rules) ?? "" }));
  const byId = keysById(view);
  const keys = new Set(records.map(({ key }) => key));
  for (const id of alone) {
    keys.add(byId.get(id) ?? keyIn(view.records.get(id)?.doc[connector.spec.key.path], rules));
  }
  // As above: somebody has it who could not be read.
  for (const key of ["", ...view.unreadableKeys]) keys.delete(key);
  const lost = free.flatMap(({ aId, bId }) => bId !== null && relinking.has(bId) ? [aId] : []);
  await stageFreeRecords(pool, run, keyed, records, [...keys], lost);
}
