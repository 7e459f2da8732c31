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
 */
export class BusyMeter implements Disposable {
  readonly #cancel: () => void;
  #busyMs = 0;

  constructor(now: () => number, every: Every) {
    let last = now();
    this.#cancel = every(TICK_MS, () => {
      const time = now();
      this.#busyMs += Math.max(0, time - last - TICK_MS);
      last = time;
    });
  }

  /** CPU time since the meter was made, in ms. */
  usedMs(): number {
    return this.#busyMs;
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }
}
