/**
 * `deno task ok`: everything that can be checked without a database, in the order in which it is quick to fail.
 *
 * Test files are told apart by their names: `*_test.ts` needs nothing, `*_db_test.ts` needs PostgreSQL, `*_e2e_test.ts` starts processes. Only the first kind runs here;
 * `deno task test` runs them all.
 */
import { sourceFiles } from "../tests/lib/import_graph.ts";
import { inLanes } from "./lanes.ts";

const repository = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** Folders (and single files) with TypeScript of this repository. */
const places = ["scripts", "shared", "simulators", "supabase/functions", "tests", "sync.config.ts"];

/** One call of Deno. */
export interface Step {
  readonly name: string;
  readonly args: readonly string[];
}

/** Whether a test file needs neither a database nor processes. */
export function isUnitTest(path: string): boolean {
  return path.endsWith("_test.ts") && !/_(db|e2e)_test\.ts$/.test(path);
}

/** The names of the functions; those whose `deno.json` is the same to the letter stand together. */
export async function functionsByConfig(): Promise<string[][]> {
  const names = new Map<string, string[]>();
  for (const path of (await sourceFiles(repository, ["supabase/functions"])).sort()) {
    const name = /^supabase\/functions\/([^/]+)\/index\.ts$/.exec(path)?.[1];
    if (name === undefined) continue;
    const config = await Deno.readTextFile(`${repository}/supabase/functions/${name}/deno.json`);
    names.set(config, [...names.get(config) ?? [], name]);
  }
  return [...names.values()];
}

/** What `deno check` is given to check functions of one `deno.json`: together, since they share most of what they import. */
export function functionCheck(names: readonly string[]): string[] {
  return [
    "--no-lock",
    `--config=supabase/functions/${names[0]}/deno.json`,
    ...names.map((name) => `supabase/functions/${name}/index.ts`),
  ];
}

/** Format, lint, types and the documents' examples: what needs no test. */
export async function checks(): Promise<Step[]> {
  const files = (await sourceFiles(repository, places)).sort();
  const documents = await markdownFiles();
  return [
    { name: "format", args: ["fmt", "--check"] },
    { name: "lint", args: ["lint"] },
    { name: "types", args: ["check", ...files] },
    ...(await functionsByConfig()).map((names) => ({
      name: `types of ${names.join(", ")} with their own deno.json`,
      args: ["check", ...functionCheck(names)],
    })),
    ...(documents.length === 0
      ? []
      : [{ name: "examples in the documents", args: ["check", "--doc-only", ...documents] }]),
  ];
}

/** Every test file of the repository, of all three kinds. */
export async function testFiles(): Promise<string[]> {
  const files = await sourceFiles(repository, places);
  return files.filter((path) => path.endsWith("_test.ts")).sort();
}

async function unitTests(): Promise<Step> {
  // The right to run programs is what a unit test must not need.
  const flags = ["--no-check", "--parallel", "-A", "--deny-run"];
  const args = ["test", ...flags, ...(await testFiles()).filter(isUnitTest)];
  return { name: "unit tests", args };
}

async function markdownFiles(): Promise<string[]> {
  const found: string[] = [];
  for (const folder of [".", "docs"]) {
    try {
      for await (const entry of Deno.readDir(`${repository}/${folder}`)) {
        if (entry.isFile && entry.name.endsWith(".md")) found.push(`${folder}/${entry.name}`);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return found.sort();
}

/** Runs the steps side by side, prints how each went, and resolves to whether all went well. */
export async function runSteps(steps: readonly Step[]): Promise<boolean> {
  const failed: string[] = [];
  await inLanes(steps, navigator.hardwareConcurrency, async ({ name, args }) => {
    const start = performance.now();
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...args],
      cwd: repository,
      env: Deno.stdout.isTerminal() && !Deno.noColor ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${success ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
    if (success) return;
    failed.push(name);
    const decoder = new TextDecoder();
    console.log(`${decoder.decode(stdout)}${decoder.decode(stderr)}`.trimEnd());
  });
  if (failed.length > 0) console.log(`\nFAILED: ${failed.join(", ")}`);
  return failed.length === 0;
}

if (import.meta.main) {
  const checked = await runSteps(await checks());
  // By itself: it takes all processors.
  const tested = await runSteps([await unitTests()]);
  Deno.exit(checked && tested ? 0 : 1);
}
