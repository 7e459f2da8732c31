/** One function in a Deno process of its own, the local stand-in for a hosted isolate. */
import { startChild } from "./child_process.ts";
import { freePort, listens } from "./port.ts";

/** What every function of a stack runs with. */
export interface FunctionSettings {
  /** Deno executable. */
  deno: string;
  /** Folder with one folder a function. */
  functionsFolder: string;
  /** Folder for one log file a function. */
  logFolder: string;
  /** Folder for one lock file a function. */
  lockFolder: string;
  /** The function's whole environment, apart from its own name. */
  env: Record<string, string>;
  /** Hosts a function may connect to. */
  allowedHosts: string[];
}

/** A function that accepts requests. */
export interface FunctionProcess {
  /** Origin to send requests to. */
  origin: string;
  pid: number;
  exited: Promise<Deno.CommandStatus>;
  kill(): Promise<void>;
}

/** Raised when a function's process ends, or stays silent, before it listens. */
export class FunctionBootError extends Error {
  override name = "FunctionBootError";
}

/** Longest time to listen, in ms; the first start on a machine has downloads behind it already. */
const BOOT_TIMEOUT_MS = 30_000;

/**
 * Fetches what a function imports, so that the function itself can start without the right to download,
 * and writes down which versions that came to, as the bundle of a hosted function holds them: to find
 * that out from all versions there are takes a fifth of a start.
 *
 * @throws {FunctionBootError} with what Deno said
 */
export async function cacheFunction(name: string, settings: FunctionSettings): Promise<void> {
  // One that another Deno wrote, or for other imports, may be unreadable to this one.
  await Deno.remove(lockFile(name, settings)).catch(() => {});
  const { success, stderr } = await new Deno.Command(settings.deno, {
    args: ["cache", "--quiet", ...moduleFlags(name, settings), entrypoint(name, settings)],
    // An older Deno does not trust the system's certificates unless told.
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", DENO_TLS_CA_STORE: "mozilla,system" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new FunctionBootError(
      `Cannot load the function ${name}: ${new TextDecoder().decode(stderr).trim()}`,
    );
  }
}

/**
 * Starts a function and waits until it listens.
 *
 * @throws {FunctionBootError} when it ends or does not listen in time
 */
export async function startFunction(
  name: string,
  settings: FunctionSettings,
): Promise<FunctionProcess> {
  const port = freePort();
  const logFile = `${settings.logFolder}/${name}.log`;
  const child = startChild({
    command: settings.deno,
    args: [
      "serve",
      "--quiet",
      "--host=127.0.0.1",
      `--port=${port}`,
      "--no-prompt",
      "--cached-only",
      ...moduleFlags(name, settings),
      // The environment holds nothing but what a function is given.
      "--allow-env",
      `--allow-net=${[`127.0.0.1:${port}`, ...settings.allowedHosts].join(",")}`,
      entrypoint(name, settings),
    ],
    env: {
      ...settings.env,
      ...denoHome(),
      // Half a second after its start, Deno would ask on the network for a newer one.
      DENO_NO_UPDATE_CHECK: "1",
      SUPABASE_FUNCTION_SLUG: name,
    },
    cwd: settings.functionsFolder,
    logFile,
  });
  if (!(await listens(port, child, BOOT_TIMEOUT_MS))) {
    child.kill("SIGKILL");
    await child.exited;
    const log = await Deno.readTextFile(logFile).catch(() => "");
    throw new FunctionBootError(
      `Cannot start the function ${name}: ${log.trim().split("\n").slice(-5).join("\n")}`,
    );
  }
  return {
    origin: `http://127.0.0.1:${port}`,
    pid: child.pid,
    exited: child.exited,
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** Whether a folder holds a function of this name. */
export async function functionExists(
  name: string,
  settings: Pick<FunctionSettings, "functionsFolder">,
): Promise<boolean> {
  const found = await Deno.stat(entrypoint(name, settings)).catch(() => undefined);
  return found?.isFile === true;
}

function entrypoint(name: string, settings: Pick<FunctionSettings, "functionsFolder">): string {
  return `${settings.functionsFolder}/${name}/index.ts`;
}

function lockFile(name: string, { lockFolder }: FunctionSettings): string {
  return `${lockFolder}/${name}.lock`;
}

/** A function sees its own import map and its own lock file, and nothing of the repository's. */
function moduleFlags(name: string, settings: FunctionSettings): string[] {
  return [
    `--config=${settings.functionsFolder}/${name}/deno.json`,
    `--lock=${lockFile(name, settings)}`,
  ];
}

/** Where Deno finds its cache. */
function denoHome(): Record<string, string> {
  const names = ["HOME", "DENO_DIR", "XDG_CACHE_HOME"];
  return Object.fromEntries(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  }));
}
