/** backfill-sync in its own process behind the gateway, with people on both sides. */
import type { AnswerBody } from "./answer_body.ts";
import { createClient, FunctionsHttpError, type SupabaseClient } from "@supabase/supabase-js";
import { loadClients } from "../../scripts/sample/load_clients.ts";
import type { SamplePeople } from "../../scripts/sample/sample_people.ts";
import { type Stack, startStack } from "../../scripts/stack/stack.ts";
import { type DatabasePool, openDatabase } from "../../shared/store/database.ts";
import type { Database as Schema } from "../../shared/store/database.types.ts";
import { ControlClient } from "../../simulators/mailerlite/control_client.ts";
import { type TestDatabase, testDatabase } from "./database.ts";
import { until } from "./until.ts";

/** A supabase-js client that knows the tables. */
export type Client = SupabaseClient<Schema>;

/** What a function answered. */
export interface Answer {
  readonly status: number;
  readonly body: AnswerBody;
}

/** A running stack with a function to call. */
export interface BackfillStack extends AsyncDisposable {
  readonly stack: Stack;
  readonly database: TestDatabase;
  readonly pool: DatabasePool;
  readonly simulator: ControlClient;
  /** Where the stack keeps its keys. */
  readonly dataFolder: string;
  /** A client that sends this key and, if given, this user's token. */
  client(key: string, token?: string): Client;
  /** A client with the secret key. */
  readonly admin: Client;
}

/** How to start a stack. */
export interface BackfillStackOptions {
  readonly people: SamplePeople;
  readonly functionEnv?: Record<string, string>;
}

/** Starts a stack on a database of its own and fills both sides. */
export async function backfillStack(
  meta: string,
  { people, functionEnv = {} }: BackfillStackOptions,
): Promise<BackfillStack> {
  await using started = new AsyncDisposableStack();
  const database = started.use(await testDatabase(meta));
  const pool = started.use(openDatabase({ url: database.url, name: "test", max: 2 }));
  const dataFolder = await Deno.makeTempDir();
  started.defer(() => Deno.remove(dataFolder, { recursive: true }));
  const stack = started.use(
    await startStack({
      databaseUrl: database.url,
      dataFolder,
      simulator: ["--no-limits"],
      functionEnv,
    }),
  );
  const simulator = new ControlClient(stack.simulator?.url ?? "");
  await simulator.seed({
    groups: people.groups,
    fields: people.fields,
    subscribers: [...people.subscribers()],
  });
  await loadClients(pool, people);
  const client = (key: string, token?: string): Client =>
    createClient<Schema>(stack.url, key, {
      auth: { persistSession: false, autoRefreshToken: false },
      ...(token === undefined ? {} : { global: { headers: { Authorization: `Bearer ${token}` } } }),
    });
  const owned = started.move();
  return {
    stack,
    database,
    pool,
    simulator,
    dataFolder,
    client,
    admin: client(stack.keys.secret["default"] ?? ""),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Calls a function as an app does. */
export async function invoke(
  client: Client,
  body: Record<string, unknown>,
  name = "backfill-sync",
): Promise<Answer> {
  const { data, error, response } = await client.functions.invoke(name, { body });
  if (error === null) return { status: response?.status ?? 0, body: data };
  if (!(error instanceof FunctionsHttpError)) throw error;
  const refusal: Response = error.context;
  return { status: refusal.status, body: await refusal.json() };
}

/** The backfill's part of `sync_status`, read as a dashboard reads it. */
export async function readStatus(client: Client): Promise<Record<string, unknown>> {
  const { data, error } = await client.from("sync_state").select("value").eq("key", "sync_status")
    .single();
  if (error !== null) throw new Error(`Cannot read sync_status: ${error.code}`);
  const value = data.value;
  const backfill = typeof value === "object" && value !== null && !Array.isArray(value)
    ? value["backfill"]
    : null;
  if (typeof backfill !== "object" || backfill === null || Array.isArray(backfill)) {
    throw new TypeError("Cannot read sync_status: it has no object named backfill");
  }
  return backfill;
}

/** Waits until the backfill stands at an end. */
export async function ended(client: Client): Promise<Record<string, unknown>> {
  return await until("the run has ended", async () => {
    const status = await readStatus(client);
    return status["status"] === "running" ? undefined : status;
  });
}
