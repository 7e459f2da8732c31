/** What became of one grant, told by the worker that holds it. All else of the grant comes back. */
export interface GrantReport {
  readonly id: number;
  /** Of each answer not yet reported, how long ago it arrived, in ms. */
  readonly answeredMs: readonly number[];
  /** Requests sent and not answered yet. */
  readonly inFlight: number;
}

/** What a request's answer told about the remote's budget. */
export interface RemainingReport {
  /** How long ago the request was sent, in ms. */
  readonly sentMs: number;
  /** Requests left in the remote's window, as it said. */
  readonly remaining: number;
}

/** One call of the shared bucket. Times are ages and durations: no worker's clock is trusted. */
export interface TakeRequest {
  readonly bucket: string;
  /** Requests allowed in any window. */
  readonly budget: number;
  readonly windowMs: number;
  /** Tokens wanted; 0 to report only. */
  readonly want: number;
  /** Tokens to leave for more urgent work. */
  readonly reserve: number;
  /** Nothing is granted that could be used only later than this, in ms. */
  readonly maxWaitMs: number;
  /** How long a grant may be used without asking again, in ms. */
  readonly lifeMs: number;
  /** Longest a request is under way until it arrives, in ms. */
  readonly flightMs: number;
  readonly reports: readonly GrantReport[];
  readonly observed: RemainingReport | null;
  /** How long the remote still wants to be left alone, in ms. */
  readonly retryAfterMs: number | null;
}

/** What the shared bucket grants. */
export interface TakeAnswer {
  /** Null if nothing was granted. */
  readonly grantId: number | null;
  /**
   * Of each token, from when it may be used, in ms from now, soonest first. One
   * that is not usable within the grant's life is a place in the queue.
   */
  readonly offsetsMs: readonly number[];
  /** If nothing was granted, when to ask again, in ms from now. */
  readonly waitMs: number;
}

/** The bucket that all workers share. */
export interface TokenBucketStore {
  /** Reports, and takes up to `want` tokens, in one atomic step. */
  take(request: TakeRequest): Promise<TakeAnswer>;
}
