/**
 * A two-way run in tables.
 *
 * @module
 */
import { count } from "./format.ts";
import type { PlanEntry } from "./run_answer.ts";
import type { RunTotals } from "./run_until_done.ts";
import type { RunRow } from "./run_watch.ts";
import { renderTable } from "./table.ts";

/** The words of the counters that a run may carry, in the order in which they are shown. */
const COUNTERS: readonly (readonly [key: string, words: string])[] = [
  ["unchanged", "in sync already"],
  ["changed", "changed"],
  ["conflicted", "waiting for a person"],
  ["excluded", "left out"],
  ["failed", "failed"],
  ["skipped", "skipped for now"],
  ["createdLocal", "created in supabase"],
  ["createdRemote", "created at the remote"],
  ["missingLocal", "gone from supabase"],
  ["missingRemote", "gone from the remote"],
];

/** The table at a run's end. */
export function describeTotals(totals: RunTotals, run: RunRow | null, took: string): string {
  const counters = run?.counters ?? {};
  // The run's own, since it may have begun before this command did.
  const whole = (counter: string, total: number) => count(counters[counter] ?? total);
  return renderTable([
    ["run", run?.id ?? "unknown"],
    ["records looked at", whole("processed", totals.recordsProcessed)],
    ...COUNTERS.flatMap(([key, words]) => {
      const n = counters[key] ?? 0;
      return n === 0 ? [] : [[`  ${words}`, count(n)]];
    }),
    ["writes", whole("updates", totals.updatesApplied)],
    ["fields in conflict", whole("conflicts", totals.conflictsDetected)],
    ["failed records", whole("failed", totals.errors)],
    ["API requests used", whole("requests", totals.requests)],
    ["calls of the function", count(totals.calls)],
    ["took", took],
  ]);
}

/** Every kind of line a plan has, each with how many of it there are, the most frequent first. */
export function summarisePlan(plan: readonly PlanEntry[]): (readonly [what: string, n: number])[] {
  const counts = new Map<string, number>();
  const add = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1);
  for (const entry of plan) {
    const { operations, conflicts, kept, reason, gone } = entry;
    for (const { field, side, rule } of operations) add(`set ${field} at ${side} (${rule})`);
    for (const { field, reason } of conflicts) add(`conflict on ${field} (${reason})`);
    for (const { field, reason } of kept) add(`keep ${field} as it is (${reason})`);
    if (gone !== undefined) add(`${entry.do} what is gone from ${sideWord(gone)}`);
    else if (entry.do === "merge") {
      if (operations.length + conflicts.length + kept.length === 0) add(`${linkWord(entry)}`);
    } else add(reason === undefined ? entry.do.replaceAll("_", " ") : `${entry.do} (${reason})`);
  }
  return [...counts].toSorted(([, one], [, other]) => other - one);
}

function linkWord({ found }: PlanEntry): string {
  return found === "match" ? "link two records that are equal" : "note that the sides agree";
}

function sideWord(gone: string): string {
  return gone === "local" ? "supabase" : gone === "both" ? "both sides" : "the remote";
}

/** A plan as a table, without a record in it. */
export function describePlan(plan: readonly PlanEntry[]): string {
  const rows = summarisePlan(plan).map(([what, n]) => [what, count(n)]);
  return rows.length === 0 ? "Nothing would be done" : renderTable(rows);
}
