/** A program that `deno task` starts: how it reads its command line, and what it does then. */
export interface Script<Settings> {
  readonly usage: string;
  /** Settings from the command line; `undefined` asks for the usage text. @throws {TypeError} on what it does not know */
  readonly read: (args: readonly string[]) => Settings | undefined;
  /** @returns The exit code. */
  readonly run: (settings: Settings) => Promise<number>;
}

/** Where a script's own words go. */
export interface ScriptOutput {
  readonly print: (text: string) => void;
  readonly tell: (text: string) => void;
}

const CONSOLE: ScriptOutput = {
  print: (text) => console.log(text),
  tell: (text) => console.error(text),
};

/** As shells and their programs have it. */
const EXIT_BAD_USAGE = 2;

/**
 * Runs a script with the arguments of a command line.
 *
 * @returns The exit code: the script's own, 0 after the usage text was asked for, 2 when the command line cannot be read.
 */
export async function runScript<Settings>(
  script: Script<Settings>,
  args: readonly string[],
  output: ScriptOutput = CONSOLE,
): Promise<number> {
  let settings: Settings | undefined;
  try {
    settings = script.read(args);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    output.tell(`${error.message}\n\n${script.usage}`);
    return EXIT_BAD_USAGE;
  }
  if (settings === undefined) {
    output.print(script.usage);
    return 0;
  }
  return await script.run(settings);
}

/** Reads an option that is a number of things. @throws {TypeError} unless it is a whole number from 1 on */
export function readCount(option: string, text: string): number {
  const n = Number(text);
  if (/^\d+$/.test(text) && n >= 1) return n;
  throw new TypeError(`Cannot use ${option} ${text}: it is a whole number from 1 on`);
}
