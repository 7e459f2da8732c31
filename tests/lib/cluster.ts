/**
 * One throw-away PostgreSQL server for a whole test run.
 *
 * `deno task test` starts it and names it in an environment variable. A test file that is run alone finds no such variable and starts one, which the other files of
 * the same `deno test` process then share; it is stopped and deleted when that process is gone, however it ended.
 */
import { cleanUpAfter, isAlive } from "../../scripts/stack/child_process.ts";
import { startDetachedPostgres } from "../../scripts/stack/postgres.ts";

/** Names the server for the tests: the connection string of a superuser. Any PostgreSQL 17 will do. */
export const CLUSTER_VARIABLE = "SYNC_TEST_DB_URL";

/** Settings of a server that is thrown away. */
export const CLUSTER_SETTINGS = { durable: false, maxConnections: 300 } as const;

/** Followed by the id of the process that the server belongs to. */
const FOLDER_PREFIX = "supabase-sync-test-";

/** The server of this test run. */
export interface TestCluster {
  /** Connection string of the superuser for a database. Default: the maintenance database. */
  url(database?: string): string;
}

/** The server of this test run, started if need be. */
export async function testCluster(): Promise<TestCluster> {
  return clusterAt(Deno.env.get(CLUSTER_VARIABLE) ?? await sharedServer());
}

/** What a run of all tests needs at most, in bytes. */
const ROOM = 3 * 1024 ** 3;

/**
 * Where the files of a server stand that is thrown away: in memory where there is plenty. Each test has a database of its own, hundreds of files which are deleted at its
 * end, and some file systems make new files slowly right after many were deleted.
 */
export async function throwAwayFolder(): Promise<string> {
  const inMemory = "/dev/shm";
  if (Deno.build.os !== "linux" || Deno.systemMemoryInfo().available < 2 * ROOM) {
    return temporaryFolder();
  }
  const { success, stdout } = await new Deno.Command("df", {
    args: ["-Pk", inMemory],
    stderr: "null",
  }).output();
  // file system, blocks, used, available, …
  const [, line = ""] = new TextDecoder().decode(stdout).split("\n");
  const free = Number(line.split(/\s+/)[3]) * 1024;
  return success && free > ROOM ? inMemory : temporaryFolder();
}

function clusterAt(adminUrl: string): TestCluster {
  return {
    url(database) {
      if (database === undefined) return adminUrl;
      const url = new URL(adminUrl);
      url.pathname = `/${database}`;
      return url.href;
    },
  };
}

/** Test files are workers of one process: its id names the server they share, a file lock lets only one of them start it. */
async function sharedServer(): Promise<string> {
  const folder = `${temporaryFolder()}/${FOLDER_PREFIX}${Deno.pid}`;
  const dataFolder = `${folder}/data`;
  const addressFile = `${folder}/address`;
  await Deno.mkdir(folder, { recursive: true, mode: 0o755 });
  using lock = await Deno.open(`${folder}/lock`, { create: true, write: true });
  await lock.lock(true);
  const known = await Deno.readTextFile(addressFile).catch(() => undefined);
  if (known !== undefined && await isRunning(dataFolder)) return known;
  // Left by an earlier process with the same id.
  for (const leftOver of [addressFile, dataFolder]) {
    await Deno.remove(leftOver, { recursive: true }).catch(() => {});
  }
  await sweep();
  await cleanUpAfter(Deno.pid, `${dataFolder}/postmaster.pid`, folder);
  const server = await startDetachedPostgres({ dataFolder, ...CLUSTER_SETTINGS });
  await Deno.writeTextFile(addressFile, server.url());
  return server.url();
}

/** Deletes what is left where even the caretaker was killed (SIGKILL to a whole process group, a reboot). */
async function sweep(): Promise<void> {
  for await (const { name } of Deno.readDir(temporaryFolder())) {
    const pid = Number(name.startsWith(FOLDER_PREFIX) ? name.slice(FOLDER_PREFIX.length) : NaN);
    const folder = `${temporaryFolder()}/${name}`;
    if (!Number.isInteger(pid) || await isAlive(pid) || await isRunning(`${folder}/data`)) continue;
    // Another process may be sweeping too, or the folder may be another user's.
    await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
}

/** Not `TMPDIR` on a system where root's is private: the server may run under another account. */
function temporaryFolder(): string {
  return Deno.uid() === 0 ? "/tmp" : Deno.env.get("TMPDIR")?.replace(/\/$/, "") ?? "/tmp";
}

async function isRunning(dataFolder: string): Promise<boolean> {
  const text = await Deno.readTextFile(`${dataFolder}/postmaster.pid`).catch(() => "");
  const pid = Number(text.split("\n")[0]);
  return pid > 0 && await isAlive(pid);
}
