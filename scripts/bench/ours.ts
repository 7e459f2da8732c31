/** The function itself: a fresh process on a fresh database, called as an app calls it. */
import { createClient } from "@supabase/supabase-js";
import { openDatabase } from "../../shared/store/database.ts";
import { startStack } from "../stack/stack.ts";
import { MeasureError } from "./measure_error.ts";
import type { Measurement } from "./measurement.ts";
import type { World } from "./world.ts";

const NAME = "backfill-sync";
const POLL_MS = 100;

/** A run of the function, and how many slices it took. */
export interface OurMeasurement extends Measurement {
  readonly slices: number;
  readonly linked: number;
}

/** Settings of a run that profiling or hosted parity may want otherwise. */
export interface OurOptions {
  /** Deno for the function: a path or a version. */
  readonly deno?: string;
  /** Called when the process is up and the work is about to begin. */
  readonly onStarted?: () => Promise<void>;
  /** Called when the run is over, before the process is ended. */
  readonly onEnded?: () => Promise<void>;
}

interface EndedRun {
  status: string;
  phase: string;
  slices: number;
  counters: Record<string, number>;
  ended: number;
}

/**
 * Runs one backfill and measures it.
 *
 * @throws {MeasureError} If the run does not complete.
 */
export async function measureOurs(world: World, options: OurOptions = {}): Promise<OurMeasurement> {
  await using clone = await world.clone();
  await using stack = await startStack({
    databaseUrl: clone.url,
    simulator: false,
    mailerliteUrl: world.simulator.apiUrl,
    functionEnv: { MAILERLITE_API_KEY: world.simulator.token },
    ...(options.deno === undefined ? {} : { deno: options.deno }),
  });
  await using database = openDatabase({ url: clone.url, name: "bench", max: 1 });
  await database.query("select 1");
  const supabase = createClient(stack.url, stack.keys.secret["default"] ?? "");
  await stack.functions.start(NAME);
  await options.onStarted?.();
  await world.control.resetRequests();
  const boot = await stack.functions.stats(NAME);

  const begin = Date.now();
  const { error } = await supabase.functions.invoke(NAME, { body: { autoContinue: true } });
  if (error !== null) throw new MeasureError(`Cannot start the backfill: ${error.message}`);
  let run: EndedRun | undefined;
  while (run === undefined) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    // The end is the one the run itself wrote: the same clock, and not as coarse as this loop.
    const rows = await database.query<EndedRun>(
      `select status, phase, slices, counters,
         (extract(epoch from ended_at) * 1000)::float8 as ended
       from public.sync_runs
       where status in ('completed', 'failed', 'paused') or (status = 'waiting' and error is not null)`,
    );
    run = rows[0];
  }
  if (run.status !== "completed") {
    throw new MeasureError(`Cannot measure: the run ended as ${run.status} (${run.phase})`);
  }
  const stats = await stack.functions.stats(NAME);
  await options.onEnded?.();
  const written = await database.query<{ n: number; chars: number }>(
    `select count(*)::integer as n, sum(length(a::text) + length(b::text))::float8 as chars
     from public.shadow_snapshots`,
  );
  return {
    wallMs: run.ended - begin,
    cpuMs: stats.cpuMs,
    bootCpuMs: boot.cpuMs,
    peakRssBytes: stats.peakRssBytes,
    requests: (await world.control.requests()).total,
    snapshots: written[0]?.n ?? 0,
    snapshotChars: written[0]?.chars ?? 0,
    slices: run.slices,
    linked: run.counters["linked"] ?? 0,
  };
}
