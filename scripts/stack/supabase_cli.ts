/**
 * The Supabase CLI, pinned, as a library: the commands that work on a database by its address and need no container.
 *
 * Its npm package is a launcher that picks the executable of the platform; the executable's package is used directly, see `npm_package.ts`.
 */
import { z } from "zod";
import { npmPackageFolder, npmPlatform } from "./npm_package.ts";

/** Version of the Supabase CLI. */
export const SUPABASE_CLI_VERSION = "3.1.0";

/** Raised when the CLI ends with an error; the message holds what it printed. */
export class SupabaseCliError extends Error {
  override name = "SupabaseCliError";
}

/** Where the CLI looks for the project. */
export interface ProjectOptions {
  /** Folder that holds `supabase/`. Default: this repository. */
  projectFolder?: string;
}

const applied = z.object({ applied: z.array(z.string()).default([]) });

const advice = z.object({
  name: z.string(),
  level: z.enum(["ERROR", "WARN", "INFO"]),
  detail: z.string(),
});

/** One finding of `supabase db advisors`. */
export type Advice = z.infer<typeof advice>;

const repository = new URL("../..", import.meta.url).pathname.replace(
  /\/$/,
  "",
);

/**
 * Applies the migrations that a database does not have yet (`supabase migration up`).
 *
 * @param databaseUrl connection string of a superuser or of the project's `postgres` role
 * @returns the versions that were applied, in order; empty when the database was up to date
 * @throws {SupabaseCliError} when a migration fails; the database then has the ones before it
 */
export async function migrationUp(
  databaseUrl: string,
  options: ProjectOptions = {},
): Promise<string[]> {
  const { stdout } = await supabase(
    ["migration", "up", "--include-all", "--output-format=json", `--remote=${databaseUrl}`],
    options,
  );
  return applied.parse(JSON.parse(stdout)).applied
    .map((path) => /(\d+)_[^/]*$/.exec(path)?.[1] ?? path);
}

/**
 * TypeScript types of a schema (`supabase gen types`).
 *
 * @throws {SupabaseCliError}
 */
export async function genTypes(
  databaseUrl: string,
  options: ProjectOptions & { schema?: string } = {},
): Promise<string> {
  const { stdout } = await supabase(
    [
      "gen",
      "types",
      "--lang=typescript",
      `--schema=${options.schema ?? "public"}`,
      `--remote=${databaseUrl}`,
    ],
    options,
  );
  return stdout;
}

/**
 * The security and performance findings of every level (`supabase db advisors`).
 *
 * @throws {SupabaseCliError}
 */
export async function dbAdvisors(
  databaseUrl: string,
  options: ProjectOptions = {},
): Promise<Advice[]> {
  const { stdout } = await supabase(
    [
      "db",
      "advisors",
      "--type=all",
      "--level=info",
      "--output-format=json",
      `--remote=${databaseUrl}`,
    ],
    options,
  );
  return z.object({ results: z.array(advice) }).parse(JSON.parse(stdout)).results;
}

/** Path of the CLI's executable, fetched the first time. */
export async function supabaseExecutable(): Promise<string> {
  const name = `@supabase/cli-${npmPlatform()}`;
  return `${await npmPackageFolder(name, SUPABASE_CLI_VERSION)}/bin/supabase`;
}

async function supabase(
  args: string[],
  options: ProjectOptions,
): Promise<{ stdout: string; stderr: string }> {
  const executable = await supabaseExecutable();
  const { success, stdout, stderr } = await new Deno.Command(executable, {
    args: [
      ...args,
      "--yes",
      "--agent=no",
      `--workdir=${options.projectFolder ?? repository}`,
    ],
    env: {
      DO_NOT_TRACK: "1",
      SUPABASE_TELEMETRY_DISABLED: "1",
      NO_COLOR: "1",
      // Without it the CLI tries TLS first and prints a notice into the output.
      ...(args.some((arg) => /@(127\.0\.0\.1|localhost)[:/]/.test(arg))
        ? { PGSSLMODE: "disable" }
        : {}),
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  const output = {
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
  if (!success) {
    const command = args.filter((arg) => !arg.startsWith("--")).join(" ");
    throw new SupabaseCliError(
      `Cannot finish 'supabase ${command}': ${
        withoutPassword(`${output.stderr}\n${output.stdout}`).trim()
      }`,
    );
  }
  return output;
}

/** The CLI repeats the address it was given in some messages. */
function withoutPassword(text: string): string {
  return text.replaceAll(/(postgres(?:ql)?:\/\/[^:@/\s]+):[^@\s]*@/g, "$1:***@");
}
