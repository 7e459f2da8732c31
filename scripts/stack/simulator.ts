/** The stand-in for the remote API, in a process of its own. */
import { startChild } from "./child_process.ts";
import { DAMAGED_ACCOUNT } from "../../simulators/mailerlite/serve.ts";
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

/** Longest time to save the account at the end, in ms. */
const STOP_TIMEOUT_MS = 30_000;

/** Raised when the simulator does not come up; the message says why. */
export class SimulatorError extends Error {
  override name = "SimulatorError";
}

const script = new URL("../../simulators/mailerlite/serve.ts", import.meta.url).pathname;
const config = new URL("../../deno.json", import.meta.url).pathname;

/**
 * Starts the simulator and waits until it listens.
 *
 * @param args further arguments of `serve.ts`, for example `--no-limits`
 * @param accountFile file that keeps the account; default: it is forgotten
 * @throws {SimulatorError} when it ends or stays silent
 */
export async function startSimulator(
  logFile: string,
  args: readonly string[],
  accountFile?: string,
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
      ...(accountFile === undefined ? [] : ["--account", accountFile]),
      ...args,
    ],
    env: Deno.env.toObject(),
    logFile,
    // One with an account to keep saves it, even where the stack was killed.
    orphanSignal: accountFile === undefined ? "KILL" : "TERM",
  });
  const url = `http://127.0.0.1:${port}`;
  if (!(await listens(port, child, START_TIMEOUT_MS))) {
    child.kill("SIGKILL");
    const { code } = await child.exited;
    const log = (await Deno.readTextFile(logFile).catch(() => "")).trim().split("\n");
    throw new SimulatorError(
      code === DAMAGED_ACCOUNT
        ? `${log.at(-1)}. Start with --reset to begin with an empty database and an empty account`
        : `Cannot start the MailerLite simulator: ${log.slice(-5).join("\n")}`,
    );
  }
  return {
    url,
    apiUrl: `${url}/api`,
    token: TOKEN,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill(accountFile === undefined ? "SIGKILL" : "SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await child.exited;
      clearTimeout(late);
    },
  };
}
