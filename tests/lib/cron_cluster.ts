/**
 * A throw-away PostgreSQL with the real pg_cron in it, which only the system's package manager has.
 * It is PostgreSQL 15, one major version below the tests' usual one.
 */
// @ts-types="npm:@types/pg@8.23.1"
import pg from "pg";
import { cleanUpAfter, startChild } from "../../scripts/stack/child_process.ts";
import { freePort } from "../../scripts/stack/port.ts";
import { stepDownAccount } from "../../scripts/stack/step_down.ts";
import { until } from "./until.ts";

const FOLDER = "/usr/lib/postgresql/15";
const PACKAGE = "postgresql-15-cron";

/** What pg_cron wrote down of one run of a job. */
export interface CronRun {
  readonly status: "succeeded" | "failed";
  readonly message: string;
}

/** A running server; pg_cron is in its database `postgres`. */
export interface CronCluster extends AsyncDisposable {
  /** Connection string of the superuser. It stays the same over a restart. */
  readonly url: string;
  /**
   * Has pg_cron run a job now, and waits for its end. This version of pg_cron knows no seconds: a
   * job runs at once only if its schedule is `@reboot`, when the server starts. So the server is
   * started again, which ends every connection; the job then has its own schedule again and is
   * switched off.
   */
  fire(job: string): Promise<CronRun>;
}

async function requirePackage(): Promise<void> {
  const found = await Deno.stat(`${FOLDER}/lib/pg_cron.so`).catch(() => undefined);
  if (found?.isFile !== true) {
    throw new Error(
      `Cannot start PostgreSQL with pg_cron: ${FOLDER}/lib/pg_cron.so is missing. Install it with: apt-get install -y ${PACKAGE}`,
    );
  }
}

/** Whether PostgreSQL 15 with pg_cron is on this machine. */
export async function isCronInstalled(): Promise<boolean> {
  return (await Deno.stat(`${FOLDER}/lib/pg_cron.so`).catch(() => undefined)) !== undefined;
}

/**
 * Starts a server.
 *
 * @throws {Error} If the Debian package is missing; the message tells how to install it
 */
export async function startCronCluster(): Promise<CronCluster> {
  await requirePackage();
  const account = await stepDownAccount();
  const owner = account === undefined ? {} : { uid: account.uid, gid: account.gid };
  const folder = await Deno.makeTempDir({
    prefix: "supabase-sync-cron-",
    // Not TMPDIR, which may be root's own: the server runs under another account.
    ...(account === undefined ? {} : { dir: "/tmp" }),
  });
  await Deno.chmod(folder, 0o755);
  const data = `${folder}/data`;
  const logFile = `${folder}/log`;
  await Deno.mkdir(data);
  await Deno.writeTextFile(logFile, "");
  if (account !== undefined) {
    await Deno.chown(data, account.uid, account.gid);
    await Deno.chown(logFile, account.uid, account.gid);
  }
  await cleanUpAfter(Deno.pid, `${data}/postmaster.pid`, folder);
  await initialise(data, owner);

  const port = freePort();
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  const start = async () => {
    const child = startChild({
      command: `${FOLDER}/bin/postgres`,
      args: ["-D", data, "-p", String(port), ...SETTINGS.flatMap((setting) => ["-c", setting])],
      env: { LC_ALL: "C.UTF-8", TZ: "UTC", PATH: "/usr/bin:/bin" },
      cwd: "/",
      logFile,
      orphanSignal: "INT",
      ...owner,
    });
    let ended = false;
    child.exited.then(() => ended = true);
    await until("PostgreSQL 15 is ready", async () => {
      if (ended) throw new Error(`Cannot start PostgreSQL 15: ${await Deno.readTextFile(logFile)}`);
      const lines = (await Deno.readTextFile(`${data}/postmaster.pid`).catch(() => "")).split("\n");
      return Number(lines[0]) === child.pid && lines[7]?.trim() === "ready" ? true : undefined;
    });
    return child;
  };
  let server = await start();
  const stop = async (signal: "SIGINT" | "SIGQUIT") => {
    server.kill(signal);
    await server.exited;
  };

  return {
    url,
    async fire(job) {
      const { id, schedule } = await query(url, async (client) => {
        const { rows } = await client.query<{ id: string; schedule: string }>(
          `select jobid as id, schedule from cron.job where jobname = $1`,
          [job],
        );
        const [row] = rows;
        if (row === undefined) throw new Error(`Cannot run the job ${job}: pg_cron has none`);
        await client.query(`select cron.alter_job($1, schedule := '@reboot', active := true)`, [
          row.id,
        ]);
        await client.query(`delete from cron.job_run_details where jobid = $1`, [row.id]);
        return row;
      });
      await stop("SIGINT");
      server = await start();
      return await query(url, async (client) => {
        const run = await until(`pg_cron has run ${job}`, async () => {
          const { rows } = await client.query<CronRun>(
            `select status, return_message as message from cron.job_run_details
             where jobid = $1 and status in ('succeeded', 'failed')`,
            [id],
          );
          return rows[0];
        });
        await client.query(`select cron.alter_job($1, schedule := $2, active := false)`, [
          id,
          schedule,
        ]);
        return run;
      });
    },
    async [Symbol.asyncDispose]() {
      await stop("SIGQUIT");
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    },
  };
}

const SETTINGS = [
  "listen_addresses=127.0.0.1",
  "unix_socket_directories=",
  "timezone=UTC",
  "shared_preload_libraries=pg_cron",
  "cron.use_background_workers=on",
  "fsync=off",
  "synchronous_commit=off",
  "full_page_writes=off",
];

async function initialise(data: string, owner: { uid?: number; gid?: number }): Promise<void> {
  const { success, stderr } = await new Deno.Command(`${FOLDER}/bin/initdb`, {
    args: [
      `--pgdata=${data}`,
      "--username=postgres",
      "--auth=trust",
      "--encoding=UTF8",
      "--locale=C.UTF-8",
      "--no-sync",
    ],
    clearEnv: true,
    env: { LC_ALL: "C.UTF-8", TZ: "UTC", PATH: "/usr/bin:/bin" },
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    ...owner,
  }).output();
  if (!success) {
    throw new Error(`Cannot make the database folder: ${new TextDecoder().decode(stderr).trim()}`);
  }
}

async function query<Result>(
  url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
