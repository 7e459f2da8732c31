import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { AccountFile, DamagedAccountError } from "./account_file.ts";
import { control, CONTROL_PREFIX, seedLines } from "./control.ts";
import type { CompleteAnswer, Outcome } from "./outcome.ts";
import { MailerLiteSimulator } from "./simulator.ts";
import { checkSwitches } from "./switches.ts";
import type { SimulatorOptions } from "./types.ts";

/** How a served simulator starts. */
export interface ServeOptions extends SimulatorOptions {
  /** TCP port; 0 (the default) takes a free one. */
  port?: number;
  /** Default 127.0.0.1: the control API asks for no key. */
  hostname?: string;
  /** File that keeps the account from one start to the next. Default: it is forgotten. */
  accountFile?: string;
}

/** A simulator behind a port. */
export interface ServedMailerLite {
  /** Origin, without `/api`. */
  readonly url: string;
  readonly simulator: MailerLiteSimulator;
  /** Cuts what is open, frees the port and saves the account. */
  close(): Promise<void>;
}

/** Exit code of the program where the file of `--account` is damaged (EX_DATAERR of sysexits.h). */
export const DAMAGED_ACCOUNT = 65;

const encoder = new TextEncoder();

async function readText(request: IncomingMessage): Promise<string> {
  if (request.method === "GET" || request.method === "HEAD") return "";
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of request) text += decoder.decode(chunk as Uint8Array, { stream: true });
  return text + decoder.decode();
}

function send(response: ServerResponse, answer: CompleteAnswer): void {
  if (answer.body === null) {
    response.writeHead(answer.status, answer.headers);
    response.end();
    return;
  }
  const bytes = encoder.encode(answer.body);
  response.writeHead(answer.status, { ...answer.headers, "content-length": String(bytes.length) });
  response.end(bytes);
}

/** Promises the whole body, sends a part of it and cuts the connection. */
function sendTruncated(response: ServerResponse, answer: CompleteAnswer, count: number): void {
  const bytes = encoder.encode(answer.body ?? "");
  response.writeHead(answer.status, { ...answer.headers, "content-length": String(bytes.length) });
  response.write(bytes.subarray(0, Math.max(count, 1)), () => response.socket?.destroy());
}

function sendOutcome(response: ServerResponse, outcome: Outcome): void {
  if (outcome.kind === "reset") response.socket?.destroy();
  else if (outcome.kind === "truncated") sendTruncated(response, outcome.answer, outcome.bytes);
  else send(response, outcome);
}

async function sendLines(response: ServerResponse, lines: Iterable<string>): Promise<void> {
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  let block = "";
  for (const line of lines) {
    block += `${line}\n`;
    if (block.length < 1_000_000) continue;
    const full = !response.write(block);
    block = "";
    if (full) await new Promise<void>((resolve) => response.once("drain", () => resolve()));
  }
  response.end(block);
}

async function handleControl(
  simulator: MailerLiteSimulator,
  request: IncomingMessage,
  response: ServerResponse,
  target: string,
): Promise<void> {
  const name = target.slice(CONTROL_PREFIX.length);
  const type = request.headers["content-type"] ?? "";
  const answer = await control(simulator, request.method ?? "GET", name, request, type);
  if ("lines" in answer) return await sendLines(response, answer.lines);
  const body = JSON.stringify(answer.json);
  send(response, {
    kind: "answer",
    status: answer.status,
    headers: { "content-type": "application/json" },
    body,
  });
}

/** Keeps one timer on the next webhook that is due. */
function driveWebhooks(simulator: MailerLiteSimulator): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let closed = false;
  const plan = (): void => {
    clearTimeout(timer);
    const ms = simulator.nextWebhookInMs();
    if (closed || ms === undefined) return;
    timer = setTimeout(() => void simulator.pumpWebhooks().then(plan), ms);
  };
  simulator.onWebhookQueued(plan);
  return () => {
    closed = true;
    clearTimeout(timer);
  };
}

/**
 * Serves a simulator over TCP, where resets cut real sockets and truncated
 * bodies end before their promised length. The control API is below
 * `/__control/`.
 *
 * It stands on node:http because a handler of `Deno.serve` cannot cut a
 * connection before its head is sent.
 *
 * @throws {Error} when the port is taken (`EADDRINUSE`).
 * @throws {DamagedAccountError} when `accountFile` does not hold a whole account
 */
export async function serveMailerLite(options: ServeOptions = {}): Promise<ServedMailerLite> {
  const simulator = new MailerLiteSimulator(options);
  // Before it listens: who sees an account that is half full takes the others for deleted.
  const account = options.accountFile === undefined
    ? undefined
    : await AccountFile.open(simulator, options.accountFile);
  const hostname = options.hostname ?? "127.0.0.1";
  const server = createServer((request, response) => {
    void answerRequest(request, response).catch((error) => {
      console.error(error);
      if (response.headersSent) response.socket?.destroy();
      else {send(response, {
          kind: "answer",
          status: 500,
          headers: {},
          body: `{"message":"The simulator failed"}`,
        });}
    });
  });
  let url = "";
  async function answerRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? "/";
    if (target.startsWith(CONTROL_PREFIX)) {
      return await handleControl(simulator, request, response, target);
    }
    const outcome = await simulator.dispatch({
      method: request.method ?? "GET",
      target,
      authorization: request.headers.authorization ?? null,
      origin: url,
      body: await readText(request),
    });
    sendOutcome(response, outcome);
  }
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, hostname, () => resolve());
  });
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new TypeError("Cannot serve the simulator: it has no TCP port");
  }
  url = `http://${hostname}:${address.port}`;
  const stopWebhooks = driveWebhooks(simulator);
  return {
    url,
    simulator,
    async close() {
      stopWebhooks();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      await account?.[Symbol.asyncDispose]();
    },
  };
}

interface CommandLine {
  options: ServeOptions;
  data: string | undefined;
}

const USAGE =
  "--port <number> --token <text> --no-limits --account <file> --data <file.ndjson> --switch <name>=<setting>";

/** @throws {TypeError} on an argument it does not know. */
function readArguments(args: readonly string[]): CommandLine {
  const options: ServeOptions = {};
  const switches: Record<string, string> = {};
  let data: string | undefined;
  const rest = [...args];
  for (let flag = rest.shift(); flag !== undefined; flag = rest.shift()) {
    if (flag === "--no-limits") {
      options.limits = { enabled: false, perMinute: 120, importsPerMinute: 5 };
      continue;
    }
    const value = rest.shift() ?? "";
    if (flag === "--port" && /^\d+$/.test(value)) options.port = Number(value);
    else if (flag === "--token" && value !== "") options.token = value;
    else if (flag === "--account" && value !== "") options.accountFile = value;
    else if (flag === "--data" && value !== "") data = value;
    else if (flag === "--switch" && value.includes("=")) {
      const [name = "", setting = ""] = value.split("=");
      switches[name] = setting;
    } else throw new TypeError(`Cannot read argument "${flag}": use ${USAGE}`);
  }
  options.switches = checkSwitches(switches);
  return { options, data };
}

if (import.meta.main) {
  const { options, data } = readArguments(Deno.args);
  const served = await serveMailerLite(options).catch((error: unknown): never => {
    if (!(error instanceof DamagedAccountError)) throw error;
    console.error(error.message);
    Deno.exit(DAMAGED_ACCOUNT);
  });
  if (data !== undefined) {
    const file = await Deno.open(data);
    await seedLines(served.simulator, file.readable);
  }
  let stopping: Promise<never> | undefined;
  // A terminal tells everyone, and whoever started this program tells it once more.
  const stop = () => {
    stopping ??= served.close().then(() => Deno.exit(0), (error) => {
      console.error(error);
      Deno.exit(1);
    });
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, stop);
  }
  console.log(JSON.stringify({ url: served.url, api: `${served.url}/api` }));
}
