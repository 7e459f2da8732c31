import { mayBeCreated } from "./consent_order.ts";
import type { CanonicalRecord, PairRules } from "./pair.ts";

/** What to create at the remote for a record that only side A has. */
export type NewRemotePlan =
  | {
    readonly kind: "create";
    /** Values that are not blank, the key, and the consent as it is. */
    readonly fields: CanonicalRecord;
    /** The managed names to hold, by field. */
    readonly sets: Readonly<Record<string, readonly string[]>>;
  }
  | {
    readonly kind: "excluded";
    /**
     * - `policy`: the pair does not create at the remote
     * - `no_key`: there is nothing to recognise the record by
     * - `no_consent`: the pair does not map what the person allows, so nobody knows
     * - `consent`: the person does not allow to be written to
     * - `suppressed`: somebody with this key left before
     */
    readonly reason: "policy" | "no_key" | "no_consent" | "consent" | "suppressed";
  };

/** What to create on side A for a record that only the remote has. */
export type NewLocalPlan =
  | { readonly kind: "create"; readonly record: CanonicalRecord }
  | { readonly kind: "excluded"; readonly reason: "policy" | "no_key" };

/**
 * Plans a record that only side A has. Nobody is created at the remote who has
 * not said, in a mapped field, that they may be written to.
 *
 * @param a The record, canonical.
 * @param known Whether the key is among those that must not be written to.
 */
export function planNewRemote(
  rules: PairRules,
  a: CanonicalRecord,
  known: { readonly suppressed: boolean },
): NewRemotePlan {
  if (rules.onNewLocal === "ignore") return { kind: "excluded", reason: "policy" };
  if ((a[rules.keyField] ?? null) === null) return { kind: "excluded", reason: "no_key" };
  const fields: CanonicalRecord = {};
  const sets: Record<string, readonly string[]> = {};
  let hasConsent = false;
  for (const [field, rule] of Object.entries(rules.fields)) {
    const value = a[field] ?? null;
    if (rule.kind === "set") {
      sets[field] = rule.managed.filter((name) => Array.isArray(value) && value.includes(name));
    } else if (rule.kind === "consent") {
      hasConsent = true;
      if (!mayBeCreated(value)) return { kind: "excluded", reason: "consent" };
      fields[field] = value;
    } else if (value !== null && (rule.flow !== "to_local" || field === rules.keyField)) {
      fields[field] = value;
    }
  }
  if (!hasConsent) return { kind: "excluded", reason: "no_consent" };
  if (known.suppressed) return { kind: "excluded", reason: "suppressed" };
  return { kind: "create", fields, sets };
}

/**
 * Plans a record that only the remote has. What the person allows is taken over
 * as it is: a record that must not be written to is as worth knowing as another.
 *
 * @param b The record, canonical.
 */
export function planNewLocal(rules: PairRules, b: CanonicalRecord): NewLocalPlan {
  if (rules.onNewRemote === "ignore") return { kind: "excluded", reason: "policy" };
  if ((b[rules.keyField] ?? null) === null) return { kind: "excluded", reason: "no_key" };
  const record: CanonicalRecord = {};
  for (const [field, rule] of Object.entries(rules.fields)) {
    const stays = rule.kind === "value" && rule.flow === "to_remote" && field !== rules.keyField;
    if (!stays) record[field] = b[field] ?? (rule.kind === "set" ? [] : null);
  }
  return { kind: "create", record };
}
