/** The floor, in a process of its own. */
import { z } from "zod";
import type { Measurement } from "./measurement.ts";
import { runProgram } from "./run_program.ts";
import type { World } from "./world.ts";

/** The table it writes, `shadow_snapshots` without what belongs to a running sync. */
export const FLOOR_SETUP = `create table public.bench_floor (
  id bigint primary key,
  a jsonb not null,
  b jsonb not null,
  a_token text not null,
  b_token text not null,
  version bigint not null default 1,
  taken_at timestamptz not null default now()
);`;

const printed = z.object({
  wallMs: z.number(),
  cpuMs: z.number(),
  bootCpuMs: z.number(),
  peakRssBytes: z.number(),
  snapshots: z.number(),
  snapshotChars: z.number(),
});

/** Runs the floor once on a fresh database and measures it. */
export async function measureFloor(world: World): Promise<Measurement> {
  await using clone = await world.clone();
  await world.control.resetRequests();
  const { apiUrl, token } = world.simulator;
  const output = await runProgram("floor_loop.ts", [apiUrl, token, clone.url]);
  return {
    ...printed.parse(JSON.parse(output)),
    requests: (await world.control.requests()).total,
  };
}
