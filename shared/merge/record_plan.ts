import type { Json } from "./json.ts";
import type { CanonicalRecord } from "./pair.ts";

/** Which way edits may travel in a run. */
export type Flow = "both" | "to_local" | "to_remote";

/**
 * Both sides as they stood at the last agreement. Where they differ on a field that
 * is not settled, there was none on that field.
 */
export interface Base {
  readonly a: CanonicalRecord;
  readonly b: CanonicalRecord;
  /**
   * Fields on which the sides may differ for good: what stands in them is known and accepted.
   * Also marks of those among them that a one-way rule kept apart.
   */
  readonly settled: readonly string[];
}

/** What an operator decided about one conflict, with both values as they stood then. */
export interface Decision {
  readonly conflictId: number;
  readonly field: string;
  readonly choice: "local" | "remote" | "value";
  /** For the choice `value`; canonical. */
  readonly value: Json;
  readonly a: Json;
  readonly b: Json;
}

/** One linked record as the planner sees it. */
export interface RecordState {
  /** null for a link that is new. */
  readonly base: Base | null;
  readonly a: CanonicalRecord;
  readonly b: CanonicalRecord;
  readonly decisions: readonly Decision[];
  /** Fields that cannot be written on side A for this record, with the reason. */
  readonly localRefusals: Readonly<Record<string, ConflictReason>>;
  /** Whether side A's key belongs to somebody who must not be written to; default no. */
  readonly keySuppressed?: boolean;
  /** Fields that cannot be written at the remote for this record, with the reason. */
  readonly remoteRefusals?: Readonly<Record<string, RemoteRefusal>>;
}

/**
 * Why a field cannot be written at the remote.
 *
 * - `key_cycle`: others hold the keys that records are to take, round in a circle
 * - `key_waits`: the record that holds the key gives it up later
 */
export type RemoteRefusal = "key_cycle" | "key_waits";

/**
 * Why a field is left to a person.
 *
 * - `both_changed`: both sides were edited, apart, and the field's winner is `manual`
 * - `first_link`: both sides held something else when they were first linked
 * - `blank_not_allowed`: one side was emptied, and the field may not be blanked
 * - `shared_reference`: the value belongs to a record of side A that others share
 * - `no_reference`: the value belongs to a record of side A that there is none of
 * - `suppressed_key`: the new key is that of somebody who left, and this record may be written to
 * - `key_cycle`: the new key is held at the remote by a record that takes another's, round in a circle
 */
export type ConflictReason =
  | "both_changed"
  | "first_link"
  | "blank_not_allowed"
  | "shared_reference"
  | "no_reference"
  | "suppressed_key"
  | "key_cycle";

/** Why a change is made; goes into the log. */
export type ChangeRule =
  | "edit"
  | "wins_local"
  | "wins_remote"
  | "first_fill"
  | "consent_lowered"
  | "set_merge"
  | "decision";

/** One value to be written on one side. */
export interface FieldChange {
  readonly field: string;
  readonly side: "local" | "remote";
  /** What the side holds now; canonical. For a set, the managed names it holds. */
  readonly before: Json;
  readonly after: Json;
  readonly rule: ChangeRule;
}

/** A field that waits for a person. */
export interface FieldConflict {
  readonly field: string;
  /** The base of both sides, if there is one. */
  readonly base: { readonly a: Json; readonly b: Json } | null;
  readonly a: Json;
  readonly b: Json;
  readonly reason: ConflictReason;
}

/**
 * Why the sides differ on a field and nothing is done about it.
 *
 * - `consent_never_raised`: one side allows more than the other, and neither forbids
 * - `consent_both_forbid`: both forbid, in different words
 * - `one_way`: the side that was edited is not the one the field flows from
 * - `direction`: the run does not go that way; another one will
 * - `no_reference`: the value belongs to a record of side A that there is none of, and nobody has
 *   edited it since the sides were linked
 * - `key_waits`: the record that holds the key at the remote gives it up later in this run
 */
export type KeptReason =
  | "consent_never_raised"
  | "consent_both_forbid"
  | "one_way"
  | "direction"
  | "no_reference"
  | "key_waits";

/** A field that is left as it is. */
export interface FieldKept {
  readonly field: string;
  readonly reason: KeptReason;
}

/** What to do about one linked record. */
export interface RecordPlan {
  readonly changes: readonly FieldChange[];
  readonly conflicts: readonly FieldConflict[];
  readonly kept: readonly FieldKept[];
  /** Decisions that this plan carries out, by conflict. */
  readonly decided: readonly number[];
  /** Decisions that no longer fit, because a value has changed since. */
  readonly staleDecisions: readonly number[];
}
