/**
 * What smart-sync does for every run, whoever named the records: the run itself,
 * the circuit breaker before it, and the day's quota around it.
 *
 * @module
 */
import type { Tally } from "../engine/batch.ts";
import { describeError } from "../engine/describe_error.ts";
import type { GuardError } from "../engine/guard_error.ts";
import type { Pair } from "../engine/pair.ts";
import { type SliceDeps, STALE_MS } from "../engine/slice.ts";
import { smart } from "../engine/smart.ts";
import type { SmartOutcome } from "../engine/smart_outcome.ts";
import { CircuitBreaker, type CircuitOutcome } from "../limits/circuit_breaker.ts";
import { DailyQuota } from "../limits/daily_quota.ts";
import type { Json } from "../merge/json.ts";
import type { Flow } from "../merge/record_plan.ts";
import { DatabaseCircuitBreakers } from "../store/circuit_breaker_store.ts";
import { DatabaseDailyQuotas } from "../store/daily_quota_store.ts";
import type { Run } from "../store/run.ts";
import { insertRun } from "../store/runs.ts";
import type { Named } from "../store/subject_store.ts";
import type { Caller } from "./authenticate.ts";
import { HttpError } from "./http_error.ts";
import type { Runtime } from "./runtime.ts";
import { maxDurationMs, sliceDeps } from "./slice_deps.ts";

/** The function's name, in runs and in the circuit breaker's state. */
export const SMART_SYNC = "smart-sync";

// Codes of a run's error that say nothing about remote and database.
const OWN_FAULTS = [
  "guard_tripped",
  "invalid_configuration",
  "missing_configuration",
  "rate_limited",
];

// Longer than the longest slice, or two callers might try at once.
const PROBE_MARGIN_MS = 30_000;

/** What one call of smart-sync works with. */
export interface SmartWork {
  readonly runtime: Runtime;
  readonly pair: Pair;
  readonly flow: Flow;
  readonly dryRun: boolean;
  readonly repair: boolean;
  readonly caller: Caller;
  readonly deps: SliceDeps;
  readonly quota: DailyQuota;
  readonly tally: Tally;
  /** Is told of each limit that kept records from being changed. */
  readonly onGuard: (error: GuardError) => void;
}

/** What came of one run. */
export interface SmartRun {
  readonly run: Run;
  readonly outcomes: readonly SmartOutcome[];
}

/** How a call is set up. */
export type SmartSetup = Pick<
  SmartWork,
  "runtime" | "pair" | "flow" | "dryRun" | "repair" | "caller" | "onGuard"
>;

/**
 * Does the work of one call: all its runs share one deadline and one budget of CPU,
 * since they share one isolate.
 *
 * @param wantedMs How long the caller waits at most.
 */
export async function withSmartWork<Result>(
  setup: SmartSetup,
  wantedMs: number | undefined,
  work: (work: SmartWork) => Promise<Result>,
): Promise<Result> {
  const { runtime, pair } = setup;
  const tally: Tally = {
    processed: 0,
    conflicts: 0,
    updates: 0,
    errors: 0,
    skipped: 0,
    requests: 0,
  };
  const quota = quotaOf(runtime);
  using slice = sliceDeps(SMART_SYNC, runtime, pair, wantedMs);
  const { deps } = slice;
  const counted: SliceDeps = {
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
    return await work({ ...setup, deps: counted, quota, tally });
  } finally {
    // What is not given back comes back by itself; the answer must not be lost over it.
    if (tally.requests > 0) await slice.release().catch(() => {});
  }
}

/** Writes a run of this call down; runs over different records do not wait for each other. */
export async function beginRun({ runtime, pair, flow, dryRun, repair, caller }: SmartWork) {
  return await insertRun(runtime.database(), {
    functionName: SMART_SYNC,
    pair: pair.name,
    lane: crypto.randomUUID(),
    mode: "start",
    force: false,
    staleMs: STALE_MS,
    params: { flow, dryRun, repair },
    requestedBy: caller.name,
  });
}

/** One run over some records. */
export async function runOver(
  work: SmartWork,
  named: Named,
  again: ReadonlySet<string> = new Set(),
): Promise<SmartRun> {
  const { deps, repair, tally, onGuard } = work;
  const run = await beginRun(work);
  let outcomes: readonly SmartOutcome[] = [];
  const left = await smart(deps, run, {
    named,
    again,
    repair,
    tally,
    onOutcomes: (all) => outcomes = all,
    onGuard,
  });
  return { run: left ?? run, outcomes };
}

function circuitOutcome(run: Run): CircuitOutcome {
  if (run.error !== null) {
    const { code } = run.error;
    return OWN_FAULTS.includes(code) ? { kind: "undecided" } : { kind: "failed", code };
  }
  // Stopped on its way, it has proved nothing.
  return run.stopReason === "complete" ? { kind: "succeeded" } : { kind: "undecided" };
}

/**
 * Works behind the circuit breaker, which is told what came of it.
 *
 * @param work Answers null where there was nothing to do.
 * @throws {CircuitOpenError} If remote or database are to be left alone; nothing was begun then.
 */
export async function behindBreaker(
  runtime: Runtime,
  work: () => Promise<SmartRun | null>,
): Promise<SmartRun | null> {
  const breaker = new CircuitBreaker({
    store: new DatabaseCircuitBreakers(runtime.database(), runtime.limitsNow ?? null),
    probeLeaseMs: maxDurationMs(runtime.env) + PROBE_MARGIN_MS,
    onChange: (subject, state, code) =>
      runtime.log(state === "open" ? "error" : "info", "circuit_changed", { subject, state, code }),
  });
  const pass = await breaker.enter(SMART_SYNC);
  let done: SmartRun | null;
  try {
    done = await work();
  } catch (error) {
    const { code } = describeError(error).error;
    const outcome: CircuitOutcome = OWN_FAULTS.includes(code)
      ? { kind: "undecided" }
      : { kind: "failed", code };
    await breaker.report(pass, outcome).catch(() => {});
    throw error;
  }
  // What was done stands, whoever hears of it.
  const outcome = done === null ? { kind: "undecided" as const } : circuitOutcome(done.run);
  await breaker.report(pass, outcome).catch(() => {});
  return done;
}

function quotaOf(runtime: Runtime): DailyQuota {
  const text = runtime.env("SYNC_DAILY_QUOTA");
  const limit = text === undefined || text === "" ? {} : { limit: Number(text) };
  const store = new DatabaseDailyQuotas(runtime.database(), runtime.limitsNow ?? null);
  try {
    return new DailyQuota({ store, ...limit });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new HttpError(
      "invalid_configuration",
      "Cannot run: SYNC_DAILY_QUOTA is not a whole number above 0",
      { details: { variable: "SYNC_DAILY_QUOTA" } },
    );
  }
}

/** How the day's quota stands, and what this call cost the remote. */
export async function quotaJson(
  { quota, tally }: SmartWork,
): Promise<{ readonly [name: string]: Json }> {
  const { used, reserved, limit, resetAt } = await quota.state();
  return { used, reserved, limit, resetAt, requests: tally.requests };
}

/** What a limit that kept records from being changed says. */
export function guardJson(errors: readonly GuardError[]): { readonly [name: string]: Json } {
  const [error] = errors;
  if (error === undefined) return {};
  const { tripped: { kind, count, limit }, linked, message } = error;
  return { guard: { kind, count, limit, linked, message } };
}
