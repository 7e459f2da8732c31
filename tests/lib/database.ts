/** A database of its own for a test file: cloned from one that has every migration applied. */
// @ts-types="npm:@types/pg@8.23.1"
import pg from "pg";
import { encodeHex } from "../../scripts/stack/hex.ts";
import { prepareDatabase } from "../../scripts/stack/prepare_database.ts";
import { SUPABASE_CLI_VERSION } from "../../scripts/stack/supabase_cli.ts";
import { type TestCluster, testCluster } from "./cluster.ts";

export { type TestCluster, testCluster } from "./cluster.ts";

/** A migrated database that nobody else uses; it is dropped when disposed of. */
export interface TestDatabase extends AsyncDisposable {
  name: string;
  /** Connection string of the superuser. */
  url: string;
  /** A pool of the driver the functions use, closed with the database. */
  pool: pg.Pool;
  /** A connection of its own, which the caller ends. */
  connect(): Promise<pg.Client>;
}

/** How a test database is made. */
export interface TestDatabaseOptions {
  /** Folder that holds `supabase/migrations`. Default: this repository. */
  projectFolder?: string;
}

const repository = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

/**
 * Makes a database for a test.
 *
 * ```ts ignore
 * await using db = await testDatabase(import.meta.url);
 * const { rows } = await db.pool.query("select count(*) from public.clients");
 * ```
 *
 * @param testFile the test's `import.meta.url`; it becomes part of the name, so that a database left by a crash can be told
 */
export async function testDatabase(
  testFile: string,
  options: TestDatabaseOptions = {},
): Promise<TestDatabase> {
  const cluster = await testCluster();
  const template = await knownTemplate(cluster, options.projectFolder ?? repository);
  const name = databaseName(testFile);
  // Kept until the database is dropped: a connection costs the server a process.
  const admin = new pg.Client({ connectionString: cluster.url() });
  admin.on("error", () => {});
  await admin.connect();
  try {
    // The other strategy writes every page of the template to the write-ahead log too: several times the work.
    await admin.query(`create database ${name} template ${template} strategy file_copy`);
  } catch (error) {
    await admin.end();
    throw error;
  }
  const url = cluster.url(name);
  const pool = new pg.Pool({ connectionString: url, max: 5 });
  // Dropping the database ends idle connections, and an error event nobody listens to ends the process.
  pool.on("error", () => {});
  return {
    name,
    url,
    pool,
    async connect() {
      const client = new pg.Client({ connectionString: url });
      client.on("error", () => {});
      await client.connect();
      return client;
    },
    async [Symbol.asyncDispose]() {
      await pool.end();
      try {
        await admin.query(`drop database ${name} with (force)`);
      } finally {
        await admin.end();
      }
    },
  };
}

/** By project folder: migrations do not change while a test file runs. */
const templates = new Map<string, Promise<string>>();

function knownTemplate(cluster: TestCluster, projectFolder: string): Promise<string> {
  const key = `${cluster.url()} ${projectFolder}`;
  const known = templates.get(key) ?? migratedTemplate(cluster, projectFolder);
  templates.set(key, known);
  return known;
}

/** The template of the migrations as they stand; made by the first who asks. */
async function migratedTemplate(cluster: TestCluster, projectFolder: string): Promise<string> {
  const template = `template_${await migrationsHash(projectFolder)}`;
  return await administer(cluster, async (admin) => {
    if (await databaseExists(admin, template)) return template;
    // One at a time: the API roles belong to the whole server, and another process may be at the same template.
    await admin.query("select pg_advisory_lock(hashtext('template'))");
    if (await databaseExists(admin, template)) return template;
    const draft = `${template}_draft`;
    await admin.query(`drop database if exists ${draft} with (force)`);
    await admin.query(`create database ${draft}`);
    await prepareDatabase(cluster.url(draft), { projectFolder });
    // The name is the mark of completeness: a draft left by a crash is never cloned.
    await admin.query(`alter database ${draft} rename to ${template}`);
    return template;
  });
}

async function databaseExists(admin: pg.Client, name: string): Promise<boolean> {
  const { rowCount } = await admin.query("select 1 from pg_database where datname = $1", [name]);
  return rowCount === 1;
}

async function migrationsHash(projectFolder: string): Promise<string> {
  const folder = `${projectFolder}/supabase/migrations`;
  const names: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isFile && entry.name.endsWith(".sql")) names.push(entry.name);
  }
  const parts = [SUPABASE_CLI_VERSION];
  for (const name of names.sort()) {
    parts.push(name, await Deno.readTextFile(`${folder}/${name}`));
  }
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  return encodeHex(await crypto.subtle.digest("SHA-256", bytes)).slice(0, 16);
}

function databaseName(testFile: string): string {
  const file = testFile.split("/").pop()?.replace(/\.ts$/, "") ?? "test";
  const slug = file.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_").slice(0, 40);
  return `t_${slug}_${crypto.randomUUID().slice(0, 8)}`;
}

async function administer<Result>(
  cluster: TestCluster,
  work: (admin: pg.Client) => Promise<Result>,
): Promise<Result> {
  const admin = new pg.Client({ connectionString: cluster.url() });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}
