import type { Permit, RateLimiter } from "../../limits/rate_limiter.ts";
import { abortable } from "./abortable.ts";
import { retryAfterMs, throttledMs } from "./retry.ts";

/** The budget every request counts against: 120 a minute (MailerLite docs, Getting started, Rate limits). */
export const REQUESTS = "mailerlite";

/** The further budget of imports and of batches that hold upserts alone: 5 a minute (MailerLite docs, Batching). */
export const IMPORTS = "mailerlite:import";

/** Leave to send one request, from every budget it counts against. */
export interface Permits {
  readonly requests: Permit;
  readonly imports: Permit | null;
}

/** Waits for leave from every budget the request counts against. */
export async function takePermits(
  limiter: RateLimiter,
  isImport: boolean,
  signal: AbortSignal,
  call: string,
): Promise<Permits> {
  const giveBack = (permit: Permit) => permit.settle(null);
  const take = (bucket: string) => abortable(() => limiter.take(bucket), signal, call, giveBack);
  // The scarce one first: its wait is long, and a permit of the other would
  // hold up every other worker meanwhile.
  const imports = isImport ? await take(IMPORTS) : null;
  try {
    return { requests: await take(REQUESTS), imports };
  } catch (error) {
    imports?.settle(null);
    throw error;
  }
}

function count(header: string | null): number | null {
  return header !== null && /^\d+$/.test(header.trim()) ? Number(header) : null;
}

/**
 * Tells every budget what the answer said about it.
 *
 * @param now Milliseconds since 1970.
 */
export function settlePermits(
  permits: Permits,
  response: Response | null,
  now: number,
): void {
  if (response === null) {
    permits.requests.settle(null);
    permits.imports?.settle(null);
    return;
  }
  const { headers, status } = response;
  const wait = status === 429
    ? throttledMs(headers.get("retry-after"), now)
    : retryAfterMs(headers.get("retry-after"), now);
  if (permits.imports === null) {
    permits.requests.settle({
      limit: count(headers.get("x-ratelimit-limit")),
      remaining: count(headers.get("x-ratelimit-remaining")),
      retryAfterMs: wait,
    });
    return;
  }
  // An import is counted in two windows and answered with one pair of numbers,
  // and it is not documented whose: read as the wrong one, "5 a minute" would
  // throttle everything. The same goes for a 429; if it was the other window's
  // after all, the next request of any kind finds out by itself.
  permits.imports.settle({ limit: null, remaining: null, retryAfterMs: wait });
  permits.requests.settle({
    limit: null,
    remaining: null,
    retryAfterMs: status === 429 ? null : wait,
  });
}
