/**
 * One person's sync in words. Pure: facts in, words out.
 *
 * @module
 */
import { DEAD_AFTER_RUNS } from "../../shared/engine/plan_item.ts";
import { oneWayMark } from "../../shared/merge/field_base.ts";
import { conflictReason, showValue } from "./conflict_rows.ts";
import { count } from "./format.ts";
import type { LogLine, PersonFacts } from "./person_facts.ts";

/**
 * How a person stands.
 *
 * - `in_sync`: both sides agree
 * - `waiting`: differs or is queued; the next sync deals with it
 * - `excluded`: left out by a rule, for good unless something changes
 * - `conflicted`: waits for a person to decide
 * - `failing`: refused, tried again by the next run
 * - `dead_letter`: refused so often that it is left alone until it changes
 * - `quarantined`: shares the address with others, so nobody knows who is meant
 * - `unlinked`: has no partner
 * - `unknown`: neither side has the person
 */
export type PersonState =
  | "in_sync"
  | "waiting"
  | "excluded"
  | "conflicted"
  | "failing"
  | "dead_letter"
  | "quarantined"
  | "unlinked"
  | "unknown";

/** A person's state, and what led to it. */
export interface Explanation {
  readonly state: PersonState;
  /** One sentence. */
  readonly headline: string;
  /** Further facts, and what to do. */
  readonly details: readonly string[];
}

interface Verdict {
  readonly state: PersonState;
  readonly headline: string;
}

/** What the stored facts alone decide; null where a look at both sides has to. */
function stored({ clients, conflicts, failures }: PersonFacts): Verdict | null {
  if (clients.length > 1) {
    return {
      state: "quarantined",
      headline: `Quarantined: ${clients.length} records in supabase share this address`,
    };
  }
  const open = conflicts.filter(({ status }) => status === "open");
  if (open.length > 0) {
    const fields = open.map(({ field }) => field).join(", ");
    return { state: "conflicted", headline: `In conflict: a person has to decide about ${fields}` };
  }
  const [failure] = failures;
  if (failure === undefined) return null;
  return failure.runs >= DEAD_AFTER_RUNS
    ? {
      state: "dead_letter",
      headline:
        `Left alone after ${failure.runs} failed runs (${failure.code}), until a side changes`,
    }
    : { state: "failing", headline: `Failing (${failure.code}): the next run tries again` };
}

function ofReason(reason: string, facts: PersonFacts): Verdict {
  const isLinked = facts.links.some(({ link_state }) => link_state === "linked");
  if (reason === "no changes detected") {
    return { state: "in_sync", headline: "In sync: both sides agree" };
  }
  if (reason === "unknown on both sides") {
    return { state: "unknown", headline: "Unknown: neither side has this address" };
  }
  if (reason.startsWith("quarantined")) {
    return { state: "quarantined", headline: reason.replace(/^q/, "Q") };
  }
  if (reason.startsWith("not created")) {
    return { state: "excluded", headline: `Left out: ${reason}` };
  }
  if (reason.startsWith("in conflict")) {
    return { state: "conflicted", headline: "In conflict: the next run asks a person to decide" };
  }
  return isLinked
    ? { state: "waiting", headline: `Not in sync: ${reason}` }
    : { state: "unlinked", headline: `Not linked: ${reason}` };
}

/** What a look at both sides tells, or where there was none, what was known last. */
function looked(facts: PersonFacts): Verdict {
  const { live, links, clients, queue } = facts;
  if (live.kind === "looked") {
    const { entry } = live;
    if (entry.error !== undefined) {
      return { state: "failing", headline: `Failing (${entry.error})` };
    }
    if (entry.reason !== undefined) return ofReason(entry.reason, facts);
    const isLinked = links.some(({ link_state }) => link_state === "linked");
    const what = isLinked ? "The sides differ" : "Not linked yet";
    return {
      state: "waiting",
      headline: queue.length > 0
        ? `${what}, and it waits in the queue`
        : `${what}: the next sync ${
          isLinked ? "brings them together" : "links it or creates its partner"
        }`,
    };
  }
  if (queue.length > 0) {
    return { state: "waiting", headline: "Waiting in the queue: the next sync looks at it" };
  }
  const [link] = links;
  if (link?.link_state === "linked") {
    const at = link.shadow === null ? "" : ` since ${link.shadow.taken_at}`;
    return { state: "in_sync", headline: `In sync as far as is known, with no news${at}` };
  }
  return clients.length === 0 && link === undefined
    ? { state: "unknown", headline: "Not known in supabase, and the remote could not be asked" }
    : { state: "unlinked", headline: "Not linked: it has no partner at the remote" };
}

const LINK_STATES: Readonly<Record<string, string>> = {
  linked: "linked",
  keep_apart: "kept apart by a person",
  a_missing: "its record in supabase is gone",
  b_missing: "its record at the remote is gone",
  unlinked: "the link was given up",
};

function factLines(facts: PersonFacts): string[] {
  const { links, conflicts, failures, queue, findings, suppressed, live } = facts;
  return [
    ...facts.clients.map((id) => `in supabase: ${id}`),
    ...links.map(({ b_id, link_state, shadow }) =>
      `at the remote: ${b_id ?? "none any more"}, ${LINK_STATES[link_state] ?? link_state}${
        shadow === null ? ", no snapshot" : `, last agreed ${shadow.taken_at}`
      }`
    ),
    ...links.flatMap(({ shadow }) =>
      shadow === null || shadow.settled.length === 0
        ? []
        : [`accepted as they are, though they differ: ${
          shadow.settled.filter((field) => !shadow.settled.includes(oneWayMark(field))).join(", ")
        }`]
    ),
    ...conflicts.map(({ id, field, reason, status }) =>
      status === "open"
        ? `conflict ${id} on ${field}: ${
          conflictReason(reason)
        }. Decide: deno task sync conflicts show ${id}`
        : `conflict ${id} on ${field} is decided; the next run carries it out`
    ),
    ...failures.map(({ code, runs, last_failed_at }) =>
      `failed in ${runs} ${runs === 1 ? "run" : "runs"}, last ${last_failed_at}: ${code}`
    ),
    ...queue.map(({ side, reason, attempts, not_before }) =>
      `in the queue (${side === "a" ? "supabase" : "remote"}: ${reason}), due ${not_before}${
        attempts === 0 ? "" : `, tried ${count(attempts)} times`
      }`
    ),
    ...findings.map(({ kind, found_at }) =>
      `a run found: ${kind.replaceAll("_", " ")}, ${found_at}`
    ),
    ...(suppressed === null
      ? []
      : [`left before (${suppressed}): nobody with this address is created again`]),
    ...(live.kind === "looked" ? [] : [`the sides could not be looked at: ${live.why}`]),
  ];
}

/** Tells how a person stands. What blocks the sync comes before what the next sync would do. */
export function explainPerson(facts: PersonFacts): Explanation {
  return { ...stored(facts) ?? looked(facts), details: factLines(facts) };
}

const RULES: Readonly<Record<string, string>> = {
  edit: "edited on the other side",
  wins_local: "both sides were edited, and supabase wins",
  wins_remote: "both sides were edited, and the remote wins",
  first_fill: "this side had none when they were linked",
  consent_lowered: "the person allows less on the other side",
  set_merge: "the list changed on the other side",
  decision: "a person decided",
  equal_key: "the same address on both sides",
  new: "new on the other side",
  local_deleted: "deleted in supabase",
  remote_missing: "gone from the remote",
  both_gone: "gone from both sides",
  undo: "put back by an operator",
  override: "a limit was lifted by an operator",
};

/** A change as a line: when, where, from what to what, and by which rule. */
export function describeLogLine(line: LogLine): readonly string[] {
  const { created_at, side, action, field, before, after, rule, applied } = line;
  const what = field === null
    ? action
    : action === "update" || action === "refuse"
    ? `${field}: ${showValue(before)} -> ${showValue(after)}`
    : `${action} ${field}`;
  return [
    created_at.slice(0, 19).replace("T", " "),
    side === "a" ? "supabase" : "remote",
    applied || rule === "decision" ? what : `${what} (not done)`,
    RULES[rule] ?? rule.replaceAll("_", " "),
  ];
}
