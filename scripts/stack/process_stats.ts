/** What a process has used since it was born. */
export interface ProcessStats {
  /** CPU time, user and system together, in ms. */
  cpuMs: number;
  /** Most memory held at once (peak resident set), in bytes. */
  peakRssBytes: number;
}

/** Clock ticks a second in `/proc`; Linux has shown 100 to user space on every platform since 2.6. */
const TICKS_PER_SECOND = 100;

/**
 * Reads a process's use of CPU and memory from `/proc`.
 *
 * @throws {Error} when there is no such process, or no `/proc` (Linux only)
 */
export async function processStats(pid: number): Promise<ProcessStats> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  // The second field is the program's name in parentheses and may hold spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  if (!Number.isFinite(ticks) || peak === undefined) {
    throw new Error(`Cannot read the use of process ${pid}: it has ended`);
  }
  return { cpuMs: ticks * 1000 / TICKS_PER_SECOND, peakRssBytes: Number(peak) * 1024 };
}
