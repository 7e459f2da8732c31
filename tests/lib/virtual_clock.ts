// Not setTimeout: it waits a whole millisecond, thousands of times a test.
import { setImmediate } from "node:timers";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly fire: () => void;
}

/**
 * A clock that stands still while anybody works and jumps to the next wake-up
 * when all sleep. Ten simulated minutes take as long as the work in them.
 */
export class VirtualClock {
  #now: number;
  #order = 0;
  #timers: Timer[] = [];
  #outside = 0;
  #returned = () => {};

  /** @param now Milliseconds since 1970 to begin with. */
  constructor(now: number) {
    this.#now = now;
  }

  /** Milliseconds since 1970. */
  readonly now = (): number => this.#now;

  /** Sleeps for `ms` of this clock, or until the signal aborts. */
  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = { at: this.#now + Math.max(ms, 0), order: this.#order++, fire: resolve };
    this.#timers.push(timer);
    signal?.addEventListener("abort", () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
      resolve();
    }, { once: true });
    return promise;
  };

  /** Does work that leaves this process, a statement say; no time passes meanwhile. */
  async outside<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#outside++;
    try {
      return await work();
    } finally {
      this.#outside--;
      this.#returned();
    }
  }

  /**
   * Lets time pass until `work` is done.
   *
   * @throws {Error} If nobody works and nobody sleeps, so that it never would be.
   */
  async run<Result>(work: Promise<Result>): Promise<Result> {
    let done = false;
    const end = () => {
      done = true;
      this.#returned();
    };
    work.then(end, end);
    while (true) {
      await settled();
      if (done) return await work;
      if (this.#outside > 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#returned = resolve;
        await promise;
        continue;
      }
      const next = this.#takeNext();
      if (next === undefined) throw new Error("Cannot let time pass as nobody is waiting for it");
      this.#now = Math.max(this.#now, next.at);
      next.fire();
    }
  }

  #takeNext(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (
        next === undefined || timer.at < next.at ||
        (timer.at === next.at && timer.order < next.order)
      ) next = timer;
    }
    this.#timers = this.#timers.filter((timer) => timer !== next);
    return next;
  }
}

/** Resolves when every promise that can go on has gone on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
