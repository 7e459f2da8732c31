/**
 * One worker's share of one bucket.
 *
 * @module
 */
import type { BucketLimits } from "./bucket_limits.ts";
import type { Permit, RateObservation } from "./rate_limiter.ts";
import { RateWaitError } from "./rate_wait_error.ts";
import type { TakeAnswer, TokenBucketStore } from "./token_bucket_store.ts";
import { TokenGrant } from "./token_grant.ts";

// The largest wait the database's integer holds.
const MAX_WAIT_MS = 2_147_483_647;

// The database counts ages from when it reads its clock, later than they were
// measured. A request believed sent too late would be compared with too few of
// our own, and those missing would pass for somebody else's.
const STATEMENT_MS = 250;

/** What a lane needs from outside. */
export interface LaneDeps {
  readonly store: TokenBucketStore;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Tokens to ask for with the first. */
  readonly expected: number;
  /** Tells every lane of the bucket to send nothing before `until`, in ms of `now`. */
  readonly onPause: (until: number) => void;
}

interface Waiter {
  readonly resolve: (permit: Permit) => void;
  readonly reject: (reason: unknown) => void;
  /** The caller has no use for a token after this, in ms of the worker's clock. */
  readonly deadline: number;
}

interface Observed {
  readonly sentAt: number;
  readonly remaining: number;
}

/**
 * Takes of one bucket and one urgency, in order of arrival. However many wait,
 * one loop at a time talks to the database for all of them.
 */
export class TokenLane {
  readonly #bucket: string;
  readonly #reserve: number;
  readonly #limits: Required<BucketLimits>;
  readonly #deps: LaneDeps;
  #waiting: Waiter[] = [];
  #running = false;
  /** The grant that tokens are used of. */
  #grant: TokenGrant | null = null;
  /** Grants the database has not heard the end of, the present one among them. */
  #open: TokenGrant[] = [];
  /** What is held is worth nothing any more: ask before anything is sent. */
  #stale = false;
  #askAgainAt = Number.NEGATIVE_INFINITY;
  #observed: Observed | null = null;
  #pauseUntil = Number.NEGATIVE_INFINITY;
  /** Tokens the last grants showed to be needed at a time. */
  #size: number;
  /** Whether the last answer gave all that was asked for, at once: the budget is far from used up. */
  #plenty = false;
  #wake = () => {};
  #exchanging: Promise<void> = Promise.resolve();
  /** The next grant, asked for before anybody waits for it. */
  #ahead: Promise<void> | null = null;

  constructor(
    bucket: string,
    reserve: number,
    limits: Required<BucketLimits>,
    deps: LaneDeps,
  ) {
    this.#bucket = bucket;
    this.#reserve = reserve;
    this.#limits = limits;
    this.#deps = deps;
    this.#size = deps.expected;
  }

  /** Waits for a token until `deadline`, in ms of the worker's clock. */
  take(deadline: number, signal: AbortSignal | undefined): Promise<Permit> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<Permit>();
    const waiter: Waiter = { resolve, reject, deadline };
    this.#waiting.push(waiter);
    if (signal !== undefined) this.#leaveOnAbort(waiter, promise, signal);
    this.#wake();
    if (!this.#running) void this.#serve();
    return promise;
  }

  /** Sends nothing before `until`, in ms of the worker's clock, and tells the database so. */
  pause(until: number): void {
    this.#pauseUntil = Math.max(this.#pauseUntil, until);
    this.#stale = true;
    this.#wake();
  }

  /** Gives back what is unsent and reports what was answered, unless somebody is waiting for it. */
  async release(): Promise<void> {
    await this.#exchanging;
    if (this.#waiting.length > 0) return;
    if (this.#grant !== null || this.#open.some((grant) => grant.changed)) {
      await this.#exchange(false);
    }
  }

  #leaveOnAbort(
    waiter: Waiter,
    promise: Promise<Permit>,
    signal: AbortSignal,
  ): void {
    const leave = () => {
      this.#waiting = this.#waiting.filter((other) => other !== waiter);
      waiter.reject(signal.reason);
      this.#wake();
    };
    signal.addEventListener("abort", leave, { once: true });
    const forget = () => signal.removeEventListener("abort", leave);
    promise.then(forget, forget);
  }

  async #serve(): Promise<void> {
    this.#running = true;
    try {
      while (this.#waiting.length > 0) {
        if (this.#ahead !== null) await this.#ahead;
        const now = this.#deps.now();
        const dueAt = this.#stale ? now : this.#grant?.dueAt() ?? this.#askAgainAt;
        this.#turnAway(now, dueAt);
        if (this.#waiting.length === 0) break;
        if (dueAt > now) await this.#rest(now, dueAt);
        else if (!this.#sendNext(now)) await this.#exchange(true);
      }
    } catch (error) {
      // Without the database nobody knows what others send, so nothing is sent.
      for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
    } finally {
      this.#running = false;
    }
  }

  /** Turns those away whose token comes too late for them. */
  #turnAway(now: number, dueAt: number): void {
    const kept: Waiter[] = [];
    for (const waiter of this.#waiting) {
      const due = this.#stale ? dueAt : this.#grant?.dueAt(kept.length) ?? dueAt;
      if (waiter.deadline >= Math.max(due, now)) kept.push(waiter);
      else {
        waiter.reject(new RateWaitError(this.#bucket, Math.max(due - now, 0)));
      }
    }
    this.#waiting = kept;
  }

  async #rest(now: number, dueAt: number): Promise<void> {
    const first = Math.min(...this.#waiting.map((waiter) => waiter.deadline));
    const woken = new AbortController();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = () => {
      woken.abort();
      resolve();
    };
    try {
      const ms = Math.ceil(Math.min(dueAt, first) - now);
      await Promise.race([this.#deps.sleep(Math.max(ms, 1), woken.signal), promise]);
    } finally {
      this.#wake = () => {};
    }
  }

  /** Gives the next token to the first who waits, if it may be used without asking. */
  #sendNext(now: number): boolean {
    const grant = this.#grant;
    const due = grant?.dueAt();
    if (
      grant === null || due === undefined || due > now || now >= grant.useBy ||
      this.#stale
    ) return false;
    const waiter = this.#waiting.shift();
    if (waiter === undefined) return false;
    grant.send();
    waiter.resolve(this.#permit(grant, now));
    this.#askAhead(grant);
    return true;
  }

  /**
   * Asks for the next grant while the last token is in use, where the ones before were all needed.
   * Not where tokens are short: nothing is given to somebody who does not wait yet, so it
   * would have to be asked again, and what the last answer tells of others' use would come too late.
   */
  #askAhead(grant: TokenGrant): void {
    if (grant.dueAt() !== undefined || this.#size === 1 || !this.#plenty) return;
    // Without an answer, whoever comes next asks again, and hears what is wrong.
    const forget = () => {
      this.#ahead = null;
    };
    this.#ahead = this.#exchange(true).then(forget, forget);
  }

  #permit(grant: TokenGrant, sentAt: number): Permit {
    let settled = false;
    return {
      settle: (observation) => {
        if (settled) return;
        settled = true;
        const now = this.#deps.now();
        grant.answer(now);
        if (observation !== null) this.#observe(observation, sentAt, now);
      },
    };
  }

  #observe(
    { remaining, retryAfterMs }: RateObservation,
    sentAt: number,
    now: number,
  ): void {
    if (
      remaining !== null &&
      (this.#observed === null || sentAt >= this.#observed.sentAt)
    ) {
      this.#observed = { sentAt, remaining };
      // Somebody else uses the account: what is held here is not there any more.
      if (remaining < (this.#grant?.ready(now) ?? 0)) this.#stale = true;
    }
    if (retryAfterMs !== null && retryAfterMs > 0) {
      this.#deps.onPause(now + retryAfterMs);
    }
  }

  /**
   * How many tokens to ask for: twice as many as were used up, as many as were
   * used of a grant that ran out unused. So one request costs one token, and a
   * long run soon takes whole blocks.
   */
  #wanted(): number {
    const grant = this.#grant;
    if (grant !== null && !this.#stale) {
      if (grant.dueAt() === undefined) this.#size *= 2;
      else if (grant.wentUnused) this.#size = Math.max(grant.sent, 1);
    }
    this.#size = Math.min(this.#size, this.#limits.block);
    return Math.min(Math.max(this.#size, this.#waiting.length), this.#limits.block);
  }

  /** One call of the database at a time; it asks for all who wait when it is made. */
  #exchange(asks: boolean): Promise<void> {
    const exchanged = this.#exchanging.then(() => this.#ask(asks ? this.#wanted() : 0));
    this.#exchanging = exchanged.catch(() => {});
    return exchanged;
  }

  async #ask(want: number): Promise<void> {
    const { now, store } = this.#deps;
    const { budget, windowMs, lifeMs, flightMs } = this.#limits;
    this.#grant?.giveUp();
    this.#grant = null;
    this.#stale = false;
    const askedAt = now();
    const told = this.#open.filter((grant) => grant.changed);
    const reports = told.map((grant) => grant.report(askedAt));
    const observed = this.#observed;
    const pauseUntil = this.#pauseUntil;
    const patience = Math.max(
      0,
      ...this.#waiting.map((waiter) => waiter.deadline - askedAt),
    );
    let answer: TakeAnswer;
    try {
      answer = await store.take({
        bucket: this.#bucket,
        budget,
        windowMs,
        want,
        reserve: this.#reserve,
        maxWaitMs: Math.min(Math.ceil(patience), MAX_WAIT_MS),
        lifeMs,
        flightMs,
        reports,
        observed: observed === null ? null : {
          sentMs: Math.max(Math.ceil(askedAt - observed.sentAt), 0) + STATEMENT_MS,
          remaining: observed.remaining,
        },
        retryAfterMs: pauseUntil > askedAt ? Math.ceil(pauseUntil - askedAt) : null,
      });
    } catch (error) {
      for (const grant of told) grant.unreported();
      throw error;
    }
    const toldAt = now();
    told.forEach((grant, i) => {
      const report = reports[i];
      if (report !== undefined && grant.reported(report)) {
        this.#open = this.#open.filter((other) => other !== grant);
      }
    });
    if (this.#observed === observed) this.#observed = null;
    if (this.#pauseUntil === pauseUntil) {
      this.#pauseUntil = Number.NEGATIVE_INFINITY;
    }
    this.#askAgainAt = toldAt + answer.waitMs;
    this.#plenty = answer.offsetsMs.length === want && answer.offsetsMs.every((ms) => ms <= 0);
    if (answer.grantId !== null) {
      this.#grant = new TokenGrant(answer.grantId, answer, lifeMs, askedAt, toldAt);
      this.#open.push(this.#grant);
    }
  }
}
