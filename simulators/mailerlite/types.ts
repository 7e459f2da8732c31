import type { FaultRule } from "./faults.ts";
import type { Switches } from "./switches.ts";

/** The five states of a subscriber (MailerLite docs, Subscribers). */
export const STATUSES = ["active", "unsubscribed", "unconfirmed", "bounced", "junk"] as const;

/** The state of a subscriber. */
export type Status = (typeof STATUSES)[number];

/** The value of one field of one subscriber. */
export type FieldValue = string | number | null;

/** The type of a field (MailerLite docs, Fields). */
export type FieldType = "text" | "number" | "date";

/** The two rate windows. */
export interface Limits {
  /** Off: nothing is ever refused, headers stay at the full budget. */
  enabled: boolean;
  /** Requests a fixed window of 60 s. */
  perMinute: number;
  /** Import creations a fixed window of 60 s. */
  importsPerMinute: number;
}

/** How a simulator starts. */
export interface SimulatorOptions {
  /** The clock, ms since 1970. Default `Date.now`. */
  now?: () => number;
  /** The accepted bearer token. Default `simulator-token`. */
  token?: string;
  /** Further accepted tokens of the same account. */
  extraTokens?: readonly string[];
  /** The origin used in links, `https://connect.mailerlite.com` say. Default: that of the request. */
  baseUrl?: string;
  /** Answers to open questions that differ from the default. */
  switches?: Partial<Switches>;
  /** Default: enabled, 120 and 5. */
  limits?: Limits;
  /** Faults to start with. */
  faults?: readonly FaultRule[];
  /** Waits, for latency faults. Default: a real timer. */
  sleep?: (ms: number) => Promise<void>;
  /** Sends webhooks. Default: the global `fetch`. */
  deliver?: typeof fetch;
  /** Rows an import takes in a second of the simulator's clock. Default 1000. */
  importRowsPerSecond?: number;
  /** How long a webhook's receiver may take, ms. Default 3000 (MailerLite docs, Webhooks). */
  webhookTimeoutMs?: number;
}

/** A subscriber to start with; dates in the REST form, UTC. */
export interface SeedSubscriber {
  email: string;
  /** Default: made from `created_at` by the documented formula. */
  id?: string;
  /** Default `active`. */
  status?: Status;
  /** Default `api`. */
  source?: string;
  /** By key; a key the account lacks becomes a text field. */
  fields?: Readonly<Record<string, FieldValue>>;
  /** Ids or names; a name the account lacks becomes a group. */
  groups?: readonly string[];
  sent?: number;
  opens_count?: number;
  clicks_count?: number;
  open_rate?: number;
  click_rate?: number;
  ip_address?: string | null;
  subscribed_at?: string | null;
  unsubscribed_at?: string | null;
  /** Default: one second after the seed before, from 2022-01-01 on. */
  created_at?: string;
  updated_at?: string;
  opted_in_at?: string | null;
  optin_ip?: string | null;
  /** Deleted since then; a POST of its address revives it. Default: not deleted. */
  deleted_at?: string;
  /** Deleted, and erased for good then. */
  forget_at?: string;
}

/** A group to start with; a text is its name. */
export type SeedGroup = string | { name: string; id?: string };

/** A custom field to start with; a text is the name of a text field. */
export type SeedField = string | { name: string; key?: string; type?: FieldType };

/** One line of a seed stream: a subscriber, or `{"group": …}`, or `{"field": …}`. */
export type SeedLine = SeedSubscriber | { group: SeedGroup } | { field: SeedField };

/** What an account holds at the start. */
export interface Seed {
  subscribers?: readonly SeedSubscriber[];
  groups?: readonly SeedGroup[];
  fields?: readonly SeedField[];
}

/** What a seed made. */
export interface SeedResult {
  subscribers: number;
  /** Ids of the seeded groups by name. */
  groups: Record<string, string>;
  /** Keys of the seeded fields by name. */
  fields: Record<string, string>;
}

/** How a write came in. */
export type Via = "api" | "batch" | "import" | "control";

/** One write that took place: ids and kinds, never an address or a value. */
export interface HistoryEntry {
  seq: number;
  /** ms since 1970 on the simulator's clock. */
  at: number;
  kind: string;
  /** The record written. */
  id: string;
  /** The group of a membership change. */
  groupId?: string;
  via: Via;
}

/** How many records the account holds; deleted subscribers count in `deleted` alone. */
export interface Counts {
  subscribers: number;
  byStatus: Record<Status, number>;
  deleted: number;
  groups: number;
  fields: number;
  webhooks: number;
  imports: number;
}

/** An edit made inside MailerLite: by a person on the dashboard, a form, a bounce. */
export interface ControlChange {
  email?: string;
  status?: Status;
  fields?: Readonly<Record<string, FieldValue>>;
  /** The complete new membership, ids or names. */
  groups?: readonly string[];
}
