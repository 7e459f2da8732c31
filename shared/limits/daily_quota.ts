import { QuotaExceededError } from "./daily_quota_exceeded_error.ts";
import type { DailyQuotaStore, QuotaState } from "./daily_quota_store.ts";

/** What a {@linkcode DailyQuota} needs from outside. */
export interface DailyQuotaOptions {
  /** The quotas all workers share. */
  readonly store: DailyQuotaStore;
  /** Tells quotas apart; default `records`. */
  readonly name?: string;
  /** Records a UTC day; default 5000. */
  readonly limit?: number;
  /**
   * How long a holder may be silent before its reservation comes back, in ms;
   * default 600000, at most a day. Longer than the work takes: what a killed
   * holder had used by then is never counted.
   */
  readonly leaseMs?: number;
}

/** How a part is reserved. */
export interface ReserveOptions {
  /** All or nothing; default false, which grants as many as there are. */
  readonly all?: boolean;
}

/** A part of a day's quota. */
export interface QuotaReservation {
  readonly id: string;
  /** How many records may be worked on. */
  readonly granted: number;
}

const MOST_RECORDS = 2_147_483_647;
const DAY_MS = 86_400_000;

function requireInteger(action: string, name: string, value: number, from: number, to: number) {
  if (Number.isSafeInteger(value) && value >= from && value <= to) return;
  throw new RangeError(
    `Cannot ${action} as '${name}' must be an integer from ${from} to ${to}: current value is ${value}`,
  );
}

/**
 * Records a UTC day, for all workers together: reserved before the work, and what
 * was not used is returned after it. A reservation counts on the day it was made,
 * also where the work ends on the next.
 */
export class DailyQuota {
  readonly #store: DailyQuotaStore;
  readonly #name: string;
  readonly #limit: number;
  readonly #leaseMs: number;

  /** @throws {RangeError} If a number is not usable. */
  constructor(options: DailyQuotaOptions) {
    this.#store = options.store;
    this.#name = options.name ?? "records";
    this.#limit = options.limit ?? 5_000;
    this.#leaseMs = options.leaseMs ?? 600_000;
    const action = `create the daily quota '${this.#name}'`;
    requireInteger(action, "limit", this.#limit, 1, MOST_RECORDS);
    requireInteger(action, "leaseMs", this.#leaseMs, 1, DAY_MS);
  }

  /**
   * Reserves before the work.
   *
   * @returns What was granted, which may be less than wanted.
   * @throws {QuotaExceededError} If nothing is left, or less than wanted where it has to be all.
   * @throws {RangeError} If `want` is not a positive integer.
   */
  async reserve(want: number, options: ReserveOptions = {}): Promise<QuotaReservation> {
    requireInteger("reserve", "want", want, 1, MOST_RECORDS);
    const { reservation, granted, ...rest } = await this.#store.reserve(this.#name, this.#limit, {
      want,
      all: options.all ?? false,
      leaseMs: this.#leaseMs,
    });
    if (reservation === null) {
      throw new QuotaExceededError(this.#name, { want, limit: this.#limit, ...rest });
    }
    return { id: reservation, granted };
  }

  /**
   * Counts what was used and returns the rest. Doing it again changes nothing, so
   * it may be repeated when its answer was lost.
   *
   * @throws {RangeError} If `used` is more than was granted, or not a number of records.
   */
  async settle(reservation: QuotaReservation, used: number): Promise<void> {
    requireInteger("settle", "used", used, 0, reservation.granted);
    await this.#store.settle(this.#name, this.#limit, reservation.id, used);
  }

  /** How the quota stands at this moment. */
  async state(): Promise<QuotaState> {
    return await this.#store.state(this.#name, this.#limit);
  }
}
