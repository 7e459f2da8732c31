/**
 * `why`: how one person stands, and what led to it.
 *
 * @module
 */
import type { SyncConfig } from "../../shared/engine/config.ts";
import { choosePair } from "./choose_pair.ts";
import { renderRows } from "./columns.ts";
import { type Command, type CommandContext, UsageError } from "./command.ts";
import { EXIT_CODE, type ExitCode } from "./exit_code.ts";
import { describeLogLine, explainPerson } from "./explain_person.ts";
import { readPersonFacts } from "./person_facts.ts";
import { readArguments } from "./read_arguments.ts";

/** Reads the arguments of `why`. @throws {UsageError} */
export function readWhySettings(args: readonly string[]) {
  const { values, positionals } = readArguments(args, {
    pair: { type: "string" },
    json: { type: "boolean", default: false },
  });
  const [email, ...rest] = positionals;
  if (email === undefined || rest.length > 0) {
    throw new UsageError("Cannot tell about whom: name one address");
  }
  if (!/^\s*\S+@\S+\s*$/.test(email)) {
    throw new UsageError("Cannot tell about whom: that is no e-mail address");
  }
  return { email, ...values };
}

async function why(
  config: SyncConfig,
  { client, print }: CommandContext,
  settings: ReturnType<typeof readWhySettings>,
): Promise<ExitCode> {
  const pair = choosePair(config, settings.pair);
  const facts = await readPersonFacts(client, pair, settings.email);
  const { state, headline, details } = explainPerson(facts);
  if (settings.json) {
    const log = facts.log.map(({ before: _, after: _after, ...line }) => line);
    print(JSON.stringify({ state, headline, details, log }));
  } else {
    print([headline, ...details.map((line) => `  ${line}`)].join("\n"));
    const lines = facts.log.map(describeLogLine);
    for (const text of renderRows(["when (UTC)", "written at", "what", "why"], lines)) {
      print(`\nThe last changes:\n${text}`);
    }
  }
  return state === "in_sync" || state === "excluded" ? EXIT_CODE.ok : EXIT_CODE.failedRun;
}

const USAGE = `Tell how one person stands, why, and what was changed last.

Usage: deno task sync why <email> [--pair <name>] [--json]

  --pair <name>  which pair of sync.config.ts, where there are several
  --json         print one line of JSON instead of words; it holds no values

Both sides are looked at by a dry run of smart-sync; nothing is written. Where that is refused, what
was known last is told.

Exits with 0 when the person is in sync or left out by a rule, 1 when something is to be done or the
person is not known, 2 when nothing could be looked at.

Examples:
  deno task sync why ann@example.com
`;

/** Makes `why`. */
export function whyCommand({ config }: { readonly config: SyncConfig }): Command {
  return {
    name: "why",
    summary: "tell how one person stands, and why",
    usage: USAGE,
    read(args) {
      const settings = readWhySettings(args);
      return (context) => why(config, context, settings);
    },
  };
}
