import { assertEquals } from "@std/assert";
import { functionImportFaults } from "./lib/function_imports.ts";
import { plantTree } from "./lib/plant_tree.ts";

const repository = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

Deno.test("each function's deno.json has what it imports, in the root's exact versions", async () => {
  assertEquals(await functionImportFaults(repository), []);
});

Deno.test("every fault of a function's deno.json is caught", async () => {
  await using tree = await plantTree({
    "deno.json": JSON.stringify({
      imports: { pg: "npm:pg@8.0.1", zod: "npm:zod@4.0.0", lax: "npm:lax@^1.0.0" },
    }),
    "supabase/functions/one/deno.json": JSON.stringify({
      imports: { zod: "npm:zod@4.0.1", lax: "npm:lax@^1.0.0", "@shared/": "../../../shared/" },
    }),
    "supabase/functions/one/index.ts":
      'import "../../../shared/http/h.ts"; import "npm:left-pad@1.0.0"; import "node:fs";',
    "shared/http/h.ts": 'import pg from "pg"; import { z } from "zod/mini";',
    "shared/http/unused.ts": 'import "not-reached";',
  });
  assertEquals(await functionImportFaults(tree.root), [
    'one: "zod" differs from the root\'s',
    'one: "lax" has no exact version',
    'one: the folder entry "@shared/" uploads the whole folder',
    'one: "npm:left-pad@1.0.0" is named in the code, not in the import map',
    'one: "pg" is missing',
  ]);
});
