/** Who imports whom, read from the source text. */

/** One import or re-export. */
export interface Import {
  /** As written. */
  specifier: string;
  /** Path from the root of the tree, for a relative import. */
  target: string | undefined;
  /** Only types: gone at run time. */
  typeOnly: boolean;
}

/** Imports of every source file by its path from the root, in the order of the paths. */
export type ImportGraph = Map<string, Import[]>;

const statement =
  /(?<![.\w$])(import|export)(\s+type\b)?[^;'"`()]*?\bfrom\s*(["'])([^"'\n]+)\3|(?<![.\w$])import\s*(["'])([^"'\n]+)\5|(?<![.\w$])import\(\s*(["'])([^"'\n]+)\7/g;

/** The imports that a source text names. */
export function readImports(text: string): { specifier: string; typeOnly: boolean }[] {
  return [...withoutComments(text).matchAll(statement)].map((match) => ({
    specifier: match[4] ?? match[6] ?? match[8] ?? "",
    typeOnly: match[2] !== undefined,
  }));
}

/** Comments may quote an import; a string may hold what looks like a comment, so both are recognised and only comments go. */
function withoutComments(text: string): string {
  return text.replaceAll(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_, string: string | undefined) => string ?? " ",
  );
}

/** Reads the graph of the `.ts` files in some folders (or single files) of a tree. */
export async function importGraph(root: string, places: readonly string[]): Promise<ImportGraph> {
  const graph: ImportGraph = new Map();
  for (const path of (await sourceFiles(root, places)).sort()) {
    const imports = readImports(await Deno.readTextFile(`${root}/${path}`));
    graph.set(
      path,
      imports.map((entry) => ({ ...entry, target: resolve(path, entry.specifier) })),
    );
  }
  return graph;
}

/** Paths of the `.ts` files in some folders (or single files) of a tree. */
export async function sourceFiles(root: string, places: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const place of places) {
    const info = await Deno.stat(`${root}/${place}`).catch(() => undefined);
    if (info?.isFile) found.push(place);
    if (!info?.isDirectory) continue;
    for await (const entry of Deno.readDir(`${root}/${place}`)) {
      const path = `${place}/${entry.name}`;
      if (entry.isDirectory) found.push(...await sourceFiles(root, [path]));
      else if (entry.name.endsWith(".ts")) found.push(path);
    }
  }
  return found;
}

/** Everything that is loaded with a file, itself included; imports of types alone are not followed unless asked for. */
export function reachable(graph: ImportGraph, from: string, withTypes = true): Set<string> {
  const seen = new Set<string>();
  const open = [from];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    for (const { target, typeOnly } of graph.get(path) ?? []) {
      if (target !== undefined && (withTypes || !typeOnly)) open.push(target);
    }
  }
  return seen;
}

function resolve(from: string, specifier: string): string | undefined {
  if (!/^\.{0,2}\//.test(specifier)) return undefined;
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}
