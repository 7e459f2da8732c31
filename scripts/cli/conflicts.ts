/**
 * `conflicts`: the fields that wait for a person.
 *
 * @module
 */
import type { SyncConfig } from "../../shared/engine/config.ts";
import type { Json } from "../../shared/merge/json.ts";
import { choosePair } from "./choose_pair.ts";
import { renderRows } from "./columns.ts";
import type { Command, CommandContext } from "./command.ts";
import {
  conflictReason,
  type ConflictRow,
  readConflict,
  readConflicts,
  showValue,
} from "./conflict_rows.ts";
import { type ConflictTask, readConflictSettings, SHOWN } from "./conflict_task.ts";
import { EXIT_CODE, type ExitCode } from "./exit_code.ts";
import { count, counted } from "./format.ts";
import { ProgressBar } from "./progress_bar.ts";
import type { RowFilter } from "./row_query.ts";
import { RefusedError } from "./sync_client.ts";
import { renderTable } from "./table.ts";

/** A typed value in the form of the sides: a list, true or false, or text. */
export function typedValue(text: string, { a, b }: Pick<ConflictRow, "a" | "b">): Json {
  if (Array.isArray(a) || Array.isArray(b)) {
    return text.split(",").map((name) => name.trim()).filter((name) => name !== "");
  }
  if ((typeof a === "boolean" || typeof b === "boolean") && /^(true|false)$/.test(text)) {
    return text === "true";
  }
  return text;
}

/** A conflict without anybody's values, for machines. */
function withoutValues({ base: _, a: _a, b: _b, resolved_value: _r, ...rest }: ConflictRow) {
  return rest;
}

function recordOf({ link, record_key }: ConflictRow): string {
  return link === null ? record_key : link.a_id;
}

function describe(conflict: ConflictRow): string {
  const { id, field, reason, status, base, a, b, link, record_key, choice } = conflict;
  const isPair = typeof base === "object" && base !== null && !Array.isArray(base);
  const rows = [
    ["conflict", String(id)],
    ["field", field],
    ["status", status + (conflict.applied_at === null ? "" : ", carried out")],
    ["why", conflictReason(reason)],
    ["record", record_key],
    ...(link === null
      ? []
      : [["client", link.a_id], ["remote record", link.b_id ?? "none any more"]]),
    ["local", showValue(a)],
    ["remote", showValue(b)],
    ...(isPair
      ? [["local at the last agreement", showValue(base["a"])], [
        "remote at the last agreement",
        showValue(base["b"]),
      ]]
      : []),
    ["since", conflict.created_at],
    ...(choice === null ? [] : [
      ["decided", choice === "value" ? showValue(conflict.resolved_value) : choice],
      ["by", conflict.resolved_by ?? "unknown"],
    ]),
  ];
  const width = Math.max(...rows.map(([label = ""]) => label.length));
  return rows.map(([label = "", value = ""]) => `${label.padEnd(width)}  ${value}`).join("\n");
}

async function list(
  { client, print, tell }: CommandContext,
  pair: string,
  task: ConflictTask & { name: "list" },
  json: boolean,
): Promise<ExitCode> {
  const where: RowFilter[] = [
    ["pair", "eq", pair],
    ...(task.status === "all" ? [] : [["status", "eq", task.status] as const]),
    ...(task.field === undefined ? [] : [["field", "eq", task.field] as const]),
  ];
  const total = await client.count({ table: "sync_conflicts", where });
  const rows = await readConflicts(client, where, task.limit);
  if (json) {
    print(JSON.stringify({ total, conflicts: rows.map(withoutValues) }));
    return EXIT_CODE.ok;
  }
  const shown = rows.map((row) => [
    String(row.id),
    row.field,
    recordOf(row),
    row.created_at.slice(0, 16).replace("T", " "),
    task.status === "open"
      ? conflictReason(row.reason)
      : `${row.status}: ${conflictReason(row.reason)}`,
  ]);
  if (rows.length === 0) print(task.status === "open" ? "No field waits for a person" : "None");
  for (const text of renderRows(["id", "field", "record", "since", "why"], shown)) print(text);
  if (total > rows.length) {
    tell(`${count(rows.length)} of ${count(total)} shown: --limit ${total} shows all`);
  }
  return EXIT_CODE.ok;
}

async function requireConflict({ client }: CommandContext, id: number): Promise<ConflictRow> {
  const row = await readConflict(client, id);
  if (row !== null) return row;
  throw new RefusedError(`Cannot find conflict ${id}`, "not_found", "See 'conflicts list'");
}

const NEXT = "The next run carries it out: deno task sync run";

async function resolve(
  context: CommandContext,
  task: ConflictTask & { name: "resolve" },
  json: boolean,
): Promise<ExitCode> {
  const conflict = await requireConflict(context, task.id);
  const value = task.value === null ? null : typedValue(task.value, conflict);
  await context.client.rpc("resolve_sync_conflict", { id: task.id, choice: task.choice, value });
  const stands = task.choice === "value"
    ? value
    : task.choice === "local"
    ? conflict.a
    : conflict.b;
  if (json) context.print(JSON.stringify({ id: task.id, status: "resolved", choice: task.choice }));
  else {
    context.print(
      `Conflict ${task.id} is decided: ${conflict.field} is to be ${showValue(stands)}\n${NEXT}`,
    );
  }
  return EXIT_CODE.ok;
}

async function resolveAll(
  { client, print, tell, progress }: CommandContext,
  pair: string,
  task: ConflictTask & { name: "resolve_all" },
  json: boolean,
): Promise<ExitCode> {
  const { field, choice, apply } = task;
  const where: RowFilter[] = [["pair", "eq", pair], ["status", "eq", "open"], [
    "field",
    "eq",
    field,
  ]];
  const rows = await readConflicts(client, where, Infinity);
  if (!json) {
    const shown = rows.slice(0, SHOWN).map((row) => [
      String(row.id),
      recordOf(row),
      showValue(row[choice === "local" ? "a" : "b"]),
      showValue(row[choice === "local" ? "b" : "a"]),
      conflictReason(row.reason),
    ]);
    for (const text of renderRows(["id", "record", "stands", "is given up", "why"], shown)) {
      print(text);
    }
    if (rows.length > SHOWN) print(`and ${count(rows.length - SHOWN)} more`);
  }
  if (!apply) {
    if (json) {
      print(JSON.stringify({ applied: false, field, choice, conflicts: rows.map(withoutValues) }));
    } else if (rows.length === 0) print(`No conflict on ${field} is open`);
    else {
      tell(
        `Nothing was decided yet: ${
          counted(rows.length, "conflict", "conflicts")
        } on ${field} would be decided for ${choice}.`,
      );
      tell(
        `To decide them: deno task sync conflicts resolve --all --field ${field} --choose ${choice} --apply`,
      );
    }
    return EXIT_CODE.ok;
  }
  const bar = new ProgressBar(progress);
  const refused: { id: number; code: string }[] = [];
  let decided = 0;
  for (const { id } of rows) {
    try {
      await client.rpc("resolve_sync_conflict", { id, choice });
      decided++;
    } catch (error) {
      // Decided or closed meanwhile; the others do not wait for it.
      if (!(error instanceof RefusedError)) throw error;
      refused.push({ id, code: error.code });
    }
    const at = decided + refused.length;
    if (!json) {
      bar.showProgress({
        share: at / rows.length,
        isDone: at === rows.length,
        parts: [`${count(at)}/${count(rows.length)} conflicts`],
        phase: "Deciding",
      });
    }
  }
  bar.end();
  if (json) print(JSON.stringify({ applied: true, field, choice, decided, refused }));
  else {print(
      `${renderTable([["decided", count(decided)], ["refused", count(refused.length)]])}\n${NEXT}`,
    );}
  for (const { id, code } of refused) tell(`Conflict ${id} was not decided (${code})`);
  return refused.length === 0 ? EXIT_CODE.ok : EXIT_CODE.failedRun;
}

const USAGE = `Show and decide the fields that wait for a person.

Usage: deno task sync conflicts list [--field <field>] [--status <status>] [--limit <n>]
       deno task sync conflicts show <id>
       deno task sync conflicts resolve <id> local|remote|<value>
       deno task sync conflicts resolve --all --field <field> --choose local|remote [--apply]
       deno task sync conflicts reopen <id>

  local, remote    which side's value stands; local is supabase
  <value>          a value of your own; names of a list are kept apart by commas. For a value that
                   is 'local', 'remote' or empty, use --value <text>
  --all            every open conflict on one field. Shows them first, and decides with --apply only
  --status <word>  of a list: open (default), resolved, superseded or all
  --limit <n>      of a list: rows to show (default ${SHOWN})
  --pair <name>    which pair of sync.config.ts, where there are several
  --json           print one line of JSON instead of words; only that of 'show' holds values

A decision is carried out by the next run, if both sides still hold what they held: who decides, and
what was seen, is kept. 'reopen' takes one back that no run has carried out. What a person allows
(consent) is never in conflict, and cannot be decided here.

Examples:
  deno task sync conflicts list --field email
  deno task sync conflicts resolve 12 remote
  deno task sync conflicts resolve 13 "Oslo"
  deno task sync conflicts resolve --all --field city --choose remote --apply
`;

/** Makes `conflicts`. */
export function conflictsCommand({ config }: { readonly config: SyncConfig }): Command {
  return {
    name: "conflicts",
    summary: "show and decide the fields that wait for a person",
    usage: USAGE,
    read(args) {
      const { task, pair, json } = readConflictSettings(args);
      return async (context) => {
        const { name } = choosePair(config, pair);
        switch (task.name) {
          case "list":
            return await list(context, name, task, json);
          case "resolve":
            return await resolve(context, task, json);
          case "resolve_all":
            return await resolveAll(context, name, task, json);
          case "show": {
            const conflict = await requireConflict(context, task.id);
            context.print(json ? JSON.stringify(conflict) : describe(conflict));
            return EXIT_CODE.ok;
          }
          case "reopen": {
            await context.client.rpc("reopen_sync_conflict", { id: task.id });
            context.print(
              json
                ? JSON.stringify({ id: task.id, status: "open" })
                : `Conflict ${task.id} is open again`,
            );
            return EXIT_CODE.ok;
          }
        }
      };
    },
  };
}
