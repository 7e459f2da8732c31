import type { RemoteSchema } from "../connectors/connector.ts";
import type { GuardKind } from "../merge/guard_kinds.ts";
import type { Json } from "../merge/json.ts";
import type { Flow } from "../merge/record_plan.ts";
import type { KeyedTable } from "../store/keyed_table.ts";
import type { Run } from "../store/run.ts";
import type { Pair } from "./pair.ts";

/** Side A's table with the column its records are matched by. */
export function keyedTable({ local, rules }: Pair): KeyedTable {
  return { ...local, keyColumn: rules.fields[rules.keyField]?.local ?? local.id };
}

/** Which way a run goes. */
export function flowOf(run: Run): Flow {
  const { flow } = run.params;
  return flow === "to_local" || flow === "to_remote" ? flow : "both";
}

/** The limits an operator has allowed this run to break. */
export function allowedKinds(run: Run): ReadonlySet<GuardKind> {
  const { override } = run.params;
  if (typeof override !== "object" || override === null || Array.isArray(override)) {
    return new Set();
  }
  const { guards } = override;
  const kinds: readonly GuardKind[] = ["deletes", "unsubscribes", "blanks", "updates"];
  return new Set(kinds.filter((kind) => Array.isArray(guards) && guards.includes(kind)));
}

/** The names of the schema that the pair uses: a thousand others would be carried from batch to batch. */
export function managedSets(pair: Pair, schema: RemoteSchema): { [path: string]: Json } {
  const sets: { [path: string]: Json } = {};
  for (const [path, managed] of Object.entries(pair.remote.managed)) {
    const known = schema.sets[path] ?? {};
    sets[path] = Object.fromEntries(
      managed.flatMap((name) => Object.hasOwn(known, name) ? [[name, [...known[name] ?? []]]] : []),
    );
  }
  return sets;
}

/** As much of a schema as writing takes, from what {@linkcode managedSets} stored. */
export function storedSchema(stored: Json | undefined): RemoteSchema {
  const sets: Record<string, Record<string, string[]>> = {};
  if (typeof stored === "object" && stored !== null && !Array.isArray(stored)) {
    for (const [path, names] of Object.entries(stored)) {
      if (typeof names !== "object" || names === null || Array.isArray(names)) continue;
      sets[path] = Object.fromEntries(
        Object.entries(names).map(([name, ids]) => [
          name,
          Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [],
        ]),
      );
    }
  }
  return { fields: [], sets, start: "" };
}
