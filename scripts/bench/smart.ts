/** `bench smart`: named people, and a queue drained by one worker and by three. */
import { count, duration } from "../cli/format.ts";
import { renderTable } from "../cli/table.ts";
import type { Stack } from "../stack/stack.ts";
import { describeMachine } from "./machine.ts";
import { percentile } from "./percentile.ts";
import {
  measureDrain,
  measureNamed,
  type Person,
  readPeople,
  settleSmart,
  type SmartCallCost,
  startSmart,
} from "./smart_run.ts";
import { judgeSmart } from "./smart_targets.ts";
import { openSyncedWorld, type SyncedWorld } from "./synced_world.ts";
import type { Verdict } from "./targets.ts";
import { sizeFor } from "./world.ts";

/** What to measure. */
export interface SmartBenchOptions {
  readonly pairs: number;
  /** Runs of each kind. */
  readonly runs: number;
  /** Also a queue that one worker and three drain. */
  readonly slow: boolean;
  readonly say: (text: string) => void;
}

const LATENCY_MS = 100;
const HUNDRED = 100;
const EDITED = 30;
/** Calls for one person, of each kind and run. */
const CALLS = 100;
/** Edits in the queue at most. */
const QUEUED = 2_000;
/** Share of the people in the queue at most: of more, a limit would hold them back. */
const QUEUED_SHARE = 0.4;
const WORKERS = 3;

/**
 * Runs the measurements and prints them.
 *
 * @returns One verdict a target.
 */
export async function benchSmart(options: SmartBenchOptions): Promise<Verdict[]> {
  const { pairs, runs, slow, say } = options;
  // Some hundred calls a minute are measured, and not the wait for leave to make them.
  await using synced = await openSyncedWorld({
    size: sizeFor(pairs),
    unlimited: true,
    onProgress: say,
  });
  const { control, postgresVersion } = synced.world;
  const people = await readPeople(synced);
  const hundred: SmartCallCost[] = [];
  const unchanged: SmartCallCost[] = [];
  const edited: SmartCallCost[] = [];
  const one: number[] = [];
  const three: number[] = [];
  await using stacks = new AsyncDisposableStack();
  const first = people[0];
  const queued = people.slice(0, Math.min(QUEUED, Math.floor(people.length * QUEUED_SHARE)));
  const workers: Stack[] = [];
  for (let n = 0; n < (slow ? WORKERS : 1) && first !== undefined; n++) {
    workers.push(stacks.use(await startSmart(synced, first)));
  }
  const [worker] = workers;
  if (worker === undefined) throw new RangeError("Cannot measure: nobody is linked");
  for (let n = 1; n <= runs; n++) {
    await settleSmart(synced);
    await measureOne(synced, worker, people, n, { unchanged, edited });
    say(`one person, run ${n}: ${quantiles(unchanged)} unchanged, ${quantiles(edited)} edited`);
    await control.setFaults([{ effect: { kind: "latency", ms: LATENCY_MS } }]);
    const some = people.slice(n * HUNDRED, (n + 1) * HUNDRED);
    hundred.push(await measureNamed(synced, worker, some, EDITED, `hundred ${n}`));
    say(`${HUNDRED} people, run ${n}: ${duration(hundred.at(-1)?.wallMs ?? 0)}`);
    if (slow) {
      // Turn and turn about, so that a change of the machine's mood meets both alike.
      one.push(await measureDrain(synced, [worker], queued, `one ${n}`));
      three.push(await measureDrain(synced, workers, queued, `three ${n}`));
      say(
        `${count(queued.length)} queued edits, run ${n}: ${
          duration(one.at(-1) ?? 0)
        } by one worker, ${duration(three.at(-1) ?? 0)} by ${WORKERS}`,
      );
    }
    await control.setFaults([]);
  }

  say(
    `\n${count(pairs)} pairs, ${runs} ${runs === 1 ? "run" : "runs"} each. ${await describeMachine(
      postgresVersion,
    )}\n`,
  );
  say(renderTable([
    ["", "p50", "p99", "requests"],
    row("one person, unchanged", unchanged),
    row("one person, edited", edited),
    row(`${HUNDRED} people, ${EDITED} edited, slow remote`, hundred),
  ]));
  if (slow) {
    const rate = (walls: readonly number[]) =>
      `${count(Math.round(queued.length / (percentile(walls, 50) / 1000)))} a second`;
    say(
      `\n${count(queued.length)} queued edits, slow remote: ${rate(one)} by one worker, ${
        rate(three)
      } by ${WORKERS}`,
    );
  }
  const verdicts = judgeSmart({
    hundred,
    unchanged,
    edited,
    ...(slow ? { drains: { one, three } } : {}),
  });
  say(
    "\n" + renderTable([
      ["target", "measured", ""],
      ...verdicts.map((v) => [v.target, v.measured, v.met ? "met" : "not met"]),
    ]),
  );
  return verdicts;
}

async function measureOne(
  synced: SyncedWorld,
  worker: Stack,
  people: readonly Person[],
  round: number,
  costs: { readonly unchanged: SmartCallCost[]; readonly edited: SmartCallCost[] },
): Promise<void> {
  for (let n = 0; n < CALLS; n++) {
    const some = people.slice(n, n + 1);
    costs.unchanged.push(await measureNamed(synced, worker, some, 0, ""));
    costs.edited.push(await measureNamed(synced, worker, some, 1, `${round} ${n}`));
  }
}

function quantiles(calls: readonly SmartCallCost[]): string {
  const walls = calls.map(({ wallMs }) => wallMs);
  return `${duration(percentile(walls, 50))} (p99 ${duration(percentile(walls, 99))})`;
}

function row(label: string, calls: readonly SmartCallCost[]): string[] {
  const walls = calls.map(({ wallMs }) => wallMs);
  return [
    label,
    duration(percentile(walls, 50)),
    duration(percentile(walls, 99)),
    count(Math.max(...calls.map(({ requests }) => requests))),
  ];
}
