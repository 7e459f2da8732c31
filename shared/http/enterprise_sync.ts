/**
 * The enterprise-sync function: works on the two-way run.
 *
 * @module
 */
import { z } from "zod";
import type { Tally } from "../engine/batch.ts";
import { requirePair, type SyncConfig } from "../engine/config.ts";
import { enterprise } from "../engine/enterprise.ts";
import type { Pair } from "../engine/pair.ts";
import type { ItemPlan } from "../engine/plan_item.ts";
import { STALE_MS } from "../engine/slice.ts";
import type { Json } from "../merge/json.ts";
import type { Flow } from "../merge/record_plan.ts";
import type { Run } from "../store/run.ts";
import { acquireRun, findRun, pauseRun } from "../store/runs.ts";
import type { Caller } from "./authenticate.ts";
import { type Answer, handler } from "./handler.ts";
import { HttpError } from "./http_error.ts";
import { decodeRunCursor, encodeRunCursor } from "./run_cursor.ts";
import { requireEnv, type Runtime } from "./runtime.ts";
import { showPlan } from "./show_plan.ts";
import { sliceDeps } from "./slice_deps.ts";
import { runErrorToHttp } from "./to_http_error.ts";

const NAME = "enterprise-sync";

const requestSchema = z.strictObject({
  action: z.enum(["start", "pause", "resume"]).default("start"),
  direction: z.string().max(100).default("both"),
  maxRecords: z.number().int().min(1).max(100_000).default(300),
  dryRun: z.boolean().default(false),
  maxDurationMs: z.number().int().min(1_000).max(400_000).default(120_000),
  cursor: z.string().max(1_000).optional(),
  plan: z.boolean().default(false),
  override: z.strictObject({
    guards: z.array(z.enum(["deletes", "unsubscribes", "blanks", "updates"])).min(1),
    reason: z.string().min(1).max(500),
  }).optional(),
  pair: z.string().max(100).optional(),
});

type Request_ = z.infer<typeof requestSchema>;

/** Which way a direction's word goes. */
function flowOf(pair: Pair, direction: string): Flow {
  const { connector } = pair.remote.connector.spec;
  const words: Record<string, Flow> = {
    both: "both",
    [`${connector}-to-supabase`]: "to_local",
    [`supabase-to-${connector}`]: "to_remote",
  };
  const flow = Object.hasOwn(words, direction) ? words[direction] : undefined;
  if (flow !== undefined) return flow;
  throw new HttpError("invalid_request", "Cannot use the request: some fields are wrong", {
    hint: "Mend the fields listed in details.fields",
    details: {
      fields: [{ path: "direction", message: `must be one of ${Object.keys(words).join(", ")}` }],
    },
  });
}

function laneOf(flow: Flow, request: Request_): string {
  return `${flow}${request.plan ? ":plan" : request.dryRun ? ":dry" : ""}`;
}

const STOP_REASONS: Readonly<Record<string, string>> = {
  complete: "complete",
  record_limit: "record_limit",
  guard_tripped: "guard",
  paused: "paused",
};

function stopReasonOf(run: Run): string {
  const known = STOP_REASONS[run.error?.code ?? run.stopReason ?? ""];
  if (known !== undefined) return known;
  return run.error === null ? "time_limit" : "error";
}

function messageOf(run: Run, restarted: boolean): string {
  const start = restarted
    ? "The cursor was of an older enumeration, so a new one was started. "
    : "";
  return start + (run.error?.message ?? run.phase);
}

function answerOf(
  run: Run,
  pair: Pair,
  lane: string,
  tally: Tally,
  restarted: boolean,
  plans: Json[] | null,
): Answer {
  const done = run.status === "completed" || run.status === "failed" && run.error === null;
  const isOver = run.status === "completed" || run.status === "failed";
  const { budgets } = pair.remote.connector.spec;
  const [budget] = Object.values(budgets);
  return {
    status: 200,
    body: {
      recordsProcessed: tally.processed,
      conflictsDetected: tally.conflicts,
      updatesApplied: tally.updates,
      errors: tally.errors,
      done,
      nextCursor: isOver ? null : encodeRunCursor(run, lane),
      message: messageOf(run, restarted),
      runId: run.id,
      stopReason: stopReasonOf(run),
      skipped: tally.skipped,
      quota: {
        requests: tally.requests,
        limit: budget?.requests ?? null,
        windowMs: budget?.windowMs ?? null,
      },
      dryRun: run.params["dryRun"] === true,
      ...(plans === null ? {} : { plan: plans }),
    },
  };
}

function busy(run: Run): HttpError {
  return new HttpError("already_running", "Cannot start: a run is at work", {
    hint: "Wait for it; a worker that gives no sign for 90 s is taken over by the next call",
    details: { runId: run.id, heartbeatAgeMs: run.heartbeatAgeMs },
  });
}

function noRun(): HttpError {
  return new HttpError("no_run", "Cannot find an unfinished run of this direction", {
    hint: "Start one with a call that names no action",
  });
}

async function pause(runtime: Runtime, pair: Pair, lane: string): Promise<Answer> {
  const run = await pauseRun(runtime.database(), NAME, pair.name, STALE_MS, lane);
  if (run === null) throw noRun();
  const isPaused = run.status === "paused";
  const message = isPaused ? "Paused" : "Pausing after the batch at hand";
  return { status: 202, body: { ok: true, message, runId: run.id, paused: isPaused } };
}

/** Whether the caller's cursor still stands for the enumeration that is under way. */
async function isOfUnfinished(
  runtime: Runtime,
  text: string | undefined,
  lane: string,
): Promise<{ readonly given: boolean; readonly current: Run | null }> {
  if (text === undefined) return { given: false, current: null };
  const cursor = decodeRunCursor(text, lane);
  const run = await findRun(runtime.database(), cursor.run);
  const isCurrent = run !== null && run.status !== "completed" && run.status !== "failed" &&
    run.epoch === cursor.epoch;
  return { given: true, current: isCurrent ? run : null };
}

async function run(
  runtime: Runtime,
  pair: Pair,
  request: Request_,
  caller: Caller,
): Promise<Answer> {
  const flow = flowOf(pair, request.direction);
  const lane = laneOf(flow, request);
  if (request.action === "pause") return await pause(runtime, pair, lane);
  for (const name of pair.remote.connector.spec.requiredEnv) requireEnv(runtime.env, name);
  const pool = runtime.database();
  const { given, current } = await isOfUnfinished(runtime, request.cursor, lane);
  const dryRun = request.dryRun || request.plan;
  const acquired = await acquireRun(pool, {
    functionName: NAME,
    pair: pair.name,
    lane,
    mode: request.action,
    force: false,
    staleMs: STALE_MS,
    params: { flow, dryRun },
    requestedBy: caller.name,
  });
  if (acquired.outcome === "busy") throw busy(acquired.run);
  if (acquired.outcome === "nothing_to_resume") throw noRun();
  if (acquired.outcome === "paused") {
    throw new HttpError("run_paused", "Cannot start: the run was paused by a person", {
      hint: 'Go on with { "action": "resume" }, or deno task sync resume enterprise-sync',
      details: { runId: acquired.run.id },
    });
  }
  const { run: first, how } = acquired;
  runtime.log("info", "slice_started", { runId: first.id, how, fencing: first.fencing });
  const tally: Tally = {
    processed: 0,
    conflicts: 0,
    updates: 0,
    errors: 0,
    skipped: 0,
    requests: 0,
  };
  const plans: Json[] = [];
  const keep = (batch: readonly ItemPlan[]) => void plans.push(...batch.map(showPlan));
  using slice = sliceDeps(NAME, runtime, pair, request.maxDurationMs);
  const counted: typeof slice.deps = {
    ...slice.deps,
    remote: {
      ...slice.deps.remote,
      fetch: (input, init) => {
        tally.requests++;
        return slice.deps.remote.fetch(input, init);
      },
    },
  };
  let left: Run | null;
  try {
    left = await enterprise(counted, first, {
      maxRecords: request.maxRecords,
      fresh: dryRun && !given,
      override: request.override === undefined ? null : { ...request.override, by: caller.name },
      tally,
      ...(request.plan ? { onPlans: keep } : {}),
    });
  } finally {
    await slice.release();
  }
  if (left === null) {
    throw new HttpError(
      "already_running",
      "Cannot tell how the run goes on: another worker took it over",
      {
        details: { runId: first.id },
      },
    );
  }
  // Also where the enumeration it stood for was given up only now.
  const restarted = given && (current?.id !== left.id || current.epoch !== left.epoch);
  // A run that could not begin tells why as an error; one that was stopped on its
  // way tells how far it came.
  const cause = left.error;
  if (cause !== null && cause.code !== "guard_tripped" && tally.processed === 0) {
    throw runErrorToHttp(cause, left.id);
  }
  return answerOf(left, pair, lane, tally, restarted, request.plan ? plans : null);
}

/** Makes the `fetch` of enterprise-sync. */
export function enterpriseSync(
  config: SyncConfig,
  runtime: Runtime,
): (request: Request) => Promise<Response> {
  return handler({
    schema: requestSchema,
    roleFor: (body) =>
      body.action !== "pause" && (body.dryRun || body.plan) ? "viewer" : "operator",
    log: runtime.log,
    handle: async (body, caller) =>
      await run(runtime, requirePair(config, body.pair), body, caller),
  });
}
