/**
 * Does jobs side by side, as many at once as there are lanes, each begun in its turn.
 *
 * @param lanes how many jobs may be under way at once, at least one
 * @throws what the first job that failed threw, once the others under way have ended; no further job is begun then
 */
export async function inLanes<Job>(
  jobs: readonly Job[],
  lanes: number,
  work: (job: Job) => Promise<void>,
): Promise<void> {
  const waiting = jobs.values();
  let failure: { readonly error: unknown } | undefined;
  async function lane(): Promise<void> {
    for (const job of waiting) {
      try {
        await work(job);
      } catch (error) {
        failure ??= { error };
      }
      if (failure !== undefined) return;
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, lanes) }, lane));
  if (failure !== undefined) throw failure.error;
}
