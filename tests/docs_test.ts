import { assert, assertEquals } from "@std/assert";
import { ERROR_STATUS } from "../shared/http/error_codes.ts";

const root = new URL("../", import.meta.url);
const read = (path: string) => Deno.readTextFile(new URL(path, root));

Deno.test("docs/errors.md lists every error code with its status, and no other", async () => {
  const rows = (await read("docs/errors.md")).matchAll(/^\| `([a-z_]+)`\s*\| (\d+)/gm);
  assertEquals(
    [...rows].map(([, code, status]) => [code, Number(status)]),
    Object.entries(ERROR_STATUS).map(([code, status]) => [code, status]),
  );
});

Deno.test("docs/configuration.md shows sync.config.ts as it is", async () => {
  const [, shown] = /```ts ignore\n([^`]*)```/.exec(await read("docs/configuration.md")) ?? [];
  assertEquals(shown, await read("sync.config.ts"));
});

Deno.test("docs/configuration.md names every variable the functions read", async () => {
  const text = await read("docs/configuration.md");
  const sources = [
    "shared/http/runtime.ts",
    "shared/http/slice_deps.ts",
    "shared/http/call_self.ts",
    "shared/connectors/mailerlite/config.ts",
    "shared/connectors/mailerlite/webhook_signature.ts",
    "shared/http/smart_sync.ts",
  ];
  const names = new Set<string>();
  for (const source of sources) {
    for (
      const [name] of (await read(source)).matchAll(/\b(?:SUPABASE|SYNC|MAILERLITE)_[A-Z_]+\b/g)
    ) {
      names.add(name);
    }
  }
  assert(names.size >= 6);
  for (const name of names) assert(text.includes(`\`${name}\``), name);
});

Deno.test("docs/operations.md explains every kind of finding, link, conflict and status", async () => {
  const text = await read("docs/operations.md");
  const migration = await read("supabase/migrations/20261121000100_two_way.sql");
  const valuesOf = (constraint: string) => {
    const [, list = ""] = migration.split(`add constraint ${constraint} check (`);
    return [...(list.split(";")[0] ?? "").matchAll(/'(\w+)'/g)].map(([, value]) => value ?? "");
  };
  const named = [
    ...valuesOf("sync_findings_kind_known"),
    ...valuesOf("integration_crosswalk_link_state_known"),
  ];
  assertEquals(named.length, 8 + 5);
  const reasons =
    (await read("shared/merge/record_plan.ts")).split("export type ConflictReason =")[1]
      ?.split(";")[0] ?? "";
  for (const [, reason = ""] of reasons.matchAll(/"(\w+)"/g)) named.push(reason);
  assert(named.length > 13);
  for (const kind of [...named, "running", "completed", "paused", "failed"]) {
    assert(text.includes(`\`${kind}\``), kind);
  }
});

Deno.test("docs/invariants.md names tests that there are", async () => {
  const text = (await read("docs/invariants.md")).replaceAll(/\s+/g, " ");
  const named = [...text.matchAll(/\[`([^`]+)`\]\(\.\.\/([^)]+)\): “([^”]+)”/g)];
  assertEquals(named.length, text.split("](../").length - 1);
  assert(named.length > 60);
  for (const [, shown = "", path = "", name = ""] of named) {
    assertEquals(shown, path);
    const source = await read(path);
    const quotes = [`"${name}"`, `\`${name}\``];
    assert(quotes.some((quoted) => source.includes(quoted)), `${path}: ${name}`);
  }
});

Deno.test("links between the documents lead somewhere", async () => {
  for (
    const path of [
      "README.md",
      "docs/architecture.md",
      "docs/operations.md",
      "docs/configuration.md",
      "docs/invariants.md",
    ]
  ) {
    for (const [, target = ""] of (await read(path)).matchAll(/\]\(([^)#\s]+)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      await Deno.stat(new URL(target, new URL(path, root)));
    }
  }
});
