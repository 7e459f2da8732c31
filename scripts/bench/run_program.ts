import { MeasureError } from "./measure_error.ts";

/**
 * Runs a program of this folder in a fresh Deno process and gives what it prints.
 *
 * @throws {MeasureError} with the end of its error output, when it fails
 */
export async function runProgram(name: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    // Unchecked, as a function is started: types are checked before, not at every start.
    args: ["run", "--quiet", "--no-check", "-A", new URL(name, import.meta.url).pathname, ...args],
    cwd: new URL("../..", import.meta.url),
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  const reason = decoder.decode(stderr).trim().split("\n").slice(-5).join("\n");
  throw new MeasureError(`Cannot measure: ${name} failed: ${reason}`);
}
