import type { Json } from "./json.ts";
import type { PairRules } from "./pair.ts";
import type { Print } from "./print.ts";
import type { Projection } from "./projection.ts";

/** Tells whether a row of the remote may have changed, from the values a pair maps. */
export type Fingerprint = (row: Json) => Print | null;

interface Place {
  readonly keys: readonly string[];
  readonly nameKey: string | null;
  /** For a set, the names that matter. */
  readonly managed: readonly string[] | null;
}

function at(row: Json, keys: readonly string[]): Json | undefined {
  let value: Json | undefined = row;
  for (const key of keys) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    value = value[key];
  }
  return value;
}

// Entries without a readable name count for none.
function holds(entries: readonly Json[], nameKey: string | null, name: string): boolean {
  for (const entry of entries) {
    if ((nameKey === null ? entry : at(entry, [nameKey])) === name) return true;
  }
  return false;
}

/**
 * cyrb53 with both halves kept: 64 bits, by Bryc (public domain), made for short
 * texts. It guards against an edit going unseen, not against anybody who wants one to.
 *
 * It takes its text in pieces, because joining them first cost as much as all the rest.
 */
class Hash {
  // A field of a class would be a new object for every number beyond 31 bits.
  readonly #halves = new Int32Array(2);

  reset(): void {
    this.#halves[0] = 0xdeadbeef;
    this.#halves[1] = 0x41c6ce57;
  }

  add(text: string): void {
    let one = this.#halves[0] ?? 0;
    let two = this.#halves[1] ?? 0;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      one = Math.imul(one ^ code, 2654435761);
      two = Math.imul(two ^ code, 1597334677);
    }
    this.#halves[0] = one;
    this.#halves[1] = two;
  }

  take(): Print {
    let one = this.#halves[0] ?? 0;
    let two = this.#halves[1] ?? 0;
    one = Math.imul(one ^ (one >>> 16), 2246822507) ^ Math.imul(two ^ (two >>> 13), 3266489909);
    two = Math.imul(two ^ (two >>> 16), 2246822507) ^ Math.imul(one ^ (one >>> 13), 3266489909);
    return { high: two, low: one };
  }
}

/**
 * Makes a function that gives a row of the remote's own JSON a fingerprint: a hash
 * of its id and its mapped values as they stand. Equal fingerprints mean that nothing mapped
 * was edited; different ones mean no more than that the row has to be looked at.
 *
 * So nearly every row of a list costs a look at a dozen values, and is neither
 * checked, nor decoded, nor brought into canonical form.
 *
 * @returns A function that answers null for a row it cannot read, which has to be looked at too.
 */
export function fingerprintOf(rules: PairRules, projection: Projection): Fingerprint {
  const places = Object.values(rules.fields).map((rule): Place => {
    const { keys, nameKey } = projection.locate(rule.remote);
    return { keys, nameKey: nameKey ?? null, managed: rule.kind === "set" ? rule.managed : null };
  });
  const { key } = projection.id;
  const hash = new Hash();
  return (row) => {
    hash.reset();
    // With pair and id in it, a fingerprint alone tells the record.
    hash.add(rules.name);
    hash.add(":");
    hash.add(String(at(row, [key])));
    hash.add(":");
    for (const { keys, nameKey, managed } of places) {
      const value = at(row, keys);
      if (managed !== null) {
        if (!Array.isArray(value)) return null;
        for (const name of managed) hash.add(holds(value, nameKey, name) ? "1" : "0");
      } else if (typeof value === "string") {
        // The length keeps "a" and "bc" apart from "ab" and "c".
        hash.add("s");
        hash.add(String(value.length));
        hash.add(":");
        hash.add(value);
      } else if (value === null || value === undefined) hash.add("-");
      else if (typeof value === "object") return null;
      else hash.add(`${typeof value}:${value};`);
    }
    return hash.take();
  };
}
