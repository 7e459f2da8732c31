/**
 * What a person allows, in words no vendor owns. A connector maps its own words
 * to these; the local column holds them as they are.
 *
 * - `subscribed`: may be written to
 * - `pending`: asked, has not confirmed yet
 * - `none`: was never asked
 * - `unsubscribed`, `bounced`, `complained`: must not be written to
 */
export const CONSENT_STATUSES = [
  "subscribed",
  "pending",
  "none",
  "unsubscribed",
  "bounced",
  "complained",
] as const;

/** One of {@linkcode CONSENT_STATUSES}. */
export type ConsentStatus = (typeof CONSENT_STATUSES)[number];

const KNOWN: ReadonlySet<string> = new Set(CONSENT_STATUSES);

/** Tells whether a value is one of the known consent words. */
export function isConsentStatus(value: unknown): value is ConsentStatus {
  return typeof value === "string" && KNOWN.has(value);
}
