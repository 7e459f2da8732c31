/** `deno task bench backfill`: what the backfill costs, measured against the least it could cost. */
import { parseArgs } from "node:util";
import { type BackfillBenchOptions, benchBackfill } from "./bench/backfill.ts";
import { MeasureError } from "./bench/measure_error.ts";

const usage = `Measure the backfill on this machine, in one run with what it is compared to.

Usage: deno task bench backfill [options]

  --pairs <number>  linked pairs to make (default 24222)
  --runs <number>   runs of each kind; medians are compared (default 3)
  --quick           only the backfill and its floor
  --big             also 250,000 pairs; takes some minutes more
  --check           exit with 1 when a target is missed
  --help            show this text

Compared are backfill-sync in a fresh process on a fresh database; the floor, a bare loop that fetches
the same pages and inserts the same bytes; and one request and one upsert a person, with the official
libraries. The simulator's rate limits are off; the function keeps to its own budget all the same.
`;

/** Settings from the command line. */
export interface BenchSettings extends Omit<BackfillBenchOptions, "say"> {
  readonly check: boolean;
}

/** Reads the command line; `undefined` asks for the usage text. @throws {TypeError} on what it does not know */
export function readSettings(args: readonly string[]): BenchSettings | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    strict: true,
    allowPositionals: true,
    options: {
      pairs: { type: "string", default: "24222" },
      runs: { type: "string", default: "3" },
      quick: { type: "boolean", default: false },
      big: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  if (positionals.length !== 1 || positionals[0] !== "backfill") {
    throw new TypeError(
      `Cannot measure '${positionals.join(" ")}': the one measurement there is, is 'backfill'`,
    );
  }
  return {
    pairs: readCount("--pairs", values.pairs),
    runs: readCount("--runs", values.runs),
    big: values.big,
    slow: !values.quick,
    check: values.check,
  };
}

function readCount(option: string, text: string): number {
  const n = Number(text);
  if (/^\d+$/.test(text) && n >= 1) return n;
  throw new TypeError(`Cannot use ${option} ${text}: it is a whole number from 1 on`);
}

async function main(): Promise<number> {
  let settings: BenchSettings | undefined;
  try {
    settings = readSettings(Deno.args);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    console.error(`${error.message}\n\n${usage}`);
    return 2;
  }
  if (settings === undefined) {
    console.log(usage);
    return 0;
  }
  const { check, ...options } = settings;
  try {
    const verdicts = await benchBackfill({ ...options, say: (text) => console.log(text) });
    return check && verdicts.some((verdict) => !verdict.met) ? 1 : 0;
  } catch (error) {
    if (!(error instanceof MeasureError)) throw error;
    console.error(error.message);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main());
