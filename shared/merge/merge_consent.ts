import { isForbidding, isStricter } from "./consent_order.ts";
import type { FieldBase } from "./field_base.ts";
import { type FieldOutcome, oneChange } from "./field_outcome.ts";
import type { Json } from "./json.ts";
import { sameJson } from "./same_json.ts";

/**
 * Merges what a person allows. It is a ratchet: what forbids on either side
 * forbids on both, whoever wins, whatever the base says and however old it is;
 * and nothing this returns allows more than there was.
 *
 * The remote is only ever set to `unsubscribed`: that somebody bounced or
 * complained is for the remote itself to find out.
 */
export function mergeConsent(base: FieldBase | null, a: Json, b: Json): FieldOutcome {
  if (sameJson(a, b)) return { kind: "nothing" };
  if (!isForbidding(a) && !isForbidding(b)) {
    return { kind: "kept", reason: "consent_never_raised" };
  }
  if (!isForbidding(b)) return oneChange("remote", b, "unsubscribed", "consent_lowered");
  if (!isForbidding(a)) return oneChange("local", a, b, "consent_lowered");
  // A `bounced` of ours has become `unsubscribed` there: only what the remote
  // found out since is news.
  const isNews = base === null || !sameJson(b, base.b) ||
    !base.settled && !sameJson(base.a, base.b);
  return isNews && isStricter(b, a)
    ? oneChange("local", a, b, "consent_lowered")
    : { kind: "kept", reason: "consent_both_forbid" };
}
