import type { Worker } from "./worker.ts";

interface Lease {
  readonly run: string;
  readonly fencing: number;
}

/** The lease that a statement says it is sent under; null where it says nothing of one. */
function leaseOf(sql: string, [run, fencing]: readonly unknown[]): Lease | null {
  if (!/\bfencing\b/.test(sql) || typeof run !== "string" || typeof fencing !== "number") {
    return null;
  }
  return { run, fencing };
}

/**
 * Who holds which run, by what workers say of themselves: whoever took a run over
 * has a higher number, and from its first statement on it has the run alone.
 */
export class Leases {
  /** The highest number by run. */
  readonly #newest = new Map<string, number>();
  readonly #held = new Map<Worker, Lease>();

  /**
   * Takes in a statement that went through.
   *
   * @returns Whether it did although the run was another's by then.
   */
  note(
    worker: Worker,
    sql: string,
    parameters: readonly unknown[],
    rows: readonly unknown[],
  ): boolean {
    const lease = leaseOf(sql, parameters);
    if (lease === null) return false;
    this.#held.set(worker, lease);
    const newest = this.#newest.get(lease.run) ?? 0;
    if (lease.fencing >= newest) this.#newest.set(lease.run, lease.fencing);
    return lease.fencing < newest && rows.length > 0;
  }

  /** Whether the run that a worker was last at is another's by now. */
  isOver(worker: Worker | undefined): boolean {
    const lease = worker === undefined ? undefined : this.#held.get(worker);
    return lease !== undefined && lease.fencing < (this.#newest.get(lease.run) ?? 0);
  }
}
