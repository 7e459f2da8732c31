/**
 * SQL that brings records into canonical form where that takes next to nothing.
 *
 * What a canonical value is, is defined once, in `shared/merge/canonical.ts`. A
 * second definition in SQL would drift from it, and then every record would look
 * edited. So this one does the two steps at which PostgreSQL and JavaScript cannot
 * differ, and tests that no other is needed: it takes outer spaces (U+0020, and
 * nothing else) off a text, and brings the capitals of a key of printable ASCII
 * into lower case. A text that is then neither empty nor in NFC without outer
 * space, a key with any other character, a number that is not null: whatever
 * fails the test goes the long way, through the definition. Most records pass,
 * and never become objects of an isolate that has two seconds of CPU for all of
 * them. `tests/stage_plain_db_test.ts` holds both ways to the same letters.
 *
 * @module
 */
import { CONSENT_STATUSES } from "../merge/consent.ts";
import type { FieldRule, PairRules } from "../merge/pair.ts";
import type { ValueLocation } from "../merge/projection.ts";

/** What to select for each record, given its JSON. */
export interface PlainSql {
  /** A lateral join that computes the values once a record, to be put behind the record's own source. */
  readonly values: string;
  /** True for a record whose canonical form SQL can tell. */
  readonly isPlain: string;
  /** That form; of no meaning for any other record. */
  readonly canonical: string;
  /** What the record is matched by. */
  readonly key: string;
}

// What JavaScript's trim() removes above ASCII (ECMAScript, WhiteSpace and
// LineTerminator), as code points. In ASCII, everything up to the space is
// taken for one: too much, which costs a few records the long way.
const SPACES = [160, 5760, 8192, 8193, 8194, 8195, 8196, 8197, 8198, 8199, 8200, 8201, 8202]
  .concat([8232, 8233, 8239, 8287, 12288, 65279]);

/** A text constant of SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function at(record: string, keys: readonly string[]): string {
  return keys.reduce((value, key) => `${value} -> ${literal(key)}`, record);
}

interface PlainField {
  /** The value as JSON. */
  readonly value: string;
  /** The value as text, given its JSON. */
  readonly text: string;
  /** Whether `canonical` is its canonical form. */
  readonly test: string;
  readonly canonical: string;
}

function textOf(f: string): string {
  return `${f} #>> '{}'`;
}

function isNoSpace(character: string): string {
  return `${character} > 32 and ${character} <> all ('{${SPACES.join(",")}}')`;
}

// trim() and NFC may change places here: a space joins with no character around
// it, and what is in NFC without outer spaces is so with them.
function textField(f: string, t: string, value: string): PlainField {
  return {
    value,
    text: `btrim(${textOf(f)}, ' ')`,
    test: `case jsonb_typeof(${f}) when 'null' then true when 'string' then ${t} = '' ` +
      `or ${isNoSpace(`ascii(${t})`)} and ${isNoSpace(`ascii(right(${t}, 1))`)} ` +
      `and (octet_length(${t}) = length(${t}) or ${t} is nfc normalized) else false end`,
    canonical: `nullif(${t}, '')`,
  };
}

// Beyond ASCII, lower() and toLowerCase() differ. The collation keeps lower() from
// making ASCII of what was none, such as the sign of the Kelvin, before the test.
function keyField(f: string, t: string, value: string): PlainField {
  return {
    value,
    text: `lower(btrim(${textOf(f)}, ' ') collate "C")`,
    test: `jsonb_typeof(${f}) = 'string' and ${t} collate "C" ~ '^[!-~]+$'`,
    canonical: t,
  };
}

function consentField(f: string, value: string, words: ValueLocation["words"]): PlainField {
  const known = words ?? Object.fromEntries(CONSENT_STATUSES.map((word) => [word, word]));
  const ours = `${literal(JSON.stringify(known))}::jsonb -> (${value} #>> '{}')`;
  const test = `jsonb_typeof(${value}) = 'string' and ${f} is not null`;
  return { value: ours, text: textOf(f), test, canonical: f };
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
    text: textOf(f),
    test: `case jsonb_typeof(${f}) when 'array' then ${entries} else false end`,
    canonical: parts.length === 0 ? `'[]'::jsonb` : `(${parts.join(" || ")})`,
  };
}

function plainField(
  f: string,
  t: string,
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
      if (name === rules.keyField) {
        return rules.keyCompare === "lower-trim" ? keyField(f, t, value) : textField(f, t, value);
      }
      if (rule.type === "text") return textField(f, t, value);
      const own = rule.type === "boolean" ? `, 'boolean'` : "";
      const test = `jsonb_typeof(${f}) in ('null'${own})`;
      return { value, text: textOf(f), test, canonical: f };
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
  const texts: string[] = [];
  const tests: string[] = [];
  const members: string[] = [];
  let key = "''";
  for (const [index, [name, rule]] of Object.entries(rules.fields).entries()) {
    const location = locate(rule[side]);
    const f = `f${index}`;
    const t = `t${index}`;
    const field = plainField(f, t, name, rule, rules, at(record, location.keys), location);
    values.push(`${field.value} as ${f}`);
    texts.push(`${field.text} as ${t}`);
    // A test of what is not there is null: coalesced, since null is not false enough.
    tests.push(`coalesce(${field.test}, false)`);
    members.push(`${literal(name)}, ${field.canonical}`);
    if (name === rules.keyField) key = `coalesce(${t}, '')`;
  }
  return {
    // "offset 0" keeps the planner from writing each expression out wherever its
    // name stands, which took a value out of its record seven times over.
    // One inside the other: between two joins it puts a cache that never hits.
    values: `cross join lateral (select v.*, ${texts.join(", ")} ` +
      `from (select ${values.join(", ")} offset 0) v offset 0) w`,
    isPlain: tests.join("\n and "),
    canonical: `jsonb_build_object(${members.join(", ")})`,
    key,
  };
}
