/** The stand-in for the remote API, in a process of its own. */
import { startChild } from "./child_process.ts";
import { freePort, listens } from "./port.ts";

/** A running simulator. */
export interface SimulatorProcess extends AsyncDisposable {
  /** Origin; the control API of the simulator is reached here. */
  url: string;
  /** Base address of the simulated API. */
  apiUrl: string;
  /** Key that it accepts. */
  token: string;
  pid: number;
}

/** The key that the simulator accepts unless told otherwise. */
const TOKEN = "simulator-token";

/** Longest time to listen, in ms. */
const START_TIMEOUT_MS = 30_000;

const script = new URL("../../simulators/mailerlite/serve.ts", import.meta.url).pathname;
const config = new URL("../../deno.json", import.meta.url).pathname;

/**
 * Starts the simulator and waits until it listens.
 *
 * @param args further arguments of `serve.ts`, for example `--no-limits`
 * @throws {Error} when it ends or stays silent
 */
export async function startSimulator(
  logFile: string,
  args: readonly string[],
): Promise<SimulatorProcess> {
  const port = freePort();
  const child = startChild({
    command: Deno.execPath(),
    args: [
      "run",
      "--quiet",
      "-A",
      `--config=${config}`,
      script,
      "--port",
      String(port),
      ...args,
    ],
    env: Deno.env.toObject(),
    logFile,
  });
  const url = `http://127.0.0.1:${port}`;
  if (!(await listens(port, child, START_TIMEOUT_MS))) {
    child.kill("SIGKILL");
    await child.exited;
    const log = await Deno.readTextFile(logFile).catch(() => "");
    throw new Error(
      `Cannot start the MailerLite simulator: ${log.trim().split("\n").slice(-5).join("\n")}`,
    );
  }
  return {
    url,
    apiUrl: `${url}/api`,
    token: TOKEN,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
