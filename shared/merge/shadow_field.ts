import type { FieldBase } from "./field_base.ts";
import type { Json } from "./json.ts";
import { holdsName, managedNames, mergeName, type Sides } from "./merge_set.ts";
import type { SetRule } from "./pair.ts";
import type { KeptReason } from "./record_plan.ts";
import { sameJson } from "./same_json.ts";

/** One side of one field: what was read, what the plan wanted, what is there now. */
export interface SideAfter {
  /** As it was read. */
  readonly read: Json;
  /** What was to be written; undefined where nothing was. */
  readonly wanted: Json | undefined;
  /** Whether it was written; false too where nothing was to be. */
  readonly written: boolean;
  /** What stands there now, as far as is known. */
  readonly held: Json;
}

/** One field of both sides after parts of a plan were done. */
export interface FieldAfter {
  readonly base: FieldBase | null;
  readonly a: SideAfter;
  readonly b: SideAfter;
  readonly isConflict: boolean;
  readonly kept: KeptReason | null;
}

function settledBase(a: Json, b: Json, keptApart = false): FieldBase {
  const settled = !sameJson(a, b);
  return { a, b, settled, ...(settled && keptApart ? { keptApart } : {}) };
}

/** The base as it was; what is still to be done must look so to the next plan too. */
function baseStays({ base, a, b }: FieldAfter): FieldBase {
  return base ?? { a: a.read, b: b.read, settled: false };
}

function isDue(side: SideAfter): boolean {
  return side.wanted !== undefined && !side.written;
}

/** The next base of a field that holds one value: a value field, or consent. */
export function valueAfter(after: FieldAfter): FieldBase {
  const { base, a, b, isConflict, kept } = after;
  const isPartly = a.written || b.written;
  if (isConflict) return baseStays(after);
  const isLater = kept === "direction" || kept === "key_waits";
  if (!isDue(a) && !isDue(b) && !isLater) {
    const isStill = base?.keptApart === true && !isPartly;
    return settledBase(a.held, b.held, kept === "one_way" || isStill);
  }
  // One side of two holds the decided value and the other does not yet. Against
  // what was read, the first looks edited, and so the value goes on to the other.
  return isPartly ? { a: a.read, b: b.read, settled: false } : baseStays(after);
}

/**
 * The next base of a set, name by name, since a run may have done one name and
 * not another. Names that are still to be done leave no trace in `settled`: both
 * sides of the base show the opposite of what is wanted, so that the side which
 * has it looks edited.
 */
export function setAfter(rule: SetRule, after: FieldAfter): FieldBase {
  const { base, a, b, isConflict } = after;
  if (isConflict) return baseStays(after);
  const inA = new Set<string>();
  const inB = new Set<string>();
  for (const name of rule.managed) {
    const next = nameAfter(base, a, b, name);
    if (next.a) inA.add(name);
    if (next.b) inB.add(name);
  }
  return settledBase(
    managedNames(rule, (name) => inA.has(name)),
    managedNames(rule, (name) => inB.has(name)),
  );
}

function nameAfter(
  base: FieldBase | null,
  a: SideAfter,
  b: SideAfter,
  name: string,
): Sides<boolean> {
  const [readA, readB] = [holdsName(a.read, name), holdsName(b.read, name)];
  const wants = (side: SideAfter, read: boolean) =>
    side.wanted !== undefined && holdsName(side.wanted, name) !== read;
  const [wantsA, wantsB] = [wants(a, readA), wants(b, readB)];
  const nowA = holdsName(a.held, name);
  // The answer tells nothing about a name that was not sent: it may have been
  // edited there between the read and the write of the others.
  const nowB = wantsB ? holdsName(b.held, name) : readB;
  if (nowA === nowB) return { a: nowA, b: nowB };
  // The remote answered without doing it: that is how it wants the name.
  if (wantsB && b.written && nowB === readB) return { a: nowA, b: nowB };
  const merged = mergeName(base, name, readA, readB);
  if (!wantsA && !wantsB && merged.a !== merged.b) return merged;
  const wanted = wantsA ? !readA : wantsB ? !readB : merged.a;
  return { a: !wanted, b: !wanted };
}
