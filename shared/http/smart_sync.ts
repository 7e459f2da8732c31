/**
 * The smart-sync function: syncs the records somebody names, or those that wait
 * in the queue.
 *
 * @module
 */
import { z } from "zod";
import { requirePair, type SyncConfig } from "../engine/config.ts";
import type { GuardError } from "../engine/guard_error.ts";
import type { Pair } from "../engine/pair.ts";
import type { SmartOutcome } from "../engine/smart_outcome.ts";
import { requireHealthyDatabase } from "../limits/db_health.ts";
import { canonicalKey, UnreadableValueError } from "../merge/canonical.ts";
import type { Flow } from "../merge/record_plan.ts";
import { DatabaseHealthProbe } from "../store/db_health_store.ts";
import type { Caller } from "./authenticate.ts";
import { type Answer, handler } from "./handler.ts";
import { HttpError } from "./http_error.ts";
import { requireEnv, type Runtime } from "./runtime.ts";
import { smartEntry } from "./smart_answer.ts";
import { drain } from "./smart_drain.ts";
import {
  behindBreaker,
  guardJson,
  quotaJson,
  runOver,
  type SmartSetup,
  type SmartWork,
  withSmartWork,
} from "./smart_run.ts";
import { runErrorToHttp } from "./to_http_error.ts";

/** How long somebody who named records waits for them at most, in ms. */
const NAMED_DURATION_MS = 30_000;

/** When to come back where the rate limit left no room, in ms: its window. */
const RATE_RETRY_MS = 60_000;

const requestSchema = z.strictObject({
  mode: z.enum(["AtoB", "BtoA", "bidirectional", "full"]).default("bidirectional"),
  emails: z.array(z.string().min(1).max(320)).min(1).max(100).optional(),
  dryRun: z.boolean().default(false),
  repair: z.boolean().default(false),
  pair: z.string().max(100).optional(),
});

type Request_ = z.infer<typeof requestSchema>;

const FLOWS: Readonly<Record<Request_["mode"], Flow>> = {
  AtoB: "to_remote",
  BtoA: "to_local",
  bidirectional: "both",
  full: "both",
};

function invalidField(path: string, message: string): HttpError {
  return new HttpError("invalid_request", "Cannot use the request: some fields are wrong", {
    hint: "Mend the fields listed in details.fields",
    details: { fields: [{ path, message }] },
  });
}

/** The keys that were asked for, each with the first spelling of it. */
function namedKeys(pair: Pair, emails: readonly string[]): Map<string, string> {
  const keys = new Map<string, string>();
  for (const [index, email] of emails.entries()) {
    let key = "";
    try {
      key = canonicalKey(email, pair.rules.keyCompare);
    } catch (error) {
      if (!(error instanceof UnreadableValueError)) throw error;
    }
    if (key === "") throw invalidField(`emails.${index}`, "must be an address");
    if (!keys.has(key)) keys.set(key, email);
  }
  return keys;
}

function notReached(ref: string): SmartOutcome {
  return {
    by: "key",
    ref,
    outcome: "skipped",
    bId: null,
    reason: "not_reached",
    conflicts: 0,
    failedRuns: 0,
    left: false,
    repairs: [],
  };
}

async function syncNamed(
  work: SmartWork,
  keys: ReadonlyMap<string, string>,
  guards: readonly GuardError[],
): Promise<Answer> {
  const { runtime, quota, tally, repair, dryRun } = work;
  const reservation = dryRun ? null : await quota.reserve(keys.size, { all: true });
  let done;
  try {
    const named = { keys: [...keys.keys()], aIds: [], bIds: [] };
    done = await behindBreaker(runtime, () => runOver(work, named));
  } finally {
    if (reservation !== null) {
      const used = Math.min(tally.processed, reservation.granted);
      await quota.settle(reservation, used).catch(() => {});
    }
  }
  const run = done?.run ?? null;
  if (run !== null && tally.processed === 0) {
    if (run.error !== null) throw runErrorToHttp(run.error, run.id);
    if (run.stopReason === "rate_limit") {
      throw new HttpError("rate_limited", "Cannot sync now: the remote's rate limit is used up", {
        hint: "Call again later; nothing is lost",
        details: { runId: run.id },
        retryAfterMs: RATE_RETRY_MS,
      });
    }
  }
  const byKey = new Map(done?.outcomes.map((outcome) => [outcome.ref, outcome]));
  const outcomes = [...keys].map(([key, email]) => ({
    email,
    outcome: byKey.get(key) ?? notReached(key),
  }));
  return {
    status: 200,
    body: {
      ok: run?.error === null && guards.length === 0 &&
        outcomes.every(({ outcome }) => outcome.outcome !== "failed"),
      count: outcomes.length,
      out: outcomes.map(({ email, outcome }) => smartEntry(outcome, email, repair)),
      runId: run?.id ?? null,
      quota: await quotaJson(work),
      ...guardJson(guards),
    },
  };
}

async function run(
  runtime: Runtime,
  pair: Pair,
  request: Request_,
  caller: Caller,
): Promise<Answer> {
  const { emails, mode, dryRun, repair } = request;
  for (const name of pair.remote.connector.spec.requiredEnv) requireEnv(runtime.env, name);
  if (repair && emails === undefined) {
    throw invalidField("emails", "is needed for repair: name up to 100");
  }
  const keys = emails === undefined ? null : namedKeys(pair, emails);
  await requireHealthyDatabase({
    probe: new DatabaseHealthProbe(runtime.database()),
    monotonic: runtime.monotonic,
    sleep: runtime.sleep,
  });
  const guards: GuardError[] = [];
  const setup: SmartSetup = {
    runtime,
    pair,
    flow: FLOWS[mode],
    dryRun,
    repair,
    caller,
    onGuard: (error) => void guards.push(error),
  };
  return keys === null
    ? await withSmartWork(setup, undefined, (work) => drain(work, mode === "full", guards))
    : await withSmartWork(setup, NAMED_DURATION_MS, (work) => syncNamed(work, keys, guards));
}

/** Makes the `fetch` of smart-sync. */
export function smartSync(
  config: SyncConfig,
  runtime: Runtime,
): (request: Request) => Promise<Response> {
  return handler({
    schema: requestSchema,
    roleFor: (body) => body.dryRun ? "viewer" : "operator",
    log: runtime.log,
    handle: async (body, caller) =>
      await run(runtime, requirePair(config, body.pair), body, caller),
  });
}
