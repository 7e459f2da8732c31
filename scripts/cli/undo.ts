/**
 * `undo`: gives back what a run wrote over.
 *
 * @module
 */
import type { SyncConfig } from "../../shared/engine/config.ts";
import { choosePair } from "./choose_pair.ts";
import { renderRows } from "./columns.ts";
import { type Command, type CommandContext, UsageError } from "./command.ts";
import { showValue } from "./conflict_rows.ts";
import { EXIT_CODE, type ExitCode } from "./exit_code.ts";
import { count, counted } from "./format.ts";
import { openLocalReader } from "./local_reader.ts";
import { readOpenConflicts } from "./open_conflicts.ts";
import { ProgressBar } from "./progress_bar.ts";
import { readArguments } from "./read_arguments.ts";
import { renderTable } from "./table.ts";
import {
  countOthers,
  readEndedRun,
  readNetChanges,
  undoChanges,
  type UndoItem,
} from "./undo_run.ts";

/** Rows of a list that are shown. */
const SHOWN = 50;

/** What `undo` gets from its process. */
export interface UndoProcess {
  readonly config: SyncConfig;
  readonly env: (name: string) => string | undefined;
}

/** Reads the arguments of `undo`. @throws {UsageError} */
export function readUndoSettings(args: readonly string[]) {
  const { values, positionals } = readArguments(args, {
    apply: { type: "boolean", default: false },
    field: { type: "string" },
    show: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  });
  const [run, ...rest] = positionals;
  if (run === undefined || rest.length > 0) {
    throw new UsageError("Cannot tell which run: name one id, as 'run' shows it at its end");
  }
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(run)) {
    throw new UsageError("Cannot use the id of the run: it is not of the form of a uuid");
  }
  return { ...values, run };
}

const OUTCOMES: Readonly<Record<UndoItem["outcome"], string>> = {
  ready: "can be put back",
  done: "put back",
  already: "is as it was before",
  edited_since: "edited since: left alone",
  nothing_before: "nothing was written over: left alone",
  consent: "consent is never put back",
  in_conflict: "waits for a person: left alone",
  one_way: "flows to supabase only: left alone",
  unmapped: "no longer in sync.config.ts",
  gone: "no such record any more",
  shared: "belongs to a record that others share: left alone",
  moved: "edited just now: left alone",
  locked: "held by an open transaction: try again",
  refused: "refused by the database",
};

const OTHERS: Readonly<Record<string, string>> = {
  create: "records made by the run stay",
  delete: "records deleted by the run stay deleted",
  link: "links made by the run stay",
  unlink: "links given up by the run stay given up",
  mark: "links marked by the run stay marked",
};

function summarise(
  items: readonly UndoItem[],
  others: readonly (readonly [string, number])[],
): string {
  const counts = new Map<string, number>();
  for (const { outcome, change } of items) {
    const name = `${OUTCOMES[outcome]}\t${change.field}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const outcomes = [...new Set(items.map(({ outcome }) => OUTCOMES[outcome]))].sort();
  return renderTable([
    ...outcomes.flatMap((words) => {
      const fields = [...counts].filter(([name]) => name.startsWith(`${words}\t`));
      const all = fields.reduce((sum, [, n]) => sum + n, 0);
      return [
        [words, count(all)],
        ...fields.map(([name, n]) => [`  ${name.slice(words.length + 1)}`, count(n)]),
      ];
    }),
    ...others.map(([action, n]) => [OTHERS[action] ?? action, count(n)]),
  ]);
}

function listOf(items: readonly UndoItem[], show: boolean): string[] {
  const written = items.filter(({ outcome }) => outcome === "ready" || outcome === "done");
  const rows = written.slice(0, SHOWN).map(({ change, write }) => [
    change.aId,
    change.field,
    change.a === null ? "remote" : change.b === null ? "supabase" : "both",
    ...(show && write !== null ? [showValue(write.before), showValue(write.after)] : []),
  ]);
  const head = ["record", "field", "written at", ...(show ? ["from", "back to"] : [])];
  const more = written.length > SHOWN ? [`and ${count(written.length - SHOWN)} more`] : [];
  return [...renderRows(head, rows), ...more];
}

async function undo(
  process: UndoProcess,
  context: CommandContext,
  settings: ReturnType<typeof readUndoSettings>,
): Promise<ExitCode> {
  const { client, print, tell } = context;
  const { apply, json, show, field } = settings;
  const run = await readEndedRun(client, settings.run);
  const pair = choosePair(process.config, run.pair);
  const all = await readNetChanges(client, run.id);
  const changes = field === undefined ? all : all.filter((change) => change.field === field);
  const others = await countOthers(client, run.id);
  const conflicts = await readOpenConflicts(client, pair.name);
  const bar = new ProgressBar(context.progress);
  await using local = await openLocalReader(process.env, client, pair);
  const items = await undoChanges(
    {
      client,
      pair,
      local,
      conflicts,
      onProgress: (done) => {
        if (json) return;
        bar.showProgress({
          share: done / changes.length,
          isDone: done === changes.length,
          parts: [`${count(done)}/${count(changes.length)} changes`],
          phase: apply ? "Putting back" : "Looking",
        });
      },
    },
    run.id,
    changes,
    apply,
  );
  bar.end();
  const ready = items.filter(({ outcome }) => outcome === "ready").length;
  const done = items.filter(({ outcome }) => outcome === "done").length;
  const missed =
    items.filter(({ outcome }) => apply && ["moved", "locked", "refused"].includes(outcome)).length;
  if (json) {
    print(JSON.stringify({
      run: run.id,
      applied: apply,
      others: Object.fromEntries(others),
      changes: items.map(({ change, outcome }) => ({
        aId: change.aId,
        bId: change.bId,
        field: change.field,
        writtenAt: [...(change.a === null ? [] : ["a"]), ...(change.b === null ? [] : ["b"])],
        outcome,
      })),
    }));
  } else {
    print(
      items.length + others.length === 0 ? "The run changed nothing" : summarise(items, others),
    );
    for (const text of listOf(items, show)) print(`\n${text}`);
  }
  if (!apply && ready > 0) {
    const options = field === undefined ? "" : ` --field ${field}`;
    tell(
      `Nothing was written yet. To put ${counted(ready, "value", "values")} back: ` +
        `deno task sync undo ${run.id}${options} --apply`,
    );
  }
  if (done > 0) tell("They travel to the remote with the next sync: deno task sync run");
  if (missed > 0) tell(`${count(missed)} could not be put back: run this again to try once more`);
  return missed > 0 ? EXIT_CODE.failedRun : EXIT_CODE.ok;
}

const USAGE =
  `Give back what a run wrote over. Shows what it would do first, and writes with --apply only.

Usage: deno task sync undo <run> [options]

  --apply         write
  --field <name>  only this field
  --show          show values, in the list of what is put back
  --json          print one line of JSON instead of words; it holds no values

For every field that the run wrote, on either side, the value from before is put back in supabase,
where the field still holds what the run left; else it is left alone and told. The next sync carries
it to the remote like any edit, with every limit and conflict rule. So the value comes back on both
sides, also where a person's edit in supabase is what the run carried out.

It never does more than give back:
  - consent is never put back, as that could raise what a person allows
  - a field that held nothing is not emptied, and nobody is taken out of a group
  - records that were created stay, and what was deleted, linked or given up stays so
  - where the run wrote both sides (a decision for a value of one's own), supabase's value comes back
  - a value of a record that others share, such as a partner, is left alone

Exits with 0, or with 1 when some values that could be put back were not, or 2 when there is no such
run or it is still at work.

Examples:
  deno task sync undo 11111111-1111-4111-8111-111111111111
  deno task sync undo 11111111-1111-4111-8111-111111111111 --field city --apply
`;

/** Makes `undo`. */
export function undoCommand(process: UndoProcess): Command {
  return {
    name: "undo",
    summary: "give back what a run wrote over",
    usage: USAGE,
    read(args) {
      const settings = readUndoSettings(args);
      return (context) => undo(process, context, settings);
    },
  };
}
