/**
 * What the demo shows at its end.
 *
 * @module
 */
import { count, duration, megabytes } from "./format.ts";
import type { RunSummary } from "./run_summary.ts";
import { renderTable } from "./table.ts";

/** What the demo found out. */
export interface Report {
  readonly run: RunSummary;
  /** Requests that the simulator counted. */
  readonly requests: number;
  /** From the call of the function to its end, in ms. */
  readonly wallMs: number;
  /** What the function's process used; undefined where the system does not tell. */
  readonly process: { readonly cpuMs: number; readonly peakRssBytes: number } | undefined;
}

/** The table of a completed run. */
export function reportTable({ run, requests, wallMs, process }: Report): string {
  const counter = (name: string) => count(run.counters[name] ?? 0);
  return renderTable([
    ["pairs linked", counter("linked")],
    ["shadows created", counter("shadowsCreated")],
    ["pairs that differ (drift)", counter("drift")],
    ["records quarantined", counter("quarantined")],
    ["API requests used", count(requests)],
    ["wall time", duration(wallMs)],
    ["slices", count(run.slices)],
    ["CPU of the function", process === undefined ? "unknown" : duration(process.cpuMs)],
    ["its peak memory", process === undefined ? "unknown" : megabytes(process.peakRssBytes)],
  ]);
}

/** What happened, and where to look next. */
export function explainRun({ run, requests }: Report): string {
  const counter = (name: string) => count(run.counters[name] ?? 0);
  return [
    `backfill-sync listed every subscriber in ${
      count(requests)
    } requests, read every client, and paired those whose address is`,
    `equal and unique on both sides. Of each pair it stored both sides as the base for later merges. ${
      counter("quarantined")
    } records that share`,
    `an address were left alone, ${
      counter("drift")
    } pairs that differ were only noted. Nothing was written to either side.`,
  ].join("\n");
}
