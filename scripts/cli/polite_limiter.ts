import type { RateLimiter } from "../../shared/limits/rate_limiter.ts";

/** How much a limiter lets through. */
export interface PoliteLimits {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Requests in any window. */
  readonly requests: number;
  readonly windowMs: number;
}

/**
 * A limiter for one process that nobody else counts: it stays under a budget of
 * its own and obeys when the remote asks to be left alone.
 */
export function politeLimiter({ now, sleep, requests, windowMs }: PoliteLimits): RateLimiter {
  const sent: number[] = [];
  let freeAt = 0;
  return {
    async take() {
      for (;;) {
        const oldest = sent.length < requests ? undefined : sent[0];
        const wait = Math.max(freeAt, oldest === undefined ? 0 : oldest + windowMs) - now();
        if (wait <= 0) break;
        await sleep(wait);
      }
      sent.push(now());
      if (sent.length > requests) sent.shift();
      return {
        settle(seen) {
          const wait = seen?.retryAfterMs ?? 0;
          if (wait > 0) freeAt = now() + wait;
        },
      };
    },
  };
}
