/**
 * A function as its process runs it, minus the process: the real handler on a
 * real database, with the simulator behind its `fetch` and a clock of its own.
 *
 * @module
 */
import { loadClients } from "../../scripts/sample/load_clients.ts";
import type { SamplePeople } from "../../scripts/sample/sample_people.ts";
import type { LogFields } from "../../shared/engine/log.ts";
import type { Runtime } from "../../shared/http/runtime.ts";
import { type DatabasePool, openDatabase } from "../../shared/store/database.ts";
import { MailerLiteSimulator } from "../../simulators/mailerlite/mod.ts";
import { testDatabase } from "./database.ts";

/** The secret key a harness accepts. */
export const SECRET_KEY = "sb_secret_harness";

/** One line of a function's log. */
export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly fields: LogFields;
}

/** What a harness may be given. */
export interface HarnessOptions {
  readonly people?: SamplePeople;
  readonly simulator?: ConstructorParameters<typeof MailerLiteSimulator>[0];
  /** Runs before each request to the remote, with its number from 1. */
  readonly onRequest?: (n: number) => Promise<void> | void;
}

/** A function's surroundings. */
export interface Harness extends AsyncDisposable {
  readonly pool: DatabasePool;
  readonly simulator: MailerLiteSimulator;
  readonly log: readonly LogLine[];
  /** Work that was handed to the background. */
  readonly background: readonly Promise<unknown>[];
  /** A worker's own surroundings; calls to itself go to `self`. */
  runtime(overrides?: Partial<Runtime>): Runtime;
  /** Where a function's calls to itself go. */
  self: (request: Request) => Promise<Response>;
}

/** Fills both sides and gives a function all it needs. */
export async function functionHarness(
  meta: string,
  options: HarnessOptions = {},
): Promise<Harness> {
  const database = await testDatabase(meta);
  const pool = openDatabase({ url: database.url, name: "harness", max: 6 });
  const simulator = new MailerLiteSimulator({
    limits: { enabled: false, perMinute: 120, importsPerMinute: 5 },
    ...options.simulator,
  });
  if (options.people !== undefined) {
    const { people } = options;
    simulator.seed({
      groups: people.groups,
      fields: people.fields,
      subscribers: [...people.subscribers()],
    });
    await loadClients(pool, people);
  }
  const log: LogLine[] = [];
  const background: Promise<unknown>[] = [];
  let requests = 0;
  const env: Record<string, string> = {
    MAILERLITE_API_KEY: "simulator-token",
    MAILERLITE_API_URL: "http://mailerlite.test/api",
    SUPABASE_URL: "http://project.test",
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: SECRET_KEY }),
    SUPABASE_JWKS: JSON.stringify({ keys: [] }),
  };
  for (const name of ["SUPABASE_URL", "SUPABASE_SECRET_KEYS", "SUPABASE_JWKS"]) {
    Deno.env.set(name, env[name] ?? "");
  }
  const harness: Harness = {
    pool,
    simulator,
    log,
    background,
    self: () => Promise.reject(new TypeError("No function to call")),
    runtime: (overrides = {}) => ({
      env: (name) => env[name],
      fetch: async (input, init) => {
        const request = new Request(input, init);
        if (request.url.startsWith("http://project.test/")) return await harness.self(request);
        await options.onRequest?.(++requests);
        return await simulator.handle(request);
      },
      now: () => Date.now(),
      monotonic: () => performance.now(),
      sleep: () => Promise.resolve(),
      random: () => 0.5,
      every: () => () => {},
      log: (level, event, fields) => void log.push({ level, event, fields }),
      shutdown: new AbortController().signal,
      inBackground: (work) => void background.push(work.catch(() => {})),
      database: () => pool,
      ...overrides,
    }),
    async [Symbol.asyncDispose]() {
      await Promise.all(background);
      await pool[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
  return harness;
}

/** A request as supabase-js sends it with a secret key. */
export function functionRequest(name: string, body: unknown): Request {
  return new Request(`http://project.test/functions/v1/${name}`, {
    method: "POST",
    headers: { apikey: SECRET_KEY, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}
