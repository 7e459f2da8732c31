/** The floor of enterprise-sync, in a process of its own. */
import { z } from "zod";
import type { EditCounts } from "./edits.ts";
import type { ProcessUse } from "./process_use.ts";
import { runProgram } from "./run_program.ts";
import type { World } from "./world.ts";

const printed = z.object({
  wallMs: z.number(),
  cpuMs: z.number(),
  bootCpuMs: z.number(),
  peakRssBytes: z.number(),
});

/** Runs the floor once, with as many writes as a run has to make for these edits, and measures it. */
export async function measureEnterpriseFloor(
  { control, simulator, clone }: World,
  edits: EditCounts,
): Promise<ProcessUse> {
  // Its writes to side A go nowhere that another run looks at.
  await using database = edits.remote === 0 ? null : await clone();
  await control.resetRequests();
  const output = await runProgram("enterprise_floor_loop.ts", [
    simulator.apiUrl,
    simulator.token,
    String(edits.local),
    String(edits.remote),
    database?.url ?? "",
  ]);
  return { ...printed.parse(JSON.parse(output)), requests: (await control.requests()).total };
}
