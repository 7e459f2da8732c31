import { assertEquals } from "@std/assert";
import { readImports } from "./lib/import_graph.ts";
import { breaches } from "./lib/import_rules.ts";
import { plantTree } from "./lib/plant_tree.ts";

const repository = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

Deno.test("imports run one way, with extensions, without circles, without tests and vendors", async () => {
  assertEquals(await breaches(repository), []);
});

Deno.test("readImports finds every form and skips comments", () => {
  const text = `
import a, { type b } from "./a.ts";
import type { c } from './c.ts';
import "./d.ts";
export * from "./e.ts";
export type { f } from "./f.ts";
export {
  g,
  h, // from "./not-this.ts"
} from "./g.ts";
const i = await import("./i.ts");
// import "./not-this.ts";
/* import "./not-this.ts"; */
const url = "https://example.com"; import j from "./j.ts";
`;
  assertEquals(readImports(text).map(({ specifier, typeOnly }) => [specifier, typeOnly]), [
    ["./a.ts", false],
    ["./c.ts", true],
    ["./d.ts", false],
    ["./e.ts", false],
    ["./f.ts", true],
    ["./g.ts", false],
    ["./i.ts", false],
    ["./j.ts", false],
  ]);
});

Deno.test("a tree that keeps the rules has no breaches", async () => {
  await using tree = await plantTree({
    "supabase/functions/one/index.ts":
      'import "../../../sync.config.ts"; import "../../../shared/http/h.ts"; import "./own.ts";',
    "supabase/functions/one/own.ts": 'import pg from "pg";',
    "sync.config.ts":
      'import "./shared/connectors/mailerlite/m.ts"; import "./shared/engine/e.ts";',
    "shared/http/h.ts": 'import "../engine/e.ts"; import "../store/s.ts";',
    "shared/engine/e.ts": 'import "../store/s.ts"; import "../connectors/c.ts";',
    "shared/engine/e_test.ts": 'import "../../tests/lib/database.ts"; // MailerLite',
    "shared/store/s.ts": 'import "../merge/m.ts";',
    "shared/connectors/c.ts": 'import type { L } from "../limits/l.ts";',
    "shared/connectors/mailerlite/m.ts": 'import "../c.ts"; // MailerLite',
    "shared/limits/l.ts": "export type L = 1;",
    "shared/merge/m.ts": "",
    "tests/lib/database.ts": "",
  });
  assertEquals(await breaches(tree.root), []);
});

const planted: Record<string, { files: Record<string, string>; says: string[] }> = {
  "an arrow that runs back": {
    files: { "shared/merge/m.ts": 'import "../store/s.ts";', "shared/store/s.ts": "" },
    says: ["shared/merge/m.ts imports shared/store/s.ts: merge may not import store"],
  },
  "an arrow that runs back for types alone": {
    files: {
      "shared/store/s.ts": 'import type { E } from "../engine/e.ts";',
      "shared/engine/e.ts": "",
    },
    says: ["shared/store/s.ts imports shared/engine/e.ts: store may not import engine"],
  },
  "code where only types are allowed": {
    files: {
      "shared/connectors/c.ts": 'import { l } from "../limits/l.ts";',
      "shared/limits/l.ts": "",
    },
    says: [
      "shared/connectors/c.ts imports code of shared/limits/l.ts: connectors may use limits for types only",
    ],
  },
  "an engine that picks its vendor": {
    files: {
      "shared/engine/e.ts": 'import "../connectors/acme/a.ts";',
      "shared/connectors/acme/a.ts": "",
    },
    says: ["shared/engine/e.ts imports shared/connectors/acme/a.ts: engine may not import vendor"],
  },
  "a function that uses another one's file": {
    files: {
      "supabase/functions/one/index.ts": 'import "../two/index.ts";',
      "supabase/functions/two/index.ts": "",
    },
    says: [
      "supabase/functions/one/index.ts imports supabase/functions/two/index.ts: functions may not import functions",
    ],
  },
  "a circle": {
    files: {
      "shared/merge/a.ts": 'import "./b.ts";',
      "shared/merge/b.ts": 'export * from "./a.ts";',
    },
    says: ["shared/merge/a.ts and shared/merge/b.ts are in one circle of imports"],
  },
  "a missing extension": {
    files: { "shared/merge/a.ts": 'import "./b";', "shared/merge/b.ts": "" },
    says: [
      'shared/merge/a.ts imports "./b" without its extension: the Supabase CLI does not upload it',
    ],
  },
  "a simulator in a function": {
    files: {
      "supabase/functions/one/index.ts": 'import "../../../shared/http/h.ts";',
      "shared/http/h.ts": 'import "../../simulators/s.ts";',
      "simulators/s.ts": "",
    },
    says: [
      "shared/http/h.ts imports simulators/s.ts, which is no room of the product",
      "supabase/functions/one/index.ts reaches simulators/s.ts, which would be deployed with it",
    ],
  },
  "a vendor's name in the engine": {
    files: { "shared/engine/e.ts": "\n// ask mailerlite" },
    says: ["shared/engine/e.ts:2 names MailerLite"],
  },
};

for (const [name, { files, says }] of Object.entries(planted)) {
  Deno.test(`the rules catch ${name}`, async () => {
    await using tree = await plantTree(files);
    assertEquals(await breaches(tree.root), says);
  });
}
