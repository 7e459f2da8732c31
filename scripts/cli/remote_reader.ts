/**
 * Side B as the commands read it, through the pair's connector.
 *
 * @module
 */
import type { ConnectorContext, RemoteRecord } from "../../shared/connectors/connector.ts";
import { MissingConfigurationError } from "../../shared/connectors/missing_configuration_error.ts";
import { RemoteError } from "../../shared/connectors/remote_error.ts";
import { UnreadableRecordsError } from "../../shared/connectors/unreadable_records_error.ts";
import { ConfigurationError } from "../../shared/engine/configuration_error.ts";
import { checkRemoteSchema } from "../../shared/engine/open_sides.ts";
import type { Pair } from "../../shared/engine/pair.ts";
import { politeLimiter } from "./polite_limiter.ts";
import { LookError, RefusedError } from "./sync_client.ts";

/** What a command that speaks to the remote gets from its process. */
export type RemoteProcess = Pick<ConnectorContext, "env" | "fetch" | "now" | "random">;

/** A page of side B. */
export interface RemotePage {
  readonly records: readonly RemoteRecord[];
  /** Ids of records that exist and cannot be read; null where not even the id can. */
  readonly unreadable: readonly (string | null)[];
}

/** Reads records of side B. */
export interface RemoteReader {
  /** All records, page by page. A record may come up twice. @throws {LookError}, {RefusedError} */
  list(): AsyncGenerator<RemotePage>;
  /** The records of these ids: null where there is none, `unreadable` where it cannot be read. */
  get(ids: readonly string[]): Promise<ReadonlyMap<string, RemoteRecord | null | "unreadable">>;
}

/** A failure of the remote as the CLI tells it. */
function refusal(error: unknown): unknown {
  if (error instanceof MissingConfigurationError) {
    return new RefusedError(error.message, error.code, `Set ${error.variable} and try again`);
  }
  if (error instanceof ConfigurationError) return new LookError(error.message);
  if (!(error instanceof RemoteError)) return error;
  const hint = error.kind === "auth"
    ? "Check the API key in the environment of this command"
    : "Try again later; nothing was written";
  return new RefusedError(error.message, error.code, hint);
}

async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw refusal(error);
  }
}

/** Opens side B. Takes at most half of its budget of requests, which the sync needs too. */
export function openRemoteReader(
  process: RemoteProcess,
  sleep: (ms: number) => Promise<void>,
  pair: Pair,
): RemoteReader {
  const { connector } = pair.remote;
  const [budget] = Object.values(connector.spec.budgets);
  const context: ConnectorContext = {
    ...process,
    sleep,
    limiter: politeLimiter({
      now: process.now,
      sleep,
      requests: Math.max(1, Math.floor((budget?.requests ?? 60) / 2)),
      windowMs: budget?.windowMs ?? 60_000,
    }),
    signal: new AbortController().signal,
  };
  return {
    async *list() {
      const schema = await told(() => connector.describe(context));
      await told(() => Promise.resolve(checkRemoteSchema(pair, schema)));
      let cursor: string | null = schema.start;
      while (cursor !== null) {
        const at: string = cursor;
        const { records, unreadable, next } = await told(() => connector.list(context, at));
        yield { records, unreadable: unreadable.map(({ id }) => id) };
        cursor = next;
      }
    },
    async get(ids) {
      const found = new Map<string, RemoteRecord | null | "unreadable">();
      let wanted = [...new Set(ids)];
      while (wanted.length > 0) {
        try {
          const records = await connector.get(context, wanted);
          wanted.forEach((id, index) => found.set(id, records[index] ?? null));
          return found;
        } catch (error) {
          if (!(error instanceof UnreadableRecordsError) || error.indexes.length === 0) {
            throw refusal(error);
          }
          const bad = new Set(error.indexes);
          wanted.forEach((id, index) => bad.has(index) && found.set(id, "unreadable"));
          wanted = wanted.filter((_, index) => !bad.has(index));
        }
      }
      return found;
    },
  };
}
