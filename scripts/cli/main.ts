/**
 * The CLI without its process: which command, and what becomes of its failures.
 *
 * @module
 */
import config from "../../sync.config.ts";
import { backfillCommand } from "./backfill.ts";
import { type Command, type CommandContext, UsageError } from "./command.ts";
import { conflictsCommand } from "./conflicts.ts";
import { EXIT_CODE, type ExitCode } from "./exit_code.ts";
import { pauseCommand } from "./pause.ts";
import { ProjectError } from "./project.ts";
import { resumeCommand } from "./resume.ts";
import { runCommand } from "./run.ts";
import { smartCommand } from "./smart.ts";
import { statusCommand } from "./status.ts";
import { LookError, RefusedError, type SyncClient } from "./sync_client.ts";
import { undoCommand } from "./undo.ts";
import { verifyCommand } from "./verify.ts";
import { webhooksCommand } from "./webhooks.ts";
import { whyCommand } from "./why.ts";

const PROCESS = {
  config,
  env: (name: string) => Deno.env.get(name),
  fetch: (input: string | URL | Request, init?: RequestInit) => fetch(input, init),
  now: () => Date.now(),
  random: () => Math.random(),
};

const RUN = runCommand(PROCESS);

const COMMANDS: readonly Command[] = [
  statusCommand,
  backfillCommand,
  pauseCommand,
  resumeCommand(RUN),
  RUN,
  smartCommand,
  verifyCommand(PROCESS),
  conflictsCommand(PROCESS),
  whyCommand(PROCESS),
  undoCommand(PROCESS),
  webhooksCommand(PROCESS),
];

const USAGE = `Run and watch the sync of a project.

Usage: deno task sync <command> [options]

${COMMANDS.map(({ name, summary }) => `  ${name.padEnd(10)}${summary}`).join("\n")}

The project is the one that SUPABASE_URL and SUPABASE_SECRET_KEY name, else the local stack.
'deno task sync <command> --help' tells more of a command. Every command takes --json.

Exits with 0 when it is done, 1 when a run failed or something is left to do, 2 when nothing could be
looked at or started, 3 when a limit on dangerous changes stopped a run. Addresses and values are shown
on this terminal alone, where a command's help says so.

Examples:
  deno task sync backfill --wait
  deno task sync run
  deno task sync why ann@example.com
  SUPABASE_URL=https://<ref>.supabase.co SUPABASE_SECRET_KEY=sb_secret_… deno task sync status
`;

/** What the CLI gets from its process. The project is looked for when a command needs it. */
export type MainContext = Omit<CommandContext, "client"> & {
  readonly openClient: () => Promise<SyncClient>;
};

/** A client that looks for its project when it is first asked something. */
function openLater(open: MainContext["openClient"]): SyncClient {
  let opened: Promise<SyncClient> | undefined;
  const client = () => opened ??= open();
  return {
    readStatus: async () => await (await client()).readStatus(),
    call: async (functionName, body) => await (await client()).call(functionName, body),
    select: async (query) => await (await client()).select(query),
    count: async (query) => await (await client()).count(query),
    rpc: async (name, args) => await (await client()).rpc(name, args),
  };
}

/** Runs one command line. */
export async function main(args: readonly string[], context: MainContext): Promise<ExitCode> {
  const [name, ...rest] = args;
  const command = COMMANDS.find((command) => command.name === name);
  try {
    if (command === undefined) {
      if (name === "--help" || name === "-h" || name === "help") {
        context.print(USAGE);
        return EXIT_CODE.ok;
      }
      throw new UsageError(
        name === undefined
          ? "Cannot do anything: no command is given"
          : `Cannot find the command '${name}'`,
      );
    }
    if (rest.includes("--help") || rest.includes("-h")) {
      context.print(command.usage);
      return EXIT_CODE.ok;
    }
    const run = command.read(rest);
    return await run({ ...context, client: openLater(context.openClient) });
  } catch (error) {
    if (error instanceof UsageError) {
      context.tell(`${error.message}\n\n${command?.usage ?? USAGE}`);
    } else if (error instanceof RefusedError) {
      context.tell(`${error.message} (${error.code})`);
      if (error.hint !== null) context.tell(error.hint);
    } else if (error instanceof LookError || error instanceof ProjectError) {
      context.tell(error.message);
    } else throw error;
    return EXIT_CODE.couldNotLook;
  }
}
