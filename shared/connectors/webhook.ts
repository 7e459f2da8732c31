/**
 * The part of a connector that understands what its system sends by itself. An
 * event is only ever a hint that a record is worth reading again: it may come
 * late, twice, out of order or not at all, so nothing of it is kept but the id.
 *
 * @module
 */
import type { Json } from "../merge/json.ts";

/** A record that an event was about. */
export interface WebhookHint {
  /** The remote's id of the record. */
  readonly id: string;
  /** What happened, by a name the connector knows; never a text from the request. */
  readonly event: string;
}

/** What the body of a request turned out to hold. Every event in it is counted once. */
export interface WebhookReading {
  /** One an event about a record, in the order sent; a record may be in it more than once. */
  readonly hints: readonly WebhookHint[];
  /** Events that are about no record of this type, or change nothing of it. */
  readonly ignored: number;
  /** Events that could not be read, or whose id cannot be relied on. */
  readonly unreadable: number;
}

/** What makes a connector able to receive. */
export interface WebhookReceiver {
  /** Events to ask the remote for. */
  readonly events: readonly string[];
  /**
   * Tells whether the remote sent this, in a time that tells nothing of the secret.
   *
   * @param body The body as it came, to the byte.
   * @throws {MissingConfigurationError} If the secret it is checked with is not set.
   */
  verify(
    env: (name: string) => string | undefined,
    headers: Headers,
    body: ArrayBuffer,
  ): Promise<boolean>;
  /** Reads a verified body. Never throws: what cannot be read is counted. */
  read(body: Json): WebhookReading;
}
