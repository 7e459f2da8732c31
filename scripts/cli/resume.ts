import { callBackfill } from "./backfill.ts";
import { type Command, readOptions } from "./command.ts";

/** `resume`: goes on with a backfill that was paused or cut off. */
export const resumeCommand: Command = {
  name: "resume",
  summary: "go on with a backfill that was paused or cut off",
  usage: `Go on with a backfill that was paused or cut off, from where it was.

Usage: deno task sync resume [options]

  --wait   show progress until the run is over; exits with 1 when it does not complete
  --force  take over a run that is at work elsewhere
  --json   print one line of JSON instead of words

Examples:
  deno task sync resume --wait
`,
  read(args) {
    const { wait, force, json } = readOptions(args, {
      wait: { type: "boolean", default: false },
      force: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    });
    const body = { action: "resume", autoContinue: true, ...(force ? { force } : {}) };
    return (context) => callBackfill(context, { body, wait, json });
  },
};
