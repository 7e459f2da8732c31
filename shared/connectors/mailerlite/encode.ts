import { isConsentStatus } from "../../merge/consent.ts";
import type { ConsentStatus } from "../../merge/consent.ts";
import { canonicalKey } from "../../merge/canonical.ts";
import type { Doc, Json } from "../../merge/json.ts";
import { FIELD_PREFIX, type MailerLiteStatus } from "./subscriber.ts";

/** The statuses that an update may set. Sync lowers what a person allows and never raises it. */
export const EDITABLE_STATUSES: readonly ConsentStatus[] = ["unsubscribed"];

/** What of a body a record's paths become. */
export interface EncodedBody {
  readonly email?: string;
  readonly status?: MailerLiteStatus;
  readonly fields?: { [key: string]: Json };
}

/** A record's paths as a body, or the code of why not. */
export type Encoded =
  | { readonly body: EncodedBody }
  | { readonly refused: string };

// The API turns an empty text into null or keeps it, the docs do not say; null
// clears for certain (MailerLite docs, Subscribers, the example of an update).
function encodeValue(value: Json): string | number | null | undefined {
  if (value === "" || value === null) return null;
  if (typeof value === "string" || typeof value === "number") return value;
  return typeof value === "boolean" ? String(value) : undefined;
}

/**
 * The status a new subscriber is made with.
 *
 * A new one is active by itself, or unconfirmed where the account asks everybody
 * for a confirmation. So "subscribed" sends nothing: sent, it would confirm in
 * somebody's place, and an upsert may also meet a subscriber who has been there
 * all along, unconfirmed (Pipedream, issue 15899).
 */
function statusOfNew(status: ConsentStatus): MailerLiteStatus | null | undefined {
  switch (status) {
    case "subscribed":
      return null;
    case "pending":
      return "unconfirmed";
    case "unsubscribed":
      return "unsubscribed";
    default:
      return undefined;
  }
}

function statusOfUpdate(status: ConsentStatus): MailerLiteStatus | undefined {
  return EDITABLE_STATUSES.includes(status) && status === "unsubscribed"
    ? "unsubscribed"
    : undefined;
}

/** Brings the paths of a record into the form of the API. */
export function encodeFields(doc: Doc, op: "create" | "update"): Encoded {
  let email: string | undefined;
  let status: MailerLiteStatus | undefined;
  const fields: { [key: string]: Json } = {};
  for (const [path, value] of Object.entries(doc)) {
    if (path === "email") {
      email = canonicalKey(value, "lower-trim");
      if (!email.includes("@")) return { refused: "rejected_email" };
    } else if (path === "status") {
      if (!isConsentStatus(value)) return { refused: "status_not_writable" };
      const word = op === "create" ? statusOfNew(value) : statusOfUpdate(value);
      if (word === undefined) return { refused: "status_not_writable" };
      status = word ?? undefined;
    } else if (path.startsWith(FIELD_PREFIX)) {
      const entry = encodeValue(value);
      const key = path.slice(FIELD_PREFIX.length);
      if (entry === undefined || key === "") {
        return { refused: "unsupported_value" };
      }
      fields[key] = entry;
    } else {
      return { refused: "unsupported_path" };
    }
  }
  if (op === "create" && email === undefined) {
    return { refused: "rejected_email" };
  }
  return {
    body: {
      ...(email === undefined ? {} : { email }),
      ...(status === undefined ? {} : { status }),
      ...(Object.keys(fields).length === 0 ? {} : { fields }),
    },
  };
}
