import type { FieldBase } from "./field_base.ts";
import { type FieldOutcome, oneChange } from "./field_outcome.ts";
import type { Json } from "./json.ts";
import type { ValueRule } from "./pair.ts";
import type { ChangeRule, ConflictReason } from "./record_plan.ts";
import { sameJson } from "./same_json.ts";

type Side = "local" | "remote";

/** Which side's value stands, and why. */
type Source =
  | { readonly from: Side; readonly rule: ChangeRule }
  | { readonly conflict: ConflictReason }
  | null;

/** Who wins where both sides have something to say: the source of a one-way field, else the policy. */
function winner(rule: ValueRule, conflict: ConflictReason): Source {
  const from = rule.flow === "to_remote"
    ? "local"
    : rule.flow === "to_local"
    ? "remote"
    : rule.wins;
  return from === "manual" ? { conflict } : { from, rule: `wins_${from}` };
}

/** Whether a value that would give way to an edit of the other side was never agreed on, so that nobody there could see it. */
function neverAgreed(rule: ValueRule, base: FieldBase, given: Json): boolean {
  const isAccepted = base.settled && !(base.keptApart === true && rule.flow === "both");
  return !isAccepted && !sameJson(base.a, base.b) && given !== null;
}

function source(rule: ValueRule, base: FieldBase | null, a: Json, b: Json): Source {
  if (base !== null) {
    const inA = !sameJson(a, base.a);
    const inB = !sameJson(b, base.b);
    if (inA && inB) return winner(rule, "both_changed");
    const edited: Source = inA || inB ? { from: inA ? "local" : "remote", rule: "edit" } : null;
    if (edited !== null && !neverAgreed(rule, base, inA ? b : a)) return edited;
    // Whoever edited one side could not see that the other's value was in question.
    if (edited !== null) return rule.wins === "manual" ? winner(rule, "first_link") : edited;
    if (base.settled) return null;
  }
  if (a === null) return { from: "remote", rule: "first_fill" };
  if (b === null) return { from: "local", rule: "first_fill" };
  return winner(rule, "first_link");
}

/**
 * Merges one value field of both sides with its base. No clock takes part: an
 * edit is a value that differs from the base of its own side.
 *
 * @param isKey Whether records are recognised by this field.
 * @param base null for a first link; so is a base without an agreement that nobody has changed since.
 */
export function mergeValue(
  rule: ValueRule,
  isKey: boolean,
  base: FieldBase | null,
  a: Json,
  b: Json,
): FieldOutcome {
  if (sameJson(a, b)) return { kind: "nothing" };
  const stands = source(rule, base, a, b);
  if (stands === null) return { kind: "nothing" };
  if ("conflict" in stands) return { kind: "conflict", reason: stands.conflict };
  const [to, before, after]: [Side, Json, Json] = stands.from === "local"
    ? ["remote", b, a]
    : ["local", a, b];
  if (rule.flow !== "both" && rule.flow !== `to_${to}`) return { kind: "kept", reason: "one_way" };
  // What records are recognised by is never emptied, whatever the rule says.
  if (after === null && (isKey || !rule.mayBlank)) {
    return { kind: "conflict", reason: "blank_not_allowed" };
  }
  return oneChange(to, before, after, stands.rule);
}
