/**
 * What the tests of the two-way run put in, and what they look at.
 *
 * @module
 */

/** A row of `public.clients`, in parts. */
export type ClientValues = Readonly<Record<string, unknown>>;

/** One made-up person, by number; equal on both sides where nothing else is said. */
export interface PersonSpec {
  /** Values of the client that differ; null where there is no client. */
  readonly client?: ClientValues | null;
  /** Values of the subscriber that differ; null where there is none. */
  readonly subscriber?: {
    readonly email?: string;
    readonly status?: "active" | "unsubscribed" | "unconfirmed" | "bounced" | "junk";
    readonly fields?: Readonly<Record<string, string | null>>;
    readonly groups?: readonly string[];
  } | null;
}

/** What an answer of enterprise-sync holds. */
export interface EnterpriseAnswer {
  readonly recordsProcessed: number;
  readonly conflictsDetected: number;
  readonly updatesApplied: number;
  readonly errors: number;
  readonly done: boolean;
  readonly nextCursor: string | null;
  readonly message: string;
  readonly runId: string;
  readonly stopReason: string;
  readonly skipped: number;
  readonly quota: { readonly requests: number };
  readonly code?: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly plan?: readonly Readonly<Record<string, unknown>>[];
}

/** What an answer of smart-sync holds. */
export interface SmartAnswer {
  readonly ok: boolean;
  readonly count: number;
  readonly out: readonly {
    readonly email?: string;
    readonly a_id?: string;
    readonly b_id?: string | null;
    readonly changed?: boolean;
    readonly skipped?: boolean;
    readonly reason?: string;
    readonly error?: string;
    readonly conflicts?: number;
    readonly repairs?: readonly string[];
  }[];
  readonly runId: string | null;
  readonly quota: {
    readonly used: number;
    readonly reserved: number;
    readonly limit: number;
    readonly resetAt: string;
    readonly requests: number;
  };
  /** Records that wait in the queue; of a drain. */
  readonly remaining?: number;
  readonly stopReason?: string;
  readonly guard?: Readonly<Record<string, unknown>>;
  readonly code?: string;
  readonly message?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A client as the tests look at it. */
export interface ClientRow {
  readonly id: string;
  readonly email: string | null;
  readonly first_name: string | null;
  readonly last_name: string | null;
  readonly company: string | null;
  readonly phone: string | null;
  readonly city: string | null;
  readonly country: string | null;
  readonly partner_id: string | null;
  readonly marketing_status: string;
  readonly groups: readonly string[];
}

/** A subscriber as the simulator holds it. */
export interface SubscriberView {
  readonly id: string;
  readonly email: string;
  readonly status: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly groups: readonly string[];
}

/** A line of the log as the tests look at it. */
export interface LogRow {
  readonly run_id: string | null;
  readonly a_id: string | null;
  readonly b_id: string | null;
  readonly side: string;
  readonly action: string;
  readonly field: string | null;
  readonly before: unknown;
  readonly after: unknown;
  readonly rule: string;
  readonly applied: boolean;
}

/** A conflict as the tests look at it. */
export interface ConflictRow {
  readonly id: number;
  readonly field: string;
  readonly reason: string;
  readonly status: string;
  readonly base: unknown;
  readonly a: unknown;
  readonly b: unknown;
  readonly choice: string | null;
  /** Whether the decision about it was carried out. */
  readonly applied: boolean;
}
