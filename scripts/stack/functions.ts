/** The functions of a stack: started on their first request, and again when their process has died. */
import {
  cacheFunction,
  FunctionBootError,
  functionExists,
  type FunctionProcess,
  type FunctionSettings,
  startFunction,
} from "./function_process.ts";
import { type ProcessStats, processStats } from "./process_stats.ts";
import { problem } from "./problem.ts";

/** The functions of a running stack. */
export interface Functions extends AsyncDisposable {
  /** Names of the functions that exist now. */
  names(): Promise<string[]>;
  /** Sends a request to a function and gives its answer, or the gateway's own when there is none. */
  forward(name: string, path: string, request: Request, headers: Headers): Promise<Response>;
  /** Starts a function unless it runs. */
  start(name: string): Promise<void>;
  /** Ends a function's process as a crash would (SIGKILL); the next request starts a new one. */
  kill(name: string): Promise<void>;
  /** {@linkcode kill}, then a new process at once. */
  restart(name: string): Promise<void>;
  /** What the running process has used since it was started. */
  stats(name: string): Promise<ProcessStats>;
  /** What the function has printed, over all its processes. */
  log(name: string): Promise<string>;
}

/** A hosted function has this long for the first byte of its answer; see Supabase docs, Functions limits. */
const IDLE_TIMEOUT_MS = 150_000;

/** How long a process that has dropped its connections may take to end. */
const EXIT_MS = 2000;

/** A name a hosted function can have. */
const NAME = /^[A-Za-z][A-Za-z0-9_-]*$/;

/** Manages the functions in a folder. Nothing is started yet. */
export function openFunctions(settings: FunctionSettings): Functions {
  const running = new Map<string, Promise<FunctionProcess>>();
  const cached = new Set<string>();

  const boot = async (name: string): Promise<FunctionProcess> => {
    if (!cached.has(name)) {
      await cacheFunction(name, settings);
      cached.add(name);
    }
    return await startFunction(name, settings);
  };
  const ensure = (name: string): Promise<FunctionProcess> => {
    const known = running.get(name);
    if (known !== undefined) return known;
    const started = boot(name);
    running.set(name, started);
    const forget = () => {
      if (running.get(name) === started) running.delete(name);
    };
    started.then((process) => process.exited.then(forget), forget);
    return started;
  };
  const kill = async (name: string): Promise<void> => {
    const known = running.get(name);
    running.delete(name);
    await (await known?.catch(() => undefined))?.kill();
  };

  return {
    async names() {
      const names: string[] = [];
      for await (const entry of Deno.readDir(settings.functionsFolder)) {
        if (NAME.test(entry.name) && await functionExists(entry.name, settings)) {
          names.push(entry.name);
        }
      }
      return names.sort();
    },
    async forward(name, path, request, headers) {
      if (!NAME.test(name) || !(await functionExists(name, settings))) {
        await request.body?.cancel();
        return problem(404, "not_found", "Cannot find the function", {
          hint: `Make supabase/functions/${
            NAME.test(name) ? name : "<name>"
          }/index.ts, or check the name in the address`,
        });
      }
      let process: FunctionProcess;
      try {
        process = await ensure(name);
      } catch (error) {
        await request.body?.cancel();
        if (!(error instanceof FunctionBootError)) throw error;
        return problem(503, "BOOT_ERROR", error.message, {
          hint: `The whole log is in ${settings.logFolder}/${name}.log`,
          header: "BOOT_ERROR",
        });
      }
      return await send(process, path, request, headers);
    },
    async start(name) {
      await ensure(name);
    },
    kill,
    async restart(name) {
      await kill(name);
      await ensure(name);
    },
    async stats(name) {
      return await processStats((await ensure(name)).pid);
    },
    async log(name) {
      return await Deno.readTextFile(`${settings.logFolder}/${name}.log`).catch(() => "");
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...running.keys()].map(kill));
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

async function send(
  { origin, exited }: FunctionProcess,
  path: string,
  request: Request,
  headers: Headers,
): Promise<Response> {
  // Otherwise the function compresses for the client and this process decompresses.
  headers.set("accept-encoding", "identity");
  headers.delete("host");
  // The caller's own abort signal is left out: a hosted function works on when its caller has gone.
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(), IDLE_TIMEOUT_MS);
  try {
    return await fetch(`${origin}${path}`, {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
      signal: idle.signal,
    });
  } catch {
    if (idle.signal.aborted) {
      return problem(504, "IDLE_TIMEOUT", "Cannot wait longer for the function", {
        hint: "A function has 150 s for the first byte of its answer; answer early, work on",
        header: "IDLE_TIMEOUT",
      });
    }
    // Its connections end before it does: a request sent again right now would still go to it.
    const patience = setTimeout(() => idle.abort(), EXIT_MS);
    await Promise.race([exited, aborted(idle.signal)]);
    clearTimeout(patience);
    return problem(503, "function_died", "Cannot finish the request: the function's process died", {
      hint: "Send the request again; it starts a new process",
      header: "WORKER_ERROR",
    });
  } finally {
    clearTimeout(timer);
  }
}
