import { isAccountHead } from "./account_lines.ts";
import { readLines, seedEntries } from "./control.ts";
import type { MailerLiteSimulator } from "./simulator.ts";

/** Shortest time between two saves, ms. */
const LEAST_PAUSE_MS = 2_000;

/** Saving takes at most this share of the time: an account of 250,000 is written in about two seconds. */
const SHARE = 1 / 20;

/** How much is encoded at once, in characters. */
const BLOCK = 1_000_000;

/** Raised when a file does not hold a whole account. */
export class DamagedAccountError extends Error {
  override name = "DamagedAccountError";

  /** @param reason Where it is damaged; never what stands there, which may be an address. */
  constructor(path: string, reason: string) {
    super(`Cannot read the simulator's account from ${path}: the file is damaged, ${reason}`);
  }
}

/**
 * Keeps an account in a file: the people, groups and custom fields, not the
 * webhooks, running imports and switches. A change is written within seconds and
 * at the end, so a program that is killed loses the last moments. The file is
 * replaced as a whole, so no half of one is ever read.
 */
export class AccountFile implements AsyncDisposable {
  readonly #simulator: MailerLiteSimulator;
  readonly #path: string;
  /** The simulator's count of changes when it was last saved. */
  #saved: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #saving: Promise<void> = Promise.resolve();

  private constructor(simulator: MailerLiteSimulator, path: string) {
    this.#simulator = simulator;
    this.#path = path;
    this.#saved = simulator.changes;
    this.#plan(LEAST_PAUSE_MS);
  }

  /**
   * Fills an empty simulator from the file, if there is one, and keeps it there from now on.
   *
   * @throws {DamagedAccountError} when the file does not hold a whole account
   */
  static async open(simulator: MailerLiteSimulator, path: string): Promise<AccountFile> {
    await restore(simulator, path);
    return new AccountFile(simulator, path);
  }

  /** Writes the account, if it has changed. */
  save(): Promise<void> {
    this.#saving = this.#saving.catch(() => {}).then(() => this.#save());
    return this.#saving;
  }

  /** Writes what has changed and keeps nothing from now on. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.save();
  }

  #plan(ms: number): void {
    const timer = setTimeout(async () => {
      const start = performance.now();
      // The next save tries again, and the last one fails the program.
      await this.save().catch((error: unknown) => console.error("Cannot save the account:", error));
      if (this.#timer !== timer) return;
      this.#plan(Math.max(LEAST_PAUSE_MS, (performance.now() - start) / SHARE));
    }, ms);
    this.#timer = timer;
  }

  async #save(): Promise<void> {
    const { changes } = this.#simulator;
    if (changes === this.#saved) return;
    // All of one moment: between two blocks an address could go from one to another.
    const blocks = encode(this.#simulator.accountLines());
    const draft = `${this.#path}.draft`;
    {
      using file = await Deno.open(draft, {
        write: true,
        create: true,
        truncate: true,
        mode: 0o600,
      });
      for (const block of blocks) {
        for (let from = 0; from < block.length;) from += await file.write(block.subarray(from));
      }
      // Or a loss of power could leave the new name with nothing behind it.
      await file.sync();
    }
    await Deno.rename(draft, this.#path);
    this.#saved = changes;
  }
}

function encode(lines: Iterable<string>): Uint8Array[] {
  const encoder = new TextEncoder();
  const blocks: Uint8Array[] = [];
  let text = "";
  for (const line of lines) {
    text += `${line}\n`;
    if (text.length < BLOCK) continue;
    blocks.push(encoder.encode(text));
    text = "";
  }
  blocks.push(encoder.encode(text));
  return blocks;
}

async function restore(simulator: MailerLiteSimulator, path: string): Promise<void> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  let read = 0;
  let lines = 0;
  async function* entries(): AsyncGenerator<unknown> {
    for await (const line of readLines(file.readable)) {
      read++;
      const value: unknown = JSON.parse(line);
      if (read > 1) yield value;
      else if (!isAccountHead(value)) throw new TypeError("Cannot read the head");
      else {
        lines = value.lines;
        simulator.skipIds(value.pastIds);
      }
    }
  }
  try {
    await seedEntries(simulator, entries());
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    throw new DamagedAccountError(path, `at line ${read} or before`);
  }
  if (read === 0 || read - 1 !== lines) {
    throw new DamagedAccountError(path, `it has ${Math.max(read - 1, 0)} records of ${lines}`);
  }
}
