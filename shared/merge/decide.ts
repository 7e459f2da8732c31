import type { FieldOutcome, SideChange } from "./field_outcome.ts";
import type { Json } from "./json.ts";
import { holdsName, managedNames, setChanges } from "./merge_set.ts";
import type { FieldRule, SetRule, ValueRule } from "./pair.ts";
import type { Decision } from "./record_plan.ts";
import { sameJson } from "./same_json.ts";

/** What both sides shall hold; undefined where the decision is not one for this kind of field. */
function decidedValue(rule: FieldRule, decision: Decision): Json | undefined {
  if (rule.kind === "consent") return undefined;
  const value = decision.choice === "value"
    ? decision.value
    : decision[decision.choice === "local" ? "a" : "b"];
  if (rule.kind === "value") return value;
  return Array.isArray(value) ? managedNames(rule, (name) => holdsName(value, name)) : undefined;
}

/**
 * Tells whether a decision still counts: each side holds what it held then, or
 * what was decided. The second is so that one which could only be carried out in
 * part is finished, and one that was carried out and not recorded is not
 * reported as overtaken.
 *
 * Nothing can be decided about consent: it would be a way to raise it.
 */
export function isCurrent(rule: FieldRule, decision: Decision, a: Json, b: Json): boolean {
  const value = decidedValue(rule, decision);
  return value !== undefined &&
    (sameJson(a, decision.a) || sameJson(a, value)) &&
    (sameJson(b, decision.b) || sameJson(b, value));
}

/**
 * What a current decision asks for. It stands above the field's direction and
 * blank rule, because a person said so, but never empties the key.
 */
export function decide(
  rule: ValueRule | SetRule,
  isKey: boolean,
  decision: Decision,
  a: Json,
  b: Json,
): FieldOutcome {
  const value = decidedValue(rule, decision) ?? null;
  let changes: readonly SideChange[];
  if (rule.kind === "set") {
    const names = managedNames(rule, (name) => holdsName(value, name));
    changes = setChanges(rule, a, b, { a: names, b: names }, "decision");
  } else {
    const all: SideChange[] = [
      { side: "local", before: a, after: value, rule: "decision" },
      { side: "remote", before: b, after: value, rule: "decision" },
    ];
    changes = all.filter(({ before, after }) => !sameJson(before, after));
    if (changes.length > 0 && value === null && isKey) {
      return { kind: "conflict", reason: "blank_not_allowed" };
    }
  }
  return changes.length === 0 ? { kind: "nothing" } : { kind: "changes", changes };
}
