/**
 * What the commands ask a project, over supabase-js as an app does.
 *
 * @module
 */
import {
  createClient,
  FunctionsFetchError,
  FunctionsHttpError,
  type SupabaseClient,
} from "@supabase/supabase-js";
import { z } from "zod";
import type { Project } from "./project.ts";
import type { Row, RowQuery } from "./row_query.ts";
import { type SyncStatus, syncStatusSchema } from "./sync_status.ts";

/** A project as the commands see it. */
export interface SyncClient {
  /** Reads `sync_state.sync_status`. @throws {LookError} */
  readStatus(): Promise<SyncStatus>;
  /** Calls a function. @throws {RefusedError} as the function says; @throws {LookError} */
  call(functionName: string, body: Record<string, unknown>): Promise<unknown>;
  /** Reads rows, as many as the Data API gives at once. @throws {LookError} */
  select(query: RowQuery): Promise<Row[]>;
  /** Counts rows. @throws {LookError} */
  count(query: Omit<RowQuery, "columns">): Promise<number>;
  /** Calls a function of the database. @throws {RefusedError} as it says; @throws {LookError} */
  rpc(name: string, args: Record<string, unknown>): Promise<unknown>;
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
      if (error !== null) throw dataApiError(project, "read the status", status);
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
    async select(query) {
      const { data, error, status } = await rowsOf(supabase, query, query.columns, false);
      if (error !== null) {
        throw dataApiError(project, `read ${query.table}`, status, error.code);
      }
      return data ?? [];
    },
    async count(query) {
      const { count, error, status } = await rowsOf(supabase, query, "*", true);
      if (error !== null) {
        throw dataApiError(project, `count ${query.table}`, status, error.code);
      }
      return count ?? 0;
    },
    async rpc(name, args) {
      const { data, error, status } = await supabase.rpc(name, args);
      if (error === null) return data;
      // What the function raised says what is wrong, and quotes no value.
      if (status >= 400 && status < 500 && status !== 401 && error.message.startsWith("Cannot ")) {
        throw new RefusedError(error.message, error.code, null);
      }
      throw dataApiError(project, `call ${name}`, status, error.code);
    },
  };
}

function rowsOf(
  supabase: SupabaseClient,
  query: Omit<RowQuery, "columns">,
  columns: string,
  count: boolean,
) {
  const { table, where = [], order, limit } = query;
  const from = query.schema === undefined || query.schema === "public"
    ? supabase.from(table)
    : supabase.schema(query.schema).from(table);
  let built = from.select<string, Row>(columns, count ? { count: "exact", head: true } : {});
  for (const [column, operator, value] of where) {
    built = operator === "in"
      ? built.in(column, [...value])
      : operator === "contains"
      ? built.contains(column, [...value])
      : built.filter(column, operator, value);
  }
  if (order !== undefined) {
    built = built.order(order.column, { ascending: order.descending !== true });
  }
  return limit === undefined ? built : built.limit(limit);
}

/** A failed look. The database's own message is kept back, since it can quote a row. */
function dataApiError(
  project: Project,
  what: string,
  status: number,
  code = "",
): LookError {
  if (status === 0) return new LookError(unreachable(project));
  const hint = status === 401
    ? "; check SUPABASE_SECRET_KEY"
    : ["PGRST202", "PGRST205", "42P01", "42703", "42883"].includes(code)
    ? "; apply the migrations, and check the names in sync.config.ts"
    : "";
  const told = code === "" ? `${status}` : `${status} (${code})`;
  return new DataApiError(`Cannot ${what}: the Data API answered ${told}${hint}`, code);
}

/** Raised when the Data API refuses, with its code or that of the database. */
export class DataApiError extends LookError {
  constructor(message: string, readonly code: string) {
    super(message);
  }
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
