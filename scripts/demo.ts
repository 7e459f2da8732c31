/** `deno task demo`: a fresh project with 24,222 clients and their subscribers, and the backfill at work on them. */
import { parseArgs } from "node:util";
import { createClient } from "@supabase/supabase-js";
import { openDatabase } from "../shared/store/database.ts";
import { ControlClient } from "../simulators/mailerlite/control_client.ts";
import { explainRun, type Report, reportTable } from "./cli/demo_report.ts";
import { count } from "./cli/format.ts";
import { Interrupt, InterruptedError } from "./cli/interrupt.ts";
import { ProgressBar } from "./cli/progress_bar.ts";
import { readCount, runScript } from "./cli/run_script.ts";
import { latestBackfill } from "./cli/status.ts";
import { LookError, openSyncClient, RefusedError, type SyncClient } from "./cli/sync_client.ts";
import { standardOutput } from "./cli/terminal.ts";
import { explainEnd, watchBackfill } from "./cli/watch_backfill.ts";
import { loadClients } from "./sample/load_clients.ts";
import { samplePeople, type SampleSize } from "./sample/sample_people.ts";
import { PackageError } from "./stack/npm_package.ts";
import { PostgresError } from "./stack/postgres.ts";
import { PortTakenError, type Stack, startStack } from "./stack/stack.ts";
import { SupabaseCliError } from "./stack/supabase_cli.ts";

const usage =
  `Watch the backfill pair 24,222 clients with their subscribers, on a fresh local project that is
deleted at the end. Needs no account, no container and no installed server.

Usage: deno task demo [options]

  --pairs <number>  clients with a subscriber to make (default 24222)
  --keep            leave the project up until Ctrl-C, and print its addresses and keys
  --help            show this text
`;

const FUNCTION = "backfill-sync";
const LOOK_EVERY_MS = 250;

/** As a shell reports a program that Ctrl-C ended. */
const EXIT_INTERRUPTED = 130;

/** Ports of the Supabase CLI's local stack, taken if nobody else has them. */
const USUAL_PORTS = { port: 54321, databasePort: 54322 };

/** Settings from the command line. */
export interface DemoSettings {
  readonly pairs: number;
  readonly keep: boolean;
}

/** Raised when the run ended, and not well. */
class FailedRunError extends Error {
  override readonly name = "FailedRunError";
}

/** Reads the command line; `undefined` asks for the usage text. @throws {TypeError} on an option it does not know */
export function readSettings(args: readonly string[]): DemoSettings | undefined {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    options: {
      pairs: { type: "string", default: "24222" },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  return { pairs: readCount("--pairs", values.pairs), keep: values.keep };
}

/** People around the pairs of each kind that a sync meets: two clients with one address, one side only, edits that never travelled. */
export function demoSize(pairs: number): SampleSize {
  return {
    pairs,
    sharedAddresses: 12,
    onlyLocal: 9,
    onlyRemote: 7,
    drift: Math.min(180, Math.ceil(pairs / 10)),
  };
}

function ifFree(port: number): number {
  try {
    using _ = Deno.listen({ hostname: "127.0.0.1", port });
    return port;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return 0;
    throw error;
  }
}

/** Fills side A and the simulator. */
async function fill(stack: Stack, control: ControlClient, size: SampleSize): Promise<string> {
  const people = samplePeople(size);
  await control.seed({ groups: people.groups, fields: people.fields });
  const subscribers = await control.seedMany(people.subscribers());
  await using database = openDatabase({ url: stack.dbUrl, name: "demo", max: 1 });
  const clients = await loadClients(database, people);
  return `${count(clients)} clients, ${
    count(subscribers)
  } subscribers, ${people.partners.length} partners`;
}

/** Calls the function as an app does, and shows its progress until it is over. */
async function run(stack: Stack, client: SyncClient): Promise<{ wallMs: number }> {
  const output = standardOutput();
  const supabase = createClient(stack.url, stack.keys.secret["default"] ?? "");
  const start = performance.now();
  const { error } = await supabase.functions.invoke(FUNCTION, { body: { autoContinue: true } });
  if (error !== null) {
    throw new FailedRunError(
      `Cannot start the backfill: ${error.message}. The function's log is ${stack.logFolder}/${FUNCTION}.log`,
    );
  }
  const bar = new ProgressBar(output);
  const end = await watchBackfill({
    read: async () => (await client.readStatus()).backfill,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    now: () => performance.now(),
    onStatus: (status) => bar.show(status),
    everyMs: LOOK_EVERY_MS,
  }).finally(() => bar.end());
  if (end.outcome !== "completed") {
    throw new FailedRunError(`The backfill did not complete: ${explainEnd(end)}`);
  }
  return { wallMs: performance.now() - start };
}

async function report(
  stack: Stack,
  client: SyncClient,
  control: ControlClient,
  wallMs: number,
): Promise<Report> {
  // Before anything else is asked of the function; only Linux tells.
  const process = Deno.build.os === "linux" ? await stack.functions.stats(FUNCTION) : undefined;
  const run = await latestBackfill(client);
  if (run === null) throw new FailedRunError("The backfill left no run behind");
  return { run, wallMs, process, requests: (await control.requests()).total };
}

function addresses(stack: Stack): string {
  return [
    "The project is up until Ctrl-C:",
    "",
    `  export SUPABASE_URL=${stack.url}`,
    `  export SUPABASE_SECRET_KEY=${stack.keys.secret["default"]}`,
    `  deno task sync status`,
    `  psql ${stack.dbUrl} -c "select kind, count(*) from sync_findings group by kind"`,
    "",
    `  Publishable key  ${stack.keys.publishable}`,
    `  MailerLite API   ${stack.mailerliteUrl} (key ${stack.simulator?.token})`,
    `  Logs             ${stack.logFolder}`,
  ].join("\n");
}

async function main(settings: DemoSettings, interrupt: Interrupt): Promise<void> {
  const begin = performance.now();
  const say = (text: string) =>
    console.log(`${((performance.now() - begin) / 1000).toFixed(1).padStart(5)} s  ${text}`);
  // A signal meanwhile is heard by the next step: half a stack cannot be tidied up.
  await using stack = await startStack({
    port: ifFree(USUAL_PORTS.port),
    databasePort: ifFree(USUAL_PORTS.databasePort),
    onProgress: say,
  });
  if (stack.simulator === undefined) throw new TypeError("Cannot show anything: no simulator");
  const control = new ControlClient(stack.simulator.url);
  const client = openSyncClient({
    url: stack.url,
    secretKey: stack.keys.secret["default"] ?? "",
  });
  say("making people on both sides");
  say(await interrupt.race(fill(stack, control, demoSize(settings.pairs))));
  say(`calling supabase.functions.invoke("${FUNCTION}", { body: { autoContinue: true } })`);
  const { wallMs } = await interrupt.race(run(stack, client));
  const result = await interrupt.race(report(stack, client, control, wallMs));
  console.log(`\n${reportTable(result)}\n\n${explainRun(result)}`);
  if (!settings.keep) {
    console.log(
      "\nNext: 'deno task demo --keep' leaves all this up to look at, 'deno task start' is a project to stay.",
    );
    return;
  }
  console.log(`\n${addresses(stack)}`);
  try {
    await interrupt.race(stack.databaseExited);
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
  }
  // On Ctrl-C the server is told to end as well, and may be the first.
  if (interrupt.signal === undefined) throw new FailedRunError("PostgreSQL has ended");
  console.log("\nStopping …");
}

/** Failures that the message explains; a stack trace would only hide it. */
function isExplained(error: unknown): error is Error {
  return [
    FailedRunError,
    LookError,
    RefusedError,
    PostgresError,
    PortTakenError,
    PackageError,
    SupabaseCliError,
  ].some((type) => error instanceof type);
}

async function exitCode(settings: DemoSettings): Promise<number> {
  using interrupt = new Interrupt();
  try {
    await main(settings, interrupt);
    return 0;
  } catch (error) {
    if (interrupt.signal !== undefined) {
      console.log("\nStopped; nothing is left behind.");
      return EXIT_INTERRUPTED;
    }
    if (!isExplained(error)) throw error;
    console.error(error.message);
    return 1;
  }
}

if (import.meta.main) {
  Deno.exit(await runScript({ usage, read: readSettings, run: exitCode }, Deno.args));
}
