/** A timer that calls again and again until it is cancelled. */
export type Every = (ms: number, call: () => void) => () => void;

const TICK_MS = 25;

/**
 * Estimates the CPU time of this isolate by how late a timer comes.
 *
 * The hosted runtime kills an isolate after 2 s of CPU and offers user code no
 * way to read what it used. While JavaScript computes, a timer cannot fire: what
 * it is late by was computed. On a machine that others keep busy it reads too
 * much, which only makes slices shorter.
 *
 * Work that is shorter than two ticks are apart mostly falls between them: of a list
 * of pages, 8 ms of computing each, a third was counted, and a slice of 0.7 s was one
 * of 1.9 s. Such work is timed; a shorter tick would itself use up the time of a slice
 * that waits.
 */
export class BusyMeter implements Disposable {
  readonly #cancel: () => void;
  readonly #now: () => number;
  #busyMs = 0;
  /** What was timed since the last tick, which is late by it. */
  #timedMs = 0;

  constructor(now: () => number, every: Every) {
    this.#now = now;
    let last = now();
    this.#cancel = every(TICK_MS, () => {
      const time = now();
      this.#busyMs += Math.max(0, time - last - TICK_MS - this.#timedMs);
      this.#timedMs = 0;
      last = time;
    });
  }

  /** Does work that computes without a rest, and counts all of it. */
  time<Result>(work: () => Result): Result {
    const start = this.#now();
    try {
      return work();
    } finally {
      const ms = Math.max(0, this.#now() - start);
      this.#busyMs += ms;
      this.#timedMs += ms;
    }
  }

  /** CPU time since the meter was made, in ms. */
  usedMs(): number {
    return this.#busyMs;
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }
}
