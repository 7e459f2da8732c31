/**
 * How two records differ, told from their values alone.
 *
 * @module
 */
import { CONSENT_STATUSES } from "../../shared/merge/consent.ts";
import { isForbidding } from "../../shared/merge/consent_order.ts";
import type { Doc, Json } from "../../shared/merge/json.ts";
import type { CanonicalRecord, FieldRule, PairRules } from "../../shared/merge/pair.ts";
import { sameJson } from "../../shared/merge/same_json.ts";
import { hash53 } from "./hash53.ts";
import { foreignKeyOf } from "./local_reader.ts";

/**
 * A difference that the sync leaves as it is, whatever happened before.
 *
 * - `consent_never_raised`: one side allows more than the other, and neither forbids
 * - `consent_both_forbid`: both forbid, in different words
 * - `no_reference`: the value belongs to a record of side A that there is none of
 */
export type AcceptedReason = "consent_never_raised" | "consent_both_forbid" | "no_reference";

/** Why two values that differ may; null if they may not. */
function accepted(rule: FieldRule, doc: Doc, a: Json, b: Json): AcceptedReason | null {
  if (rule.kind === "consent") {
    if (isForbidding(a) !== isForbidding(b)) return null;
    return isForbidding(a) ? "consent_both_forbid" : "consent_never_raised";
  }
  const [foreignKey] = foreignKeyOf(rule.local);
  const refersToNothing = foreignKey !== undefined && (doc[foreignKey] ?? null) === null;
  return refersToNothing ? "no_reference" : null;
}

/** What differs between two records. */
export interface Differences {
  /** Fields that should be equal and are not. */
  readonly fields: readonly string[];
  /** Fields that may differ, with the reason. */
  readonly accepted: readonly (readonly [field: string, reason: AcceptedReason])[];
}

/** A record as a list of numbers, one a field in the order of the rules: equal values, equal numbers. */
export function fingerprintOf(record: CanonicalRecord, rules: PairRules): number[] {
  return Object.entries(rules.fields).map(([field, rule]) => {
    const value = record[field] ?? null;
    // As it is and not hashed: whether two words may differ depends on them.
    return rule.kind === "consent"
      ? CONSENT_STATUSES.findIndex((status) => status === value)
      : hash53(JSON.stringify(value));
  });
}

/**
 * Compares a record of side A with the fingerprint of its partner.
 *
 * @param doc Side A's record as it was read, for its foreign keys.
 * @param partner One number a field from `at` on; see {@linkcode fingerprintOf}.
 */
export function compareFingerprint(
  record: CanonicalRecord,
  doc: Doc,
  partner: Float64Array,
  at: number,
  rules: PairRules,
): Differences {
  const fields: string[] = [];
  const allowed: [string, AcceptedReason][] = [];
  const mine = fingerprintOf(record, rules);
  Object.entries(rules.fields).forEach(([field, rule], index) => {
    const theirs = partner[at + index] ?? NaN;
    if (mine[index] === theirs) return;
    const b = rule.kind === "consent" ? CONSENT_STATUSES[theirs] ?? null : null;
    const reason = accepted(rule, doc, record[field] ?? null, b);
    if (reason === null) fields.push(field);
    else allowed.push([field, reason]);
  });
  return { fields, accepted: allowed };
}

/** Compares two records value by value. */
export function compareRecords(
  a: CanonicalRecord,
  doc: Doc,
  b: CanonicalRecord,
  rules: PairRules,
): Differences {
  const fields: string[] = [];
  const allowed: [string, AcceptedReason][] = [];
  for (const [field, rule] of Object.entries(rules.fields)) {
    const [mine, theirs] = [a[field] ?? null, b[field] ?? null];
    if (sameJson(mine, theirs)) continue;
    const reason = accepted(rule, doc, mine, theirs);
    if (reason === null) fields.push(field);
    else allowed.push([field, reason]);
  }
  return { fields, accepted: allowed };
}
