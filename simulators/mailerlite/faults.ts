import type { Json } from "./json.ts";

/** What a fault does to the answer. */
export type FaultEffect =
  /** Waits before anything else happens. */
  | { kind: "latency"; ms: number }
  /** Answers this instead; with `when: "after"` the request took effect all the same. Default "before". */
  | {
    kind: "status";
    status: number;
    headers?: Record<string, string>;
    body?: Json;
    when?: "before" | "after";
  }
  /** Answers an HTML page, as a proxy in front of the API does; no rate headers, nothing counted unless "after". */
  | { kind: "html"; status: number; when?: "before" | "after" }
  /** Cuts the connection without an answer, before or after the request took effect. */
  | { kind: "reset"; when: "before" | "after" }
  /** The request takes effect; the body is cut to `bytes` (default: half of it). */
  | { kind: "truncate"; bytes?: number }
  /** 429 of the global window without taking from it; `retryAfter` in seconds. */
  | { kind: "rate_limit"; retryAfter: number };

/**
 * A scripted fault. Requests that match `method` and `path` are counted; the
 * rule acts on those after the first `after` ones, at most `times` times.
 *
 * A client may repeat a request by itself: Deno's `fetch` does so once when a
 * reused connection is reset, POST included. The repeat counts like any other
 * request, so `times: 2` hits it as well.
 */
export interface FaultRule {
  /** Any method when absent. */
  method?: string;
  /**
   * Begins with `/`: a prefix of the path, with or without `/api`. Anything
   * else: a regular expression on `/api/…` with its query. Any path when absent.
   */
  path?: string;
  /** Matching requests that pass first. Default 0. */
  after?: number;
  /** Requests acted on. Default: all. */
  times?: number;
  /** Acts on items inside batches instead of requests; `status`, `html` and `rate_limit` only. */
  item?: boolean;
  effect: FaultEffect;
}

/** A rule with how often it matched and acted. */
export interface FaultReport {
  rule: FaultRule;
  seen: number;
  hits: number;
}

/** What the rules come to for one request. */
export interface FaultDecision {
  readonly latencyMs: number;
  readonly effect?: Exclude<FaultEffect, { kind: "latency" }>;
}

interface LiveRule extends FaultReport {
  readonly matches: (method: string, path: string) => boolean;
}

const ITEM_KINDS = ["status", "html", "rate_limit"];

function compile(rule: FaultRule): LiveRule {
  if (rule.item === true && !ITEM_KINDS.includes(rule.effect.kind)) {
    throw new TypeError(
      `Cannot set a fault "${rule.effect.kind}" on batch items: choose from ${
        ITEM_KINDS.join(", ")
      }`,
    );
  }
  const method = rule.method?.toUpperCase();
  const { path } = rule;
  let onPath = (_path: string) => true;
  if (path?.startsWith("/")) {
    onPath = (sent) => sent.startsWith(path) || sent.startsWith(`/api${path}`);
  } else if (path !== undefined) {
    const pattern = new RegExp(path);
    onPath = (sent) => pattern.test(sent);
  }
  return {
    rule,
    seen: 0,
    hits: 0,
    matches: (sent, url) => (method === undefined || method === sent) && onPath(url),
  };
}

/** The rules in force. */
export class FaultBook {
  #rules: LiveRule[] = [];

  /**
   * Replaces all rules.
   *
   * @throws {TypeError} when a rule cannot act where it is told to.
   * @throws {SyntaxError} when a path is no regular expression.
   */
  set(rules: readonly FaultRule[]): void {
    this.#rules = rules.map(compile);
  }

  report(): FaultReport[] {
    return this.#rules.map(({ rule, seen, hits }) => ({ rule, seen, hits }));
  }

  /**
   * Decides on one request: waits add up, and the first other rule that acts
   * wins. A rule that did not get its turn has used up none of its `times`, so
   * that rules in a row make a script.
   */
  decide(method: string, path: string, item: boolean): FaultDecision {
    let latencyMs = 0;
    let effect: FaultDecision["effect"];
    for (const live of this.#rules) {
      if ((live.rule.item ?? false) !== item || !live.matches(method, path)) continue;
      live.seen++;
      const acts = live.seen > (live.rule.after ?? 0) &&
        live.hits < (live.rule.times ?? Number.POSITIVE_INFINITY);
      if (!acts) continue;
      if (live.rule.effect.kind === "latency") latencyMs += live.rule.effect.ms;
      else if (effect === undefined) effect = live.rule.effect;
      else continue;
      live.hits++;
    }
    return effect === undefined ? { latencyMs } : { latencyMs, effect };
  }
}
