/** The rules of the import graph; see "Rooms" in docs/architecture.md. */
import { type ImportGraph, importGraph, reachable, sourceFiles } from "./import_graph.ts";

/** Where code of the functions lives. */
export const PRODUCT = ["supabase/functions", "shared", "sync.config.ts"] as const;

/** What each room may import, besides itself. A room marked "types" may be used for its types only. */
const mayImport: Record<string, Record<string, "code" | "types">> = {
  functions: { config: "code", http: "code" },
  config: { engine: "code", connectors: "code", vendor: "code" },
  http: {
    engine: "code",
    store: "code",
    limits: "code",
    connectors: "code",
    merge: "code",
  },
  engine: { store: "code", limits: "code", connectors: "code", merge: "code" },
  // A connector has to tell "no leave to send" from a failure, so it knows the error of that name.
  vendor: { connectors: "code", merge: "code", limits: "code" },
  connectors: { merge: "code", limits: "types" },
  store: { merge: "code" },
  limits: { merge: "code" },
  merge: {},
};

/** The room of a file; a vendor's connector is a room of its own. */
function roomOf(path: string): string | undefined {
  if (path === "sync.config.ts") return "config";
  if (path.startsWith("supabase/functions/")) return "functions";
  if (/^shared\/connectors\/[^/]+\//.test(path)) return "vendor";
  return /^shared\/([^/]+)\//.exec(path)?.[1];
}

const isTest = (path: string) => path.endsWith("_test.ts");

/** Every breach of the rules in a tree, in words. */
export async function breaches(root: string): Promise<string[]> {
  const graph = await importGraph(root, [...PRODUCT, "tests", "simulators", "scripts"]);
  const product = [...graph.keys()].filter((path) => roomOf(path) !== undefined && !isTest(path));
  return [
    ...product.flatMap((path) => wrongArrows(graph, path)),
    ...product.flatMap((path) => withoutExtension(graph, path)),
    ...circles(graph, product),
    ...product.filter((path) => path.startsWith("supabase/functions/"))
      .flatMap((path) => strangers(graph, path)),
    ...await vendorNames(root),
  ].sort();
}

function wrongArrows(graph: ImportGraph, path: string): string[] {
  const room = roomOf(path) ?? "";
  return (graph.get(path) ?? []).flatMap(({ target, typeOnly }) => {
    if (target === undefined) return [];
    const other = roomOf(target);
    if (other === undefined) return [`${path} imports ${target}, which is no room of the product`];
    const foreign = room === "functions" && other === room &&
      target.split("/")[2] !== path.split("/")[2];
    const otherVendor = room === "vendor" && other === room &&
      target.split("/")[2] !== path.split("/")[2];
    if (other === room && !foreign && !otherVendor) return [];
    const right = mayImport[room]?.[other];
    if (right === "code" || (right === "types" && typeOnly)) return [];
    return [
      right === "types"
        ? `${path} imports code of ${target}: ${room} may use ${other} for types only`
        : `${path} imports ${target}: ${room} may not import ${other}`,
    ];
  });
}

function withoutExtension(graph: ImportGraph, path: string): string[] {
  return (graph.get(path) ?? []).flatMap(({ specifier, target }) =>
    target !== undefined && !/\.(ts|json)$/.test(specifier)
      ? [
        `${path} imports "${specifier}" without its extension: the Supabase CLI does not upload it`,
      ]
      : []
  );
}

function circles(graph: ImportGraph, paths: string[]): string[] {
  const found = new Set<string>();
  for (const path of paths) {
    for (const { target } of graph.get(path) ?? []) {
      if (target !== undefined && reachable(graph, target).has(path)) {
        found.add([path, target].sort().join(" and "));
      }
    }
  }
  return [...found].map((pair) => `${pair} are in one circle of imports`);
}

function strangers(graph: ImportGraph, path: string): string[] {
  return [...reachable(graph, path)].flatMap((file) =>
    isTest(file) || /^(tests|simulators|scripts)\//.test(file)
      ? [`${path} reaches ${file}, which would be deployed with it`]
      : []
  );
}

/** The engine knows no vendor: only the vendor's own folder may name it. */
async function vendorNames(root: string): Promise<string[]> {
  const found: string[] = [];
  for (const path of await sourceFiles(root, ["shared"])) {
    if (isTest(path) || path.startsWith("shared/connectors/mailerlite/")) continue;
    const lines = (await Deno.readTextFile(`${root}/${path}`)).split("\n");
    lines.forEach((line, index) => {
      if (/mailerlite/i.test(line)) found.push(`${path}:${index + 1} names MailerLite`);
    });
  }
  return found;
}
