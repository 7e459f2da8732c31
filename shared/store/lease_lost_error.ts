/**
 * Another worker holds the run now. Nothing of the statement was committed, and
 * nothing more of this worker's will be.
 */
export class LeaseLostError extends Error {
  override readonly name = "LeaseLostError";
  readonly code = "lease_lost";
  constructor(readonly runId: string) {
    super(`Cannot commit for run ${runId}: another worker took it over, or it has ended`);
  }
}
