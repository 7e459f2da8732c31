/**
 * `deno task test [arguments of deno test]`: every check and test of the repository, on one throw-away PostgreSQL server.
 *
 * The last line is `N passed, N failed`, for machines.
 */
import { CLUSTER_SETTINGS, CLUSTER_VARIABLE } from "../tests/lib/cluster.ts";
import { checks, runSteps } from "./ok.ts";
import { startPostgres } from "./stack/postgres.ts";

/** How many tests passed and failed, from what `deno test` prints at its end. */
export function readCounts(output: string): { passed: number; failed: number } | undefined {
  // deno-lint-ignore no-control-regex
  const plain = output.replaceAll(/\x1b\[[0-9;]*m/g, "");
  const summaries = [...plain.matchAll(/^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed/gm)];
  const last = summaries.at(-1);
  if (last === undefined) return undefined;
  return { passed: Number(last[1]), failed: Number(last[2]) };
}

async function main(): Promise<number> {
  // Named files are run alone: somebody works on them.
  if (Deno.args.length === 0 && !(await runSteps(await checks()))) {
    console.log("0 passed, 1 failed");
    return 1;
  }
  const folder = await Deno.makeTempDir({
    prefix: "supabase-sync-run-",
    ...(Deno.uid() === 0 ? { dir: "/tmp" } : {}),
  });
  await Deno.chmod(folder, 0o755);
  try {
    await using server = await startPostgres({ dataFolder: `${folder}/data`, ...CLUSTER_SETTINGS });
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", "-A", ...Deno.args],
      cwd: new URL("..", import.meta.url),
      env: {
        [CLUSTER_VARIABLE]: server.url(),
        ...(Deno.stdout.isTerminal() && !Deno.noColor ? { FORCE_COLOR: "1" } : {}),
      },
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const stop = () => {
      try {
        child.kill("SIGTERM");
      } catch {
        // It has ended already.
      }
    };
    Deno.addSignalListener("SIGINT", stop);
    Deno.addSignalListener("SIGTERM", stop);
    let output = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      await Deno.stdout.write(chunk);
      output = (output + decoder.decode(chunk, { stream: true })).slice(-20_000);
    }
    const { code } = await child.status;
    // Nothing was counted when the files did not even load: that is one failure.
    const { passed, failed } = readCounts(output) ?? { passed: 0, failed: code === 0 ? 0 : 1 };
    console.log(`${passed} passed, ${failed} failed`);
    return code;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main());
