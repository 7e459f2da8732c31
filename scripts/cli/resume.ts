import { callBackfill } from "./backfill.ts";
import { type Command, readOptions } from "./command.ts";
import { takeFunction } from "./take_function.ts";

/**
 * Makes `resume`: goes on with a run that was paused or cut off.
 *
 * @param run The command that works on the two-way run.
 */
export function resumeCommand(run: Command): Command {
  return {
    name: "resume",
    summary: "go on with a run that was paused or cut off",
    usage: `Go on with a run that was paused or cut off, from where it was.

Usage: deno task sync resume [backfill-sync] [options]
       deno task sync resume enterprise-sync [options of run]

  --wait   show progress until the run is over; exits with 1 when it does not complete
  --force  take over a run that is at work elsewhere
  --json   print one line of JSON instead of words

'resume enterprise-sync' is 'run --resume', and takes its options.

Examples:
  deno task sync resume --wait
  deno task sync resume enterprise-sync
`,
    read(args) {
      const { functionName, rest } = takeFunction(args);
      if (functionName === "enterprise-sync") return run.read(["--resume", ...rest]);
      const { wait, force, json } = readOptions(rest, {
        wait: { type: "boolean", default: false },
        force: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
      });
      const body = { action: "resume", autoContinue: true, ...(force ? { force } : {}) };
      return (context) => callBackfill(context, { body, wait, json });
    },
  };
}
