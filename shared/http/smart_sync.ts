/**
 * The smart-sync function: syncs the records somebody names, or those that wait
 * in the queue.
 *
 * @module
 */
import { z } from "zod";
import type { Tally } from "../engine/batch.ts";
import { requirePair, type SyncConfig } from "../engine/config.ts";
import type { Pair } from "../engine/pair.ts";
import { STALE_MS } from "../engine/slice.ts";
import { smart, type SmartOutcome } from "../engine/smart.ts";
import { CircuitBreaker } from "../limits/circuit_breaker.ts";
import { DailyQuota } from "../limits/daily_quota.ts";
import { requireHealthyDatabase } from "../limits/db_health.ts";
import { canonicalKey, UnreadableValueError } from "../merge/canonical.ts";
import type { Json } from "../merge/json.ts";
import type { Flow } from "../merge/record_plan.ts";
import { DatabaseCircuitBreakers } from "../store/circuit_breaker_store.ts";
import { DatabaseDailyQuotas } from "../store/daily_quota_store.ts";
import { DatabaseHealthProbe } from "../store/db_health_store.ts";
import { claimQueued, countQueued, type QueuedRecord, settleQueued } from "../store/queue_store.ts";
import type { Run } from "../store/run.ts";
import { acquireRun } from "../store/runs.ts";
import type { Named } from "../store/subject_store.ts";
import type { Caller } from "./authenticate.ts";
import { type Answer, handler } from "./handler.ts";
import { HttpError } from "./http_error.ts";
import { requireEnv, type Runtime } from "./runtime.ts";
import { sliceDeps } from "./slice_deps.ts";
import { smartEntry } from "./smart_answer.ts";
import { runErrorToHttp } from "./to_http_error.ts";

const NAME = "smart-sync";

/** Queued records a round takes: ten batch calls to read them. */
const ROUND_RECORDS = 490;

/** How long a round has them to itself, in ms: longer than any slice takes. */
const CLAIM_MS = 600_000;

/** Codes of a run's error that say nothing about remote and database. */
const OWN_FAULTS = [
  "guard_tripped",
  "invalid_configuration",
  "missing_configuration",
  "rate_limited",
];

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
    if (key === "") {
      throw new HttpError("invalid_request", "Cannot use the request: some fields are wrong", {
        hint: "Mend the fields listed in details.fields",
        details: { fields: [{ path: `emails.${index}`, message: "must be an address" }] },
      });
    }
    if (!keys.has(key)) keys.set(key, email);
  }
  return keys;
}

interface Work {
  readonly runtime: Runtime;
  readonly pair: Pair;
  readonly request: Request_;
  readonly caller: Caller;
  readonly tally: Tally;
}

/** One run over some records. */
async function runOver(
  { runtime, pair, request, caller, tally }: Work,
  named: Named,
): Promise<{ readonly run: Run; readonly outcomes: readonly SmartOutcome[] }> {
  const acquired = await acquireRun(runtime.database(), {
    functionName: NAME,
    pair: pair.name,
    // Runs over different records do not wait for each other; over the same
    // records, each record is locked for itself.
    lane: crypto.randomUUID(),
    mode: "start",
    force: false,
    staleMs: STALE_MS,
    params: { flow: FLOWS[request.mode], dryRun: request.dryRun, repair: request.repair },
    requestedBy: caller.name,
  });
  if (acquired.outcome !== "acquired") throw new Error("Cannot start: the lane is not new");
  let outcomes: readonly SmartOutcome[] = [];
  using slice = sliceDeps(runtime, pair);
  const { deps } = slice;
  const counted: typeof deps = {
    ...deps,
    remote: {
      ...deps.remote,
      fetch: (input, init) => {
        tally.requests++;
        return deps.remote.fetch(input, init);
      },
    },
  };
  try {
    const left = await smart(counted, acquired.run, {
      named,
      repair: request.repair,
      tally,
      onOutcomes: (all) => outcomes = all,
    });
    return { run: left ?? acquired.run, outcomes };
  } finally {
    await slice.release();
  }
}

function failureOf(run: Run): string | null {
  return run.error === null || OWN_FAULTS.includes(run.error.code) ? null : run.error.code;
}

/** Works behind the circuit breaker, which is told what came of it. */
async function guarded(
  work: Work,
  named: Named,
): Promise<{ readonly run: Run; readonly outcomes: readonly SmartOutcome[] }> {
  const { runtime } = work;
  const breaker = new CircuitBreaker({
    store: new DatabaseCircuitBreakers(runtime.database()),
    onChange: (subject, state, code) =>
      runtime.log(state === "open" ? "error" : "info", "circuit_changed", { subject, state, code }),
  });
  const pass = await breaker.enter(NAME);
  try {
    const done = await runOver(work, named);
    const code = failureOf(done.run);
    const outcome = code === null
      ? { kind: done.run.error === null ? "succeeded" as const : "undecided" as const }
      : { kind: "failed" as const, code };
    await breaker.report(pass, outcome);
    return done;
  } catch (error) {
    await breaker.report(pass, { kind: "failed", code: "internal_error" }).catch(() => {});
    throw error;
  }
}

function quotaOf(runtime: Runtime): DailyQuota {
  const text = runtime.env("SYNC_DAILY_QUOTA");
  const limit = text === undefined || text === "" ? {} : { limit: Number(text) };
  try {
    return new DailyQuota({ store: new DatabaseDailyQuotas(runtime.database()), ...limit });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new HttpError(
      "invalid_configuration",
      "Cannot run: SYNC_DAILY_QUOTA is not a whole number above 0",
      {
        details: { variable: "SYNC_DAILY_QUOTA" },
      },
    );
  }
}

async function quotaJson(quota: DailyQuota, requests: number): Promise<{ [name: string]: Json }> {
  const { used, reserved, limit, resetAt } = await quota.state();
  return { used, reserved, limit, resetAt, requests };
}

async function syncNamed(work: Work, emails: readonly string[]): Promise<Answer> {
  const { runtime, pair, request, tally } = work;
  const keys = namedKeys(pair, emails);
  const quota = quotaOf(runtime);
  const held = request.dryRun ? null : await quota.reserve(keys.size, { all: true });
  let used = 0;
  try {
    const { run, outcomes } = await guarded(work, { keys: [...keys.keys()], aIds: [], bIds: [] });
    used = tally.processed;
    if (run.error !== null && tally.processed === 0) throw runErrorToHttp(run.error, run.id);
    const byKey = new Map(outcomes.map((outcome) => [outcome.ref, outcome]));
    const out = [...keys].map(([key, email]) => {
      const outcome = byKey.get(key) ?? notReached(key);
      return smartEntry(outcome, email, request.repair);
    });
    return {
      status: 200,
      body: {
        ok: out.every((entry) => entry["error"] === undefined),
        count: out.length,
        out,
        runId: run.id,
        quota: await settled(quota, held, used, tally),
      },
    };
  } finally {
    if (held !== null) await quota.settle(held, Math.min(used, held.granted)).catch(() => {});
  }
}

async function settled(
  quota: DailyQuota,
  held: Awaited<ReturnType<DailyQuota["reserve"]>> | null,
  used: number,
  tally: Tally,
): Promise<{ [name: string]: Json }> {
  if (held !== null) await quota.settle(held, Math.min(used, held.granted));
  return await quotaJson(quota, tally.requests);
}

function notReached(ref: string): SmartOutcome {
  return {
    by: "key",
    ref,
    outcome: "skipped",
    bId: null,
    reason: "not_reached",
    conflicts: 0,
    repairs: [],
  };
}

// Left for another time by chance, not for good.
const AGAIN = [
  "locked",
  "moved",
  "retry",
  "unconfirmed",
  "vanished",
  "appeared_at_remote",
  "not_reached",
];

/** When a queued record is looked at again, in ms; null if it is done with. */
function againInMs(outcome: SmartOutcome | undefined, { attempts }: QueuedRecord): number | null {
  const backoff = Math.min(2 ** Math.min(attempts, 10), 600) * 1_000;
  if (outcome === undefined) return backoff;
  if (outcome.outcome === "skipped" && AGAIN.includes(outcome.reason ?? "")) return backoff;
  return outcome.outcome === "failed" && attempts < 3 ? Math.max(backoff, 60_000) : null;
}

async function drainRound(
  work: Work,
  claimed: readonly QueuedRecord[],
): Promise<{ readonly run: Run; readonly outcomes: readonly SmartOutcome[] }> {
  const { runtime, pair, request } = work;
  const ids = (side: "a" | "b") =>
    claimed.flatMap((entry) => entry.side === side ? [entry.recordId] : []);
  let outcomes: readonly SmartOutcome[] = [];
  try {
    const done = await guarded(work, { keys: [], aIds: ids("a"), bIds: ids("b") });
    // Stopped before its end, it has told of records that it did not come to.
    outcomes = done.run.error === null ? done.outcomes : done.outcomes.filter(wasDone);
    return done;
  } finally {
    const byRef = new Map(outcomes.map((outcome) => [`${outcome.by}:${outcome.ref}`, outcome]));
    await settleQueued(
      runtime.database(),
      pair.name,
      claimed.map((entry) => ({
        side: entry.side,
        recordId: entry.recordId,
        version: entry.version,
        againInMs: request.dryRun
          ? 0
          : againInMs(byRef.get(`${entry.side}:${entry.recordId}`), entry),
      })),
    );
  }
}

function wasDone({ outcome }: SmartOutcome): boolean {
  return outcome !== "skipped";
}

async function drain(work: Work): Promise<Answer> {
  const { runtime, pair, request, tally } = work;
  const pool = runtime.database();
  const quota = quotaOf(runtime);
  const out: { readonly [name: string]: Json }[] = [];
  let runId: string | null = null;
  const started = runtime.monotonic();
  for (;;) {
    const waiting = await countQueued(pool, pair.name);
    if (waiting === 0) break;
    const held = request.dryRun
      ? { id: "", granted: Math.min(waiting, ROUND_RECORDS) }
      : await reserveSome(quota, Math.min(waiting, ROUND_RECORDS), out.length > 0);
    if (held === null) break;
    const before = tally.processed;
    try {
      const claimed = await claimQueued(pool, pair.name, held.granted, CLAIM_MS);
      if (claimed.length === 0) break;
      const { run, outcomes } = await drainRound(work, claimed);
      runId = run.id;
      out.push(...outcomes.map((outcome) => smartEntry(outcome, undefined, request.repair)));
      if (run.error !== null && out.length === 0) throw runErrorToHttp(run.error, run.id);
      if (run.error !== null || run.status === "waiting" || request.dryRun) break;
    } finally {
      if (!request.dryRun) {
        const used = Math.min(tally.processed - before, held.granted);
        await quota.settle(held, used).catch(() => {});
      }
    }
    if (runtime.monotonic() - started > 30_000 || runtime.shutdown.aborted) break;
  }
  return {
    status: 200,
    body: {
      ok: out.every((entry) => entry["error"] === undefined),
      count: out.length,
      out,
      runId,
      quota: await quotaJson(quota, tally.requests),
    },
  };
}

/** Reserves for a round; where some of the queue is done, a used-up quota ends the call quietly. */
async function reserveSome(quota: DailyQuota, want: number, quietly: boolean) {
  try {
    return await quota.reserve(want);
  } catch (error) {
    if (quietly && error instanceof Error && error.name === "QuotaExceededError") return null;
    throw error;
  }
}

async function run(
  runtime: Runtime,
  pair: Pair,
  request: Request_,
  caller: Caller,
): Promise<Answer> {
  for (const name of pair.remote.connector.spec.requiredEnv) requireEnv(runtime.env, name);
  if (request.repair && request.emails === undefined) {
    throw new HttpError("invalid_request", "Cannot repair: no record is named", {
      hint: "Name up to 100 in emails",
      details: { fields: [{ path: "emails", message: "is needed for repair" }] },
    });
  }
  await requireHealthyDatabase({
    probe: new DatabaseHealthProbe(runtime.database()),
    monotonic: runtime.monotonic,
    sleep: runtime.sleep,
  });
  const tally: Tally = {
    processed: 0,
    conflicts: 0,
    updates: 0,
    errors: 0,
    skipped: 0,
    requests: 0,
  };
  const work: Work = { runtime, pair, request, caller, tally };
  return request.emails === undefined ? await drain(work) : await syncNamed(work, request.emails);
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
