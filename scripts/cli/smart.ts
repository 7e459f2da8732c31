/**
 * `smart`: syncs people who are named.
 *
 * @module
 */
import { z } from "zod";
import { renderRows } from "./columns.ts";
import { type Command, type CommandContext, UsageError } from "./command.ts";
import { EXIT_CODE, type ExitCode } from "./exit_code.ts";
import { count, counted } from "./format.ts";
import { readArguments, readWord } from "./read_arguments.ts";
import { LookError } from "./sync_client.ts";

const MODES = ["bidirectional", "AtoB", "BtoA", "full"] as const;

/** Most addresses a call of the function takes. */
const CALL_EMAILS = 100;

const entry = z.looseObject({
  email: z.string().optional(),
  changed: z.boolean().optional(),
  skipped: z.boolean().optional(),
  error: z.string().optional(),
  reason: z.string().optional(),
  b_id: z.string().nullish(),
  conflicts: z.number().default(0),
  repairs: z.array(z.string()).default([]),
});

/** What became of one person. */
export type SmartEntry = z.infer<typeof entry>;

const answerSchema = z.looseObject({
  ok: z.boolean(),
  out: z.array(entry),
  runId: z.string().nullable(),
  quota: z.looseObject({ used: z.number(), limit: z.number() }),
  // A limit on dangerous changes held some of them back.
  guard: z.looseObject({ kind: z.string(), message: z.string() }).nullish(),
});

type SmartAnswer = z.infer<typeof answerSchema>;

/** Checks an answer of smart-sync. @throws {LookError} */
export function readSmartAnswer(answer: unknown): SmartAnswer {
  const parsed = answerSchema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new LookError(
    "Cannot read the answer of smart-sync: it is not of the known form; deploy the functions",
  );
}

interface SmartSettings {
  readonly emails: readonly string[];
  readonly body: Readonly<Record<string, unknown>>;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** Reads the arguments of `smart`. @throws {UsageError} */
export function readSmartSettings(args: readonly string[]): SmartSettings {
  const { values, positionals } = readArguments(args, {
    mode: { type: "string", default: "bidirectional" },
    "dry-run": { type: "boolean", default: false },
    repair: { type: "boolean", default: false },
    pair: { type: "string" },
    json: { type: "boolean", default: false },
  });
  if (positionals.length === 0) throw new UsageError("Cannot tell whom to sync: name an address");
  // Told here and not by its value: what was typed may be in a log somewhere.
  const bad = positionals.findIndex((email) => !/^\s*\S+@\S+\s*$/.test(email));
  if (bad >= 0) throw new UsageError(`Cannot use address ${bad + 1}: it is no e-mail address`);
  const dryRun = values["dry-run"];
  return {
    emails: positionals,
    body: {
      mode: readWord("--mode", values.mode, MODES),
      ...(dryRun ? { dryRun } : {}),
      ...(values.repair ? { repair: true } : {}),
      ...(values.pair === undefined ? {} : { pair: values.pair }),
    },
    dryRun,
    json: values.json,
  };
}

/** One row of the table: who, what became of it, and more words. */
export function describeEntry(found: SmartEntry, dryRun: boolean): readonly string[] {
  const outcome = found.error !== undefined
    ? "failed"
    : found.changed === true
    ? dryRun ? "would change" : "changed"
    : "left alone";
  const details = [
    ...(found.error === undefined ? [] : [found.error]),
    ...(found.reason === undefined ? [] : [found.reason]),
    ...(found.conflicts === 0 ? [] : [
      `${count(found.conflicts)} ${
        found.conflicts === 1 ? "field waits" : "fields wait"
      } for a person`,
    ]),
    ...found.repairs.map((repair) => `repaired: ${repair.replaceAll("_", " ")}`),
  ];
  return [found.email ?? "", outcome, details.join("; ")];
}

async function run(context: CommandContext, settings: SmartSettings): Promise<ExitCode> {
  const { client, print, tell } = context;
  const { emails, body, dryRun, json } = settings;
  const out: SmartEntry[] = [];
  const runIds: string[] = [];
  let quota: SmartAnswer["quota"] | null = null;
  let guard: SmartAnswer["guard"] = null;
  let ok = true;
  for (let from = 0; from < emails.length; from += CALL_EMAILS) {
    const some = emails.slice(from, from + CALL_EMAILS);
    const answer = readSmartAnswer(await client.call("smart-sync", { ...body, emails: some }));
    out.push(...answer.out);
    if (answer.runId !== null) runIds.push(answer.runId);
    quota = answer.quota;
    guard = answer.guard ?? guard;
    ok &&= answer.ok;
  }
  if (json) {
    print(JSON.stringify({ dryRun, out, runIds, quota, guard }));
  } else {
    const rows = out.map((found) => describeEntry(found, dryRun));
    for (const text of renderRows(["person", "outcome", "details"], rows)) print(text);
  }
  const failed = out.filter(({ error }) => error !== undefined).length;
  const waiting = out.filter(({ conflicts }) => conflicts > 0).length;
  if (failed > 0) tell(`${count(failed)} could not be synced`);
  if (waiting > 0) {
    tell(`${counted(waiting, "waits", "wait")} for a person: deno task sync conflicts list`);
  }
  if (guard !== null && guard !== undefined) {
    tell(`Some were held back by a limit: ${guard.message}`);
    tell(`If it is right: deno task sync run --allow ${guard.kind} --reason "why this is right"`);
    return EXIT_CODE.guarded;
  }
  return !ok || failed + waiting > 0 ? EXIT_CODE.failedRun : EXIT_CODE.ok;
}

/** `smart`: syncs people who are named. */
export const smartCommand: Command = {
  name: "smart",
  summary: "sync people who are named",
  usage: `Sync people who are named, at once.

Usage: deno task sync smart <email>... [options]

  --mode <mode>  bidirectional (default), AtoB: to the remote, BtoA: to supabase, full
  --dry-run      write nothing, and tell what would become of each
  --repair       look for what went wrong before as well: lost links, left-over writes, drift
  --pair <name>  which pair of sync.config.ts, where there are several
  --json         print one line of JSON instead of a table

Exits with 0 when all of them are in sync or left alone by a rule, 1 when some failed or wait for a
person, 2 when the project refuses, say because the day's quota is used up, 3 when a limit held some
of them back.

Examples:
  deno task sync smart ann@example.com
  deno task sync smart ann@example.com bob@example.com --dry-run
`,
  read(args) {
    const settings = readSmartSettings(args);
    return (context) => run(context, settings);
  },
};
