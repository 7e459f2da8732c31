/** A world whose sides are paired and in sync: what the measurements of enterprise-sync start from. */
import { createClient } from "@supabase/supabase-js";
import { z } from "zod";
import { type DatabasePool, openDatabase } from "../../shared/store/database.ts";
import { execute } from "../stack/prepare_database.ts";
import { type Stack, startStack } from "../stack/stack.ts";
import { callUntilDone } from "./enterprise_call.ts";
import { type LinkedIds, readLinks } from "./edits.ts";
import { MeasureError } from "./measure_error.ts";
import { openWorld, type World, type WorldOptions } from "./world.ts";

/** A world in sync; its database goes on from run to run, as a project's does. */
export interface SyncedWorld extends AsyncDisposable {
  readonly world: World;
  readonly database: DatabasePool;
  readonly links: readonly LinkedIds[];
  /** Records a run walks over: the links, and what stands alone for good. */
  readonly records: number;
  /** Starts the functions in fresh processes. */
  startStack(): Promise<Stack>;
  /** Brings the database to rest, and gives the functions their whole budget of requests. */
  settle(): Promise<void>;
}

/** How to make it. */
export interface SyncedWorldOptions extends WorldOptions {
  /** Whether the functions' budget of requests is ten times what it is, so that many pairs are measured and not the wait for it. */
  readonly unlimited: boolean;
}

// What the answers say of the remaining budget is of the smaller one.
const UNLIMITED = `
alter function public.sync_take_tokens rename to sync_take_few_tokens;
create function public.sync_take_tokens(
  p_bucket text, p_budget integer, p_window_ms integer, p_want integer, p_reserve integer,
  p_max_wait_ms integer, p_life_ms integer, p_flight_ms integer, p_reports jsonb,
  p_sent_ms integer, p_remaining integer, p_retry_after_ms integer, p_now bigint
) returns table (grant_id bigint, offsets integer[], wait_ms integer)
language sql set search_path = '' as $$
  select * from public.sync_take_few_tokens(
    p_bucket, p_budget * 10, p_window_ms, p_want, p_reserve, p_max_wait_ms, p_life_ms,
    p_flight_ms, p_reports, p_sent_ms, null, p_retry_after_ms, p_now)
$$;`;

const backfilled = z.object({ status: z.string() });

async function backfill(stack: Stack): Promise<void> {
  const supabase = createClient(stack.url, stack.keys.secret["default"] ?? "");
  for (let status = ""; status !== "completed";) {
    const { data, error } = await supabase.functions.invoke("backfill-sync", {
      body: { wait: true, autoContinue: false },
    });
    if (error !== null) throw new MeasureError(`Cannot pair the records: ${error.message}`);
    ({ status } = backfilled.parse(data));
    if (status === "failed") throw new MeasureError("Cannot pair the records: the backfill failed");
  }
}

/** Makes a world and syncs it. Nothing is left to be done then. */
export async function openSyncedWorld(options: SyncedWorldOptions): Promise<SyncedWorld> {
  await using opened = new AsyncDisposableStack();
  const world = opened.use(await openWorld(options));
  const { url } = opened.use(await world.clone());
  if (options.unlimited) await execute(url, UNLIMITED);
  const database = opened.use(openDatabase({ url, name: "bench", max: 1 }));
  const start = () =>
    startStack({
      databaseUrl: url,
      simulator: false,
      mailerliteUrl: world.simulator.apiUrl,
      functionEnv: { MAILERLITE_API_KEY: world.simulator.token },
    });
  const settle = async () => {
    // Not deleted: a bucket whose state is lost counts as used up.
    await database.query(
      `update public.sync_state set value = '{}' where key = 'token_bucket_state'`,
    );
    // As autovacuum would within a minute, and not at some moment of a measured run.
    await execute(url, "vacuum analyze");
    await execute(url, "checkpoint");
  };

  options.onProgress?.("pairing and syncing them");
  let records: number;
  {
    await using stack = await start();
    await backfill(stack);
    await settle();
    await callUntilDone(stack);
    await settle();
    ({ recordsProcessed: records } = await callUntilDone(stack));
  }
  const links = await readLinks(database);
  const owned = opened.move();
  return {
    world,
    database,
    links,
    records,
    startStack: start,
    settle,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
