import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { UsageError } from "./command.ts";

/**
 * Reads options that must all be known, and the words between them.
 *
 * @throws {UsageError} If an option is not known, or lacks its value.
 */
export function readArguments<const T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: T,
) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: true,
      options,
    });
    return { values, positionals };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(`Cannot read the command line: ${error.message}`);
  }
}

/** Reads a whole number from 1 on. @throws {UsageError} */
export function readWholeNumber(option: string, text: string): number {
  const n = Number(text);
  if (/^\d+$/.test(text) && n >= 1 && Number.isSafeInteger(n)) return n;
  throw new UsageError(`Cannot use ${option} ${text}: it is a whole number from 1 on`);
}

/** Reads one of some words. @throws {UsageError} */
export function readWord<const Word extends string>(
  option: string,
  text: string,
  words: readonly Word[],
): Word {
  const word = words.find((one) => one === text);
  if (word !== undefined) return word;
  throw new UsageError(`Cannot use ${option} ${text}: it is one of ${words.join(", ")}`);
}
