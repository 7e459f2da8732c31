/** `bench enterprise`: the two-way run against the floor, with and without work to do. */
import { count, duration, megabytes } from "../cli/format.ts";
import { renderTable } from "../cli/table.ts";
import type { EditCounts } from "./edits.ts";
import { measureEnterpriseFloor } from "./enterprise_floor.ts";
import { type EnterpriseMeasurement, measureEnterprise } from "./enterprise_run.ts";
import { cpuOfRecord, judgeEnterprise, wallOfRecord } from "./enterprise_targets.ts";
import { describeMachine } from "./machine.ts";
import type { ProcessUse } from "./process_use.ts";
import { median } from "./statistics.ts";
import { openSyncedWorld, type SyncedWorld, type SyncedWorldOptions } from "./synced_world.ts";
import type { Verdict } from "./targets.ts";
import { sizeFor } from "./world.ts";

/** What to measure. */
export interface EnterpriseBenchOptions {
  readonly pairs: number;
  /** Runs of each kind. */
  readonly runs: number;
  /** Also 250,000 pairs. */
  readonly big: boolean;
  /** Also runs with edits to carry over, and a slow remote. */
  readonly slow: boolean;
  readonly say: (text: string) => void;
}

const BIG_PAIRS = 250_000;
const DISTANT_PAIRS = 500;
const DISTANT_LATENCY_MS = 100;
const DISTANT_EDITS: EditCounts = { local: 64, remote: 63 };
const NO_EDITS: EditCounts = { local: 0, remote: 0 };

/** Runs of one kind, with the floor of each. */
interface Case {
  readonly label: string;
  readonly floor: ProcessUse[];
  readonly ours: EnterpriseMeasurement[];
}

/**
 * Runs the comparison and prints it.
 *
 * @returns One verdict a target.
 */
export async function benchEnterprise(options: EnterpriseBenchOptions): Promise<Verdict[]> {
  const { pairs, runs, say } = options;
  const unchanged = newCase("no changes");
  const edited = newCase("1 % edited on each side");
  const distant = newCase(`${count(DISTANT_PAIRS)} pairs, slow remote`);
  const big = newCase(`${count(BIG_PAIRS)} pairs, no changes`);
  let machine: string;
  let subscribers: number;
  {
    await using synced = await open(pairs, false, say);
    machine = await describeMachine(synced.world.postgresVersion);
    ({ subscribers } = await synced.world.control.counts());
    const each = Math.max(1, Math.floor(pairs / 100));
    // Turn and turn about, so that a change of the machine's mood meets all alike.
    for (let n = 1; n <= runs; n++) {
      await measure(synced, unchanged, NO_EDITS, n, say);
      if (options.slow) await measure(synced, edited, { local: each, remote: each }, n, say);
    }
  }
  if (options.slow) {
    await using synced = await open(DISTANT_PAIRS, false, say);
    await synced.world.control.setFaults([
      { effect: { kind: "latency", ms: DISTANT_LATENCY_MS } },
    ]);
    for (let n = 1; n <= runs; n++) await measure(synced, distant, DISTANT_EDITS, n, say);
  }
  if (options.big) {
    await using synced = await open(BIG_PAIRS, true, say);
    await measure(synced, big, NO_EDITS, 1, say);
  }

  say(
    `\n${count(pairs)} pairs, ${runs} ${
      runs === 1 ? "run" : "runs"
    } each, median (least). ${machine}\n`,
  );
  const cases = [unchanged, edited, distant, big].filter(({ ours }) => ours.length > 0);
  say(renderTable([HEADER, ...cases.flatMap(rows)]));
  say(`\n${cases.map(ratios).join("\n")}\n`);
  const verdicts = judgeEnterprise({
    subscribers,
    unchanged: unchanged.ours,
    floor: unchanged.floor,
    ...(options.slow ? { edited: edited.ours, distant: distant.ours } : {}),
    ...(options.big ? { big: big.ours } : {}),
  });
  say(renderTable([
    ["target", "measured", ""],
    ...verdicts.map((v) => [v.target, v.measured, v.met ? "met" : "not met"]),
  ]));
  return verdicts;
}

function newCase(label: string): Case {
  return { label, floor: [], ours: [] };
}

function open(
  pairs: number,
  unlimited: boolean,
  say: (text: string) => void,
): Promise<SyncedWorld> {
  const options: SyncedWorldOptions = { size: sizeFor(pairs), unlimited, onProgress: say };
  return openSyncedWorld(options);
}

async function measure(
  synced: SyncedWorld,
  { label, floor, ours }: Case,
  edits: EditCounts,
  round: number,
  say: (text: string) => void,
): Promise<void> {
  const least = await measureEnterpriseFloor(synced.world, edits);
  floor.push(least);
  say(`${label}, floor ${round}: ${inWords(least)}`);
  const run = await measureEnterprise(synced, edits, round);
  ours.push(run);
  say(`${label}, enterprise-sync ${round}: ${inWords(run)}`);
}

function inWords({ wallMs, cpuMs, peakRssBytes }: ProcessUse): string {
  return `${duration(wallMs)} wall, ${duration(cpuMs)} CPU, ${megabytes(peakRssBytes)}`;
}

const HEADER = ["", "wall", "CPU in all", "of it start", "peak memory", "requests", "updates"];

function rows({ label, floor, ours }: Case): string[][] {
  return [
    [`floor, ${label}`, ...cells(floor), ""],
    [`enterprise-sync, ${label}`, ...cells(ours), count(median(ours.map((run) => run.updates)))],
  ];
}

function cells(runs: readonly ProcessUse[]): string[] {
  const both = (pick: (run: ProcessUse) => number, show: (n: number) => string) => {
    const values = runs.map(pick);
    const middle = show(median(values));
    return values.length === 1 ? middle : `${middle} (${show(Math.min(...values))})`;
  };
  return [
    both((run) => run.wallMs, duration),
    both((run) => run.cpuMs, duration),
    both((run) => run.bootCpuMs, duration),
    both((run) => run.peakRssBytes, megabytes),
    count(Math.max(...runs.map((run) => run.requests))),
  ];
}

function ratios({ label, floor, ours }: Case): string {
  const ratio = (pick: (run: ProcessUse) => number) =>
    (median(ours.map(pick)) / median(floor.map(pick))).toFixed(2);
  const each = (pick: (run: EnterpriseMeasurement) => number) =>
    `${(median(ours.map(pick)) * 1000).toFixed(1)} us`;
  return `${label}: enterprise-sync / floor: wall ${ratio((run) => run.wallMs)} x, CPU in all ${
    ratio((run) => run.cpuMs)
  } x, without the start ${ratio((run) => run.cpuMs - run.bootCpuMs)} x; a record: wall ${
    each(wallOfRecord)
  }, CPU ${each(cpuOfRecord)}`;
}
