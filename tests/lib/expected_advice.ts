/**
 * What `supabase db advisors` reports on the migrations, and why it stays. All of it is of the
 * level INFO; anything else fails a test.
 *
 * `unused_index` is reported of every index that is neither unique nor a primary key, as long as
 * nobody has used the database: the reason given is the statement that needs the index.
 */
export interface ExpectedAdvice {
  /** The rule's name, see Supabase docs, Database advisors. */
  readonly rule: string;
  /** The index or table it is reported of. */
  readonly subject: string;
  /** Why it stays as it is. */
  readonly reason: string;
}

/** Every finding that is known and justified. */
export const EXPECTED_ADVICE: readonly ExpectedAdvice[] = [
  {
    rule: "unused_index",
    subject: "clients_partner_id_idx",
    reason: "Foreign key: deleting a partner looks its clients up",
  },
  {
    rule: "unused_index",
    subject: "integration_crosswalk_walk_idx",
    reason: "The backfill walks a pair's links in the order of their ids",
  },
  {
    rule: "unused_index",
    subject: "sync_runs_latest_idx",
    reason: "Every call with the action status reads the newest run of a function and pair",
  },
  {
    rule: "unused_index",
    subject: "sync_runs_function_idx",
    reason: "Health reads the first and the last run of a function, and the schedules the last",
  },
  {
    rule: "unused_index",
    subject: "sync_findings_run_id_idx",
    reason: "Foreign key; also, a run's findings are shown by kind",
  },
  {
    rule: "unused_index",
    subject: "sync_conflicts_crosswalk_id_idx",
    reason: "Foreign key: deleting a link takes its conflicts along",
  },
  {
    rule: "unused_index",
    subject: "sync_conflicts_run_id_idx",
    reason: "Foreign key: pruning a run clears it from its conflicts",
  },
  {
    rule: "unused_index",
    subject: "sync_log_run_id_idx",
    reason: "Foreign key: pruning a run clears it from its log; also, a run's changes are shown",
  },
  {
    rule: "unused_index",
    subject: "sync_log_crosswalk_id_idx",
    reason: "The history of one pair is shown newest first",
  },
  {
    rule: "unused_index",
    subject: "sync_log_created_at_idx",
    reason: "The log is pruned by age",
  },
  {
    rule: "unused_index",
    subject: "sync_queue_due_idx",
    reason: "A worker takes the records of a pair that are due",
  },
  {
    rule: "unused_index",
    subject: "sync_queue_record_idx",
    reason: "An edit of side A looks whether its record is in the queue",
  },
  {
    rule: "unused_index",
    subject: "sync_intents_pair_idx",
    reason: "A run first resolves the intents an earlier one left, oldest first",
  },
  {
    rule: "unused_index",
    subject: "sync_intents_run_id_idx",
    reason: "Foreign key: pruning a run clears it from its intents",
  },
  {
    rule: "unused_index",
    subject: "sync_intents_crosswalk_id_idx",
    reason: "Foreign key: deleting a link takes its intents along",
  },
  {
    rule: "rls_enabled_no_policy",
    subject: "public.clients",
    reason: "The app's own table: who may read it is for the app to say, and until then nobody",
  },
  {
    rule: "rls_enabled_no_policy",
    subject: "public.partners",
    reason: "The app's own table: who may read it is for the app to say, and until then nobody",
  },
  {
    rule: "rls_enabled_no_policy",
    subject: "public.shadow_snapshots",
    reason: "Holds people's values of both sides; only the engine reads it",
  },
  {
    rule: "rls_enabled_no_policy",
    subject: "public.sync_intents",
    reason: "Holds people's values on their way to the remote; only the engine reads it",
  },
  {
    rule: "rls_enabled_no_policy",
    subject: "public.sync_stage",
    reason: "Holds people's values while a run joins them; only the engine reads it",
  },
  {
    rule: "rls_enabled_no_policy",
    subject: "public.sync_seen",
    reason: "The ids of an enumeration under way; only the engine reads it",
  },
  {
    rule: "rls_enabled_no_policy",
    subject: "public.sync_work",
    reason: "The walk of a run under way; only the engine reads it",
  },
  {
    rule: "rls_enabled_no_policy",
    subject: "public.sync_suppressions",
    reason: "Digests of people who left; only the engine reads it",
  },
  {
    rule: "unused_index",
    subject: "clients_key_idx",
    reason: "People are looked up by address in the form in which addresses are compared",
  },
  {
    rule: "unused_index",
    subject: "sync_conflicts_decided_idx",
    reason: "A run looks for decisions that have not been carried out",
  },
  {
    rule: "unused_index",
    subject: "sync_failures_last_run_id_idx",
    reason: "Foreign key: pruning a run clears it from its failures",
  },
  {
    rule: "rls_enabled_no_policy",
    subject: "public.shadow_fingerprints",
    reason: "Hashes of records; only the engine reads it",
  },
];
