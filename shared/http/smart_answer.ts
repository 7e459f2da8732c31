import type { SmartOutcome } from "../engine/smart_outcome.ts";
import type { Json } from "../merge/json.ts";

/** Reasons in words a person understands; a code that is not here is shown as it is. */
const WORDS: Readonly<Record<string, string>> = {
  unchanged: "no changes detected",
  conflict: "in conflict: a person has to decide",
  locked: "locked by another run",
  link_changed: "linked anew by another run at this very moment; it is looked at again",
  moved: "edited at this very moment; it is looked at again",
  vanished: "gone from the remote since it was read",
  gone_remote: "gone from the remote; the next full run decides what becomes of it",
  gone_local: "deleted; the next full run decides what becomes of it",
  unknown_record: "unknown on both sides",
  duplicate_key: "quarantined: two clients share this address",
  key_taken: "quarantined: the address belongs to a record that is linked to another",
  kept_apart: "kept apart by a person",
  no_key: "has no address",
  consent: "not created: the consent does not allow it",
  no_consent: "not created: the consent is not known",
  suppressed: "not created: this person left before",
  policy: "not created: the configuration says so",
  direction: "this mode does not go that way",
  dead_letter: "left alone after three failed runs, until it changes",
  orphan: "its partner was given up; it waits for it to come back",
  unconfirmed: "sent, but not confirmed; it is looked at again",
  retry: "the remote did not take it for now; it is looked at again",
  appeared_at_remote: "appeared at the remote at this very moment; it is looked at again",
  appeared_locally: "appeared in your tables at this very moment; it is looked at again",
  not_reached: "not reached in the time there was; it is looked at again",
  guard_tripped: "held back by a limit on such changes; the answer's guard tells which",
};

/**
 * One entry of an answer. What was named by key is echoed; what came out of the
 * queue is told by the id it has there.
 *
 * @param named The key as the caller wrote it.
 */
export function smartEntry(
  outcome: SmartOutcome,
  named: string | undefined,
  repair: boolean,
): { readonly [name: string]: Json } {
  const { by, ref, bId, reason, conflicts, repairs } = outcome;
  const who: { [name: string]: Json } = by === "key"
    ? { email: named ?? ref }
    : by === "a"
    ? { a_id: ref }
    : { b_id: ref };
  const more: { [name: string]: Json } = {
    ...(conflicts > 0 ? { conflicts } : {}),
    ...(repair ? { repairs: [...repairs] } : {}),
  };
  switch (outcome.outcome) {
    case "changed":
      return { ...who, changed: true, b_id: bId, ...more };
    case "skipped":
      return { ...who, skipped: true, reason: WORDS[reason ?? ""] ?? reason, ...more };
    case "failed":
      return { ...who, error: reason ?? "internal_error", ...more };
  }
}
