import type {
  ChangeRule,
  ConflictReason,
  FieldChange,
  Flow,
  KeptReason,
  RemoteRefusal,
} from "./record_plan.ts";

/** A change of one field, before it is known which field it is. */
export type SideChange = Omit<FieldChange, "field">;

/** What a merge wants done about one field. */
export type FieldOutcome =
  /** The sides agree, or differ as it was accepted. */
  | { readonly kind: "nothing" }
  /** At most one change a side. */
  | { readonly kind: "changes"; readonly changes: readonly SideChange[] }
  | { readonly kind: "conflict"; readonly reason: ConflictReason }
  | { readonly kind: "kept"; readonly reason: KeptReason };

/** What a run may do of a {@linkcode FieldOutcome}. */
export interface RunOutcome {
  readonly changes: readonly SideChange[];
  readonly conflict: ConflictReason | null;
  readonly kept: KeptReason | null;
}

/** The outcome of one change. */
export function oneChange(
  side: SideChange["side"],
  before: SideChange["before"],
  after: SideChange["after"],
  rule: ChangeRule,
): FieldOutcome {
  return { kind: "changes", changes: [{ side, before, after, rule }] };
}

/**
 * Cuts an outcome down to what a run may do. A field that cannot be written on
 * side A is a conflict whichever way the run goes, and then the remote is not
 * written either: a half of what belongs together would look like an edit. Only a
 * first fill of a record that side A does not have is kept.
 *
 * @param refusal Why the field cannot be written on side A, if it cannot.
 * @param remoteRefusal The same of the remote.
 */
export function withinRun(
  outcome: FieldOutcome,
  flow: Flow,
  refusal: ConflictReason | undefined,
  remoteRefusal?: RemoteRefusal,
): RunOutcome {
  switch (outcome.kind) {
    case "nothing":
      return { changes: [], conflict: null, kept: null };
    case "conflict":
      return { changes: [], conflict: outcome.reason, kept: null };
    case "kept":
      return { changes: [], conflict: null, kept: outcome.reason };
    case "changes": {
      const { changes } = outcome;
      if (refusal !== undefined && changes.some(({ side }) => side === "local")) {
        // Nobody's edit is lost: what the remote has always held stays there, and
        // side A has nowhere to put it.
        if (refusal === "no_reference" && changes.every(({ rule }) => rule === "first_fill")) {
          return { changes: [], conflict: null, kept: refusal };
        }
        return { changes: [], conflict: refusal, kept: null };
      }
      const travelling = changes.filter(({ side }) => flow === "both" || flow === `to_${side}`);
      if (remoteRefusal !== undefined && travelling.some(({ side }) => side === "remote")) {
        return remoteRefusal === "key_cycle"
          ? { changes: [], conflict: remoteRefusal, kept: null }
          : {
            changes: travelling.filter(({ side }) => side === "local"),
            conflict: null,
            kept: remoteRefusal,
          };
      }
      const kept = travelling.length < changes.length ? "direction" : null;
      return { changes: travelling, conflict: null, kept };
    }
  }
}
