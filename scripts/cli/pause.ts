import { callBackfill, printAnswer } from "./backfill.ts";
import { type Command, type CommandContext, readOptions } from "./command.ts";
import { EXIT_CODE, type ExitCode } from "./exit_code.ts";
import { takeFunction } from "./take_function.ts";

function readPauseOfRun(args: readonly string[]): (context: CommandContext) => Promise<ExitCode> {
  const { direction, pair, json } = readOptions(args, {
    direction: { type: "string", default: "both" },
    pair: { type: "string" },
    json: { type: "boolean", default: false },
  });
  const body = { action: "pause", direction, ...(pair === undefined ? {} : { pair }) };
  return async ({ client, print }) => {
    printAnswer(print, await client.call("enterprise-sync", body), json);
    return EXIT_CODE.ok;
  };
}

/** `pause`: stops a run after the batch it is at. */
export const pauseCommand: Command = {
  name: "pause",
  summary: "stop the backfill or the two-way run after the batch it is at",
  usage: `Stop a run after the batch it is at. It keeps its place, and no schedule starts it again.

Usage: deno task sync pause [backfill-sync] [--json]
       deno task sync pause enterprise-sync [options]

  --direction <way>  both (default), <connector>-to-supabase or supabase-to-<connector>
  --pair <name>      which pair of sync.config.ts, where there are several
  --json             print one line of JSON instead of words

Examples:
  deno task sync pause
  deno task sync pause enterprise-sync
`,
  read(args) {
    const { functionName, rest } = takeFunction(args);
    if (functionName === "enterprise-sync") return readPauseOfRun(rest);
    const { json } = readOptions(rest, { json: { type: "boolean", default: false } });
    return (context) => callBackfill(context, { body: { action: "pause" }, wait: false, json });
  },
};
