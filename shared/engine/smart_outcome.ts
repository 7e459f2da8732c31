import { sameJson } from "../merge/same_json.ts";
import type { PairRules } from "../merge/pair.ts";
import type { Intent } from "../store/intent_store.ts";
import type { Subject } from "../store/subject_store.ts";
import type { WorkItem } from "../store/work_store.ts";
import type { AppliedItem } from "./batch.ts";
import type { ItemPlan } from "./plan_item.ts";
import type { SmartItems } from "./smart_items.ts";
import { isLinked, keyOf, type RemoteView } from "./smart_remote.ts";

/**
 * What repair found wrong about a record.
 *
 * - `shadow_missing`: nobody knew what both sides last agreed on
 * - `remote_vanished`: the record it was linked to is gone
 * - `relinked`: it was linked to another record with its key instead
 * - `shared_link`: several links claim this person; nothing was done about that
 * - `intent_left_over`: a write was sent and never confirmed
 * - `drift`: the sides differed although neither was edited
 */
export type RepairFinding =
  | "shadow_missing"
  | "remote_vanished"
  | "relinked"
  | "shared_link"
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
  /** For one that failed, in how many runs in a row; 0 where nobody counts them. */
  readonly failedRuns: number;
  /** Whether something of it waits for a run of another direction. */
  readonly left: boolean;
  readonly repairs: readonly RepairFinding[];
}

/** All that a run knows about what became of records, as far as it came. */
export interface SmartFindings {
  readonly subjects: readonly Subject[];
  /** null where side B was not read. */
  readonly view: RemoteView | null;
  /** null where it is not known what there was to look at. */
  readonly found: SmartItems | null;
  readonly applied: ReadonlyMap<WorkItem, AppliedItem>;
  /** Records that a limit kept from being changed. */
  readonly guarded: ReadonlySet<WorkItem>;
  /** Writes that nobody had heard the answer of. */
  readonly intents: readonly Intent[];
  readonly repair: boolean;
}

function nameOf({ by, ref }: Subject): string {
  return `${by}:${ref}`;
}

function itemOf(subject: Subject, { view, found }: SmartFindings): WorkItem | undefined {
  const { aId, bId } = subject;
  const items = found?.items ?? [];
  return items.find((item) => aId !== null && item.aId === aId) ??
    items.find((item) => bId !== null && item.bId === bId) ??
    items.find((item) =>
      subject.by === "key" && item.bId !== null &&
      view?.byKey.get(subject.ref)?.includes(item.bId)
    );
}

/** Why there was nothing to look at. */
function absentReason(subject: Subject, { view, found }: SmartFindings, rules: PairRules): string {
  const { linkState, aId, bId } = subject;
  if (view === null || found === null) return "not_reached";
  const isWidowed = view.byKey.get(subject.ref)?.some((id) => found.widowed.has(id)) ?? false;
  if (linkState === "linked" && aId === null || isWidowed) return "gone_local";
  if (linkState === "linked" && bId !== null && view.gone.has(bId)) return "gone_remote";
  if (view.unreadableKeys.has(keyOf(subject, rules) ?? "")) return "unreadable_record";
  return linkState === null ? "unknown_record" : "orphan";
}

function failedRunsOf({ record }: ItemPlan): number {
  const { failure, a, bToken } = record;
  const goesOn = failure !== null && failure.aToken === (a?.token ?? "") &&
    failure.bToken === bToken;
  return goesOn ? failure.runs + (failure.thisRun ? 0 : 1) : 1;
}

function outcomeOf(
  subject: Subject,
  findings: SmartFindings,
  isSeveral: boolean,
  rules: PairRules,
): Omit<SmartOutcome, "repairs"> {
  const { by, ref } = subject;
  const nothing = { by, ref, bId: subject.bId, conflicts: 0, failedRuns: 0, left: false };
  const skipped = (reason: string) => ({ ...nothing, outcome: "skipped" as const, reason });
  if (isSeveral) return skipped("duplicate_key");
  if (isSettled(subject)) return skipped("unchanged");
  const item = itemOf(subject, findings);
  if (item === undefined) {
    const reason = absentReason(subject, findings, rules);
    if (reason !== "unreadable_record") return skipped(reason);
    return { ...nothing, outcome: "failed", reason };
  }
  const applied = findings.applied.get(item);
  if (applied === undefined) {
    return skipped(findings.guarded.has(item) ? "guard_tripped" : "not_reached");
  }
  const { plan, recordClass, reason } = applied;
  // A dry run makes up no id for who is new.
  const bId = applied.bId || null;
  const conflicts = plan.kind === "merge" ? plan.plan.conflicts.length : 0;
  const changes = plan.kind === "merge" ? plan.plan.changes.length : 1;
  const left = reason === "direction" ||
    plan.kind === "merge" && plan.plan.kept.some((kept) => kept.reason === "direction");
  const told = { by, ref, bId, conflicts, failedRuns: 0, left };
  if (recordClass === "failed") {
    return { ...told, outcome: "failed", reason, failedRuns: failedRunsOf(plan) };
  }
  // A new link is a change, also where both sides hold the same.
  const isLinkedNow = plan.kind === "merge" && item.kind === "match" && reason === null;
  if (recordClass === "changed" || recordClass === "conflicted" && changes > 0 || isLinkedNow) {
    return { ...told, outcome: "changed", reason: null };
  }
  const why = reason ??
    (recordClass === "conflicted" ? "conflict" : left ? "direction" : "unchanged");
  return { ...told, outcome: "skipped", reason: why };
}

/** Whether it is known without asking side B that there is nothing to do: what put it into the queue left it as it was. */
export function isSettled(subject: Subject): boolean {
  return isLinked(subject) && subject.untouched;
}

function isDrift({ plan }: AppliedItem): boolean {
  if (plan.kind !== "merge" || plan.record.shadow === null) return false;
  const { shadow } = plan.record;
  return plan.plan.changes.length + plan.plan.conflicts.length > 0 &&
    sameJson(plan.state.a, shadow.a) && sameJson(plan.state.b, shadow.b);
}

function isAbout(intent: Intent, subject: Subject, rules: PairRules): boolean {
  const { crosswalkId, aId, bId, payload } = intent;
  return crosswalkId !== null && crosswalkId === subject.crosswalkId ||
    aId !== null && aId === subject.aId || bId !== null && bId === subject.bId ||
    typeof payload["key"] === "string" && payload["key"] === keyOf(subject, rules);
}

function repairsOf(
  subject: Subject,
  findings: SmartFindings,
  group: readonly Subject[],
  rules: PairRules,
): RepairFinding[] {
  const repairs: RepairFinding[] = [];
  const { view, found, intents } = findings;
  const isGone = subject.bId !== null && view?.gone.has(subject.bId) === true;
  const item = itemOf(subject, findings);
  const applied = item === undefined ? undefined : findings.applied.get(item);
  if (isLinked(subject) && subject.shadowB === null) repairs.push("shadow_missing");
  if (isLinked(subject) && isGone) repairs.push("remote_vanished");
  if (isLinked(subject) && isGone && item?.kind === "match" && applied?.recordClass !== "skipped") {
    repairs.push("relinked");
  }
  if (group.filter(isLinked).length > 1 || found?.shared.has(subject) === true) {
    repairs.push("shared_link");
  }
  if (group.some((one) => intents.some((intent) => isAbout(intent, one, rules)))) {
    repairs.push("intent_left_over");
  }
  if (applied !== undefined && isDrift(applied)) repairs.push("drift");
  return repairs;
}

/** Records of side A that were named together, by one key. */
export function groupsOf(subjects: readonly Subject[]): Map<string, Subject[]> {
  const groups = new Map<string, Subject[]>();
  for (const subject of subjects) {
    const group = groups.get(nameOf(subject));
    if (group === undefined) groups.set(nameOf(subject), [subject]);
    else group.push(subject);
  }
  return groups;
}

/** What became of every record that was named, one entry each. */
export function smartOutcomes(findings: SmartFindings, rules: PairRules): SmartOutcome[] {
  return [...groupsOf(findings.subjects).values()].flatMap((group): SmartOutcome[] => {
    const [subject] = group;
    if (subject === undefined) return [];
    return [{
      ...outcomeOf(subject, findings, group.length > 1, rules),
      repairs: findings.repair ? repairsOf(subject, findings, group, rules) : [],
    }];
  });
}
