/**
 * What the parts of applying a batch hand to each other.
 *
 * @module
 */
import type { RemoteSchema, WriteResult } from "../connectors/connector.ts";
import type { GuardCounts, GuardKind } from "../merge/guard_kinds.ts";
import type { CanonicalRecord } from "../merge/pair.ts";
import type { Flow } from "../merge/record_plan.ts";
import type { LocalResult } from "../store/local_writes.ts";
import type { LocalTable } from "../store/local_table.ts";
import type { KeyedTable } from "../store/keyed_table.ts";
import type { Run } from "../store/run.ts";
import type { ItemPlan } from "./plan_item.ts";
import type { Slice } from "./slice.ts";

/** What a batch of a two-way run works with. */
export interface Batch {
  readonly slice: Slice;
  readonly run: Run;
  readonly table: LocalTable;
  readonly keyed: KeyedTable;
  readonly schema: RemoteSchema;
  readonly flow: Flow;
  /** Whether nothing is written: neither on a side nor in the sync's own tables but the run. */
  readonly dryRun: boolean;
  /** Whether side B was read by id and key a moment ago, so that there is nothing to confirm. */
  readonly justRead: boolean;
  readonly guard: Guard;
  /** Whether its limits are those of all of a day's calls, of which several may be at work at once. */
  readonly sharesLimits: boolean;
}

/** Counts dangerous changes over a whole run and stops it before a limit is broken. */
export interface Guard {
  /** Records of dangerous kinds so far. */
  readonly counts: GuardCounts;
  /**
   * Adds what is about to be done.
   *
   * @throws {GuardError} If a limit would be broken; then nothing was added.
   */
  add(plans: readonly ItemPlan[]): Partial<Record<GuardKind, number>>;
  /** Begins anew with what others, and this run, have counted by now; counters as `runGuard` takes them. */
  recount(before: Readonly<Record<string, number>>): void;
  /** Adds what is planned, whatever the limits say. */
  count(plans: readonly ItemPlan[]): void;
  /** The first of the records that were counted, of each kind, by their places in the walk. */
  readonly told: Readonly<Record<GuardKind, number[]>>;
  /**
   * Asks the limits about what was counted.
   *
   * @throws {GuardError} If one of them would be broken.
   */
  check(): void;
}

/** What became of one record of a batch. */
export interface ItemResult {
  readonly plan: ItemPlan;
  /** Why it was left for another time, if it was. */
  readonly skipped: string | null;
  /** What became of its write at the remote; null where there was none. */
  readonly remote: WriteResult | null;
  /** What the remote answered, canonical; null where it answered no record. */
  readonly answered: CanonicalRecord | null;
  /** What became of its write on side A; null where there was none. */
  readonly local: LocalResult | null;
  /** The id a new record of side A was given. */
  readonly newId: string | null;
}

/** What became of one record, in short. */
export interface AppliedItem {
  readonly plan: ItemPlan;
  readonly recordClass: RecordClass;
  /** Why it was excluded, skipped or failed. */
  readonly reason: string | null;
  readonly bId: string | null;
  /** What became of its write at the remote; null where there was none. */
  readonly sent: WriteResult | null;
}

/** The classes of which every record of a walk is in exactly one. */
export type RecordClass =
  | "unchanged"
  | "changed"
  | "conflicted"
  | "excluded"
  | "failed"
  | "skipped";

/** What a call has done so far, for its answer. */
export interface Tally {
  /** Records of the walk that are behind it. */
  processed: number;
  /** Fields that wait for a person. */
  conflicts: number;
  /** Writes: one a record and side. */
  updates: number;
  errors: number;
  /** Records left for another time. */
  skipped: number;
  requests: number;
}
