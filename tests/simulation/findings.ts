/** What a simulation must never show, by name; each is one of the suite's checks. */
export const INVARIANTS = [
  "liveness: everything comes to an end once nothing fails",
  "convergence: mapped fields are equal on both sides, or the difference is explained",
  "idempotence: one more run over settled sides writes nothing",
  "no lost update: an edit gives way only to who saw it, to the policy or to a decision",
  "no resurrection: a deliberate delete is not undone",
  "no deletion of a record that was edited since the last agreement",
  "deletion needs proof: what is called gone was deleted by somebody",
  "unmapped fields and unmanaged groups are never written",
  "nothing is invented: what is written stood on the other side",
  "nothing is emptied that may not be",
  "consent only ever falls by the sync",
  "nobody is created whom the consent does not allow",
  "one record a person: no second create for the same record",
  "shadows hold what stood on their side",
  "dry runs and the other direction write nothing",
  "a worker that lost its lease commits nothing",
  "writes are bounded by edits",
  "no run changes more than its limits allow",
  "no window of a minute above the remote's budget",
  "every record of a run is in one class",
  "a run counts what it wrote",
  "a dry run leaves everything as it is",
  "a dry run foretells the run after it",
  "the log tells every change of side A, and no other",
  "nobody is forgotten: who is on one side only is so for a reason",
  "an open conflict shows what stands on both sides",
  "no address and no value in logs, runs, findings and state",
  "every call is answered as documented",
] as const;

/** The name of an invariant. */
export type Invariant = (typeof INVARIANTS)[number];

/** An invariant that did not hold. */
export interface Violation {
  readonly invariant: Invariant;
  /** Records, fields and steps; never a value. */
  readonly detail: string;
  readonly at: number;
}

/** Rare things that each have to happen in some seed, or the simulation proves less than it seems to. */
export const RARITIES = [
  "a create without an answer was found and linked",
  "an intent was left over",
  "a worker lost its lease and noticed",
  "a run was taken over from a silent worker",
  "a record was locked by another worker",
  "a guard stopped a run",
  "a conflict was opened",
  "a conflict was decided and carried out",
  "a conflict closed by itself",
  "a whole record was left to a person",
  "a record became a dead letter",
  "an enumeration began anew",
  "a write on side A met a newer edit",
  "a record changed between list and confirmation",
  "a record changed between confirmation and write",
  "an orphan was brought together with its record again",
  "a record was gone from side A",
  "a record was gone from the remote",
  "a record was gone from both sides",
  "a person who left was not made again",
  "records shared a key",
  "the circuit breaker opened",
  "the quota of a day was used up",
  "a run waited for the rate limit",
  "a page was read again because of one record",
  "a run was stopped by a shutdown",
  "a run was stopped by its time",
  "a cursor of an older enumeration was sent",
  "a webhook was delivered twice",
  "a webhook was lost",
  "a queued record was synced",
  "a statement waited for another's lock",
  "a commit went through and its answer was lost",
  "a request was repeated below the client",
  "a run was taken back",
  "the policy was changed",
  "a dry run was followed by the run it foretold",
] as const;

/** The name of a rare thing. */
export type Rarity = (typeof RARITIES)[number];
