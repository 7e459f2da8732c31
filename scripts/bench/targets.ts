/**
 * What the backfill may cost, and whether it did.
 *
 * @module
 */
import { count, duration, megabytes } from "../cli/format.ts";
import type { Measurement } from "./measurement.ts";
import { median } from "./statistics.ts";

/** CPU of the function's process in all; a hosted isolate is killed at 2 s (Supabase docs, Functions limits). */
export const MAX_CPU_MS = 800;
/** Wall time, as a multiple of the floor's. */
export const MAX_WALL_RATIO = 2.5;
/** A hosted isolate's memory (Supabase docs, Functions limits). */
export const MAX_RSS_BYTES = 256 * 2 ** 20;
/** Peak memory with many times the pairs, as a multiple of that with few. */
export const MAX_RSS_GROWTH = 1.2;

/** One target, and what was measured. */
export interface Verdict {
  readonly target: string;
  readonly measured: string;
  readonly met: boolean;
}

/** What there is to judge; lists hold one entry a run. */
export interface Measured {
  readonly subscribers: number;
  readonly ours: readonly Measurement[];
  readonly floor: readonly Measurement[];
  readonly smallPages?: readonly Measurement[];
  readonly big?: readonly Measurement[];
}

/**
 * Requests a complete list may cost: one for each page, and one for the account's fields and groups.
 *
 * Two for them at 100 a page: an account's groups come 100 a page too.
 */
export function maxRequests(subscribers: number, pageSize: number): number {
  return Math.ceil(subscribers / pageSize) + (pageSize >= 1000 ? 1 : 2);
}

/** Compares the middle of each kind of run with its target. */
export function judge(measured: Measured): Verdict[] {
  const { ours, floor, smallPages, big, subscribers } = measured;
  const verdicts = [requests("1,000", maxRequests(subscribers, 1000), ours)];
  if (smallPages !== undefined) {
    verdicts.push(requests("100", maxRequests(subscribers, 100), smallPages));
  }
  const cpuMs = median(ours.map((run) => run.cpuMs));
  verdicts.push({
    target: `CPU of the function's process, at most ${duration(MAX_CPU_MS)}`,
    measured: duration(cpuMs),
    met: cpuMs <= MAX_CPU_MS,
  });
  const ratio = median(ours.map((run) => run.wallMs)) / median(floor.map((run) => run.wallMs));
  verdicts.push({
    target: `wall time, at most ${MAX_WALL_RATIO} x the floor`,
    measured: `${ratio.toFixed(2)} x`,
    met: ratio <= MAX_WALL_RATIO,
  });
  const rss = median(ours.map((run) => run.peakRssBytes));
  verdicts.push({
    target: `peak memory, at most ${megabytes(MAX_RSS_BYTES)}`,
    measured: megabytes(rss),
    met: rss <= MAX_RSS_BYTES,
  });
  if (big !== undefined) {
    const growth = median(big.map((run) => run.peakRssBytes)) / rss;
    verdicts.push({
      target: `peak memory with --big, at most ${MAX_RSS_GROWTH} x that`,
      measured: `${growth.toFixed(2)} x`,
      met: growth <= MAX_RSS_GROWTH,
    });
  }
  return verdicts;
}

function requests(pageSize: string, most: number, runs: readonly Measurement[]): Verdict {
  const sent = Math.max(...runs.map((run) => run.requests));
  return {
    target: `requests at ${pageSize} a page, at most ${count(most)}`,
    measured: count(sent),
    met: sent <= most,
  };
}
