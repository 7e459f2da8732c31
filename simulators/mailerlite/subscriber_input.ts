import type { AccountField } from "./account_field.ts";
import type { AccountGroup } from "./account_group.ts";
import type { FieldErrors } from "./answers.ts";
import { idText } from "./call.ts";
import { parseRestDate } from "./dates.ts";
import { isJsonObject, type Json, type JsonObject } from "./json.ts";
import type { Store } from "./store.ts";
import type { Switches } from "./switches.ts";
import { type FieldValue, STATUSES } from "./types.ts";

/** The writable part of a subscriber, checked; what is undefined was not sent. */
export interface SubscriberInput {
  email?: string;
  values: Map<AccountField, FieldValue>;
  groups?: AccountGroup[];
  status?: number;
  resubscribe: boolean;
  ip?: string | null;
  optinIp?: string | null;
  subscribedAt?: number | null;
  unsubscribedAt?: number | null;
  optedInAt?: number | null;
}

/** What an input came to: the input, or the reasons for a 422. */
export type InputOutcome = { ok: true; input: SubscriberInput } | {
  ok: false;
  errors: FieldErrors;
};

const EMAIL = /^[^\s@<>()[\]\\,;:"]+@[^\s@.<>()[\]\\,;:"]+(\.[^\s@.<>()[\]\\,;:"]+)+$/u;

/** Whether a text passes for an address. */
export function isEmail(text: string): boolean {
  return text.length <= 254 && EMAIL.test(text);
}

/** Reads and checks the body of POST and PUT (MailerLite docs, Subscribers). */
export function readSubscriberInput(
  body: JsonObject,
  store: Store,
  switches: Readonly<Switches>,
): InputOutcome {
  const errors: FieldErrors = {};
  const input: SubscriberInput = { values: new Map(), resubscribe: body["resubscribe"] === true };
  readEmail(body["email"], input, errors);
  readStatus(body["status"], input, errors);
  readFields(body["fields"], store, switches, input, errors);
  readGroups(body["groups"], store, input, errors);
  readText(body, "ip_address", errors, (value) => input.ip = value);
  readText(body, "optin_ip", errors, (value) => input.optinIp = value);
  readDate(body, "subscribed_at", errors, (value) => input.subscribedAt = value);
  readDate(body, "unsubscribed_at", errors, (value) => input.unsubscribedAt = value);
  readDate(body, "opted_in_at", errors, (value) => input.optedInAt = value);
  return Object.keys(errors).length > 0 ? { ok: false, errors } : { ok: true, input };
}

function readEmail(value: Json | undefined, input: SubscriberInput, errors: FieldErrors): void {
  if (value === undefined) return;
  const email = typeof value === "string" ? value.trim().toLowerCase() : "";
  if (isEmail(email)) input.email = email;
  else {errors["email"] = [
      email === "" ? "The email field is required." : "The email must be a valid email address.",
    ];}
}

function readStatus(value: Json | undefined, input: SubscriberInput, errors: FieldErrors): void {
  if (value === undefined || value === null) return;
  const status = STATUSES.findIndex((known) => known === value);
  if (status < 0) errors["status"] = ["The selected status is invalid."];
  else input.status = status;
}

function readGroups(
  value: Json | undefined,
  store: Store,
  input: SubscriberInput,
  errors: FieldErrors,
): void {
  if (value === undefined || value === null) return;
  if (!Array.isArray(value)) {
    errors["groups"] = ["The groups field must be an array."];
    return;
  }
  const groups: AccountGroup[] = [];
  value.forEach((item, index) => {
    const id = idText(item);
    const group = id === undefined ? undefined : store.groups.byId(id);
    // Echoing Group objects back is refused with this text (mailerlite-nodejs, issue 71).
    if (id === undefined) {
      errors[`groups.${index}`] = [`The groups.${index} field must be a number.`];
    } else if (group === undefined) {
      errors[`groups.${index}`] = [`The selected groups.${index} is invalid.`];
    } else if (!groups.includes(group)) groups.push(group);
  });
  input.groups = groups;
}

function readFields(
  value: Json | undefined,
  store: Store,
  switches: Readonly<Switches>,
  input: SubscriberInput,
  errors: FieldErrors,
): void {
  if (value === undefined || value === null) return;
  if (!isJsonObject(value)) {
    // PHP reads an empty JSON object and an empty array alike.
    if (!Array.isArray(value) || value.length > 0) {
      errors["fields"] = ["The fields field must be an array."];
    }
    return;
  }
  for (const [key, sent] of Object.entries(value)) {
    const field = store.fields.byKey(key);
    if (field === undefined) {
      if (switches.unknownFields === "reject_422") {
        errors[`fields.${key}`] = [`The selected fields.${key} is invalid.`];
      }
      continue;
    }
    const read = readFieldValue(field, sent, switches);
    if ("error" in read) errors[`fields.${key}`] = [read.error];
    else input.values.set(field, read.value);
  }
}

/** Reads one field value by the field's type. */
export function readFieldValue(
  field: AccountField,
  sent: Json,
  switches: Readonly<Switches>,
): { value: FieldValue } | { error: string } {
  if (sent === null) return { value: null };
  if (typeof sent !== "string" && typeof sent !== "number") {
    return { error: `The fields.${field.key} field must be a string.` };
  }
  const text = switches.trimValues === "yes" ? String(sent).trim() : String(sent);
  if (text === "") {
    return { value: switches.emptyString === "keep" && field.type === "text" ? "" : null };
  }
  if (field.type === "text") return { value: text };
  if (field.type === "number") {
    const number = Number(text);
    return Number.isFinite(number)
      ? { value: number }
      : { error: `The fields.${field.key} field must be a number.` };
  }
  // Dates read back as YYYY-MM-DD (mailerlite-java, TestGetSubscribers).
  const day = text.slice(0, 10);
  const valid = /^\d{4}-\d{2}-\d{2}$/.test(day) && !Number.isNaN(Date.parse(`${day}T00:00:00Z`));
  return valid ? { value: day } : { error: `The fields.${field.key} field must be a valid date.` };
}

function readText(
  body: JsonObject,
  key: string,
  errors: FieldErrors,
  put: (value: string | null) => void,
): void {
  const value = body[key];
  if (value === undefined) return;
  if (value === null || value === "") put(null);
  else if (typeof value === "string") put(value);
  else errors[key] = [`The ${key} field must be a string.`];
}

function readDate(
  body: JsonObject,
  key: string,
  errors: FieldErrors,
  put: (value: number | null) => void,
): void {
  const value = body[key];
  if (value === undefined) return;
  if (value === null || value === "") return put(null);
  const seconds = typeof value === "string" ? parseRestDate(value) : undefined;
  if (seconds === undefined) errors[key] = [`The ${key} field must match the format Y-m-d H:i:s.`];
  else put(seconds);
}
