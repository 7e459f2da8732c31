/**
 * Bodies of the real API as shapes: keys in their order, values by type
 * (`?` marks a null that may also be a text). Addresses and names of the
 * recordings are left out.
 *
 * @module
 */

/** A type name, an object of shapes, or a list whose items have one shape. */
export type Shape = string | { readonly [key: string]: Shape } | readonly [Shape];

const RATE: Shape = { float: "number", string: "string" };

const GROUP: Shape = {
  id: "id",
  name: "string",
  active_count: "number",
  sent_count: "number",
  opens_count: "number",
  open_rate: RATE,
  clicks_count: "number",
  click_rate: RATE,
  unsubscribed_count: "number",
  unconfirmed_count: "number",
  bounced_count: "number",
  junk_count: "number",
  created_at: "date",
};

const SUBSCRIBER_START: { [key: string]: Shape } = {
  id: "id",
  email: "string",
  status: "string",
  source: "string",
  sent: "number",
  opens_count: "number",
  clicks_count: "number",
  open_rate: "number",
  click_rate: "number",
  ip_address: "string?",
  subscribed_at: "date?",
  unsubscribed_at: "date?",
  created_at: "date",
  updated_at: "date",
};

const FIELDS: Shape = {
  name: "string?",
  last_name: "string?",
  company: "string?",
  country: "string?",
  city: "string?",
  phone: "string?",
  state: "string?",
  z_i_p: "string?",
};

const OPT_IN = { opted_in_at: "date?", optin_ip: "string?" };
const LIST_ROW: Shape = { ...SUBSCRIBER_START, fields: FIELDS, ...OPT_IN };
const SINGLE: Shape = { ...SUBSCRIBER_START, fields: FIELDS, groups: [GROUP], ...OPT_IN };

const CURSOR_ENVELOPE = {
  links: { first: "string?", last: "string?", prev: "string?", next: "string?" },
  meta: { path: "string", per_page: "number", next_cursor: "string?", prev_cursor: "string?" },
};

const PAGE_ENVELOPE = {
  links: { first: "string?", last: "string?", prev: "string?", next: "string?" },
  meta: {
    current_page: "number",
    from: "number?",
    last_page: "number",
    links: [{ url: "string?", label: "string", active: "boolean" }] as const,
    path: "string",
    per_page: "number",
    to: "number?",
    total: "number",
  },
};

const FIELD = {
  id: "string",
  name: "string",
  key: "string",
  type: "string",
  is_default: "boolean",
};

const WEBHOOK: Shape = {
  id: "id",
  name: "string?",
  url: "string",
  events: ["string"],
  enabled: "boolean",
  is_blocked: "boolean",
  secret: "string",
  created_at: "date",
  updated_at: "date",
  batchable: "boolean",
  version: "string",
  last_fired_at: "date?",
  response_code: "number?",
};

const KINDS = [
  "invalid",
  "mistyped",
  "changed",
  "unchanged",
  "unsubscribed",
  "role_based",
  "suspicious_format",
  "duplicate",
];

const IMPORT: Shape = {
  id: "id",
  account_id: "string",
  total: "number",
  processed: "number",
  imported: "number",
  updated: "number",
  errored: "number",
  percent: "number",
  done: "boolean",
  ...Object.fromEntries(
    KINDS.flatMap((kind): [string, Shape][] => [[kind, [{}]], [`${kind}_count`, "number"]]),
  ),
  banned_import_emails_count: "number",
  updated_at: "iso",
  undone_at: "iso?",
  stopped_at: "iso?",
  undo_started_at: "iso?",
  finished_at: "iso?",
};

/** One recorded or documented exchange. */
export interface RecordedShape {
  readonly source: string;
  readonly request: readonly [method: string, path: string, body?: unknown];
  readonly status: number;
  readonly shape: Shape;
}

/** `{sid}`, `{gid}`, `{fid}`, `{wid}` and `{iid}` stand for records the test makes. */
export const RECORDED: readonly RecordedShape[] = [
  {
    source: "mailerlite-nodejs tapes, subscribers/test-GET-2 (2023-03-06)",
    request: ["GET", "subscribers?filter[status]=active&limit=5&page=1"],
    status: 200,
    shape: { data: [LIST_ROW], ...CURSOR_ENVELOPE },
  },
  {
    source: "MailerLite docs, Subscribers: include=groups",
    request: ["GET", "subscribers?include=groups"],
    status: 200,
    shape: { data: [SINGLE], ...CURSOR_ENVELOPE },
  },
  {
    source: "mailerlite-python cassettes, subscribers-count (2024-12-04)",
    request: ["GET", "subscribers?limit=0"],
    status: 200,
    shape: { total: "number" },
  },
  {
    source: "mailerlite-python cassettes, subscribers-forget, first exchange (2025-09-19)",
    request: ["POST", "subscribers", {
      email: "member@example.com",
      fields: { name: "John" },
      ip_address: "1.1.1.1",
    }],
    status: 200,
    shape: { data: SINGLE },
  },
  {
    source: "mailerlite-python cassettes, subscribers-get-id (2024-12-04)",
    request: ["GET", "subscribers/{sid}"],
    status: 200,
    shape: { data: SINGLE },
  },
  {
    source: "mailerlite-python cassettes, groups-list (2025-09-19)",
    request: ["GET", "groups?limit=10&page=1"],
    status: 200,
    shape: { data: [GROUP], ...PAGE_ENVELOPE },
  },
  {
    source: "mailerlite-python cassettes, subscribers-assign-subscriber-to-group (2024-12-04)",
    request: ["POST", "groups", { name: "Another" }],
    status: 201,
    shape: { data: GROUP },
  },
  {
    source: "mailerlite-java fixtures, GroupsTest_TestAssignSubscriberToGroup (2023-12-21)",
    request: ["POST", "subscribers/{sid}/groups/{gid}"],
    status: 200,
    shape: { data: GROUP },
  },
  {
    source: "mailerlite-java fixtures, GroupsTest_TestGetGroupSubscribers (2023-12-21)",
    request: ["GET", "groups/{gid}/subscribers?limit=5"],
    status: 200,
    shape: { data: [LIST_ROW], ...CURSOR_ENVELOPE },
  },
  {
    source: "mailerlite-python cassettes, fields-list (2025-09-19)",
    request: ["GET", "fields?limit=10&page=1&sort=name"],
    status: 200,
    shape: { data: [{ ...FIELD, used_in_automations: "boolean" }], ...PAGE_ENVELOPE },
  },
  {
    source: "mailerlite-python cassettes, fields-create (2025-09-19)",
    request: ["POST", "fields", { name: "Last one", type: "text" }],
    status: 201,
    shape: { data: FIELD },
  },
  {
    source: "mailerlite-python cassettes, webhooks-create (2025-09-19)",
    request: ["POST", "webhooks", {
      name: "Mine",
      url: "https://example.com",
      events: ["subscriber.created"],
    }],
    status: 201,
    shape: { data: WEBHOOK },
  },
  {
    source: "mailerlite-python cassettes, webhooks-list (2025-09-19)",
    request: ["GET", "webhooks"],
    status: 200,
    shape: { data: [WEBHOOK], ...PAGE_ENVELOPE },
  },
  {
    source: "MailerLite docs, Groups: import subscribers",
    request: ["POST", "groups/{gid}/import-subscribers", {
      subscribers: [{ email: "new@example.com" }],
    }],
    status: 200,
    shape: { import_progress_url: "string" },
  },
  {
    source: "mailerlite-python cassettes, subscribers-get-import (2024-12-04)",
    request: ["GET", "subscribers/import/{iid}"],
    status: 200,
    shape: { data: IMPORT },
  },
  {
    source: "mailerlite-java fixtures, SubscribersTest_TestGetSubscriberImports (2023-12-21)",
    request: ["GET", "subscribers/import"],
    status: 200,
    shape: { data: [IMPORT], ...PAGE_ENVELOPE },
  },
  {
    source: "mailerlite-python cassettes, subscribers-forget, second exchange (2025-09-19)",
    request: ["POST", "subscribers/{sid}/forget"],
    status: 200,
    shape: {
      data: {
        ...SUBSCRIBER_START,
        deleted_at: "date",
        forget_at: "date",
        fields: FIELDS,
        groups: [GROUP],
        location: "string?",
        ...OPT_IN,
      },
      message: "string",
    },
  },
];

/** One recorded body, word for word. */
export interface RecordedText {
  readonly source: string;
  readonly request: readonly [method: string, path: string, body?: unknown];
  readonly status: number;
  readonly text: string;
}

const missing = (model: string, id: string) =>
  `{\n    "message": "No query results for model [App\\\\Models\\\\${model}]${id}"\n}`;

/** Bodies that do not depend on the account. */
export const RECORDED_TEXTS: readonly RecordedText[] = [
  {
    source: "mailerlite-python cassettes, subscribers-delete (2025-09-19)",
    request: ["DELETE", "subscribers/123123"],
    status: 404,
    text: missing("Subscriber\\\\Subscriber", "."),
  },
  {
    source: "mailerlite-python cassettes, groups-delete (2025-09-19)",
    request: ["DELETE", "groups/121212"],
    status: 404,
    text: missing("Group\\\\Group", " 121212"),
  },
  {
    source: "mailerlite-python cassettes, fields-delete (2025-09-19)",
    request: ["DELETE", "fields/121212"],
    status: 404,
    text: missing("Field", " 121212"),
  },
  {
    source: "mailerlite-python cassettes, webhooks-delete (2025-09-19)",
    request: ["DELETE", "webhooks/121212"],
    status: 404,
    text: missing("Webhook", " 121212"),
  },
  {
    source: "mailerlite-python cassettes, batches-request (2025-09-19)",
    request: ["POST", "batch", {
      requests: [{ method: "GET", path: "api/subscribers/list" }, {
        method: "GET",
        path: "api/campaigns/list",
      }],
    }],
    status: 200,
    text:
      '{"total":2,"successful":0,"failed":2,"responses":[{"code":404,"body":{"message":"No query results for ' +
      'model [App\\\\Models\\\\Subscriber\\\\Subscriber]."}},{"code":404,"body":{"message":"The route ' +
      'api\\/campaigns\\/list could not be found."}}]}',
  },
  {
    source: "mailerlite-nodejs tapes, batch/test-POST-32 (2023-03-06), a refused item",
    request: ["POST", "batch", {
      requests: [{ method: "POST", path: "/api/fields", body: { name: "name", type: "text" } }],
    }],
    status: 200,
    text:
      '{"total":1,"successful":0,"failed":1,"responses":[{"code":422,"body":{"message":"Field name must be unique",' +
      '"errors":{"name":["Field name must be unique"]}}}]}',
  },
  {
    source: "mailerlite-python cassettes, groups-get-subscribers-in-group (2025-09-19)",
    request: ["GET", "groups/{gid}/subscribers?limit=5&cursor=1"],
    status: 200,
    text:
      '{"data":[],"links":{"first":null,"last":null,"prev":null,"next":null},"meta":{"path":"https:\\/\\/connect.' +
      'mailerlite.com\\/api\\/groups\\/{gid}\\/subscribers","per_page":5,"next_cursor":null,"prev_cursor":null}}',
  },
  {
    source: "MailerLite docs, Groups: unassign of what is not there",
    request: ["DELETE", "subscribers/1/groups/2"],
    status: 404,
    text: '{\n    "message": ""\n}',
  },
];
