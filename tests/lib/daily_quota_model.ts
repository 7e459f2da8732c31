import type {
  DailyQuotaStore,
  QuotaState,
  ReserveAnswer,
  ReserveRequest,
} from "../../shared/limits/daily_quota_store.ts";

const DAY_MS = 86_400_000;
const KEPT_MS = 3_600_000;

interface Reservation {
  readonly day: number;
  readonly count: number;
  readonly until: number;
}

/**
 * What the functions of the daily quota should do, written for reading: one quota,
 * in memory. Tests compare the database with it, and use it where a database
 * would only be slow.
 */
export class DailyQuotaModel implements DailyQuotaStore {
  readonly #now: () => number;
  readonly #reservations = new Map<string, Reservation>();
  /** Day, counted from 1970, to what was used of it. */
  readonly #used = new Map<number, number>();
  #last = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  reserve(_: string, limit: number, request: ReserveRequest): Promise<ReserveAnswer> {
    const { want, all, leaseMs } = request;
    const free = Math.max(limit - this.usedOn(this.#day) - this.#reserved, 0);
    const granted = all && free < want ? 0 : Math.min(free, want);
    const reservation = granted === 0 ? null : `reservation ${++this.#last}`;
    if (reservation !== null) {
      const until = this.#now() + leaseMs;
      this.#reservations.set(reservation, { day: this.#day, count: granted, until });
    }
    return Promise.resolve({
      reservation,
      granted,
      used: this.usedOn(this.#day),
      reserved: this.#reserved,
      resetAt: this.#resetAt.toISOString(),
      retryAfterMs: this.#resetAt.getTime() - this.#now(),
    });
  }

  settle(_: string, __: number, id: string, used: number): Promise<boolean> {
    const held = this.#reservations.get(id);
    this.#reservations.delete(id);
    // A holder silent for so long is given up, and so is a day before yesterday.
    const known = held !== undefined && held.until > this.#now() - KEPT_MS &&
      held.day >= this.#day - 1;
    if (known) this.#used.set(held.day, this.usedOn(held.day) + used);
    return Promise.resolve(known);
  }

  state(_: string, limit: number): Promise<QuotaState> {
    return Promise.resolve({
      limit,
      used: this.usedOn(this.#day),
      reserved: this.#reserved,
      resetAt: this.#resetAt.toISOString(),
      lostAt: null,
    });
  }

  /** What was used of a day, counted from 1970. */
  usedOn(day: number): number {
    return this.#used.get(day) ?? 0;
  }

  get #day(): number {
    return Math.floor(this.#now() / DAY_MS);
  }

  get #resetAt(): Date {
    return new Date((this.#day + 1) * DAY_MS);
  }

  get #reserved(): number {
    let sum = 0;
    for (const { day, count, until } of this.#reservations.values()) {
      if (day === this.#day && until > this.#now()) sum += count;
    }
    return sum;
  }
}
