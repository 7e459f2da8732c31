/**
 * What smart-sync may cost, and whether it did.
 *
 * @module
 */
import { count, duration } from "../cli/format.ts";
import { percentile } from "./percentile.ts";
import type { SmartCallCost } from "./smart_run.ts";
import { median } from "./statistics.ts";
import type { Verdict } from "./targets.ts";

/** Wall time for a hundred people, thirty of them edited, at a remote that answers after 100 ms. */
export const MAX_HUNDRED_MS = 1_000;
/** Requests for them. */
export const MAX_HUNDRED_REQUESTS = 4;
/** Wall time for one person at a remote that answers at once: the middle, and all but one of a hundred. */
export const MAX_ONE_P50_MS = 60;
export const MAX_ONE_P99_MS = 200;
/** Requests for one person. */
export const MAX_ONE_REQUESTS = 2;
/** What three workers do in the time of one, at least. */
export const MIN_THREE_TO_ONE = 1;

/** What there is to judge; lists hold one entry a call or run. */
export interface SmartMeasured {
  readonly hundred: readonly SmartCallCost[];
  readonly unchanged: readonly SmartCallCost[];
  readonly edited: readonly SmartCallCost[];
  /** How long one worker, and three, took for the same queue, in ms. */
  readonly drains?: { readonly one: readonly number[]; readonly three: readonly number[] };
}

/** Compares what was measured with its target. */
export function judgeSmart({ hundred, unchanged, edited, drains }: SmartMeasured): Verdict[] {
  const verdicts = [
    atMost("100 people, 30 edited: wall time", MAX_HUNDRED_MS, middle(hundred), duration),
    atMost("100 people, 30 edited: requests", MAX_HUNDRED_REQUESTS, requests(hundred), count),
    ...oneOf("one person, unchanged", unchanged),
    ...oneOf("one person, edited", edited),
  ];
  if (drains !== undefined) {
    const ratio = median(drains.one) / median(drains.three);
    verdicts.push({
      target: `three workers on one queue: throughput, at least ${MIN_THREE_TO_ONE} x that of one`,
      measured: `${Number(ratio.toFixed(2))} x`,
      met: ratio >= MIN_THREE_TO_ONE,
    });
  }
  return verdicts;
}

function oneOf(what: string, calls: readonly SmartCallCost[]): Verdict[] {
  const walls = calls.map(({ wallMs }) => wallMs);
  return [
    atMost(`${what}: p50`, MAX_ONE_P50_MS, percentile(walls, 50), duration),
    atMost(`${what}: p99`, MAX_ONE_P99_MS, percentile(walls, 99), duration),
    atMost(`${what}: requests`, MAX_ONE_REQUESTS, requests(calls), count),
  ];
}

function middle(calls: readonly SmartCallCost[]): number {
  return median(calls.map(({ wallMs }) => wallMs));
}

function requests(calls: readonly SmartCallCost[]): number {
  return Math.max(...calls.map((call) => call.requests));
}

function atMost(
  what: string,
  limit: number,
  value: number,
  show: (value: number) => string,
): Verdict {
  return { target: `${what}, at most ${show(limit)}`, measured: show(value), met: value <= limit };
}
