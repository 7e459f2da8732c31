/**
 * The seam between the engine and a remote system. A connector does I/O and has
 * no policy: it never decides what to write, and it never touches the database.
 *
 * @module
 */
import type { ConsentStatus } from "../merge/consent.ts";
import type { Doc, Json } from "../merge/json.ts";
import type { KeyCompare } from "../merge/pair.ts";
import type { Projection } from "../merge/projection.ts";
import type { RateLimiter } from "../limits/rate_limiter.ts";
import type { WebhookReceiver } from "./webhook.ts";

/** What a system can do, as data. */
export interface EntitySpec {
  /** Name of the connector, in the words of directions, buckets and logs. */
  readonly connector: string;
  /** Name of the record type. */
  readonly type: string;
  /** The path records are first matched by, and how. */
  readonly key: { readonly path: string; readonly compare: KeyCompare };
  /** Paths a pair may map: exact names, or a prefix that ends in a dot. */
  readonly writable: readonly string[];
  /** Server-owned paths, refused as a target. */
  readonly readOnly: readonly string[];
  /** The path of the consent status, and the statuses that a write may set. */
  readonly consent: {
    readonly path: string;
    readonly editable: readonly ConsentStatus[];
  };
  /** Paths that hold a set of names. */
  readonly sets: readonly string[];
  /** Records a write call takes at most. */
  readonly batchMax: number;
  /** Environment variables without which no call can be made. */
  readonly requiredEnv: readonly string[];
  /** How many requests each budget allows in any window of so many ms. The first is the general one. */
  readonly budgets: Readonly<
    Record<string, { readonly requests: number; readonly windowMs: number }>
  >;
  /** Where values stand in a page's JSON. */
  readonly projection: Projection;
  /** Prefix of the paths that the account defines for itself; a mapped one must exist in {@linkcode RemoteSchema.fields}. */
  readonly fieldPrefix: string;
}

/** One record of the remote: paths as in {@linkcode EntitySpec}, sets as names. */
export interface RemoteRecord {
  readonly id: string;
  readonly doc: Doc;
}

/** A record that was listed and cannot be used. It counts as seen, and as failed. */
export interface UnreadableRecord {
  readonly id: string | null;
  /** Why, without any value. */
  readonly reason: string;
}

/** One page of an enumeration. */
export interface Page {
  readonly records: readonly RemoteRecord[];
  readonly unreadable: readonly UnreadableRecord[];
  /** Where the next page starts; null only after the last page. Opaque. */
  readonly next: string | null;
}

/** One page as the remote sent it, not parsed yet. */
export interface RawPage {
  /** The answer: whole, and JSON by its header. */
  readonly answer: Uint8Array;
  /** Ids of records whose presence on the page decides what comes after it. */
  readonly watch: readonly string[];
  /** The page after it, on its way already. */
  readonly ahead: FetchAhead | null;
}

/** A page that was asked for before anybody knew for certain that it comes next. */
export interface FetchAhead {
  /** What was asked for; it is used only if that is asked for next. */
  readonly request: string;
  readonly answer: Promise<Uint8Array>;
}

/** How a page is fetched. */
export interface FetchOptions {
  /** The page before, which may have this one on its way. */
  readonly previous: RawPage | null;
  /** Whether to send for the page after this one as well. */
  readonly ahead: boolean;
}

/** What somebody else read of a {@linkcode RawPage}, by the connector's projection. */
export interface RawPageRest {
  /** The answer without its records. */
  readonly envelope: Json;
  /** The records that were left to the connector. */
  readonly rows: readonly Json[];
  /** Which of the watched ids are on the page. */
  readonly watched: readonly string[];
}

/** What the remote account holds that a configuration can name. */
export interface RemoteSchema {
  /** Paths under {@linkcode EntitySpec.fieldPrefix} that exist. */
  readonly fields: readonly string[];
  /** Names a set may hold, with the remote's id of each. A name the remote holds twice has more than one id. */
  readonly sets: Readonly<
    Record<string, Readonly<Record<string, readonly string[]>>>
  >;
  /** Where a first page starts. Opaque; carries what the connector has to prove about the enumeration. */
  readonly start: string;
}

/** Names added to and removed from a set; names in neither list stay as they are. */
export interface SetChange {
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

/** One write. Only what changes is in it, so that an edit of another field made meanwhile survives. */
export type WriteOp =
  | {
    readonly op: "create";
    readonly fields: Doc;
    readonly sets: Readonly<Record<string, readonly string[]>>;
  }
  | {
    readonly op: "update";
    readonly id: string;
    readonly fields: Doc;
    readonly sets: Readonly<Record<string, SetChange>>;
  }
  | { readonly op: "delete"; readonly id: string };

/**
 * What became of one write.
 *
 * - `ok`: done; `record` is the record as the remote answered it, where it did
 * - `rejected`: the remote refused it, and would again
 * - `not_found`: there is no such record
 * - `retryable`: it was not done and may be tried again
 * - `unknown`: it may have been done; read before trying again
 */
export type WriteResult =
  | {
    readonly outcome: "ok";
    readonly id: string;
    readonly record: RemoteRecord | null;
    readonly created: boolean;
  }
  | {
    readonly outcome: "rejected" | "not_found" | "retryable" | "unknown";
    readonly code: string;
    readonly retryAfterMs: number | null;
    /** What of the sets was done all the same, where a write takes several calls. */
    readonly sets?: Readonly<Record<string, SetChange>>;
  };

/** Everything a connector needs from outside. */
export interface ConnectorContext {
  readonly fetch: typeof fetch;
  readonly env: (name: string) => string | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** A number from 0 up to 1, for jitter. */
  readonly random: () => number;
  readonly limiter: RateLimiter;
  /** Aborts when the caller has to stop. */
  readonly signal: AbortSignal;
  /** A signal that aborts after so many ms, for the time one request may take. Default `AbortSignal.timeout`. */
  readonly timeout?: (ms: number) => AbortSignal;
}

/** A remote system behind the seam. */
export interface Connector {
  readonly spec: EntitySpec;
  /** Reads what the account holds that a configuration can name, in as few requests as possible. */
  describe(context: ConnectorContext): Promise<RemoteSchema>;
  /** Reads one page, the largest the remote gives. `cursor` is {@linkcode RemoteSchema.start} or the last page's `next`. */
  list(context: ConnectorContext, cursor: string): Promise<Page>;
  /** Fetches the page that {@linkcode Connector.list} would read. */
  fetchPage(context: ConnectorContext, cursor: string, options: FetchOptions): Promise<RawPage>;
  /** Reads what was left of a fetched page, and where the next one starts. */
  readRest(cursor: string, rest: RawPageRest): Page;
  /** Reads records by id, batched; null where there is none. Same order and length as `ids`. */
  get(
    context: ConnectorContext,
    ids: readonly string[],
  ): Promise<readonly (RemoteRecord | null)[]>;
  /** Looks records up by key, batched: none, one or several per key. Same order and length as `keys`. */
  find(
    context: ConnectorContext,
    keys: readonly string[],
  ): Promise<readonly (readonly RemoteRecord[])[]>;
  /** Writes, batched. One result an operation, in their order. Never throws for a single operation's failure. */
  write(
    context: ConnectorContext,
    schema: RemoteSchema,
    operations: readonly WriteOp[],
  ): Promise<readonly WriteResult[]>;
  /**
   * Makes names that a set may hold from then on, where the remote has such a
   * list. Names that exist are left as they are.
   *
   * @returns The schema with the names in it.
   */
  createSetNames?(
    context: ConnectorContext,
    schema: RemoteSchema,
    set: string,
    names: readonly string[],
  ): Promise<RemoteSchema>;
  /** Understands what the remote sends by itself, where it does. */
  readonly webhook?: WebhookReceiver;
}
