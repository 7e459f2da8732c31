import { assert, assertEquals } from "@std/assert";
import { defaultSwitches, SWITCHES } from "./switches.ts";

/** The README's row of a switch, the default setting first. */
function switchRow(name: string, spec: (typeof SWITCHES)[keyof typeof SWITCHES]): string {
  const defaults: Record<string, string> = defaultSwitches();
  const settings = Object.entries(spec.settings)
    .toSorted(([a], [b]) => Number(b === defaults[name]) - Number(a === defaults[name]))
    .map(([setting, meaning]) => `\`${setting}\` ${meaning}`);
  return `| \`${name}\` | ${settings.join("; ")} | ${spec.why} |`;
}

const README = await Deno.readTextFile(new URL("./README.md", import.meta.url));

Deno.test("the README lists every switch with its settings and reason, and no other", () => {
  const rows = README.split("\n").filter((line) => /^\| `\w+` \| `/.test(line));
  assertEquals(rows, Object.entries(SWITCHES).map(([name, spec]) => switchRow(name, spec)));
});

Deno.test("the README names only files that exist", () => {
  const here = [...Deno.readDirSync(new URL(".", import.meta.url))].map((entry) => entry.name);
  for (const [, name = ""] of README.matchAll(/`([a-z_*]+\.ts)`/g)) {
    const pattern = new RegExp(`^${name.replaceAll(".", "\\.").replaceAll("*", ".*")}$`);
    assert(here.some((file) => pattern.test(file)), name);
  }
});
