/**
 * The local stack: PostgreSQL, the Data and Auth API, the functions and the simulator of the remote API, behind one origin. It needs no container and no installed
 * server.
 */
import { type Functions, openFunctions } from "./functions.ts";
import { route } from "./gateway.ts";
import { keysIn, newKeys, type StackKeys } from "./keys.ts";
import { type Lite, openLite } from "./lite.ts";
import { npmPackageFolder } from "./npm_package.ts";
import { type Postgres, startPostgres } from "./postgres.ts";
import { prepareDatabase } from "./prepare_database.ts";
import { problem } from "./problem.ts";
import { seedDatabase } from "./seed.ts";
import { registerSimulatedWebhook } from "./simulated_webhook.ts";
import { type SimulatorProcess, startSimulator } from "./simulator.ts";
import { openTokens } from "./tokens.ts";
import { type NewUser, openUsers } from "./users.ts";
import { listenForWork } from "./wake_listener.ts";

/** How to start a stack. Without any option it is a throw-away one on free ports. */
export interface StackOptions {
  /** Port of the origin; 0 takes a free one. Default 0. */
  port?: number;
  /** Port of PostgreSQL; 0 takes a free one. Default 0. */
  databasePort?: number;
  /** Folder for the database, the simulator's account, the keys and the logs. Default: a temporary one, deleted at the end. */
  dataFolder?: string;
  /** Folder for the database alone, where it has to be elsewhere. Default: `postgres` in the data folder. */
  postgresFolder?: string;
  /** A database that is prepared already; no PostgreSQL is started then. */
  databaseUrl?: string;
  /** Folder that holds `supabase/`. Default: this repository. */
  projectFolder?: string;
  /** Folder with one folder a function. Default: `supabase/functions` of the project. */
  functionsFolder?: string;
  /** Arguments of the simulator, or false for none. Default: no arguments. */
  simulator?: readonly string[] | false;
  /** Base address of the remote API. Default: the simulator's. */
  mailerliteUrl?: string;
  /** Deno for the functions: a path or a version of the npm package `deno`. Default: the one that runs this. */
  deno?: string;
  /** Further environment variables of the functions, or other values for those they get. */
  functionEnv?: Record<string, string>;
  /**
   * Whether edits travel by themselves: one of side A calls smart-sync, one at the simulator calls
   * sync-webhook. Default false, which leaves every call to the caller.
   */
  live?: boolean;
  /** Called with what is being done, for a person. Default: silent. */
  onProgress?: (text: string) => void;
}

/** A running stack. */
export interface Stack extends AsyncDisposable {
  /** Origin of the project, for `createClient`. */
  url: string;
  /** Connection string of the superuser. */
  dbUrl: string;
  keys: Pick<StackKeys, "publishable" | "secret">;
  /** Base address of the remote API that the functions call. */
  mailerliteUrl: string;
  /** The simulator, unless it was declined. */
  simulator: SimulatorProcess | undefined;
  functions: Omit<Functions, "forward" | typeof Symbol.asyncDispose>;
  /** Folder of the log files. */
  logFolder: string;
  /** Makes a user; returns the id. */
  createUser(user: NewUser): Promise<string>;
  /** Settles when PostgreSQL has ended; never, when the stack was given a database. */
  databaseExited: Promise<unknown>;
}

const repository = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

/**
 * Starts a stack; ends what it has started when a part of it does not come up.
 *
 * @throws {PostgresError} see {@linkcode startPostgres}
 * @throws {SimulatorError} see {@linkcode startSimulator}
 * @throws {PortTakenError} when something listens on `port`
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  await using started = new AsyncDisposableStack();
  const say = options.onProgress ?? (() => {});
  const projectFolder = options.projectFolder ?? repository;
  const dataFolder = options.dataFolder ?? await temporaryFolder(started);
  const logFolder = `${dataFolder}/logs`;
  const lockFolder = `${dataFolder}/locks`;
  await Deno.mkdir(logFolder, { recursive: true });
  await Deno.mkdir(lockFolder, { recursive: true });

  // First of all: a taken port should be known at once, and the functions are told the address.
  let handle = (_: Request): Promise<Response> =>
    Promise.resolve(problem(503, "starting", "Cannot answer yet: the stack is starting"));
  const server = listen(options.port ?? 0, (request) => handle(request));
  started.defer(() => server.shutdown());
  const url = `http://127.0.0.1:${server.addr.port}`;

  let postgres: Postgres | undefined;
  if (options.databaseUrl === undefined) {
    say("starting PostgreSQL");
    postgres = started.use(
      await startPostgres({
        dataFolder: options.postgresFolder ?? `${dataFolder}/postgres`,
        port: options.databasePort ?? 0,
        durable: options.dataFolder !== undefined,
      }),
    );
    say("applying migrations");
    await prepareDatabase(postgres.url(), { projectFolder });
    await seedDatabase(postgres.url(), projectFolder);
  }
  const dbUrl = options.databaseUrl ?? postgres?.url() ?? "";

  const keys = options.dataFolder === undefined
    ? await newKeys()
    : await keysIn(`${dataFolder}/keys.json`);
  const lite: Lite = started.use(
    await openLite({
      databaseUrl: dbUrl,
      jwtSecret: keys.jwtSecret,
      publishableKey: keys.publishable,
      secretKeys: Object.values(keys.secret),
    }),
  );

  const users = started.use(
    openUsers(dbUrl, (body) => lite.fetch(signUpRequest(url, keys.publishable, body))),
  );
  const tokens = await openTokens(keys, users.metadata);

  let simulator: SimulatorProcess | undefined;
  if (options.simulator !== false) {
    say("starting the MailerLite simulator");
    simulator = started.use(
      await startSimulator(
        `${logFolder}/simulator.log`,
        options.simulator ?? [],
        // As long as the database is kept: links to people who are gone would be left.
        options.dataFolder === undefined ? undefined : `${dataFolder}/mailerlite.ndjson`,
      ),
    );
  }
  const mailerliteUrl = options.mailerliteUrl ?? simulator?.apiUrl ??
    "https://connect.mailerlite.com/api";

  const webhookSecret = options.live === true && simulator !== undefined
    ? await registerSimulatedWebhook(simulator, `${url}/functions/v1/sync-webhook`)
    : undefined;

  const functions = started.use(openFunctions({
    deno: await denoExecutable(options.deno),
    functionsFolder: options.functionsFolder ?? `${projectFolder}/supabase/functions`,
    logFolder,
    lockFolder,
    allowedHosts: allowedHosts(mailerliteUrl, dbUrl),
    env: {
      ...passedOn("MAILERLITE_API_KEY", "MAILERLITE_WEBHOOK_SECRET", "SYNC_MAX_DURATION_MS"),
      ...(simulator !== undefined && options.mailerliteUrl === undefined
        ? { MAILERLITE_API_KEY: simulator.token }
        : {}),
      ...(webhookSecret === undefined ? {} : { MAILERLITE_WEBHOOK_SECRET: webhookSecret }),
      MAILERLITE_API_URL: mailerliteUrl,
      SUPABASE_URL: url,
      SUPABASE_DB_URL: dbUrl,
      SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: keys.publishable }),
      SUPABASE_SECRET_KEYS: JSON.stringify(keys.secret),
      SUPABASE_JWKS: tokens.jwks,
      ...options.functionEnv,
    },
  }));

  handle = (request) => route(request, { lite, functions, tokens });
  if (options.live === true) {
    const key = keys.secret["cron"] ?? "";
    started.use(
      await listenForWork({
        databaseUrl: dbUrl,
        call: (signal) => callSmartSync(url, key, signal),
      }),
    );
  }
  const owned = started.move();
  return {
    url,
    dbUrl,
    keys: { publishable: keys.publishable, secret: keys.secret },
    mailerliteUrl,
    simulator,
    functions,
    logFolder,
    createUser: users.create,
    databaseExited: postgres?.exited ?? new Promise(() => {}),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** As the project's own schedule does. */
async function callSmartSync(url: string, apikey: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(`${url}/functions/v1/smart-sync`, {
    method: "POST",
    headers: { apikey, "content-type": "application/json" },
    body: "{}",
    signal,
  });
  await response.body?.cancel();
}

function signUpRequest(url: string, apikey: string, body: string): Request {
  return new Request(`${url}/auth/v1/signup`, {
    method: "POST",
    headers: { apikey, "content-type": "application/json" },
    body,
  });
}

/** Raised when another program listens on the port of the origin. */
export class PortTakenError extends Error {
  override name = "PortTakenError";
}

function listen(
  port: number,
  handler: (request: Request) => Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({
      hostname: "127.0.0.1",
      port,
      onListen: () => {},
      onError: (error) => {
        console.error("Cannot answer a request:", error);
        return problem(500, "internal_error", "Cannot answer the request: see the stack's output");
      },
    }, handler);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new PortTakenError(
      `Cannot start the API on port ${port}: another program listens there. Stop it, or choose another port with --port`,
    );
  }
}

/** Root's server runs under another account, which must be able to enter. */
async function temporaryFolder(started: AsyncDisposableStack): Promise<string> {
  const folder = await Deno.makeTempDir({
    prefix: "supabase-sync-stack-",
    ...(Deno.uid() === 0 ? { dir: "/tmp" } : {}),
  });
  await Deno.chmod(folder, 0o755);
  started.defer(() => Deno.remove(folder, { recursive: true }));
  return folder;
}

async function denoExecutable(wanted: string | undefined): Promise<string> {
  if (wanted === undefined) return Deno.execPath();
  if (!/^\d+\.\d+\.\d+$/.test(wanted)) return wanted;
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  const platform = Deno.build.os === "darwin" ? `darwin-${arch}` : `linux-${arch}-glibc`;
  return `${await npmPackageFolder(`@deno/${platform}`, wanted)}/deno`;
}

function allowedHosts(...urls: string[]): string[] {
  return [...new Set(["127.0.0.1", ...urls.map((url) => new URL(url).hostname)])];
}

function passedOn(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  }));
}
