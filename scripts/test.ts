/**
 * `deno task test [arguments of deno test]`: every check and test of the repository, on one throw-away PostgreSQL server.
 *
 * Each test file runs in a process of its own, as many at once as there are processors: side by side in one process they would share its environment variables. What a
 * file prints is shown when it is done. The last line is `N passed, N failed`, for machines.
 */
import { CLUSTER_SETTINGS, CLUSTER_VARIABLE, throwAwayFolder } from "../tests/lib/cluster.ts";
import { inLanes } from "./lanes.ts";
import { checks, isUnitTest, runSteps, testFiles } from "./ok.ts";
import { cleanUpAfter } from "./stack/child_process.ts";
import { startPostgres } from "./stack/postgres.ts";

/** Names of the files that take longest. Begun first, so that none of them runs on alone at the end; a file that is not named here only ends the run later. */
const LONGEST = [
  "enterprise_races_db_test.ts",
  "hosted_runtime_e2e_test.ts",
  "enterprise_crash_db_test.ts",
  "simulation_db_test.ts",
  "backfill_sync_db_test.ts",
  "enterprise_intents_db_test.ts",
  "deploy_upload_e2e_test.ts",
  "backfill_crash_db_test.ts",
];

/** Test files in the order in which they are begun: the longest, those that start processes, those with a database, the rest. */
export function inOrder(files: readonly string[]): string[] {
  const rank = (path: string) => {
    const named = LONGEST.indexOf(path.replace(/^.*\//, ""));
    if (named >= 0) return named;
    if (path.endsWith("_e2e_test.ts")) return LONGEST.length;
    return LONGEST.length + (isUnitTest(path) ? 2 : 1);
  };
  return files.toSorted((one, other) => rank(one) - rank(other));
}

/** How many tests passed and failed, from what `deno test` prints at its end. */
export function readCounts(output: string): { passed: number; failed: number } | undefined {
  // deno-lint-ignore no-control-regex
  const plain = output.replaceAll(/\x1b\[[0-9;]*m/g, "");
  const summaries = [...plain.matchAll(/^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed/gm)];
  const last = summaries.at(-1);
  if (last === undefined) return undefined;
  return { passed: Number(last[1]), failed: Number(last[2]) };
}

/** A test run's surroundings, and what came of it. */
class TestRun {
  readonly #env: Readonly<Record<string, string>>;
  readonly #children = new Set<Deno.ChildProcess>();
  readonly #failed: string[] = [];
  #counts = { passed: 0, failed: 0 };

  constructor(databaseUrl: string) {
    this.#env = {
      [CLUSTER_VARIABLE]: databaseUrl,
      ...(Deno.stdout.isTerminal() && !Deno.noColor ? { FORCE_COLOR: "1" } : {}),
    };
  }

  /**
   * Runs `deno test` and counts.
   *
   * @param live whether its output is shown as it comes, and not when it has ended
   */
  async run(args: readonly string[], live: boolean): Promise<void> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", "-A", ...args],
      cwd: new URL("..", import.meta.url),
      env: this.#env,
      stdin: "null",
      stdout: "piped",
      stderr: live ? "inherit" : "piped",
    }).spawn();
    this.#children.add(child);
    const errors = live ? "" : new Response(child.stderr).text();
    let output = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      output += text;
      if (live) await Deno.stdout.write(new TextEncoder().encode(text));
    }
    const { code } = await child.status;
    this.#children.delete(child);
    if (!live) console.log(`${output}${await errors}`.trimEnd());
    // Nothing was counted when the files did not even load: that is one failure.
    const { passed, failed } = readCounts(output) ?? { passed: 0, failed: code === 0 ? 0 : 1 };
    this.#counts.passed += passed;
    this.#counts.failed += failed;
    if (code !== 0) this.#failed.push(args.join(" "));
  }

  stop(): void {
    for (const child of this.#children) {
      try {
        child.kill("SIGTERM");
      } catch {
        // It has ended already.
      }
    }
  }

  /** Prints the last lines and gives the exit code. */
  report(): number {
    if (this.#failed.length > 0) console.log(`\nFAILED: ${this.#failed.join(", ")}`);
    console.log(`${this.#counts.passed} passed, ${this.#counts.failed} failed`);
    return this.#failed.length === 0 ? 0 : 1;
  }
}

async function main(): Promise<number> {
  // Named files are run alone: somebody works on them.
  const everything = Deno.args.length === 0;
  if (everything && !(await runSteps(await checks()))) {
    console.log("0 passed, 1 failed");
    return 1;
  }
  const folder = await Deno.makeTempDir({
    prefix: "supabase-sync-run-",
    dir: await throwAwayFolder(),
  });
  await Deno.chmod(folder, 0o755);
  // Memory must not stay taken when this process is killed.
  await cleanUpAfter(Deno.pid, `${folder}/data/postmaster.pid`, folder);
  try {
    await using server = await startPostgres({ dataFolder: `${folder}/data`, ...CLUSTER_SETTINGS });
    const run = new TestRun(server.url());
    let stopped = false;
    const stop = () => {
      stopped = true;
      run.stop();
    };
    Deno.addSignalListener("SIGINT", stop);
    Deno.addSignalListener("SIGTERM", stop);
    const calls = everything ? inOrder(await testFiles()).map((path) => [path]) : [Deno.args];
    await inLanes(calls, navigator.hardwareConcurrency, async (args) => {
      if (!stopped) await run.run(args, !everything);
    });
    return run.report();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main());
