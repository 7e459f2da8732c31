/**
 * What of a run can be taken back. Pure: no I/O, no clock.
 *
 * Undo gives back what was written over or taken away, and nothing else: it never
 * empties a field, takes no name off a list, raises no consent, and makes or
 * deletes no record. It writes side A only; the sync carries that to the remote
 * like any edit. To put the remote's old value back there and leave side A would
 * come to the same, since the next sync would carry it to side A.
 *
 * @module
 */
import { canonicalField, UnreadableValueError } from "../../shared/merge/canonical.ts";
import type { Doc, Json } from "../../shared/merge/json.ts";
import type { FieldRule, PairRules, SetRule } from "../../shared/merge/pair.ts";
import { sameJson } from "../../shared/merge/same_json.ts";

/** A change of one field on one side, as the log has it. */
export interface LoggedChange {
  readonly crosswalkId: number;
  readonly aId: string;
  readonly bId: string | null;
  readonly side: "a" | "b";
  readonly field: string;
  readonly before: Json;
  readonly after: Json;
}

/** From what to what a run changed a field on one side, all its writes together. */
interface Span {
  readonly before: Json;
  readonly after: Json;
}

/** What a run made of one field of one record. */
export interface NetChange {
  readonly crosswalkId: number;
  readonly aId: string;
  readonly bId: string | null;
  readonly field: string;
  readonly a: Span | null;
  readonly b: Span | null;
}

/** Puts the changes of a run together, in the order in which they were made. */
export class NetChanges {
  readonly #changes = new Map<string, NetChange>();

  add({ crosswalkId, aId, bId, side, field, before, after }: LoggedChange): void {
    const key = `${crosswalkId} ${field}`;
    const known = this.#changes.get(key) ?? { crosswalkId, aId, bId, field, a: null, b: null };
    const first = known[side];
    this.#changes.set(key, {
      ...known,
      [side]: { before: first === null ? before : first.before, after },
    });
  }

  all(): NetChange[] {
    return [...this.#changes.values()];
  }
}

/**
 * Why a change is not taken back.
 *
 * - `already`: side A holds what it held before
 * - `edited_since`: side A no longer holds what the run left
 * - `nothing_before`: there was nothing that was written over
 * - `consent`: what a person allows is never put back
 * - `in_conflict`: the field waits for a person, who decides
 * - `one_way`: side A's edits of the field do not travel, so the remote would keep its value
 * - `unmapped`: sync.config.ts no longer has the field
 * - `gone`: there is no such record, or none that the value belongs to
 * - `shared`: the value belongs to a record that others share
 * - `moved`: it was edited just now
 * - `locked`: somebody's open transaction holds it
 * - `refused`: the database refuses the value
 */
export type UndoSkip =
  | "already"
  | "edited_since"
  | "nothing_before"
  | "consent"
  | "in_conflict"
  | "one_way"
  | "unmapped"
  | "gone"
  | "shared"
  | "moved"
  | "locked"
  | "refused";

/** A value of side A to be put back. */
export interface UndoWrite {
  readonly path: string;
  /** As side A holds it this moment. */
  readonly seen: Json;
  /** As it shall be. */
  readonly value: Json;
  /** The same two, canonical. */
  readonly before: Json;
  readonly after: Json;
}

/** What can be done about a change. */
export type UndoPlan =
  | { readonly kind: "write"; readonly write: UndoWrite }
  | { readonly kind: "skip"; readonly reason: UndoSkip };

function skip(reason: UndoSkip): UndoPlan {
  return { kind: "skip", reason };
}

function namesIn(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((name) => typeof name === "string") : [];
}

function planSet(rule: SetRule, change: NetChange, seen: Json, present: Json): UndoPlan {
  const spans = [change.a, change.b].flatMap((span) => span ?? []);
  const removed = new Set(spans.flatMap(({ before, after }) => {
    const kept = namesIn(after);
    return namesIn(before).filter((name) => !kept.includes(name) && rule.managed.includes(name));
  }));
  if (removed.size === 0) return skip("nothing_before");
  const held = namesIn(seen);
  const missing = [...removed].filter((name) => !held.includes(name));
  if (missing.length === 0) return skip("already");
  const after = rule.managed.filter((name) => held.includes(name) || removed.has(name));
  return {
    kind: "write",
    write: { path: rule.local, seen, value: [...held, ...missing], before: present, after },
  };
}

function presentOf(rule: FieldRule, seen: Json, field: string, rules: PairRules): Json | undefined {
  try {
    return canonicalField(seen, rule, field, rules);
  } catch (error) {
    if (error instanceof UnreadableValueError) return undefined;
    throw error;
  }
}

/**
 * Plans what to do about one change of a run.
 *
 * @param doc Side A's record as it is now; undefined if there is none.
 * @param inConflict Fields of the record that wait for a person.
 */
export function planUndo(
  change: NetChange,
  doc: Doc | undefined,
  inConflict: readonly string[],
  rules: PairRules,
): UndoPlan {
  const { field, a, b } = change;
  const rule = rules.fields[field];
  if (rule === undefined) return skip("unmapped");
  if (rule.kind === "consent") return skip("consent");
  if (doc === undefined) return skip("gone");
  if (inConflict.includes(field)) return skip("in_conflict");
  const seen = doc[rule.local] ?? null;
  const present = presentOf(rule, seen, field, rules);
  if (present === undefined) return skip("edited_since");
  if (rule.kind === "set") return planSet(rule, change, seen, present);
  // Where the run wrote both sides, side A's own value is what comes back.
  const span = a ?? b;
  if (span === null || span.before === null) return skip("nothing_before");
  if (sameJson(present, span.before)) return skip("already");
  if (!sameJson(present, span.after)) return skip("edited_since");
  if (a === null && rule.flow === "to_local") return skip("one_way");
  return {
    kind: "write",
    write: { path: rule.local, seen, value: span.before, before: present, after: span.before },
  };
}
