/** An embedded PostgreSQL 17 server: no container, no system package. */
import {
  type Child,
  type ChildOptions,
  commandLine,
  isAlive,
  startChild,
  startDetached,
} from "./child_process.ts";
import { freePort } from "./port.ts";
import { POSTGRES_MAJOR, type PostgresBinaries, postgresBinaries } from "./postgres_binaries.ts";
import { type Account, canEnter, stepDownAccount } from "./step_down.ts";

/** Why the server could not be started. */
export type PostgresErrorCode =
  | "port_taken"
  | "already_running"
  | "half_written"
  | "wrong_version"
  | "unreachable_folder"
  | "start_failed";

/** Raised when the server cannot be started; the message says what to do. */
export class PostgresError extends Error {
  override name = "PostgresError";
  constructor(readonly code: PostgresErrorCode, message: string) {
    super(message);
  }
}

/** How to run the server. */
export interface PostgresOptions {
  /** Data folder; made when it does not exist. The log stands beside it, with `.log` at its end. */
  dataFolder: string;
  /** Port on 127.0.0.1; 0 picks a free one. Default 0. */
  port?: number;
  /** False switches off everything that makes data survive a power cut; only for throw-away servers. Default true. */
  durable?: boolean;
  /** Most connections at once. Default 100. */
  maxConnections?: number;
}

/** A running server. */
export interface PostgresServer {
  port: number;
  /** Process id of the server. */
  pid: number;
  /** Account the server runs as, when this process is root. */
  account: Account | undefined;
  logFile: string;
  /** Connection string of the superuser for a database of this server. Default database: `postgres`. */
  url(database?: string): string;
}

/** A running server that ends with this process at the latest; see {@linkcode startPostgres}. */
export interface Postgres extends PostgresServer, AsyncDisposable {
  /** Settles when the server has ended, for whatever reason. */
  exited: Promise<Deno.CommandStatus>;
  /** Ends open connections, writes a checkpoint and stops. */
  stop(): Promise<void>;
}

/** The superuser's name and password are those of the Supabase CLI's local stack. */
const SUPERUSER = "postgres";
const PASSWORD = "postgres";

/**
 * Starts a server and waits until it accepts connections.
 *
 * @throws {PostgresError} when the port is taken, the folder is in use, half-written, of another version, or the server gives up
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  let child: Child | undefined;
  const server = await launch(options, (command) => {
    // Fast shutdown: the folder stays whole even when the parent was killed.
    const started = startChild({ ...command, orphanSignal: "INT" });
    let ended = false;
    started.exited.then(() => ended = true);
    child = started;
    return Promise.resolve({ pid: started.pid, hasEnded: () => Promise.resolve(ended) });
  });
  if (child === undefined) throw new Error("Cannot happen: a server without a process");
  const { kill, exited } = child;
  const stop = async () => {
    // Fast shutdown; nobody reads a throw-away server again, so it need not even write its checkpoint.
    kill(options.durable === false ? "SIGQUIT" : "SIGINT");
    await exited;
  };
  return { ...server, exited, stop, [Symbol.asyncDispose]: stop };
}

/**
 * Starts a server that this process does not hold on to; see {@linkcode startDetached}. The caller arranges for its end.
 *
 * @throws {PostgresError} as {@linkcode startPostgres}
 */
export async function startDetachedPostgres(options: PostgresOptions): Promise<PostgresServer> {
  return await launch(options, async (command) => {
    const pid = await startDetached(command);
    return { pid, hasEnded: async () => !(await isAlive(pid)) };
  });
}

interface Launched {
  pid: number;
  hasEnded(): Promise<boolean>;
}

async function launch(
  options: PostgresOptions,
  start: (command: Omit<ChildOptions, "orphanSignal">) => Promise<Launched>,
): Promise<PostgresServer> {
  const binaries = await postgresBinaries();
  const account = await stepDownAccount();
  const { dataFolder } = options;
  await prepareFolder(dataFolder, binaries, account);

  const logFile = `${dataFolder}.log`;
  await Deno.writeTextFile(logFile, "");
  if (account) await Deno.chown(logFile, account.uid, account.gid);

  // A free port can be taken between finding it and using it; a named port is tried once.
  const attempts = options.port ? 1 : 5;
  for (let attempt = 1;; attempt++) {
    const port = options.port || freePort();
    const launched = await start({
      command: binaries.postgres,
      args: ["-D", dataFolder, "-p", String(port), ...settings(options)],
      env: { LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" },
      cwd: "/",
      logFile,
      ...(account ? { uid: account.uid, gid: account.gid } : {}),
    });
    if (await becomesReady(dataFolder, launched)) {
      return {
        port,
        pid: launched.pid,
        account,
        logFile,
        url: (database = "postgres") =>
          `postgresql://${SUPERUSER}:${PASSWORD}@127.0.0.1:${port}/${database}`,
      };
    }
    const failure = explain(await Deno.readTextFile(logFile), dataFolder, port);
    if (failure.code !== "port_taken" || attempt >= attempts) throw failure;
  }
}

function settings(options: PostgresOptions): string[] {
  const values: Record<string, string> = {
    listen_addresses: "127.0.0.1",
    // A socket file's path is limited to about 100 bytes, which a deep checkout exceeds.
    unix_socket_directories: "",
    max_connections: String(options.maxConnections ?? 100),
    // The Supabase platform's value; sync reads and writes instants.
    timezone: "UTC",
  };
  if (options.durable === false) {
    Object.assign(values, {
      fsync: "off",
      synchronous_commit: "off",
      full_page_writes: "off",
      wal_level: "minimal",
      max_wal_senders: "0",
    });
  }
  return Object.entries(values).flatMap(([key, value]) => [
    "-c",
    `${key}=${value}`,
  ]);
}

/** Makes the folder, or refuses one that PostgreSQL 17 cannot start from. */
async function prepareFolder(
  folder: string,
  binaries: PostgresBinaries,
  account: Account | undefined,
): Promise<void> {
  const parent = folder.replace(/\/[^/]+$/, "") || "/";
  await Deno.mkdir(parent, { recursive: true });
  if (account && !(await canEnter(account, parent))) {
    throw new PostgresError(
      "unreachable_folder",
      `Cannot keep the database in ${folder}: this process is root, so PostgreSQL runs as '${account.name}', and that account may not enter ${parent}. Choose a folder outside root's home`,
    );
  }
  if (await isEmptyOrMissing(folder)) {
    await initialise(folder, binaries, account);
    return;
  }
  const version = await Deno.readTextFile(`${folder}/PG_VERSION`).then(
    (text) => text.trim(),
    () => undefined,
  );
  if (version !== undefined && version !== POSTGRES_MAJOR) {
    throw new PostgresError(
      "wrong_version",
      `Cannot start PostgreSQL ${POSTGRES_MAJOR} from ${folder}: it was made by PostgreSQL ${version}. Start with --reset to delete it, or move it away`,
    );
  }
  for (const part of ["PG_VERSION", "global/pg_control", "postgresql.conf"]) {
    const found = await Deno.stat(`${folder}/${part}`).catch(() => undefined);
    if (!found?.isFile) {
      throw new PostgresError(
        "half_written",
        `Cannot start PostgreSQL from ${folder}: it is half-written (${part} is missing). Start with --reset to delete it, or move it away`,
      );
    }
  }
  await refuseOrForgetOldServer(folder);
}

/** `initdb` works in a folder of its own that is renamed at the end: an interrupted one leaves no half-written folder under the real name. */
async function initialise(
  folder: string,
  binaries: PostgresBinaries,
  account: Account | undefined,
): Promise<void> {
  const workFolder = await Deno.makeTempDir({
    dir: folder.replace(/\/[^/]+$/, "") || "/",
    prefix: ".initdb-",
  });
  try {
    const passwordFile = `${workFolder}/password`;
    await Deno.writeTextFile(passwordFile, PASSWORD, { mode: 0o600 });
    if (account) {
      await Deno.chown(workFolder, account.uid, account.gid);
      await Deno.chown(passwordFile, account.uid, account.gid);
    }
    const { success, stderr } = await new Deno.Command(binaries.initdb, {
      args: [
        `--pgdata=${workFolder}/data`,
        `--username=${SUPERUSER}`,
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        // The builtin provider sorts alike on every machine and needs no locale of the system.
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-sync",
      ],
      clearEnv: true,
      env: { LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" },
      cwd: "/",
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      ...(account ? { uid: account.uid, gid: account.gid } : {}),
    }).output();
    if (!success) {
      throw new PostgresError(
        "start_failed",
        `Cannot make the database folder ${folder}: ${lastLine(new TextDecoder().decode(stderr))}`,
      );
    }
    await Deno.remove(folder, { recursive: true }).catch(() => {});
    await Deno.rename(`${workFolder}/data`, folder);
  } finally {
    await Deno.remove(workFolder, { recursive: true });
  }
}

/**
 * The process id of the server that uses a data folder, if one does.
 *
 * The id in `postmaster.pid` is not enough: in a restarted container another process is likely to have it.
 */
export async function serverOf(folder: string): Promise<number | undefined> {
  const text = await Deno.readTextFile(`${folder}/postmaster.pid`).catch(() => "");
  const pid = Number(text.split("\n")[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const command = await commandLine(pid);
  return command.includes("postgres") && command.includes(folder) ? pid : undefined;
}

/** PostgreSQL itself believes a left-over `postmaster.pid` when any process has that id, so a stale file is removed first. */
async function refuseOrForgetOldServer(folder: string): Promise<void> {
  const pid = await serverOf(folder);
  if (pid !== undefined) {
    throw new PostgresError(
      "already_running",
      `Cannot start PostgreSQL from ${folder}: a server (process ${pid}) is running there. Stop the stack that owns it, then start again`,
    );
  }
  await Deno.remove(`${folder}/postmaster.pid`).catch(() => {});
}

/** The server writes its state as the eighth line of `postmaster.pid`; `pg_ctl --wait` reads the same line. */
async function becomesReady(folder: string, { pid, hasEnded }: Launched): Promise<boolean> {
  while (!(await hasEnded())) {
    const text = await Deno.readTextFile(`${folder}/postmaster.pid`).catch(() => "");
    const lines = text.split("\n");
    if (Number(lines[0]) === pid && lines[7]?.trim() === "ready") return true;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}

function explain(log: string, folder: string, port: number): PostgresError {
  if (log.includes("Address already in use")) {
    return new PostgresError(
      "port_taken",
      `Cannot start PostgreSQL on port ${port}: another program listens there. Stop it, or choose another port with --db-port`,
    );
  }
  if (/invalid (primary )?checkpoint record|could not open file|PANIC/.test(log)) {
    return new PostgresError(
      "half_written",
      `Cannot start PostgreSQL from ${folder}: its files are damaged (${
        lastLine(log)
      }). Start with --reset to delete it, or move it away`,
    );
  }
  return new PostgresError(
    "start_failed",
    `Cannot start PostgreSQL from ${folder}: ${lastLine(log)}. The whole log is in ${folder}.log`,
  );
}

function lastLine(text: string): string {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.findLast((line) => /FATAL|PANIC|error:/.test(line)) ??
    lines.at(-1) ?? "it gave no reason";
}

async function isEmptyOrMissing(folder: string): Promise<boolean> {
  try {
    for await (const _ of Deno.readDir(folder)) return false;
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}
