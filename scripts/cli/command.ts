/**
 * What a command of the CLI is.
 *
 * @module
 */
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import type { ExitCode } from "./exit_code.ts";
import type { ProgressOutput } from "./progress_bar.ts";
import type { SyncClient } from "./sync_client.ts";

/** What a command works with. */
export interface CommandContext {
  readonly client: SyncClient;
  /** Prints a line that was asked for. */
  readonly print: (line: string) => void;
  /** Prints a line beside the result: what goes wrong, what to do. */
  readonly tell: (line: string) => void;
  readonly progress: ProgressOutput;
  readonly sleep: (ms: number) => Promise<void>;
}

/** One command: `deno task sync <name>`. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly usage: string;
  /**
   * Reads the arguments, and gives what to do.
   *
   * @throws {UsageError} before anything is asked of the project
   */
  read(args: readonly string[]): (context: CommandContext) => Promise<ExitCode>;
}

/** Raised when the command line cannot be read. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * Reads options that must all be known.
 *
 * @throws {UsageError} If one is not, or a word stands where none belongs.
 */
export function readOptions<const T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: T,
) {
  try {
    return parseArgs({ args: [...args], strict: true, options }).values;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(`Cannot read the command line: ${error.message}`);
  }
}
