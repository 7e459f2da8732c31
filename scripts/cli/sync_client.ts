/**
 * What the commands ask a project, over supabase-js as an app does.
 *
 * @module
 */
import { createClient, FunctionsFetchError, FunctionsHttpError } from "@supabase/supabase-js";
import { z } from "zod";
import type { Project } from "./project.ts";
import { type SyncStatus, syncStatusSchema } from "./sync_status.ts";

/** A project as the commands see it. */
export interface SyncClient {
  /** Reads `sync_state.sync_status`. @throws {LookError} */
  readStatus(): Promise<SyncStatus>;
  /** Calls a function. @throws {RefusedError} as the function says; @throws {LookError} */
  call(functionName: string, body: Record<string, unknown>): Promise<unknown>;
}

/** Raised when the project does not answer, or with something that is no answer. */
export class LookError extends Error {
  override readonly name = "LookError";
}

/** Raised when a function answers that it will not. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
  constructor(
    message: string,
    /** The function's own code, for example `already_running`. */
    readonly code: string,
    readonly hint: string | null,
  ) {
    super(message);
  }
}

const refusal = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().nullable().default(null),
});

/** Opens a client; it connects when it is asked something. */
export function openSyncClient(project: Project): SyncClient {
  const supabase = createClient(project.url, project.secretKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  return {
    async readStatus() {
      const { data, error, status } = await supabase.from("sync_state").select("value")
        .eq("key", "sync_status").maybeSingle();
      if (error !== null) {
        throw new LookError(
          status === 0
            ? unreachable(project)
            : `Cannot read the status: the Data API answered ${status}${
              status === 401 ? "; check SUPABASE_SECRET_KEY" : ""
            }`,
        );
      }
      const parsed = syncStatusSchema.safeParse(data?.value);
      if (parsed.success) return parsed.data;
      throw new LookError(
        "Cannot read the status: sync_state has none of the known form; apply the migrations",
      );
    },
    async call(functionName, body) {
      const { data, error } = await supabase.functions.invoke(functionName, { body });
      if (error === null) return data;
      if (error instanceof FunctionsFetchError) throw new LookError(unreachable(project));
      if (!(error instanceof FunctionsHttpError)) {
        throw new LookError(`Cannot call ${functionName}: the platform could not reach it`);
      }
      throw await refusedBy(functionName, error.context);
    },
  };
}

function unreachable(project: Project): string {
  return `Cannot reach ${
    new URL(project.url).origin
  }: nothing answers there. Start the local stack with 'deno task start', or check SUPABASE_URL`;
}

async function refusedBy(functionName: string, response: Response): Promise<Error> {
  const body: unknown = await response.json().catch(() => undefined);
  const parsed = refusal.safeParse(body);
  if (!parsed.success) {
    return new LookError(`Cannot call ${functionName}: the answer was ${response.status}`);
  }
  return new RefusedError(parsed.data.message, parsed.data.code, parsed.data.hint);
}
