import { ACCOUNT } from "./account.ts";
import {
  type Answer,
  message,
  methodNotAllowed,
  routeNotFound,
  UNAUTHENTICATED,
} from "./answers.ts";
import { planBatch, runBatch } from "./batch.ts";
import type { ApiCall, World } from "./call.ts";
import type { FaultBook, FaultDecision } from "./faults.ts";
import { type Json, parseBody } from "./json.ts";
import { complete, type Incoming, type Outcome } from "./outcome.ts";
import type { RateGate } from "./rate_gate.ts";
import { matchRoute, type RouteMatch } from "./router.ts";

/** What stands between the network and the account. */
export interface PipelineParts {
  readonly gate: RateGate;
  readonly faults: FaultBook;
  readonly tokens: ReadonlySet<string>;
  readonly baseUrl: string | undefined;
  sleep(ms: number): Promise<void>;
  /** Lets time do its work before a request is looked at. */
  settle(): void;
}

/**
 * The way of a request: faults of the network, the token, the rate windows, the
 * route, and faults on the way back.
 */
export class Pipeline {
  readonly #world: World;
  readonly #parts: PipelineParts;
  #inFlight = 0;

  constructor(world: World, parts: PipelineParts) {
    this.#world = world;
    this.#parts = parts;
  }

  /** Answers one request. Never rejects: cut connections are outcomes too. */
  async dispatch(incoming: Incoming): Promise<Outcome> {
    this.#inFlight++;
    try {
      const outcome = await this.#dispatch(incoming);
      this.#world.recorder.status(
        outcome.kind === "answer" ? String(outcome.status) : outcome.kind,
      );
      return outcome;
    } finally {
      this.#inFlight--;
    }
  }

  async #dispatch(incoming: Incoming): Promise<Outcome> {
    const inside = /^\/api\/([^?]*)(?:\?(.*))?$/.exec(incoming.target);
    const path = (inside?.[1] ?? "").replace(/\/+$/, "");
    const match: RouteMatch = inside === null
      ? { kind: "not_found" }
      : matchRoute(incoming.method, path);
    this.#world.recorder.request(routeKey(incoming.method, match));
    const fault = this.#parts.faults.decide(incoming.method, incoming.target, false);
    if (fault.latencyMs > 0) await this.#parts.sleep(fault.latencyMs);
    this.#parts.settle();
    const early = this.#beforeEffect(fault);
    if (early !== undefined) return early;
    const token = /^Bearer (.+)$/i.exec(incoming.authorization ?? "")?.[1];
    if (token === undefined || !this.#parts.tokens.has(token)) {
      return complete(UNAUTHENTICATED, this.#headers(false));
    }
    const call: ApiCall = {
      method: incoming.method,
      path,
      params: new URLSearchParams(inside?.[2] ?? ""),
      body: parseBody(incoming.body),
      base: `${this.#parts.baseUrl ?? incoming.origin}/api`,
      via: "api",
    };
    const answered = this.#answer(match, call, token, fault);
    return afterEffect(this.#finish(answered, token), fault);
  }

  /** Faults that keep a request from the application. */
  #beforeEffect({ effect }: FaultDecision): Outcome | undefined {
    if (effect?.kind === "reset" && effect.when === "before") return { kind: "reset" };
    if (effect?.kind === "html" && effect.when !== "after") {
      return complete(htmlPage(effect.status), {});
    }
    return undefined;
  }

  /** Rate windows first, as middleware stands before the application; then the route. */
  #answer(match: RouteMatch, call: ApiCall, token: string, { effect }: FaultDecision): Answer {
    if (effect?.kind === "rate_limit") return this.#parts.gate.refuse(effect.retryAfter);
    const ceiling = this.#world.switches.inFlightCeiling;
    if (ceiling !== "none" && this.#inFlight > Number(ceiling)) return this.#parts.gate.refuse(1);
    if (match.kind === "batch") return this.#batch(call, token, effect);
    const limited = this.#parts.gate.take(token, 1);
    if (limited !== undefined) return limited;
    if (effect?.kind === "status" && effect.when !== "after") return scripted(effect);
    if (isImport(match)) {
      const refused = this.#parts.gate.takeImport(token);
      if (refused !== undefined) return refused;
    }
    return this.#run(match, call);
  }

  #run(match: RouteMatch, call: ApiCall): Answer {
    if (match.kind === "route") return match.route.run(this.#world, call, match.args);
    if (match.kind !== "method_not_allowed") return routeNotFound(call.path);
    return methodNotAllowed(
      call.method,
      call.path,
      match.allowed,
      this.#world.switches.methodNotAllowedBody === "html",
    );
  }

  #batch(call: ApiCall, token: string, effect: FaultDecision["effect"]): Answer {
    const plan = planBatch(this.#world, call);
    const asked = plan.ok && this.#world.switches.batchCost === "per_item" ? plan.items.length : 1;
    const byItem = this.#world.switches.batchItemLimit === "item";
    const units = byItem ? Math.max(Math.min(asked, this.#parts.gate.remaining(token)), 1) : asked;
    const limited = this.#parts.gate.take(token, units);
    if (limited !== undefined) return limited;
    if (effect?.kind === "status" && effect.when !== "after") return scripted(effect);
    if (!plan.ok) return plan.refused;
    if (plan.upsertsOnly) {
      const refused = this.#parts.gate.takeImport(token);
      if (refused !== undefined) return refused;
    }
    const budget = asked > units ? units : plan.items.length;
    let executed = 0;
    return runBatch(this.#world, plan.items, plan.upsertsOnly, (item) => {
      const match = matchRoute(item.method, item.path);
      this.#world.recorder.batchItem(routeKey(item.method, match));
      if (++executed > budget) return this.#parts.gate.refuse(1);
      return this.#item(match, item);
    });
  }

  #item(match: RouteMatch, item: ApiCall): Answer {
    const { effect } = this.#parts.faults.decide(item.method, `/api/${item.path}`, true);
    if (effect?.kind === "rate_limit") return this.#parts.gate.refuse(effect.retryAfter);
    if (effect?.kind !== "status" && effect?.kind !== "html") return this.#run(match, item);
    if (effect.when === "after") this.#run(match, item);
    if (effect.kind === "status") return scripted(effect);
    const page = htmlPage(effect.status);
    return { status: page.status, body: JSON.stringify(page.body) };
  }

  #finish(answered: Answer, token: string): Outcome {
    // Recorded: 404 answers carry no x-locale, and models that are not found come pretty-printed.
    const headers = {
      ...this.#headers(answered.status !== 404),
      ...this.#parts.gate.headers(token),
      "x-account_id": String(ACCOUNT.id),
      "x-user_id": String(ACCOUNT.userId),
    };
    if (answered.status !== 404 || answered.body === null) return complete(answered, headers);
    const pretty = JSON.stringify(JSON.parse(answered.body), null, 4);
    return complete({ ...answered, body: pretty }, headers);
  }

  #headers(locale: boolean): Record<string, string> {
    return {
      "cache-control": "no-cache, private",
      "access-control-allow-origin": "*",
      date: new Date(this.#world.nowMs()).toUTCString(),
      ...(locale ? { "x-locale": "en" } : {}),
    };
  }
}

function routeKey(method: string, match: RouteMatch): string {
  if (match.kind === "route") return `${match.route.method} /${match.route.template}`;
  if (match.kind === "batch") return "POST /batch";
  return match.kind === "not_found" ? `${method} unknown` : `${method} /${match.template}`;
}

function isImport(match: RouteMatch): boolean {
  if (match.kind !== "route" || match.route.method !== "POST") return false;
  return match.route.template === "subscribers/import" ||
    match.route.template.endsWith("/import-subscribers");
}

function scripted(
  effect: { status: number; headers?: Record<string, string>; body?: Json },
): Answer {
  const { status, headers = {}, body } = effect;
  if (body === undefined) return message(status, "Server Error", headers);
  return { status, headers, body: JSON.stringify(body) };
}

function htmlPage(
  status: number,
): { status: number; body: string; headers: Record<string, string> } {
  const title = `${status} Error`;
  return {
    status,
    body:
      `<!DOCTYPE html>\n<html><head><title>${title}</title></head><body><center><h1>${title}</h1></center></body></html>`,
    headers: { "content-type": "text/html; charset=UTF-8", server: "cloudflare" },
  };
}

/** Faults on the way back: the request has taken effect. */
function afterEffect(outcome: Outcome, { effect }: FaultDecision): Outcome {
  if (effect === undefined || outcome.kind !== "answer") return outcome;
  if (effect.kind === "reset") return { kind: "reset" };
  if (effect.kind === "html") return complete(htmlPage(effect.status), {});
  if (effect.kind === "truncate") {
    const whole = new TextEncoder().encode(outcome.body ?? "").length;
    return {
      kind: "truncated",
      answer: outcome,
      bytes: Math.min(effect.bytes ?? Math.floor(whole / 2), Math.max(whole - 1, 0)),
    };
  }
  if (effect.kind !== "status" || effect.when !== "after") return outcome;
  return complete(scripted(effect), outcome.headers);
}
