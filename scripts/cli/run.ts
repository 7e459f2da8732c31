/**
 * `run`: the two-way run, from beginning to end.
 *
 * @module
 */
import type { SyncConfig } from "../../shared/engine/config.ts";
import type { GuardKind } from "../../shared/merge/guard_kinds.ts";
import { choosePair } from "./choose_pair.ts";
import { type Command, type CommandContext, UsageError } from "./command.ts";
import { EXIT_CODE, type ExitCode } from "./exit_code.ts";
import { counted, duration } from "./format.ts";
import { ProgressBar } from "./progress_bar.ts";
import { readArguments, readWholeNumber, readWord } from "./read_arguments.ts";
import { type PlanEntry, readRunAnswer } from "./run_answer.ts";
import { describePlan, describeTotals } from "./run_report.ts";
import { type RunEnd, runUntilDone } from "./run_until_done.ts";
import { readRun, readRunning, runProgress, whileWatching } from "./run_watch.ts";
import { LookError, RefusedError } from "./sync_client.ts";

const GUARDS = ["deletes", "unsubscribes", "blanks", "updates"] as const satisfies GuardKind[];

/** Records a call looks at most: as many as the function takes; its time ends it earlier. */
const CALL_RECORDS = 100_000;

/** The same where every record looked at comes back in the answer. */
const PLAN_RECORDS = 5_000;

/** What was asked for. */
export interface RunSettings {
  readonly direction: string;
  readonly max: number | null;
  readonly dryRun: boolean;
  readonly plan: boolean;
  /** Whether a run is to go on that a person paused. */
  readonly resume: boolean;
  readonly allow: readonly GuardKind[];
  readonly reason: string | null;
  readonly pair: string | undefined;
  readonly json: boolean;
}

/** Reads the options of `run`. @throws {UsageError} */
export function readRunSettings(args: readonly string[]): RunSettings {
  const { values, positionals } = readArguments(args, {
    direction: { type: "string", default: "both" },
    max: { type: "string" },
    "dry-run": { type: "boolean", default: false },
    plan: { type: "boolean", default: false },
    resume: { type: "boolean", default: false },
    allow: { type: "string", multiple: true, default: [] },
    reason: { type: "string" },
    pair: { type: "string" },
    json: { type: "boolean", default: false },
  });
  if (positionals.length > 0) {
    throw new UsageError(
      "Cannot tell what to do: 'run' takes options only, see 'smart' for one person",
    );
  }
  const allow = values.allow.flatMap((list) => list.split(",")).map((kind) =>
    readWord("--allow", kind.trim(), GUARDS)
  );
  const reason = values.reason?.trim() || null;
  if (allow.length > 0 && reason === null) {
    throw new UsageError("Cannot allow anything without --reason: it is kept in the log");
  }
  if (reason !== null && allow.length === 0) {
    throw new UsageError("Cannot use --reason: there is no --allow that it is for");
  }
  if (reason !== null && reason.length > 500) {
    throw new UsageError("Cannot use --reason: it is longer than 500 characters");
  }
  return {
    direction: values.direction,
    max: values.max === undefined ? null : readWholeNumber("--max", values.max),
    dryRun: values["dry-run"],
    plan: values.plan,
    resume: values.resume,
    allow: [...new Set(allow)],
    reason,
    pair: values.pair,
    json: values.json,
  };
}

function flowOf(direction: string, connector: string): string {
  const words: Readonly<Record<string, string>> = {
    both: "both",
    [`${connector}-to-supabase`]: "to_local",
    [`supabase-to-${connector}`]: "to_remote",
  };
  const flow = Object.hasOwn(words, direction) ? words[direction] : undefined;
  if (flow !== undefined) return flow;
  throw new LookError(
    `Cannot use --direction ${direction}: it is one of ${Object.keys(words).join(", ")}`,
  );
}

interface Call {
  readonly context: CommandContext;
  readonly settings: RunSettings;
  readonly pair: string;
  readonly flow: string;
}

function laneOf({ flow, settings }: Call): string {
  return `${flow}${settings.plan ? ":plan" : settings.dryRun ? ":dry" : ""}`;
}

async function callAll(call: Call): Promise<RunEnd> {
  const { context, settings, pair } = call;
  const { client, sleep } = context;
  const { allow, reason } = settings;
  const bar = new ProgressBar(context.progress);
  const body = {
    direction: settings.direction,
    pair,
    ...(settings.dryRun ? { dryRun: true } : {}),
    ...(settings.plan ? { plan: true } : {}),
    ...(reason === null ? {} : { override: { guards: [...allow], reason } }),
  };
  const work = runUntilDone(
    {
      call: async (body) => readRunAnswer(await client.call("enterprise-sync", body)),
      sleep,
    },
    {
      body,
      ...(settings.resume ? { first: { action: "resume" } } : {}),
      perCall: settings.plan ? PLAN_RECORDS : CALL_RECORDS,
      max: settings.max,
    },
  );
  const end = settings.json ? await work : await whileWatching({
    read: () => readRunning(client, { pair, lane: laneOf(call) }),
    sleep,
    onRun: (run) => bar.showProgress(runProgress(run)),
  }, work);
  if (!settings.json && end.runId !== null) {
    const run = await readRun(client, end.runId);
    if (run !== null) bar.showProgress(runProgress(run));
  }
  bar.end();
  return end;
}

/** The whole plan of a run that a limit stopped, with every limit off; null where it cannot be had. */
async function planStopped(call: Call): Promise<readonly PlanEntry[] | null> {
  const settings: RunSettings = {
    ...call.settings,
    max: null,
    plan: true,
    dryRun: false,
    resume: false,
    allow: GUARDS,
    reason: "preview of a run that a limit stopped",
  };
  try {
    const end = await callAll({ ...call, settings });
    return end.outcome === "done" ? end.plan : null;
  } catch (error) {
    if (error instanceof RefusedError || error instanceof LookError) return null;
    throw error;
  }
}

/** The command that lets a stopped run pass. */
export function allowCommand(settings: RunSettings, message: string): string {
  const tripped = GUARDS.find((kind) => new RegExp(`\\d+ ${kind} were planned`).test(message));
  const kinds = [...new Set([...settings.allow, ...(tripped === undefined ? [] : [tripped])])];
  return [
    "deno task sync run",
    ...(settings.direction === "both" ? [] : [`--direction ${settings.direction}`]),
    ...(settings.pair === undefined ? [] : [`--pair ${settings.pair}`]),
    `--allow ${kinds.length === 0 ? GUARDS.join(",") : kinds.join(",")}`,
    `--reason "why this is right"`,
  ].join(" ");
}

async function openConflicts({ context, pair }: Call): Promise<number> {
  return await context.client.count({
    table: "sync_conflicts",
    where: [["pair", "eq", pair], ["status", "eq", "open"]],
  });
}

async function run(call: Call): Promise<ExitCode> {
  const { context, settings } = call;
  const { client, print, tell, progress } = context;
  const startedAt = progress.now();
  const end = await callAll(call);
  const took = duration(progress.now() - startedAt);
  const row = end.runId === null ? null : await readRun(client, end.runId);
  const isGuarded = end.outcome === "guard";
  const stopped = isGuarded && !settings.plan ? await planStopped(call) : null;
  const plan = settings.plan ? end.plan : stopped;
  const isDry = settings.plan || settings.dryRun;
  const conflicts = isDry ? end.totals.conflictsDetected : await openConflicts(call);
  if (settings.json) {
    const { totals, ...rest } = end;
    print(JSON.stringify({
      ...rest,
      totals,
      counters: row?.counters ?? {},
      openConflicts: conflicts,
      ...(isGuarded ? { allow: allowCommand(settings, end.message) } : {}),
      plan: plan ?? undefined,
    }));
  } else {
    if (isDry) print("Nothing was written: this is what would be done.");
    if (plan !== null && !isGuarded) print(`${describePlan(plan)}\n`);
    print(describeTotals(end.totals, row, took));
  }
  switch (end.outcome) {
    case "guard":
      tell(`Stopped by a limit, and nothing more was written: ${end.message}`);
      if (!settings.json && plan !== null) {
        tell(`What would have been done:\n${describePlan(plan)}`);
      }
      tell(`If it is right: ${allowCommand(settings, end.message)}`);
      return EXIT_CODE.guarded;
    case "stopped":
      tell(`The run did not come to its end: ${end.message}. The same command goes on with it`);
      return EXIT_CODE.failedRun;
    case "limit":
      tell("Stopped after as many records as were asked for. The same command goes on with it");
      break;
    case "done":
      break;
  }
  if (end.totals.errors > 0) {
    const failed = counted(end.totals.errors, "record", "records");
    tell(`${failed} failed: deno task sync why <email> tells more`);
  }
  if (conflicts > 0) {
    const waiting = counted(conflicts, "field waits", "fields wait");
    tell(`${waiting} for a person: deno task sync conflicts list`);
  }
  return end.totals.errors + conflicts > 0 ? EXIT_CODE.failedRun : EXIT_CODE.ok;
}

const USAGE = `Sync both ways until every record was looked at. Goes on with a run that was cut off.

Usage: deno task sync run [options]

  --direction <way>   both (default), <connector>-to-supabase or supabase-to-<connector>
  --max <n>           stop after n records; the same command goes on with the next ones
  --dry-run           write nothing, and count what would be written
  --plan              write nothing, and show what would be done by which rule
  --allow <kinds>     let the run pass limits: deletes, unsubscribes, blanks, updates
  --reason <text>     why; kept in the log. Needed for --allow
  --resume            go on with a run that a person paused
  --pair <name>       which pair of sync.config.ts, where there are several
  --json              print one line of JSON instead of words; a plan has one entry a record

Exits with 0 when everything is in sync, 1 when records failed, fields wait for a person or the run
could not come to its end, 2 when it could not begin, 3 when a limit stopped it: then it tells what
would have been done, and the command that allows it.

Ctrl-C ends this command; the call that is at work in the project ends by itself within two minutes.

Examples:
  deno task sync run
  deno task sync run --plan
  deno task sync run --direction mailerlite-to-supabase --max 500
  deno task sync run --allow unsubscribes --reason "list cleaned on Monday"
`;

/** Makes `run`. */
export function runCommand({ config }: { readonly config: SyncConfig }): Command {
  return {
    name: "run",
    summary: "sync both ways until everything was looked at",
    usage: USAGE,
    read(args) {
      const settings = readRunSettings(args);
      return async (context) => {
        const pair = choosePair(config, settings.pair);
        const flow = flowOf(settings.direction, pair.remote.connector.spec.connector);
        return await run({ context, settings, pair: pair.name, flow });
      };
    },
  };
}
