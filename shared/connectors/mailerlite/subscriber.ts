import type { RemoteRecord, UnreadableRecord } from "../connector.ts";
import type { ConsentStatus } from "../../merge/consent.ts";
import type { Doc } from "../../merge/json.ts";
import type { Projection } from "../../merge/projection.ts";
import { type SubscriberRow, subscriberSchema } from "./answers.ts";

/** Prefix of the paths that the account's own fields have in a record. */
export const FIELD_PREFIX = "fields.";

/** MailerLite's words for what a person allows (MailerLite docs, Subscribers). */
export type MailerLiteStatus =
  | "active"
  | "unconfirmed"
  | "unsubscribed"
  | "bounced"
  | "junk";

const CONSENT: ReadonlyMap<string, ConsentStatus> = new Map<
  MailerLiteStatus,
  ConsentStatus
>([
  ["active", "subscribed"],
  ["unconfirmed", "pending"],
  ["unsubscribed", "unsubscribed"],
  ["bounced", "bounced"],
  ["junk", "complained"],
]);

/**
 * The same reading as data: where a path stands in a row. What it cannot say, and
 * whatever is not of the form it says, is left to {@linkcode decodeSubscriber}.
 */
export const SUBSCRIBER_PROJECTION: Projection = {
  rows: ["data"],
  id: { key: "id", pattern: "^[0-9]+$" },
  oddKey: "deleted_at",
  locate(path) {
    if (path === "email") return { keys: ["email"] };
    if (path === "status") return { keys: ["status"], words: Object.fromEntries(CONSENT) };
    if (path === "groups") return { keys: ["groups"], nameKey: "name" };
    return { keys: ["fields", path.slice(FIELD_PREFIX.length)] };
  },
};

/** What one row of an answer turned out to be. */
export type DecodedRow =
  | { readonly kind: "record"; readonly record: RemoteRecord }
  | { readonly kind: "unreadable"; readonly row: UnreadableRecord }
  /** Deleted, and kept by MailerLite for a return: as good as absent. */
  | { readonly kind: "deleted" };

const paths = new Map<string, string>();

// The same dozen keys come with every row, and joining them anew for each takes
// longer than checking and mapping the row.
function fieldPath(key: string): string {
  let path = paths.get(key);
  if (path === undefined) {
    path = FIELD_PREFIX + key;
    paths.set(key, path);
  }
  return path;
}

function groupNames(groups: SubscriberRow["groups"]): string[] {
  const [first, second] = groups;
  if (first === undefined) return [];
  if (second === undefined) return [first.name];
  return [...new Set(groups.map((group) => group.name))].sort();
}

/** Reads one row into a record, or says why that is not possible. */
export function decodeSubscriber(value: unknown): DecodedRow {
  const parsed = subscriberSchema.safeParse(value);
  if (!parsed.success) {
    const path = parsed.error.issues[0]?.path.map(String).join(".") ?? "";
    return unreadable(idOf(value), `'${path}' is not of the documented form`);
  }
  const { id, email, status, fields, groups, deleted_at } = parsed.data;
  if (typeof deleted_at === "string") return { kind: "deleted" };
  const consent = CONSENT.get(status);
  // Read as any known word, a new one could raise what a person allows.
  if (consent === undefined) return unreadable(id, "'status' is an unknown word");
  const doc: Doc = { email, status: consent, groups: groupNames(groups) };
  for (const key in fields) {
    const entry = fields[key] ?? null;
    if (typeof entry === "object" && entry !== null) {
      return unreadable(id, `'fields.${key}' is not a plain value`);
    }
    doc[fieldPath(key)] = entry;
  }
  return { kind: "record", record: { id, doc } };
}

function unreadable(id: string | null, reason: string): DecodedRow {
  return { kind: "unreadable", row: { id, reason } };
}

function idOf(value: unknown): string | null {
  if (typeof value !== "object" || value === null || !("id" in value)) {
    return null;
  }
  const { id } = value;
  return typeof id === "string" && /^\d+$/.test(id) ? id : null;
}
