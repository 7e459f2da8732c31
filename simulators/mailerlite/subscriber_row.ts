import { phpText } from "./php_json.ts";
import type { AccountField } from "./account_field.ts";
import type { Membership } from "./account_group.ts";
import { isoDate, restDate } from "./dates.ts";
import { type FieldValue, STATUSES } from "./types.ts";

/**
 * One subscriber, compact: dates are whole seconds, the status is an index, the
 * set of groups is shared. The serialised form is kept until something changes,
 * so that a page of 1000 rows costs a join of texts.
 */
export class SubscriberRow {
  status = 0;
  source = "api";
  sent = 0;
  opens = 0;
  clicks = 0;
  openRate = 0;
  clickRate = 0;
  ip: string | null = null;
  subscribedAt: number | null = null;
  unsubscribedAt: number | null = null;
  optedInAt: number | null = null;
  optinIp: string | null = null;
  deletedAt: number | null = null;
  forgetAt: number | null = null;
  /** By field column; shorter than the columns when the rest is null. */
  values: FieldValue[] = [];
  updatedAt: number;
  head: string | null = null;
  headVersion = -1;

  constructor(
    readonly id: string,
    public email: string,
    readonly createdAt: number,
    public membership: Membership,
  ) {
    this.updatedAt = createdAt;
  }
}

/** The fields a row is written with; made anew whenever the account's fields change. */
export interface RowFormat {
  readonly version: number;
  /** Where the values of the fields in use stand. */
  readonly columns: readonly number[];
  /** `"key":` of each field, ready to be written, with a comma before all but the first. */
  readonly keys: readonly string[];
  /** The same followed by `null`. */
  readonly nulls: readonly string[];
  /** Keeps the serialised form with the row. */
  readonly keep: boolean;
  /** Writes number fields as text. */
  readonly numbersAsText: boolean;
}

/** Prepares the writing of rows. `version` must differ whenever fields or number form do. */
export function rowFormat(
  version: number,
  fields: readonly AccountField[],
  numbersAsText: boolean,
  keep: boolean,
): RowFormat {
  const keys = fields.map((field, index) => `${index === 0 ? "" : ","}${phpText(field.key)}:`);
  const nulls = keys.map((key) => `${key}null`);
  return {
    version,
    columns: fields.map((field) => field.column),
    keys,
    nulls,
    numbersAsText,
    keep,
  };
}

type DateText = (seconds: number) => string;

function date(seconds: number | null, text: DateText): string {
  return seconds === null ? "null" : `"${text(seconds)}"`;
}

function text(value: string | null): string {
  return value === null ? "null" : phpText(value);
}

/** A field value as it stands in an answer. */
export function fieldValue(value: FieldValue | undefined, numbersAsText: boolean): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "number") return numbersAsText ? `"${value}"` : String(value);
  return phpText(value);
}

function mailCounts(row: SubscriberRow): string {
  const { sent, opens, clicks, openRate, clickRate } = row;
  return `,"sent":${sent},"opens_count":${opens},"clicks_count":${clicks},"open_rate":${openRate},"click_rate":${clickRate}`;
}

const NO_MAIL = `,"sent":0,"opens_count":0,"clicks_count":0,"open_rate":0,"click_rate":0`;

// Parts and not a sum of texts: joining a page copies each once, where sums leave 40 nodes a row to walk.
function pushHead(
  parts: string[],
  row: SubscriberRow,
  format: RowFormat,
  dates: DateText,
  stamps: string,
): void {
  parts.push(
    `{"id":"`,
    row.id,
    `","email":`,
    phpText(row.email),
    `,"status":"`,
    STATUSES[row.status] ?? "active",
  );
  parts.push(`","source":`, phpText(row.source), row.sent === 0 ? NO_MAIL : mailCounts(row));
  parts.push(`,"ip_address":`, text(row.ip), `,"subscribed_at":`, date(row.subscribedAt, dates));
  parts.push(
    `,"unsubscribed_at":`,
    date(row.unsubscribedAt, dates),
    `,"created_at":`,
    date(row.createdAt, dates),
  );
  parts.push(`,"updated_at":`, date(row.updatedAt, dates), stamps, `,"fields":{`);
  const { columns, keys, nulls, numbersAsText } = format;
  for (let i = 0; i < columns.length; i++) {
    const value = row.values[columns[i] ?? -1];
    if (value === null || value === undefined) parts.push(nulls[i] ?? "");
    else parts.push(keys[i] ?? "", fieldValue(value, numbersAsText));
  }
  parts.push("}");
}

function head(row: SubscriberRow, format: RowFormat, dates: DateText, stamps: string): string {
  const parts: string[] = [];
  pushHead(parts, row, format, dates, stamps);
  return parts.join("");
}

function tail(row: SubscriberRow, dates: DateText): string {
  if (row.optedInAt === null && row.optinIp === null) return `,"opted_in_at":null,"optin_ip":null}`;
  return `,"opted_in_at":${date(row.optedInAt, dates)},"optin_ip":${text(row.optinIp)}}`;
}

/**
 * A subscriber in the REST form (mailerlite-python cassettes, subscribers-list
 * and subscribers-forget); `groupsJson` is left out of list rows that do not
 * include groups.
 */
export function rowJson(row: SubscriberRow, format: RowFormat, groupsJson?: string): string {
  const parts: string[] = [];
  pushRow(parts, row, format, groupsJson);
  return parts.join("");
}

/** Appends the parts of {@link rowJson}; joining a whole page at once copies every text once. */
export function pushRow(
  parts: string[],
  row: SubscriberRow,
  format: RowFormat,
  groupsJson?: string,
): void {
  if (row.head !== null && row.headVersion === format.version) parts.push(row.head);
  else if (format.keep) {
    row.head = head(row, format, restDate, "");
    row.headVersion = format.version;
    parts.push(row.head);
  } else pushHead(parts, row, format, restDate, "");
  if (groupsJson !== undefined) parts.push(`,"groups":`, groupsJson);
  parts.push(tail(row, restDate));
}

/** The longer form with `deleted_at`, `forget_at` and `location` (mailerlite-python, subscribers-forget). */
export function forgottenRowJson(
  row: SubscriberRow,
  format: RowFormat,
  groupsJson: string,
): string {
  const stamps = `,"deleted_at":${date(row.deletedAt, restDate)},"forget_at":${
    date(row.forgetAt, restDate)
  }`;
  return `${head(row, format, restDate, stamps)},"groups":${groupsJson},"location":null${
    tail(row, restDate)
  }`;
}

/**
 * The form of webhooks: ISO dates, no groups, and the three keys above. Ends
 * without its closing brace, because events append their own keys.
 */
export function eventRowJson(row: SubscriberRow, format: RowFormat): string {
  const stamps = `,"deleted_at":${date(row.deletedAt, isoDate)},"forget_at":${
    date(row.forgetAt, isoDate)
  }`;
  return `${head(row, format, isoDate, stamps)}${tail(row, isoDate).slice(0, -1)},"location":null`;
}
