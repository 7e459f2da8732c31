/** `deno task start`: the local stack on the Supabase CLI's usual ports, until Ctrl-C. */
import { parseArgs } from "node:util";
import config from "../sync.config.ts";
import { fillAccount } from "./stack/fill_account.ts";
import { encodeHex } from "./stack/hex.ts";
import { PackageError } from "./stack/npm_package.ts";
import { PostgresError, serverOf } from "./stack/postgres.ts";
import { SimulatorError } from "./stack/simulator.ts";
import { PortTakenError, type Stack, startStack } from "./stack/stack.ts";
import { canEnter, stepDownAccount } from "./stack/step_down.ts";
import { SupabaseCliError } from "./stack/supabase_cli.ts";

const usage =
  `Start the sync suite on this machine: PostgreSQL, the Supabase Data and Auth API, the functions
and a MailerLite simulator. With the simulator, an edit on either side is synced by itself.
Ctrl-C stops everything; the data of both sides stays in .stack/.

Usage: deno task start [options]

  --port <number>         port of the API (default 54321)
  --db-port <number>      port of PostgreSQL (default 54322)
  --reset                 delete the data of earlier starts first
  --no-simulator          do not start the MailerLite simulator
  --mailerlite-url <url>  API the functions call instead; its key is read from MAILERLITE_API_KEY
  --deno <path|version>   Deno that runs the functions; 2.1.4 is the level of the hosted runtime
  --help                  show this text
`;

const repository = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** Settings from the command line. */
interface Settings {
  port: number;
  databasePort: number;
  reset: boolean;
  simulator: boolean;
  mailerliteUrl: string | undefined;
  deno: string | undefined;
}

/** Reads the command line; `undefined` asks for the usage text. @throws {TypeError} on an option it does not know */
export function readSettings(args: string[]): Settings | undefined {
  const { values } = parseArgs({
    args,
    strict: true,
    options: {
      port: { type: "string", default: "54321" },
      "db-port": { type: "string", default: "54322" },
      reset: { type: "boolean", default: false },
      "no-simulator": { type: "boolean", default: false },
      "mailerlite-url": { type: "string" },
      deno: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const mailerliteUrl = values["mailerlite-url"];
  if (mailerliteUrl !== undefined && !URL.canParse(mailerliteUrl)) {
    throw new TypeError(`Cannot use --mailerlite-url ${mailerliteUrl}: it is not a web address`);
  }
  return {
    port: readPort("--port", values.port),
    databasePort: readPort("--db-port", values["db-port"]),
    reset: values.reset,
    simulator: !values["no-simulator"] && mailerliteUrl === undefined,
    mailerliteUrl,
    deno: values.deno,
  };
}

function readPort(option: string, text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65535) return port;
  throw new TypeError(`Cannot use ${option} ${text}: a port is a number from 0 to 65535`);
}

/** PostgreSQL cannot enter a checkout in root's home when it runs under another account; its data then goes where that account may. */
async function postgresFolder(dataFolder: string): Promise<string> {
  const account = await stepDownAccount();
  await Deno.mkdir(dataFolder, { recursive: true });
  if (account === undefined || await canEnter(account, dataFolder)) return `${dataFolder}/postgres`;
  const name = encodeHex(
    await crypto.subtle.digest("SHA-256", new TextEncoder().encode(dataFolder)),
  );
  return `/var/lib/supabase-sync/${name.slice(0, 12)}/postgres`;
}

function status(stack: Stack, functions: string[], folder: string): string {
  const lines: [string, string][] = [
    ["API URL", stack.url],
    ["DB URL", stack.dbUrl],
    ["Publishable key", stack.keys.publishable],
    ...Object.entries(stack.keys.secret).map(([name, key]): [string, string] => [
      "Secret key",
      `${key} (${name})`,
    ]),
    ["MailerLite API", stack.mailerliteUrl],
    ...(stack.simulator === undefined
      ? []
      : [["MailerLite key", `${stack.simulator.token} (simulator)`] satisfies [string, string]]),
    ...functions.map((name): [string, string] => ["Function", `${stack.url}/functions/v1/${name}`]),
    ["Database files", folder],
    ["Logs", stack.logFolder],
  ];
  return lines.map(([label, value]) => `${label.padStart(16)}: ${value}`).join("\n");
}

async function main(): Promise<number> {
  const settings = readSettings(Deno.args);
  if (settings === undefined) {
    console.log(usage);
    return 0;
  }
  const dataFolder = `${repository}/.stack`;
  const databaseFolder = await postgresFolder(dataFolder);
  if (settings.reset) {
    const pid = await serverOf(databaseFolder);
    if (pid !== undefined) {
      throw new PostgresError(
        "already_running",
        `Cannot reset ${databaseFolder}: a server (process ${pid}) is running there. Stop the stack that owns it first`,
      );
    }
    for (const folder of [databaseFolder, dataFolder]) {
      await Deno.remove(folder, { recursive: true }).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
    }
  }

  const asked = Promise.withResolvers<string>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => asked.resolve(signal));
  }
  await using stack = await startStack({
    port: settings.port,
    databasePort: settings.databasePort,
    dataFolder,
    postgresFolder: databaseFolder,
    simulator: settings.simulator ? [] : false,
    // Never with an account that is real: what is tried out here would be written there.
    live: settings.simulator,
    onProgress: (text) => console.log(`${text} …`),
    ...(settings.mailerliteUrl === undefined ? {} : { mailerliteUrl: settings.mailerliteUrl }),
    ...(settings.deno === undefined ? {} : { deno: settings.deno }),
  });
  if (stack.simulator !== undefined) {
    await fillAccount(stack.simulator.url, config).catch((error: unknown) => {
      // The functions say the same of a wrong configuration to whoever calls them.
      console.error(`The simulator stays empty: ${error instanceof Error ? error.message : error}`);
    });
  }
  const functions = await stack.functions.names();
  console.log(`\n${status(stack, functions, databaseFolder)}\n\nReady. Ctrl-C stops the stack.`);
  const ended = await Promise.race([
    asked.promise,
    stack.databaseExited.then(() => "database" as const),
  ]);
  if (ended === "database") {
    console.error(`PostgreSQL has ended; its log is ${databaseFolder}.log`);
    return 1;
  }
  console.log("Stopping …");
  return 0;
}

/** Failures that the message explains; a stack trace would only hide it. */
function isExplained(error: unknown): error is Error {
  return [PostgresError, SimulatorError, PortTakenError, PackageError, SupabaseCliError, TypeError]
    .some((type) => error instanceof type);
}

if (import.meta.main) {
  try {
    Deno.exit(await main());
  } catch (error) {
    if (!isExplained(error)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
