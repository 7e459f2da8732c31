import { type Command, type CommandContext, readOptions, UsageError } from "./command.ts";
import { EXIT_CODE, type ExitCode } from "./exit_code.ts";
import { ProgressBar } from "./progress_bar.ts";
import { describeRun, latestBackfill } from "./status.ts";
import { explainEnd, watchBackfill } from "./watch_backfill.ts";

const LOOK_EVERY_MS = 500;

/** How to call the function, and whether to wait for the end. */
export interface BackfillSettings {
  readonly body: Readonly<Record<string, unknown>>;
  readonly wait: boolean;
  readonly json: boolean;
}

function readDays(text: string): number {
  const days = Number(text);
  if (/^\d+$/.test(text) && days <= 3650) return days;
  throw new UsageError(
    `Cannot use --stale-after-days ${text}: it is a whole number of days from 0 to 3650`,
  );
}

/** Reads the options of `backfill`. @throws {UsageError} */
export function readBackfillSettings(args: readonly string[]): BackfillSettings {
  const values = readOptions(args, {
    "no-link": { type: "boolean", default: false },
    "stale-after-days": { type: "string" },
    force: { type: "boolean", default: false },
    wait: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  });
  const days = values["stale-after-days"];
  return {
    body: {
      autoContinue: true,
      ...(values["no-link"] ? { link: false } : {}),
      ...(days === undefined ? {} : { staleAfterDays: readDays(days) }),
      ...(values.force ? { force: true } : {}),
    },
    wait: values.wait,
    json: values.json,
  };
}

/** Calls backfill-sync and, where that is asked for, stays until the run is over. */
export async function callBackfill(
  context: CommandContext,
  settings: BackfillSettings,
): Promise<ExitCode> {
  const { client, print, tell } = context;
  const answer = await client.call("backfill-sync", { ...settings.body });
  if (!settings.wait) {
    printAnswer(print, answer, settings.json);
    return EXIT_CODE.ok;
  }
  const bar = new ProgressBar(context.progress);
  const end = await watchBackfill({
    read: async () => (await client.readStatus()).backfill,
    sleep: context.sleep,
    now: context.progress.now,
    onStatus: (status) => settings.json || bar.show(status),
    everyMs: LOOK_EVERY_MS,
  });
  bar.end();
  const run = await latestBackfill(client);
  if (settings.json) print(JSON.stringify({ outcome: end.outcome, status: end.status, run }));
  else print(describeRun(end.status, run));
  if (end.outcome === "completed") return EXIT_CODE.ok;
  tell(`The backfill did not complete: ${explainEnd(end)}`);
  return EXIT_CODE.failedRun;
}

/** Prints what a function answered, in words or as it is. */
export function printAnswer(print: (line: string) => void, answer: unknown, json: boolean): void {
  print(json ? JSON.stringify(answer) : messageOf(answer));
}

/** What the function says, with the run it speaks of. */
function messageOf(answer: unknown): string {
  if (typeof answer !== "object" || answer === null) return "Done";
  const message = "message" in answer ? String(answer.message) : "Done";
  return "runId" in answer ? `${message}. Run ${String(answer.runId)}` : message;
}

/** `backfill`: pairs records and snapshots both sides. */
export const backfillCommand: Command = {
  name: "backfill",
  summary: "link pairs and snapshot both sides, where that is not done yet",
  usage:
    `Link pairs and snapshot both sides, where that is not done yet. Nothing is written to either side.
The run goes on in the project when this command has ended.

Usage: deno task sync backfill [options]

  --wait                  show progress until the run is over; exits with 1 when it does not complete
  --no-link               leave unlinked records alone
  --stale-after-days <n>  renew snapshots that are older (default 30)
  --force                 take over a run that is at work elsewhere, or that a person paused
  --json                  print one line of JSON instead of words

Examples:
  deno task sync backfill --wait
  deno task sync backfill --no-link --stale-after-days 0
`,
  read(args) {
    const settings = readBackfillSettings(args);
    return (context) => callBackfill(context, settings);
  },
};
