import { type Answer, message } from "./answers.ts";
import { RateWindow } from "./rate_window.ts";
import type { Switches } from "./switches.ts";
import type { Limits } from "./types.ts";

/** What a gate needs from outside. */
export interface GateContext {
  nowMs(): number;
  readonly switches: Readonly<Switches>;
}

interface Windows {
  readonly all: RateWindow;
  readonly imports: RateWindow;
}

/** The two rate windows of the account, or of each token, and the headers that tell of them. */
export class RateGate {
  #limits: Limits;
  #context: GateContext;
  #windows = new Map<string, Windows>();

  constructor(limits: Limits, context: GateContext) {
    this.#limits = { ...limits };
    this.#context = context;
  }

  /** Changes the limits; windows that are open keep what was used. */
  setLimits(changes: Partial<Limits>): void {
    Object.assign(this.#limits, changes);
    for (const { all, imports } of this.#windows.values()) {
      all.limit = this.#limits.perMinute;
      imports.limit = this.#limits.importsPerMinute;
    }
  }

  /** Takes from the global window; the answer is the refusal. */
  take(token: string, units: number): Answer | undefined {
    if (!this.#limits.enabled) return undefined;
    const take = this.#of(token).all.take(this.#context.nowMs(), units);
    return take.allowed ? undefined : this.#tooMany("Too Many Attempts.", take.resetMs);
  }

  /** Takes from the window of import creations (MailerLite docs, Batching). */
  takeImport(token: string): Answer | undefined {
    if (!this.#limits.enabled) return undefined;
    const take = this.#of(token).imports.take(this.#context.nowMs(), 1);
    if (take.allowed) return undefined;
    const refused = this.#tooMany("You're being rate limited on import creation.", take.resetMs);
    if (this.#context.switches.importRateHeaders === "global") return refused;
    const own = { "x-ratelimit-limit": String(take.limit), "x-ratelimit-remaining": "0" };
    return { ...refused, headers: { ...refused.headers, ...own } };
  }

  /** Requests left in the global window. */
  remaining(token: string): number {
    if (!this.#limits.enabled) return Number.POSITIVE_INFINITY;
    return this.#of(token).all.peek(this.#context.nowMs()).remaining;
  }

  /** A 429 that is not of the window's making: a fault, or a ceiling on concurrency. */
  refuse(retryAfterSeconds: number): Answer {
    const headers = { "x-ratelimit-remaining": "0", "retry-after": String(retryAfterSeconds) };
    return message(429, "Too Many Attempts.", headers);
  }

  /** The headers on every authenticated answer. Without limits they show the full budget. */
  headers(token: string): Record<string, string> {
    const { limit, remaining } = this.#of(token).all.peek(this.#context.nowMs());
    const left = this.#limits.enabled ? remaining : limit;
    return { "x-ratelimit-limit": String(limit), "x-ratelimit-remaining": String(left) };
  }

  #of(token: string): Windows {
    const scope = this.#context.switches.limitScope === "token" ? token : "";
    let windows = this.#windows.get(scope);
    if (windows === undefined) {
      windows = {
        all: new RateWindow(this.#limits.perMinute),
        imports: new RateWindow(this.#limits.importsPerMinute),
      };
      this.#windows.set(scope, windows);
    }
    return windows;
  }

  #tooMany(text: string, resetMs: number): Answer {
    const { retryAfterOn429, rateLimitReset } = this.#context.switches;
    const headers: Record<string, string> = {};
    if (retryAfterOn429 !== "absent") {
      headers["retry-after"] = retryAfterOn429 === "window"
        ? String(Math.ceil(resetMs / 1000))
        : "119";
    }
    if (rateLimitReset === "present") {
      headers["x-ratelimit-reset"] = String(Math.ceil((this.#context.nowMs() + resetMs) / 1000));
    }
    return message(429, text, headers);
  }
}
