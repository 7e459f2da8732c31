import type { EntitySpec } from "../connector.ts";
import { BATCH_MAX } from "./batch.ts";
import { EDITABLE_STATUSES } from "./encode.ts";
import { IMPORTS, REQUESTS } from "./permits.ts";
import { FIELD_PREFIX, SUBSCRIBER_PROJECTION } from "./subscriber.ts";

/** What MailerLite's subscribers can do (MailerLite docs, Subscribers). */
export const SUBSCRIBERS: EntitySpec = {
  connector: "mailerlite",
  type: "subscriber",
  key: { path: "email", compare: "lower-trim" },
  writable: ["email", "status", "groups", FIELD_PREFIX],
  readOnly: [
    "id",
    "source",
    "sent",
    "opens_count",
    "clicks_count",
    "open_rate",
    "click_rate",
    "ip_address",
    "subscribed_at",
    "unsubscribed_at",
    "created_at",
    "updated_at",
    "opted_in_at",
    "optin_ip",
    "location",
    "deleted_at",
    "forget_at",
    "email_changed_at",
  ],
  consent: { path: "status", editable: EDITABLE_STATUSES },
  sets: ["groups"],
  batchMax: BATCH_MAX,
  requiredEnv: ["MAILERLITE_API_KEY"],
  // MailerLite docs, Getting started, Rate limits; and Batching.
  budgets: {
    [REQUESTS]: { requests: 120, windowMs: 60_000 },
    [IMPORTS]: { requests: 5, windowMs: 60_000 },
  },
  projection: SUBSCRIBER_PROJECTION,
  fieldPrefix: FIELD_PREFIX,
};
