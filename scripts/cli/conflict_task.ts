/**
 * What the arguments of `conflicts` ask for.
 *
 * @module
 */
import { UsageError } from "./command.ts";
import { readArguments, readWholeNumber, readWord } from "./read_arguments.ts";

/** Rows of a list or preview that are shown unless more are asked for. */
export const SHOWN = 50;

type Choice = "local" | "remote" | "value";

/** What was asked for. */
export type ConflictTask =
  | {
    readonly name: "list";
    readonly status: string;
    readonly field: string | undefined;
    readonly limit: number;
  }
  | { readonly name: "show" | "reopen"; readonly id: number }
  | {
    readonly name: "resolve";
    readonly id: number;
    readonly choice: Choice;
    readonly value: string | null;
  }
  | {
    readonly name: "resolve_all";
    readonly field: string;
    readonly choice: "local" | "remote";
    readonly apply: boolean;
  };

/** A task, and on which pair. */
export interface ConflictSettings {
  readonly task: ConflictTask;
  readonly pair: string | undefined;
  readonly json: boolean;
}

function readId(text: string | undefined): number {
  if (text === undefined) throw new UsageError("Cannot tell which conflict: its id is missing");
  return readWholeNumber("the id", text);
}

/** Reads the arguments of `conflicts`. @throws {UsageError} */
export function readConflictSettings(args: readonly string[]): ConflictSettings {
  const { values, positionals } = readArguments(args, {
    status: { type: "string" },
    field: { type: "string" },
    limit: { type: "string" },
    all: { type: "boolean", default: false },
    choose: { type: "string" },
    value: { type: "string" },
    apply: { type: "boolean", default: false },
    pair: { type: "string" },
    json: { type: "boolean", default: false },
  });
  const [name, ...rest] = positionals;
  const used = new Set(
    Object.entries(values).flatMap(([option, value]) =>
      value === undefined || value === false ? [] : [option]
    ),
  );
  const only = (...options: string[]) => {
    const known = new Set([...options, "pair", "json"]);
    const other = [...used].find((option) => !known.has(option));
    if (other !== undefined) throw new UsageError(`Cannot use --${other} here`);
  };
  const words = (n: number) => {
    if (rest.length > n) {
      throw new UsageError(`Cannot tell what to do: '${name}' takes fewer words`);
    }
  };
  const task = ((): ConflictTask => {
    switch (name) {
      case "list":
        only("status", "field", "limit");
        words(0);
        return {
          name,
          status: readWord("--status", values.status ?? "open", [
            "open",
            "resolved",
            "superseded",
            "all",
          ]),
          field: values.field,
          limit: values.limit === undefined ? SHOWN : readWholeNumber("--limit", values.limit),
        };
      case "show":
      case "reopen":
        only();
        words(1);
        return { name, id: readId(rest[0]) };
      case "resolve": {
        if (values.all) {
          only("all", "field", "choose", "apply");
          words(0);
          if (values.field === undefined || values.choose === undefined) {
            throw new UsageError("Cannot resolve all: --field and --choose are needed");
          }
          const choice = readWord("--choose", values.choose, ["local", "remote"]);
          return { name: "resolve_all", field: values.field, choice, apply: values.apply };
        }
        only("value");
        words(2);
        const id = readId(rest[0]);
        const word = rest[1];
        if ((word === undefined) === (values.value === undefined)) {
          throw new UsageError("Cannot resolve it: say local, remote, a value, or --value <text>");
        }
        if (word === "local" || word === "remote") return { name, id, choice: word, value: null };
        return { name, id, choice: "value", value: values.value ?? word ?? "" };
      }
      default:
        throw new UsageError("Cannot tell what to do: say list, show, resolve or reopen");
    }
  })();
  return { task, pair: values.pair, json: values.json };
}
