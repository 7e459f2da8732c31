import { isConsentStatus } from "./consent.ts";
import type { Doc, Json } from "./json.ts";
import type { CanonicalRecord, FieldRule, KeyCompare, PairRules, ValueType } from "./pair.ts";

/**
 * Raised with every change of the rules below. A stored canonical value of an
 * older version may differ from a new one without anybody having edited it.
 */
export const CANONICAL_VERSION = 1;

/** A value that a rule cannot read. It names the field, never the value. */
export class UnreadableValueError extends Error {
  override readonly name = "UnreadableValueError";
  readonly code = "unreadable_value";
  constructor(readonly field: string, wanted: string) {
    super(`Cannot read field '${field}': the value is not ${wanted}`);
  }
}

// Printable ASCII without an outer space needs neither trimming nor NFC. It is
// nearly every value there is, and normalize() costs ten times this test.
const PLAIN = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
const CALENDAR_DAY = /^\d{4}-\d{2}-\d{2}/;
const DECIMAL = /^([+-]?)0*(\d+)(?:\.(\d*?)0*)?$/;

// Neither can be stored by PostgreSQL, and one such value would fail the whole
// page it comes with.
const HALF_CHARACTER = /\p{Surrogate}/u;

function canonicalText(value: string, field: string): string | null {
  if (PLAIN.test(value)) return value;
  if (value.includes("\0") || HALF_CHARACTER.test(value)) {
    throw new UnreadableValueError(field, "text without NUL and half characters");
  }
  const text = value.normalize("NFC").trim();
  return text === "" ? null : text;
}

/**
 * Brings a key into the form in which two sides are matched.
 *
 * @returns The key, or an empty string where there is nothing to match by.
 * @throws {UnreadableValueError} If a database could not hold it.
 */
export function canonicalKey(
  value: Json | undefined,
  compare: KeyCompare,
  field = "key",
): string {
  if (typeof value !== "string" && typeof value !== "number") return "";
  const text = canonicalText(String(value), field) ?? "";
  return compare === "lower-trim" ? text.toLowerCase() : text;
}

// As text, because a remote may answer 5, "5" or "5.00" for the same number, and
// a decimal with more digits than a double holds must not lose them.
function canonicalNumber(value: Json, field: string): string | null {
  const text = typeof value === "number"
    ? String(value)
    : typeof value === "string"
    ? value.trim()
    : undefined;
  if (text === "") return null;
  const match = text === undefined ? null : DECIMAL.exec(text);
  if (match === null) {
    const number = text === undefined ? NaN : Number(text);
    if (!Number.isFinite(number)) {
      throw new UnreadableValueError(field, "a number");
    }
    return String(number);
  }
  const digits = match[3] ? `${match[2]}.${match[3]}` : `${match[2]}`;
  return match[1] === "-" && digits !== "0" ? `-${digits}` : digits;
}

function canonicalDay(value: Json, field: string): string | null {
  if (typeof value !== "string") {
    throw new UnreadableValueError(field, "a date");
  }
  const text = value.trim();
  if (text === "") return null;
  const day = CALENDAR_DAY.exec(text)?.[0];
  if (day === undefined || Number.isNaN(Date.parse(day))) {
    throw new UnreadableValueError(field, "a date");
  }
  return day;
}

function canonicalBoolean(value: Json, field: string): Json {
  if (typeof value === "boolean") return value;
  const text = String(value).trim().toLowerCase();
  if (text === "") return null;
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw new UnreadableValueError(field, "true or false");
}

/**
 * Brings one plain value into the form in which both sides are compared: text
 * trimmed and in Unicode NFC, empty text and a missing value as null, numbers as
 * their shortest decimal text, dates as `YYYY-MM-DD`.
 *
 * @throws {UnreadableValueError} If the value cannot be of the type.
 */
export function canonicalValue(
  value: Json | undefined,
  type: ValueType,
  field: string,
): Json {
  if (value === null || value === undefined) return null;
  switch (type) {
    case "text":
      if (typeof value === "string") return canonicalText(value, field);
      if (typeof value === "object") {
        throw new UnreadableValueError(field, "text");
      }
      return String(value);
    case "number":
      return canonicalNumber(value, field);
    case "date":
      return canonicalDay(value, field);
    case "boolean":
      return canonicalBoolean(value, field);
  }
}

function canonicalSet(
  value: Json | undefined,
  managed: readonly string[],
  field: string,
): string[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new UnreadableValueError(field, "a list");
  const present: string[] = [];
  // In the order of the managed names, so that equal sets are equal texts.
  for (const name of managed) {
    if (value.includes(name)) present.push(name);
  }
  return present;
}

/**
 * Brings the value of one mapped field into canonical form.
 *
 * @throws {UnreadableValueError} If it cannot be of the field's type.
 */
export function canonicalField(
  value: Json | undefined,
  rule: FieldRule,
  name: string,
  rules: PairRules,
): Json {
  switch (rule.kind) {
    case "value":
      if (name !== rules.keyField) {
        return canonicalValue(value, rule.type, name);
      }
      return canonicalKey(value, rules.keyCompare, name) || null;
    case "consent":
      if (!isConsentStatus(value)) {
        throw new UnreadableValueError(name, "a known consent word");
      }
      return value;
    case "set":
      return canonicalSet(value, rule.managed, name);
  }
}

/**
 * Brings a record of either side into canonical form.
 *
 * @param doc The record as its side holds it, by the side's own field paths.
 * @param side Which of a rule's two paths to read.
 * @throws {UnreadableValueError} If a value cannot be of its field's type.
 */
export function canonicalRecord(
  doc: Doc,
  side: "local" | "remote",
  rules: PairRules,
): CanonicalRecord {
  const record: CanonicalRecord = {};
  for (const name in rules.fields) {
    const rule = rules.fields[name];
    if (rule !== undefined) {
      record[name] = canonicalField(doc[rule[side]], rule, name, rules);
    }
  }
  return record;
}
