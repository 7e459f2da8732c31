/**
 * Which project the commands talk to.
 *
 * @module
 */
import { z } from "zod";

/** A project and the key that may run its functions. */
export interface Project {
  readonly url: string;
  readonly secretKey: string;
}

/** Raised when it cannot be told which project is meant, or with which key. */
export class ProjectError extends Error {
  override readonly name = "ProjectError";
}

/** Where `deno task start` listens unless told otherwise. */
export const LOCAL_URL = "http://127.0.0.1:54321";

const localKeys = z.object({ secret: z.object({ default: z.string() }) });

/**
 * Finds the project: `SUPABASE_URL` and `SUPABASE_SECRET_KEY`, else the local stack by the keys it keeps.
 *
 * @param readKeys Text of the local stack's `keys.json`, or undefined where it was never started.
 * @throws {ProjectError} If there is neither, or only half of it.
 */
export async function findProject(
  env: (name: string) => string | undefined,
  readKeys: () => Promise<string | undefined>,
): Promise<Project> {
  const url = env("SUPABASE_URL") || undefined;
  const secretKey = env("SUPABASE_SECRET_KEY") || undefined;
  if (url !== undefined && !URL.canParse(url)) {
    throw new ProjectError("Cannot use SUPABASE_URL: it is not a web address");
  }
  if (url !== undefined && secretKey !== undefined) return { url, secretKey };
  if (url !== undefined && !isLocal(url)) {
    throw new ProjectError(
      "Cannot tell the key: SUPABASE_SECRET_KEY is not set and SUPABASE_URL is not of this machine",
    );
  }
  // A secret key alone must not be sent to whatever listens on this machine.
  if (secretKey !== undefined) {
    throw new ProjectError("Cannot tell the project: SUPABASE_URL is not set");
  }
  const text = await readKeys();
  if (text === undefined) {
    throw new ProjectError(
      "Cannot tell the project: set SUPABASE_URL and SUPABASE_SECRET_KEY, or start the local stack with 'deno task start'",
    );
  }
  return { url: url ?? LOCAL_URL, secretKey: defaultKey(text) };
}

function isLocal(url: string): boolean {
  return ["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname);
}

function defaultKey(text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const keys = localKeys.safeParse(value);
  if (keys.success) return keys.data.secret.default;
  throw new ProjectError(
    "Cannot read the keys of the local stack: .stack/keys.json is damaged; start it with --reset",
  );
}
