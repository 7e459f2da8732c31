import type { FieldRule, PairRules, SetRule, ValueRule } from "../../shared/merge/pair.ts";

/** A value rule: both ways, side A wins, no blanking. */
export function valueRule(options: Partial<ValueRule> = {}): ValueRule {
  return {
    kind: "value",
    local: "column",
    remote: "fields.column",
    wins: "local",
    flow: "both",
    mayBlank: false,
    type: "text",
    ...options,
  };
}

/** A set rule. */
export function setRule(...managed: string[]): SetRule {
  return { kind: "set", local: "tags", remote: "tags", managed };
}

/** The rules of a pair whose records are recognised by `key`. */
export function pairRules(
  fields: Record<string, FieldRule>,
  options: Partial<PairRules> = {},
): PairRules {
  const limit = { percent: 10, floor: 5 };
  return {
    name: "people",
    keyField: "key",
    keyCompare: "exact",
    fields,
    onNewRemote: "create",
    onNewLocal: "create",
    onLocalDelete: "mark",
    onRemoteMissing: "mark",
    limits: { deletes: limit, unsubscribes: limit, blanks: limit, updates: limit },
    ...options,
  };
}

/** A consent rule. */
export const CONSENT_RULE: FieldRule = { kind: "consent", local: "allowed", remote: "status" };
