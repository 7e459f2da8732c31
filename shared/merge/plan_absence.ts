import type { CanonicalRecord, PairRules } from "./pair.ts";
import { sameJson } from "./same_json.ts";

/** What the pair says about a linked record that one side no longer has. */
export type AbsencePolicy = "mark" | "unlink" | "unsubscribe" | "delete";

/** What to do about it; `conflict` leaves it to a person. */
export interface AbsencePlan {
  readonly action: AbsencePolicy | "conflict";
}

/**
 * Plans what becomes of the record that is left when its partner is gone. A
 * record that was edited since the last agreement is not deleted: whoever edited
 * it wanted it.
 *
 * @param otherChanged Whether the record that is left was edited; true where that is not known.
 */
export function planAbsence(policy: AbsencePolicy, otherChanged: boolean): AbsencePlan {
  return { action: policy === "delete" && otherChanged ? "conflict" : policy };
}

/**
 * Tells whether one side of a record was edited since the last agreement. A field
 * that the base does not know counts as edited unless it is blank.
 */
export function changedSince(
  rules: PairRules,
  base: CanonicalRecord,
  current: CanonicalRecord,
): boolean {
  return Object.entries(rules.fields).some(([field, rule]) => {
    const blank = rule.kind === "set" ? [] : null;
    return !sameJson(base[field] ?? blank, current[field] ?? blank);
  });
}
