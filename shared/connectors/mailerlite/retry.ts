/** Attempts of one call in all, whatever made the earlier ones fail. */
export const MAX_ATTEMPTS = 5;

// The docs' own example says 119 s although the window is 60 s long, so the
// header is obeyed beyond a window, but a wild value must not stop a run for hours.
const RETRY_AFTER_CAP_MS = 180_000;

// MailerLite's window is 60 s long, so this is the longest a refusal without the
// header can last.
const WINDOW_MS = 60_000;

const BACKOFF_BASE_MS = 500;
const BACKOFF_CAP_MS = 20_000;

/**
 * Reads a `Retry-After` header, seconds or HTTP date.
 *
 * @param now Milliseconds since 1970.
 * @returns Milliseconds, at most 180,000; null where the header is missing or no wait.
 */
export function retryAfterMs(
  header: string | null,
  now: number,
): number | null {
  const text = (header ?? "").trim();
  if (text === "") return null;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  if (Number.isNaN(ms)) return null;
  return Math.min(Math.max(ms, 0), RETRY_AFTER_CAP_MS);
}

/** How long a 429 asks to wait, in ms, header or not. */
export function throttledMs(header: string | null, now: number): number {
  return retryAfterMs(header, now) ?? WINDOW_MS;
}

/**
 * How long to wait before the next attempt: full jitter, so that workers that
 * failed together do not come back together.
 *
 * @param attempt Attempts made so far, from 1.
 * @param random From 0 up to 1.
 * @returns Milliseconds.
 */
export function backoffMs(attempt: number, random: number): number {
  return random * Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** attempt);
}
