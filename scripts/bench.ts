/** `deno task bench`: what a function costs, measured against the least its work could cost. */
import { parseArgs } from "node:util";
import { benchBackfill } from "./bench/backfill.ts";
import { benchEnterprise } from "./bench/enterprise.ts";
import { benchSmart } from "./bench/smart.ts";
import { MeasureError } from "./bench/measure_error.ts";
import { readCount, runScript } from "./cli/run_script.ts";

const usage = `Measure a function on this machine, in one run with what it is compared to.

Usage: deno task bench backfill|enterprise|smart [options]

  --pairs <number>  linked pairs to make (default 24222)
  --runs <number>   runs of each kind; medians are compared (default 3)
  --quick           backfill: only the backfill and its floor
                    enterprise: only the run without changes and its floor
                    smart: only named people
  --big             also 250,000 pairs; takes some minutes more
  --check           exit with 1 when a target is missed
  --help            show this text

backfill: backfill-sync in a fresh process on a fresh database; the floor, a bare loop that fetches
the same pages and inserts the same bytes; and one request and one upsert a person, with the official
libraries.

enterprise: enterprise-sync in a fresh process where both sides are in sync, where 1 % of the records
was edited on each side, and on 500 records at a remote that answers after 100 ms; the floor, a bare
loop that fetches and parses the same pages and sends as many writes, with no thought.

smart: smart-sync over one person and over 100, and a queue drained by one process and by three, at a
remote that answers after 100 ms.

The simulator's rate limits are off; the functions keep to their own budget all the same.
`;

const BENCHES = {
  backfill: benchBackfill,
  enterprise: benchEnterprise,
  smart: benchSmart,
} as const;

/** Settings from the command line. */
export interface BenchSettings {
  readonly what: keyof typeof BENCHES;
  readonly pairs: number;
  readonly runs: number;
  readonly big: boolean;
  /** Whether more than the function's plainest work is measured. */
  readonly slow: boolean;
  readonly check: boolean;
}

function isBench(name: string | undefined): name is keyof typeof BENCHES {
  return name !== undefined && Object.hasOwn(BENCHES, name);
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
  const [what] = positionals;
  if (positionals.length !== 1 || !isBench(what)) {
    throw new TypeError(
      `Cannot measure '${positionals.join(" ")}': choose one of ${Object.keys(BENCHES).join(", ")}`,
    );
  }
  return {
    what,
    pairs: readCount("--pairs", values.pairs),
    runs: readCount("--runs", values.runs),
    big: values.big,
    slow: !values.quick,
    check: values.check,
  };
}

async function run({ what, check, ...options }: BenchSettings): Promise<number> {
  try {
    const verdicts = await BENCHES[what]({ ...options, say: (text) => console.log(text) });
    return check && verdicts.some((verdict) => !verdict.met) ? 1 : 0;
  } catch (error) {
    if (!(error instanceof MeasureError)) throw error;
    console.error(error.message);
    return 1;
  }
}

if (import.meta.main) {
  Deno.exit(await runScript({ usage, read: readSettings, run }, Deno.args));
}
