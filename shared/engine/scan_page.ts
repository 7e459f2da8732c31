import type { RawPage } from "../connectors/connector.ts";
import type { Fingerprint } from "../merge/fingerprint.ts";
import type { Json } from "../merge/json.ts";
import {
  endOfValue,
  findMember,
  forEachElement,
  isObjectAt,
  skipSpace,
} from "../merge/json_bytes.ts";
import type { Print } from "../merge/print.ts";
import type { Projection } from "../merge/projection.ts";
import type { IdList } from "./id_list.ts";
import type { PrintSet } from "./print_set.ts";

/** What pages are scanned with. */
export interface PageScanner {
  readonly projection: Projection;
  readonly fingerprint: Fingerprint;
  /** Fingerprints of records that need no look. */
  readonly known: PrintSet;
  /** Takes the ids of all records that can be told. */
  readonly ids: IdList;
}

/** A page of the list, of which only what has to be looked at is still there. */
export interface ScannedPage {
  /** Records with another fingerprint than they were last seen with, or with none. */
  readonly differing: readonly Json[];
  /** Their fingerprints, by id. */
  readonly prints: ReadonlyMap<string, Print>;
  /** Records of the page. */
  readonly seen: number;
  /** The answer without its records. */
  readonly envelope: Json;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function textOf(bytes: Uint8Array, from: number, to: number): string {
  return decoder.decode(bytes.subarray(from, to));
}

/** Where the list of records starts in an answer; what follows the list is not walked over to find it. */
function findRows(bytes: Uint8Array, keys: readonly string[]): number {
  let at = skipSpace(bytes, 0);
  for (const key of keys) {
    const found = findMember(bytes, at, JSON.stringify(key));
    if (found === null) throw new SyntaxError("Cannot read a page: it has no list of records");
    at = found;
  }
  return at;
}

/** How many records are still in an answer; null where it has no list of them. */
function rowsIn(answer: Json, keys: readonly string[]): number | null {
  const rows = keys.reduce<Json>((value, key) => {
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? value[key] ?? null : null;
  }, answer);
  return Array.isArray(rows) ? rows.length : null;
}

/**
 * Takes a page apart as it came, and lets go of every record that is as it was last
 * seen: neither the page nor most of its records ever become values of JavaScript.
 *
 * @throws {SyntaxError} If it is not of the form the projection says, or not whole.
 */
export function scanPage(
  { projection, fingerprint, known, ids }: PageScanner,
  bytes: RawPage["answer"],
): ScannedPage {
  const form = new RegExp(projection.id.pattern);
  const differing: Json[] = [];
  const prints = new Map<string, Print>();
  let seen = 0;

  function look(at: number, end: number, print: Print | null): void {
    const row: Json = JSON.parse(textOf(bytes, at, end));
    differing.push(row);
    if (typeof row !== "object" || row === null || Array.isArray(row)) return;
    const { [projection.id.key]: id, [projection.oddKey ?? ""]: odd = null } = row;
    if (typeof id !== "string" || !form.test(id)) return;
    if (projection.oddKey !== null && odd !== null) return;
    ids.add(encoder.encode(id), 0);
    if (print !== null) prints.set(id, print);
  }

  const start = findRows(bytes, projection.rows);
  const end = forEachElement(bytes, start, (at) => {
    seen++;
    if (!isObjectAt(bytes, at)) {
      const rowEnd = endOfValue(bytes, at);
      look(at, rowEnd, null);
      return rowEnd;
    }
    const row = fingerprint(bytes, at);
    // What has a print is known by an id of the right form.
    if (row.isPlain && known.has(row)) ids.add(bytes, row.idFrom, row.idTo);
    else look(at, row.end, row.isPlain ? { high: row.high, low: row.low } : null);
    return row.end;
  });
  const envelope: Json = JSON.parse(
    `${textOf(bytes, 0, start)}[]${textOf(bytes, end, bytes.length)}`,
  );
  // JSON.parse() keeps the last of two members of one name, and the scan took the first.
  if (rowsIn(envelope, projection.rows) !== 0) {
    throw new SyntaxError("Cannot read a page: it has two lists of records");
  }
  return { differing, prints, seen, envelope };
}
