/**
 * What enterprise-sync may cost, and whether it did.
 *
 * @module
 */
import { count, duration, megabytes } from "../cli/format.ts";
import type { EnterpriseMeasurement } from "./enterprise_run.ts";
import type { ProcessUse } from "./process_use.ts";
import { median } from "./statistics.ts";
import { MAX_RSS_BYTES, MAX_RSS_GROWTH, maxRequests, type Verdict } from "./targets.ts";

/** CPU of the function's process in all, where nothing has changed; a hosted isolate is killed at 2 s (Supabase docs, Functions limits). */
export const MAX_UNCHANGED_CPU_MS = 600;
/** Wall time where nothing has changed, as a multiple of the floor's. */
export const MAX_UNCHANGED_WALL_RATIO = 2;
/** Requests that 1 % of edits on each side may cost on top. */
export const MAX_EDITED_REQUESTS = 10;
/** Wall time with 1 % of edits on each side, at a remote that answers at once. */
export const MAX_EDITED_WALL_MS = 1_500;
/** Wall time for few records at a slow remote. */
export const MAX_DISTANT_WALL_MS = 5_000;
/** What a record costs where there are many, as a multiple of what it costs where there are few. */
export const MAX_COST_GROWTH = 1.2;

/** What there is to judge; lists hold one entry a run. */
export interface EnterpriseMeasured {
  readonly subscribers: number;
  readonly unchanged: readonly EnterpriseMeasurement[];
  readonly floor: readonly ProcessUse[];
  readonly edited?: readonly EnterpriseMeasurement[];
  readonly distant?: readonly EnterpriseMeasurement[];
  readonly big?: readonly EnterpriseMeasurement[];
}

/** Compares the middle of each kind of run with its target. */
export function judgeEnterprise(measured: EnterpriseMeasured): Verdict[] {
  const { unchanged, floor, edited, distant, big, subscribers } = measured;
  const requests = most(unchanged, (run) => run.requests);
  const wallMs = middle(unchanged, (run) => run.wallMs);
  const verdicts = [
    atMost("no changes: requests", maxRequests(subscribers, 1000), requests, count),
    atMost("no changes: calls", 1, most(unchanged, (run) => run.calls), count),
    atMost(
      "no changes: CPU",
      MAX_UNCHANGED_CPU_MS,
      middle(unchanged, (run) => run.cpuMs),
      duration,
    ),
    atMost(
      "no changes: wall time / floor",
      MAX_UNCHANGED_WALL_RATIO,
      wallMs / middle(floor, (run) => run.wallMs),
      times,
    ),
  ];
  if (edited !== undefined) {
    const more = most(edited, (run) => run.requests) - requests;
    const editedMs = middle(edited, (run) => run.wallMs);
    verdicts.push(
      atMost("1 % edited on each side: further requests", MAX_EDITED_REQUESTS, more, count),
      atMost("1 % edited on each side: wall time", MAX_EDITED_WALL_MS, editedMs, duration),
    );
  }
  if (distant !== undefined) {
    const distantMs = middle(distant, (run) => run.wallMs);
    verdicts.push(atMost("slow remote: wall time", MAX_DISTANT_WALL_MS, distantMs, duration));
  }
  const rss = most([...unchanged, ...edited ?? []], (run) => run.peakRssBytes);
  verdicts.push(atMost("peak memory", MAX_RSS_BYTES, rss, megabytes));
  if (big !== undefined) {
    const growth = (pick: (run: EnterpriseMeasurement) => number) =>
      middle(big, pick) / middle(unchanged, pick);
    verdicts.push(
      atMost("--big: peak memory", MAX_RSS_GROWTH, growth((run) => run.peakRssBytes), times),
      atMost("--big: wall time a record", MAX_COST_GROWTH, growth(wallOfRecord), times),
      atMost("--big: CPU a record", MAX_COST_GROWTH, growth(cpuOfRecord), times),
    );
  }
  return verdicts;
}

/** Wall time a record, in ms. */
export function wallOfRecord({ wallMs, records }: EnterpriseMeasurement): number {
  return wallMs / records;
}

/** CPU a record, in ms; without the start of the process, which would hide what a record costs among few. */
export function cpuOfRecord({ cpuMs, bootCpuMs, records }: EnterpriseMeasurement): number {
  return (cpuMs - bootCpuMs) / records;
}

function atMost(
  what: string,
  limit: number,
  value: number,
  show: (value: number) => string,
): Verdict {
  return { target: `${what}, at most ${show(limit)}`, measured: show(value), met: value <= limit };
}

function times(ratio: number): string {
  return `${Number(ratio.toFixed(2))} x`;
}

function middle<Run>(runs: readonly Run[], pick: (run: Run) => number): number {
  return median(runs.map(pick));
}

function most<Run>(runs: readonly Run[], pick: (run: Run) => number): number {
  return Math.max(...runs.map(pick));
}
