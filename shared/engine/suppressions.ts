import { isForbidding } from "../merge/consent_order.ts";
import type { CanonicalRecord, PairRules } from "../merge/pair.ts";
import { sameJson } from "../merge/same_json.ts";
import type { ItemPlan } from "./plan_item.ts";

/** A key that must not be written to, and the consent that says so. */
export interface Suppression {
  readonly key: string;
  readonly consent: string;
}

/** The field that holds consent; undefined where the pair has none. */
export function consentFieldOf(rules: PairRules): string | undefined {
  return Object.keys(rules.fields).find((field) => rules.fields[field]?.kind === "consent");
}

/** The keys of a person of whom one record forbids to be written to; to be remembered before the link that knows it is gone. */
export function suppressionsOf(
  rules: PairRules,
  ...records: readonly (CanonicalRecord | null | undefined)[]
): Suppression[] {
  const field = consentFieldOf(rules);
  if (field === undefined) return [];
  const known = records.flatMap((record) =>
    record === null || record === undefined ? [] : [record]
  );
  const consent = known.map((record) => record[field]).find(isForbidding);
  if (consent === undefined) return [];
  return known.flatMap(({ [rules.keyField]: key }) =>
    typeof key === "string" ? [{ key, consent }] : []
  );
}

/**
 * The key under which somebody left and which no side holds any more: soon no base does either.
 *
 * @param sides What is left of the record: both sides, or one.
 */
export function givenUpSuppressions(
  rules: PairRules,
  { record: { shadow } }: ItemPlan,
  ...sides: readonly CanonicalRecord[]
): Suppression[] {
  const field = consentFieldOf(rules);
  if (field === undefined || shadow === null) return [];
  return [shadow.a, shadow.b].flatMap((base) => {
    const key = base[rules.keyField] ?? null;
    if (sides.some((side) => sameJson(side[rules.keyField] ?? null, key))) return [];
    const forbidding = [...sides, base].map((each) => each[field]).find(isForbidding) ?? null;
    return suppressionsOf(rules, { ...base, [field]: forbidding });
  });
}
