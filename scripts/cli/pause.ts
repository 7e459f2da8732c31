import { callBackfill } from "./backfill.ts";
import { type Command, readOptions } from "./command.ts";

/** `pause`: stops the backfill after the batch it is at. */
export const pauseCommand: Command = {
  name: "pause",
  summary: "stop the backfill after the batch it is at",
  usage:
    `Stop the backfill after the batch it is at. It keeps its place, and no schedule starts it again.

Usage: deno task sync pause [--json]

Examples:
  deno task sync pause
`,
  read(args) {
    const { json } = readOptions(args, { json: { type: "boolean", default: false } });
    return (context) => callBackfill(context, { body: { action: "pause" }, wait: false, json });
  },
};
