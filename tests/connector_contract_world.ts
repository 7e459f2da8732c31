/**
 * What the cases of the connector contract ask of the world they run in.
 *
 * @module
 */
import type { Connector, ConnectorContext, RemoteRecord } from "../shared/connectors/connector.ts";
import type { ConsentStatus } from "../shared/merge/consent.ts";

/** A record as a case puts it into the remote. */
export interface SeedRecord {
  readonly key: string;
  readonly text: string | null;
  readonly status: ConsentStatus;
  /** Names out of {@linkcode SET_NAMES}. */
  readonly names: readonly string[];
}

/** The names that the remote's set may hold from the start. */
export const SET_NAMES = ["Kept", "Managed one", "Managed two"] as const;

/** What can befall a request. */
export type Fault =
  /** The connection is cut before anything is done. */
  | "reset_before"
  /** The connection is cut after everything is done. */
  | "reset_after"
  /** A server error, before anything is done. */
  | "server_error"
  /** A proxy's page instead of the answer, after everything is done. */
  | "html"
  /** The answer breaks off. */
  | "truncated"
  /** The rate limit is used up. */
  | "throttled"
  /** No answer comes. */
  | "silent"
  /** The credentials are refused. */
  | "unauthorized";

/** A remote behind a connector. */
export interface World {
  readonly connector: Connector;
  readonly context: ConnectorContext;
  /** The path of a plain text field of the account's own. */
  readonly textPath: string;
  /** The path of the set. */
  readonly setPath: string;
  /** A key that the remote refuses. */
  readonly badKey: string;
  /** An id that no record has. */
  readonly unknownId: string;
  /** What the remote holds now, as the connector should list it. */
  records(): RemoteRecord[];
  /** Lets the next `times` requests meet a fault, after `after` that do not. */
  fault(fault: Fault, times: number, after?: number): void;
  /** Requests sent since the world was made. */
  requests(): number;
  /** Permits taken, and those of them that were settled exactly once. */
  permits(): { taken: number; settled: number };
  /** Makes the caller stop. */
  stop(): void;
}

/** Makes a world that holds the given records. */
export type MakeWorld = (records: readonly SeedRecord[]) => World;

/** What a case is about, so that a world can be tried where its difference matters. */
export type Subject = "list" | "read" | "write";

/** One case. */
export interface ContractCase {
  readonly about: Subject;
  readonly name: string;
  readonly run: (make: MakeWorld) => Promise<void>;
}

/** Records of all sorts: every status, with and without text and names. */
export function someRecords(count: number): SeedRecord[] {
  const statuses: ConsentStatus[] = [
    "subscribed",
    "subscribed",
    "pending",
    "unsubscribed",
    "bounced",
    "complained",
  ];
  return Array.from({ length: count }, (_, i) => ({
    key: `person.${i}+tag@example.test`,
    text: i % 4 === 0 ? null : `Text ${i} “ß漢”`,
    status: statuses[i % statuses.length] ?? "subscribed",
    names: SET_NAMES.filter((_, bit) => ((i >> bit) & 1) === 1),
  }));
}

/** One record that may be written to. */
export function oneRecord(over: Partial<SeedRecord> = {}): SeedRecord {
  const key = "ann@example.test";
  return { key, text: "before", status: "subscribed", names: ["Kept"], ...over };
}
