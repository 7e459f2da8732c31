/** What a reservation asks for. */
export interface ReserveRequest {
  readonly want: number;
  /** All or nothing; otherwise as many as there are. */
  readonly all: boolean;
  /** How long the holder may be silent before its reservation counts no more, in ms. */
  readonly leaseMs: number;
}

/** What was reserved. */
export interface ReserveAnswer {
  /** Null if nothing was granted. */
  readonly reservation: string | null;
  readonly granted: number;
  readonly used: number;
  /** By all workers, with this one. */
  readonly reserved: number;
  /** When the next day begins, ISO 8601. */
  readonly resetAt: string;
  /** Until then, in ms from now. */
  readonly retryAfterMs: number;
}

/** How a quota stands at this moment. */
export interface QuotaState {
  readonly limit: number;
  readonly used: number;
  /** In the hands of workers. */
  readonly reserved: number;
  /** When the next day begins, ISO 8601. */
  readonly resetAt: string;
  /** When the count of this day was lost and estimated, ISO 8601; null if it was not. */
  readonly lostAt: string | null;
}

/** The quotas that all workers share. Each method is one atomic step. */
export interface DailyQuotaStore {
  /** Reserves. */
  reserve(name: string, limit: number, request: ReserveRequest): Promise<ReserveAnswer>;
  /** Counts what was used and returns the rest; false if that was done already or is too late. */
  settle(name: string, limit: number, reservation: string, used: number): Promise<boolean>;
  /** Looks, and changes nothing. */
  state(name: string, limit: number): Promise<QuotaState>;
}
