/** What the functions ask of their own `deno.json`, the only one that is deployed with them. */
import { z } from "zod";
import { importGraph, reachable } from "./import_graph.ts";
import { PRODUCT } from "./import_rules.ts";

const configuration = z.object({ imports: z.record(z.string(), z.string()).default({}) });

const EXACT = /^(npm|jsr):(@[^/@]+\/)?[^/@]+@\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\/.*)?$/;

/** Every fault of the functions' import maps in a tree, in words. */
export async function functionImportFaults(root: string): Promise<string[]> {
  const wanted = await readImportMap(`${root}/deno.json`);
  const graph = await importGraph(root, PRODUCT);
  const faults: string[] = [];
  for (const entry of graph.keys()) {
    const name = /^supabase\/functions\/([^/]+)\/index\.ts$/.exec(entry)?.[1];
    if (name === undefined) continue;
    const own = await readImportMap(`${root}/supabase/functions/${name}/deno.json`);
    for (const [key, value] of Object.entries(own)) {
      if (key.endsWith("/")) {
        faults.push(`${name}: the folder entry "${key}" uploads the whole folder`);
      } else if (!EXACT.test(value)) faults.push(`${name}: "${key}" has no exact version`);
      else if (wanted[key] !== value) faults.push(`${name}: "${key}" differs from the root's`);
    }
    const files = [...reachable(graph, entry)].sort();
    const bare = new Set(
      files.flatMap((file) =>
        (graph.get(file) ?? []).filter(({ target }) => target === undefined)
          .map(({ specifier }) => specifier)
      ),
    );
    for (const specifier of [...bare].sort()) {
      if (/^node:/.test(specifier)) continue;
      if (/^[a-z]+:/.test(specifier)) {
        faults.push(`${name}: "${specifier}" is named in the code, not in the import map`);
      } else if (!Object.keys(own).some((key) => covers(key, specifier))) {
        faults.push(`${name}: "${specifier}" is missing`);
      }
    }
  }
  return faults;
}

/** An entry for an npm package covers the package's own entry points too. */
function covers(key: string, specifier: string): boolean {
  return specifier === key || specifier.startsWith(`${key}/`);
}

async function readImportMap(path: string): Promise<Record<string, string>> {
  return configuration.parse(JSON.parse(await Deno.readTextFile(path))).imports;
}
