/** `bench backfill`: the function against the floor and against one request a person. */
import { count, duration, megabytes } from "../cli/format.ts";
import { renderTable } from "../cli/table.ts";
import { FLOOR_SETUP, measureFloor } from "./floor.ts";
import { describeMachine } from "./machine.ts";
import { MeasureError } from "./measure_error.ts";
import type { Measurement } from "./measurement.ts";
import { measureOurs } from "./ours.ts";
import { measurePerPerson, PER_PERSON_SETUP } from "./per_person.ts";
import { median } from "./statistics.ts";
import { judge, type Verdict } from "./targets.ts";
import { openWorld, sizeFor, type World, type WorldOptions } from "./world.ts";

/** What to measure. */
export interface BackfillBenchOptions {
  readonly pairs: number;
  /** Runs of each kind. */
  readonly runs: number;
  /** Also 250,000 pairs. */
  readonly big: boolean;
  /** Also pages of 100, which the rate limit stretches over minutes, and one request a person. */
  readonly slow: boolean;
  readonly say: (text: string) => void;
}

const BIG_PAIRS = 250_000;
const PER_PERSON = 1_000;

/** A floor that wrote less would be lower than the work is. */
const BYTES_TOLERANCE = 0.02;

type Row = readonly [label: string, runs: readonly Measurement[]];

/**
 * Runs the comparison and prints it.
 *
 * @returns One verdict a target.
 */
export async function benchBackfill(options: BackfillBenchOptions): Promise<Verdict[]> {
  const { pairs, runs, say } = options;
  const size = sizeFor(pairs);
  const subscribers = size.pairs + size.sharedAddresses + size.onlyRemote;
  const rows: Row[] = [];
  const ours: Measurement[] = [];
  const floor: Measurement[] = [];
  const perPerson: Measurement[] = [];
  const smallPages: Measurement[] = [];
  let machine: string;
  {
    await using world = await open({ size, onProgress: say });
    machine = await describeMachine(world.postgresVersion);
    // Turn and turn about, so that a change of the machine's mood meets all alike.
    for (let n = 1; n <= runs; n++) {
      floor.push(await measured(world, `floor ${n}/${runs}`, say, measureFloor));
      ours.push(await measured(world, `backfill-sync ${n}/${runs}`, say, measureOurs));
      if (!options.slow) continue;
      const label = `one request a person ${n}/${runs}`;
      perPerson.push(
        await measured(world, label, say, (world) => measurePerPerson(world, PER_PERSON)),
      );
    }
    rows.push(["floor", floor], ["backfill-sync", ours]);
    if (options.slow) {
      await world.control.setSwitches({ subscribersPageMax: "clamp_100" });
      smallPages.push(await measured(world, "backfill-sync, 100 a page", say, measureOurs));
      rows.push(["backfill-sync, 100 a page *", smallPages]);
      rows.push([`one request a person, ${count(PER_PERSON)}`, perPerson]);
    }
    requireSameBytes(ours, floor);
  }
  const big: Measurement[] = [];
  if (options.big) {
    await using world = await open({ size: sizeFor(BIG_PAIRS), onProgress: say });
    const bigFloor = await measured(world, "floor, big", say, measureFloor);
    rows.push([`floor, ${count(BIG_PAIRS)} pairs`, [bigFloor]]);
    big.push(await measured(world, "backfill-sync, big", say, measureOurs));
    rows.push([`backfill-sync, ${count(BIG_PAIRS)} pairs *`, big]);
  }

  say(
    `\n${count(pairs)} pairs, ${runs} ${
      runs === 1 ? "run" : "runs"
    } each, median (least). ${machine}\n`,
  );
  say(renderTable([HEADER, ...rows.map(cells)]));
  if (options.slow || options.big) {
    say("* most of the wall time is spent waiting for the rate limit of 120 requests a minute");
  }
  say(`\n${ratios(ours, floor, perPerson).join("\n")}\n`);
  const verdicts = judge({
    subscribers,
    ours,
    floor,
    ...(smallPages.length === 0 ? {} : { smallPages }),
    ...(big.length === 0 ? {} : { big }),
  });
  say(renderTable([
    ["target", "measured", ""],
    ...verdicts.map((v) => [v.target, v.measured, v.met ? "met" : "not met"]),
  ]));
  return verdicts;
}

function open(options: WorldOptions): Promise<World> {
  return openWorld({ ...options, setup: `${FLOOR_SETUP} ${PER_PERSON_SETUP}` });
}

async function measured<M extends Measurement>(
  world: World,
  label: string,
  say: (text: string) => void,
  measure: (world: World) => Promise<M>,
): Promise<M> {
  const result = await measure(world);
  say(
    `${label}: ${duration(result.wallMs)} wall, ${duration(result.cpuMs)} CPU, ${
      megabytes(result.peakRssBytes)
    }`,
  );
  return result;
}

function requireSameBytes(ours: readonly Measurement[], floor: readonly Measurement[]): void {
  const each = (runs: readonly Measurement[]) =>
    median(runs.map((run) => run.snapshotChars / run.snapshots));
  const written = (runs: readonly Measurement[]) => median(runs.map((run) => run.snapshots));
  const [mine, theirs] = [each(ours), each(floor)];
  const alike = Math.abs(mine - theirs) <= mine * BYTES_TOLERANCE;
  if (alike && written(floor) >= written(ours)) return;
  throw new MeasureError(
    `Cannot compare: the floor wrote ${count(written(floor))} snapshots of ${
      count(theirs)
    } characters, backfill-sync ${count(written(ours))} of ${
      count(mine)
    }; the floor may not write fewer, nor other ones by more than ${BYTES_TOLERANCE * 100} %`,
  );
}

const HEADER = ["", "wall", "CPU in all", "of it start", "peak memory", "requests", "written"];

function cells([label, runs]: Row): string[] {
  const both = (pick: (run: Measurement) => number, show: (n: number) => string) => {
    const values = runs.map(pick);
    const middle = show(median(values));
    return values.length === 1 ? middle : `${middle} (${show(Math.min(...values))})`;
  };
  return [
    label,
    both((run) => run.wallMs, duration),
    both((run) => run.cpuMs, duration),
    both((run) => run.bootCpuMs, duration),
    both((run) => run.peakRssBytes, megabytes),
    count(Math.max(...runs.map((run) => run.requests))),
    count(median(runs.map((run) => run.snapshots))),
  ];
}

function ratios(
  ours: readonly Measurement[],
  floor: readonly Measurement[],
  perPerson: readonly Measurement[],
): string[] {
  const ratio = (pick: (run: Measurement) => number) =>
    (median(ours.map(pick)) / median(floor.map(pick))).toFixed(2);
  const lines = [
    `backfill-sync / floor: wall ${ratio((run) => run.wallMs)} x, CPU in all ${
      ratio((run) => run.cpuMs)
    } x, CPU without the start ${ratio((run) => run.cpuMs - run.bootCpuMs)} x`,
  ];
  if (perPerson.length > 0) {
    const each = (runs: readonly Measurement[]) =>
      median(runs.map((run) => run.wallMs / run.snapshots));
    lines.push(
      `a person: backfill-sync ${each(ours).toFixed(2)} ms, one request a person ${
        each(perPerson).toFixed(2)
      } ms (${(each(perPerson) / each(ours)).toFixed(0)} x), and ${
        duration(60_000 / 120 * (ours[0]?.snapshots ?? 0))
      } for all under the rate limit`,
    );
  }
  return lines;
}
