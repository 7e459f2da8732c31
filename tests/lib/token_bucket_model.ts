import type {
  TakeAnswer,
  TakeRequest,
  TokenBucketStore,
} from "../../shared/limits/token_bucket_store.ts";

interface Slot {
  readonly at: number;
  readonly kind: "free" | "others" | "used";
}

const LONGEST_PAUSE_MS = 180_000;

/**
 * What `sync_take_tokens` should do, written for reading: one bucket, in memory.
 * Tests compare the function with it, and use it where a database would only be slow.
 */
export class TokenBucketModel implements TokenBucketStore {
  readonly #clock: () => number;
  #now = 0;
  #lastGrant = 0;
  #pause = 0;
  #used: number[] = [];
  #grants = new Map<number, { readonly by: number; at: number[] }>();
  #seen = 0;
  #others = { count: 0, until: 0 };

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  take(request: TakeRequest): Promise<TakeAnswer> {
    this.#now = Math.max(this.#now, this.#clock());
    this.#settle(request);
    this.#lapse(request);
    this.#observe(request);
    return Promise.resolve(this.#grant(request));
  }

  get #held(): number[] {
    return [...this.#grants.values()].flatMap((grant) => grant.at);
  }

  #settle({ reports, windowMs }: TakeRequest): void {
    for (const { id, answeredMs, inFlight } of reports) {
      for (const age of answeredMs) this.#used.push(this.#now - age + windowMs + 1);
      const grant = this.#grants.get(id);
      if (grant === undefined) continue;
      const unsent = grant.at.slice(inFlight + answeredMs.length);
      this.#used.push(...unsent.filter((at) => at > this.#now));
      grant.at = grant.at.slice(0, inFlight);
    }
  }

  #lapse({ lifeMs, flightMs, windowMs }: TakeRequest): void {
    for (const [id, grant] of this.#grants) {
      grant.at = grant.at.filter((at) =>
        this.#now < (at <= grant.by ? grant.by + flightMs + windowMs : at + lifeMs)
      );
      if (grant.at.length === 0) this.#grants.delete(id);
    }
  }

  #observe({ budget, windowMs, flightMs, observed, retryAfterMs }: TakeRequest): void {
    const now = this.#now;
    if (retryAfterMs !== null) {
      this.#pause = Math.max(this.#pause, now + retryAfterMs);
    }
    this.#pause = Math.min(this.#pause, now + LONGEST_PAUSE_MS);
    if (observed !== null && observed.sentMs < flightMs && now - observed.sentMs >= this.#seen) {
      this.#seen = now - observed.sentMs;
      const ours = this.#held.length + this.#used.filter((at) => at > this.#seen).length;
      this.#others = {
        count: Math.max(budget - observed.remaining - ours, 0),
        until: retryAfterMs === null ? now + windowMs : this.#pause,
      };
    }
    if (this.#others.until <= now) this.#others.count = 0;
  }

  #grant(request: TakeRequest): TakeAnswer {
    const { budget, flightMs, want, reserve, maxWaitMs, lifeMs } = request;
    const now = this.#now;
    const expired = this.#used.filter((at) => at <= now && at > now - flightMs);
    const used = this.#used.filter((at) => at > now);
    const free = budget - this.#held.length - used.length - this.#others.count;
    const slots: Slot[] = [
      ...Array.from({ length: Math.max(free, 0) }, () => ({ at: now, kind: "free" }) as const),
      ...Array.from(
        { length: this.#others.count },
        () => ({ at: this.#others.until, kind: "others" }) as const,
      ),
      ...used.map((at) => ({ at, kind: "used" }) as const),
    ];
    slots.sort((one, other) => one.at - other.at || (one.kind < other.kind ? -1 : 1));
    const skip = Math.max(-free, 0) + Math.min(reserve, budget - 1);
    const usable = (slot: Slot) => Math.max(slot.at, this.#pause);
    const taken = slots.slice(skip, skip + want)
      .filter((slot) => usable(slot) - now <= maxWaitMs);
    const left = slots.filter((slot) => !taken.includes(slot));
    this.#others.count = left.filter((slot) => slot.kind === "others").length;
    this.#used = [...left.filter((slot) => slot.kind === "used").map((slot) => slot.at), ...expired]
      .sort((one, other) => other - one).slice(0, budget);
    if (taken.length === 0) {
      const first = slots[skip];
      const waitMs = want === 0 ? 0 : first === undefined ? lifeMs : usable(first) - now;
      return { grantId: null, offsetsMs: [], waitMs };
    }
    this.#lastGrant = Math.max(this.#lastGrant + 1, now);
    this.#grants.set(this.#lastGrant, { by: now + lifeMs, at: taken.map(usable) });
    return {
      grantId: this.#lastGrant,
      offsetsMs: taken.map((slot) => usable(slot) - now),
      waitMs: 0,
    };
  }
}
