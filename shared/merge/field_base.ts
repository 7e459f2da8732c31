import type { Json } from "./json.ts";
import type { Base } from "./record_plan.ts";

/** One field of a base. */
export interface FieldBase {
  readonly a: Json;
  readonly b: Json;
  readonly settled: boolean;
  /** Whether it is settled only because nothing may flow back: nobody has agreed on it. Default no. */
  readonly keptApart?: boolean;
}

/** What `settled` holds beside a field's name where the sides were kept apart by a rule that flows one way. */
export function oneWayMark(field: string): string {
  return `${field} (one way)`;
}

/**
 * Reads one field of a base.
 *
 * @returns null where the base knows nothing of the field, as when it was mapped
 * only after the base was taken: read as blank, both sides would look edited.
 */
export function fieldBase(base: Base | null, field: string): FieldBase | null {
  if (base === null) return null;
  if (!Object.hasOwn(base.a, field) || !Object.hasOwn(base.b, field)) return null;
  return {
    a: base.a[field] ?? null,
    b: base.b[field] ?? null,
    settled: base.settled.includes(field),
    ...(base.settled.includes(oneWayMark(field)) ? { keptApart: true } : {}),
  };
}
