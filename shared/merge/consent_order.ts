import type { Json } from "./json.ts";

/**
 * The words that forbid writing to a person, from the least strict to the strictest: a bounce is
 * about an address, an unsubscription is a person's word, a complaint is the loudest form of it.
 */
export const FORBIDDING = ["bounced", "unsubscribed", "complained"] as const;

/** A consent word that forbids writing to the person. */
export type ForbiddingStatus = (typeof FORBIDDING)[number];

/** Tells whether a consent word forbids writing to the person. */
export function isForbidding(status: Json | undefined): status is ForbiddingStatus {
  return FORBIDDING.some((word) => word === status);
}

/** Tells whether one word forbids more strictly: `bounced` < `unsubscribed` < `complained`. */
export function isStricter(status: ForbiddingStatus, than: ForbiddingStatus): boolean {
  return FORBIDDING.indexOf(status) > FORBIDDING.indexOf(than);
}

/**
 * The words with which a person may be created at the remote. `none` is not among
 * them: a created person can be written to, and was never asked.
 */
export const CREATABLE = ["subscribed", "pending"] as const;

/** Tells whether a person with this consent may be created at the remote. */
export function mayBeCreated(status: Json | undefined): status is (typeof CREATABLE)[number] {
  return CREATABLE.some((word) => word === status);
}
