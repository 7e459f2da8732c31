import type { FieldBase } from "./field_base.ts";
import type { FieldOutcome, SideChange } from "./field_outcome.ts";
import type { Json } from "./json.ts";
import type { SetRule } from "./pair.ts";
import type { ChangeRule } from "./record_plan.ts";

/** One thing of both sides. */
export interface Sides<T> {
  readonly a: T;
  readonly b: T;
}

/** Tells whether a set holds a name. */
export function holdsName(set: Json | undefined, name: string): boolean {
  return Array.isArray(set) && set.includes(name);
}

/** The managed names for which a test is true, in canonical order. */
export function managedNames(rule: SetRule, holds: (name: string) => boolean): string[] {
  return rule.managed.filter(holds);
}

/**
 * Merges one name of a set: whether each side must hold it. The sides come out
 * different only where they do so already, and that is settled.
 */
export function mergeName(
  base: FieldBase | null,
  name: string,
  inA: boolean,
  inB: boolean,
): Sides<boolean> {
  if (inA === inB || base === null) return { a: inA || inB, b: inA || inB };
  const aChanged = inA !== holdsName(base.a, name);
  const bChanged = inB !== holdsName(base.b, name);
  if (aChanged !== bChanged) {
    const stands = aChanged ? inA : inB;
    return { a: stands, b: stands };
  }
  return !aChanged && base.settled ? { a: inA, b: inB } : { a: true, b: true };
}

/** The changes that give each side the names it must hold. */
export function setChanges(
  rule: SetRule,
  a: Json,
  b: Json,
  after: Sides<readonly string[]>,
  why: ChangeRule,
): readonly SideChange[] {
  const changes: SideChange[] = [];
  const change = (side: SideChange["side"], set: Json, names: readonly string[]) => {
    const before = managedNames(rule, (name) => holdsName(set, name));
    if (before.length === names.length && before.every((name) => names.includes(name))) return;
    changes.push({ side, before, after: [...names], rule: why });
  };
  change("local", a, after.a);
  change("remote", b, after.b);
  return changes;
}

/**
 * Merges a set of both sides with its base, name by name: an addition on one side
 * and a removal of another name on the other both stand. Where a name was added
 * and removed at once, or nothing is known, it stays. Names that are not managed
 * take no part.
 */
export function mergeSet(rule: SetRule, base: FieldBase | null, a: Json, b: Json): FieldOutcome {
  const merged = new Map(
    rule.managed.map((name) => [
      name,
      mergeName(base, name, holdsName(a, name), holdsName(b, name)),
    ]),
  );
  const after = {
    a: managedNames(rule, (name) => merged.get(name)?.a === true),
    b: managedNames(rule, (name) => merged.get(name)?.b === true),
  };
  const changes = setChanges(rule, a, b, after, "set_merge");
  return changes.length === 0 ? { kind: "nothing" } : { kind: "changes", changes };
}
