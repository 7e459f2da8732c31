/**
 * SQL that recognises records which canonicalisation would leave as they are.
 *
 * What a canonical value is, is defined once, in `shared/merge/canonical.ts`. A
 * second definition in SQL would drift from it, and then every record would look
 * edited. So this is no definition: it is a test that is true only for values
 * the definition returns unchanged (text in NFC without outer space, say), and
 * whatever fails it goes the long way. Most records pass, and never become
 * objects of an isolate that has two seconds of CPU for all of them.
 *
 * @module
 */
import { CONSENT_STATUSES } from "../merge/consent.ts";
import type { FieldRule, PairRules } from "../merge/pair.ts";
import type { ValueLocation } from "../merge/projection.ts";

/** What to select for each record, given its JSON. */
export interface PlainSql {
  /** Expressions to compute once a record, as `expression as name`. */
  readonly values: readonly string[];
  /** True for a record that is canonical as it stands. */
  readonly isPlain: string;
  /** Its canonical form. */
  readonly canonical: string;
  /** What it is matched by. */
  readonly key: string;
}

// What JavaScript's trim() removes (ECMAScript, WhiteSpace and LineTerminator).
const SPACES = String.raw`E'\u0009\u000a\u000b\u000c\u000d\u0020\u00a0\u1680\u2000\u2001\u2002` +
  String.raw`\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff'`;

/** A text constant of SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function at(record: string, keys: readonly string[]): string {
  return keys.reduce((value, key) => `${value} -> ${literal(key)}`, record);
}

interface PlainField {
  readonly value: string;
  readonly test: string;
  readonly canonical: string;
}

function plainText(f: string): string {
  const text = `(${f} #>> '{}')`;
  return `case jsonb_typeof(${f}) when 'null' then true when 'string' then ${text} <> '' ` +
    `and (octet_length(${text}) = length(${text}) or ${text} is nfc normalized) ` +
    `and btrim(${text}, ${SPACES}) = ${text} else false end`;
}

// Lower case of printable ASCII only: beyond it, lower() and toLowerCase() differ.
function plainKey(f: string): string {
  return `jsonb_typeof(${f}) = 'string' and (${f} #>> '{}') collate "C" ~ '^[!-@[-~]+$'`;
}

function consentField(f: string, value: string, words: ValueLocation["words"]): PlainField {
  const known = words ?? Object.fromEntries(CONSENT_STATUSES.map((word) => [word, word]));
  const ours = `${literal(JSON.stringify(known))}::jsonb -> (${value} #>> '{}')`;
  const test = `jsonb_typeof(${value}) = 'string' and ${f} is not null`;
  return { value: ours, test, canonical: f };
}

function setField(
  f: string,
  value: string,
  managed: readonly string[],
  nameKey?: string,
): PlainField {
  const named = (name: string) => nameKey === undefined ? [name] : [{ [nameKey]: name }];
  const parts = managed.map((name) =>
    `case when ${f} @> ${literal(JSON.stringify(named(name)))}::jsonb ` +
    `then ${literal(JSON.stringify([name]))}::jsonb else '[]' end`
  );
  const entries = nameKey === undefined
    ? "true"
    : `(select coalesce(bool_and(coalesce(jsonb_typeof(e -> ${
      literal(nameKey)
    }), '') = 'string'), true) ` +
      `from jsonb_array_elements(${f}) e)`;
  return {
    value,
    test: `case jsonb_typeof(${f}) when 'array' then ${entries} else false end`,
    canonical: parts.length === 0 ? `'[]'::jsonb` : `(${parts.join(" || ")})`,
  };
}

function plainField(
  f: string,
  name: string,
  rule: FieldRule,
  rules: PairRules,
  value: string,
  location: ValueLocation,
): PlainField {
  switch (rule.kind) {
    case "consent":
      return consentField(f, value, location.words);
    case "set":
      return setField(f, value, rule.managed, location.nameKey);
    case "value": {
      if (name === rules.keyField && rules.keyCompare === "lower-trim") {
        return { value, test: plainKey(f), canonical: f };
      }
      if (rule.type === "text") return { value, test: plainText(f), canonical: f };
      const own = rule.type === "boolean" ? `, 'boolean'` : "";
      return { value, test: `jsonb_typeof(${f}) in ('null'${own})`, canonical: f };
    }
  }
}

/**
 * Builds the SQL for one side of a pair.
 *
 * @param record An SQL expression for a record's JSON.
 * @param locate Where the value of a path stands in it.
 */
export function plainSql(
  rules: PairRules,
  side: "local" | "remote",
  record: string,
  locate: (path: string) => ValueLocation,
): PlainSql {
  const values: string[] = [];
  const tests: string[] = [];
  const members: string[] = [];
  let key = "''";
  for (const [index, [name, rule]] of Object.entries(rules.fields).entries()) {
    const location = locate(rule[side]);
    const f = `f${index}`;
    const field = plainField(f, name, rule, rules, at(record, location.keys), location);
    values.push(`${field.value} as ${f}`);
    // A test of what is not there is null: coalesced, since null is not false enough.
    tests.push(`coalesce(${field.test}, false)`);
    members.push(`${literal(name)}, ${field.canonical}`);
    if (name === rules.keyField) key = `coalesce(${f} #>> '{}', '')`;
  }
  return {
    values,
    isPlain: tests.join("\n and "),
    canonical: `jsonb_build_object(${members.join(", ")})`,
    key,
  };
}
