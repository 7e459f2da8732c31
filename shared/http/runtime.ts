/**
 * What a function gets from the place it runs in, gathered once so that a test
 * can hand in its own.
 *
 * @module
 */
import type { Every } from "../engine/busy_meter.ts";
import type { Log } from "../engine/log.ts";
import { type DatabasePool, openDatabase } from "../store/database.ts";
import { HttpError } from "./http_error.ts";

/** The place a function runs in. */
export interface Runtime {
  readonly env: (name: string) => string | undefined;
  readonly fetch: typeof fetch;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds since some fixed point; never set back. */
  readonly monotonic: () => number;
  /** Waits; ends early, and leaves no timer behind, when the signal aborts. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly random: () => number;
  readonly every: Every;
  readonly log: Log;
  /** Aborts when the runtime says that this isolate is about to end. */
  readonly shutdown: AbortSignal;
  /** Keeps the isolate alive until the work is done. */
  readonly inBackground: (work: Promise<unknown>) => void;
  /** The isolate's one pool; opened on first use. */
  readonly database: () => DatabasePool;
  /**
   * Milliseconds since 1970 by which the circuit breaker and the daily quota go, for
   * tests; default the database's clock, the one all workers have in common.
   */
  readonly limitsNow?: () => number;
}

/**
 * Reads a required environment variable.
 *
 * @throws {HttpError} `missing_configuration`, naming it.
 */
export function requireEnv(env: Runtime["env"], ...names: readonly string[]): string {
  for (const name of names) {
    const value = env(name);
    if (value !== undefined && value !== "") return value;
  }
  const wanted = names.join(" or ");
  throw new HttpError(
    "missing_configuration",
    `Cannot run: the environment variable ${wanted} is not set`,
    {
      hint: `Set it with supabase secrets set ${names[0]}=…`,
      details: { variable: names[0] ?? null },
    },
  );
}

function onBeforeUnload(): AbortSignal {
  const controller = new AbortController();
  // Dispatched by the edge runtime at nine tenths of wall clock, CPU or memory.
  globalThis.addEventListener("beforeunload", () => controller.abort());
  return controller.signal;
}

function waitUntil(work: Promise<unknown>): void {
  // A rejection nobody hears ends the isolate; what failed is in the run's row.
  const heard = work.catch(() => {});
  const edge: unknown = Reflect.get(globalThis, "EdgeRuntime");
  if (typeof edge !== "object" || edge === null) return;
  const method: unknown = Reflect.get(edge, "waitUntil");
  if (typeof method === "function") method.call(edge, heard);
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

/**
 * The runtime of a deployed or locally served function.
 *
 * @param name The function's name, as logs and connections show it.
 */
export function denoRuntime(name: string): Runtime {
  const env = (variable: string) => Deno.env.get(variable);
  let pool: DatabasePool | undefined;
  return {
    env,
    fetch: (input, init) => fetch(input, init),
    now: () => Date.now(),
    monotonic: () => performance.now(),
    sleep,
    random: () => Math.random(),
    every(ms, call) {
      const timer = setInterval(call, ms);
      return () => clearInterval(timer);
    },
    log(level, event, fields) {
      console[level](JSON.stringify({ level, function: name, event, ...fields }));
    },
    shutdown: onBeforeUnload(),
    inBackground: waitUntil,
    database() {
      pool ??= openDatabase({ url: requireEnv(env, "SYNC_DB_URL", "SUPABASE_DB_URL"), name });
      return pool;
    },
  };
}
