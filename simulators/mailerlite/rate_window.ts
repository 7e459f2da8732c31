/** A fixed window opens with the first request after the last one ended. */
export const WINDOW_MS = 60_000;

/** What a take from a window came to. */
export interface Take {
  readonly allowed: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** Until the window ends, ms. */
  readonly resetMs: number;
}

/**
 * A fixed window of 60 s that opens with the first request after its expiry and
 * then refills at once. Read off recorded `x-ratelimit-remaining` series:
 * mailerlite-nodejs tapes go 119..77 in 7 s without a refill, mailerlite-java
 * fixtures jump to 119 at once after gaps.
 */
export class RateWindow {
  #openedAt = Number.NEGATIVE_INFINITY;
  #used = 0;

  constructor(public limit: number) {}

  /** Takes `units` if they are all there, else nothing. */
  take(nowMs: number, units: number): Take {
    if (nowMs >= this.#openedAt + WINDOW_MS || nowMs < this.#openedAt) {
      this.#openedAt = nowMs;
      this.#used = 0;
    }
    const allowed = this.#used + units <= this.limit;
    if (allowed) this.#used += units;
    return { allowed, ...this.peek(nowMs) };
  }

  /** The state of the window without taking from it. */
  peek(nowMs: number): Omit<Take, "allowed"> {
    const open = nowMs < this.#openedAt + WINDOW_MS && nowMs >= this.#openedAt;
    const used = open ? this.#used : 0;
    const resetMs = open ? this.#openedAt + WINDOW_MS - nowMs : WINDOW_MS;
    return { limit: this.limit, remaining: Math.max(this.limit - used, 0), resetMs };
  }
}
