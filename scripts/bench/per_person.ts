/** What is commonly written: one request and one upsert a person, with the official libraries. */
import { z } from "zod";
import { startStack } from "../stack/stack.ts";
import type { Measurement } from "./measurement.ts";
import { runProgram } from "./run_program.ts";
import type { World } from "./world.ts";

/** The table it writes. Its own, because the loop knows no crosswalk. */
export const PER_PERSON_SETUP = `create table public.bench_per_person (
  id uuid primary key,
  remote_id text not null,
  a jsonb not null,
  b jsonb not null,
  taken_at timestamptz not null
);
grant select, insert, update on public.bench_per_person to service_role;`;

const printed = z.object({
  wallMs: z.number(),
  cpuMs: z.number(),
  bootCpuMs: z.number(),
  peakRssBytes: z.number(),
  snapshots: z.number(),
  snapshotChars: z.number(),
});

/** Runs the loop over some people, with the rate limit off, and measures it. */
export async function measurePerPerson(world: World, people: number): Promise<Measurement> {
  await using clone = await world.clone();
  await using stack = await startStack({ databaseUrl: clone.url, simulator: false });
  await world.control.resetRequests();
  const output = await runProgram("per_person_loop.ts", [
    world.simulator.url,
    world.simulator.token,
    stack.url,
    stack.keys.secret["default"] ?? "",
    String(people),
  ]);
  return {
    ...printed.parse(JSON.parse(output)),
    requests: (await world.control.requests()).total,
  };
}
