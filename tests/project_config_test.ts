import { assert, assertEquals, assertMatch } from "@std/assert";

const root = new URL("../", import.meta.url);
const functions = new URL("supabase/functions/", root);

/** A section of `supabase/config.toml`, from its head to the next one. */
function sectionOf(text: string, head: string): string {
  const [, rest] = text.split(`[${head}]\n`);
  assert(rest !== undefined, `there is no [${head}]`);
  return rest.split(/^\[/m)[0] ?? "";
}

Deno.test("supabase/config.toml declares each function there is, with its own deno.json and no check of its own", async () => {
  const config = await Deno.readTextFile(new URL("supabase/config.toml", root));
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(functions)) {
    if (isDirectory && !name.startsWith("_")) names.push(name);
  }
  const declared = [...config.matchAll(/^\[functions\.([\w-]+)\]$/gm)].map(([, name]) => name);
  assertEquals(declared.toSorted(), names.toSorted());
  for (const name of names) {
    // With it a public key would pass for a user's.
    assertMatch(sectionOf(config, `functions.${name}`), /^verify_jwt = false$/m);
    await Deno.stat(new URL(`${name}/deno.json`, functions));
  }
});

Deno.test("supabase/config.toml is for PostgreSQL 17 and exposes no table by itself", async () => {
  const config = await Deno.readTextFile(new URL("supabase/config.toml", root));
  assertMatch(sectionOf(config, "db"), /^major_version = 17$/m);
  assertMatch(sectionOf(config, "api"), /^auto_expose_new_tables = false$/m);
});

Deno.test(".ci/run calls the test command of the README", async () => {
  const script = await Deno.readTextFile(new URL(".ci/run", root));
  const readme = await Deno.readTextFile(new URL("README.md", root));
  const command = script.trim().split("\n").at(-1) ?? "";
  assertMatch(readme, new RegExp(`^${command} `, "m"));
});
