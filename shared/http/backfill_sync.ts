/**
 * The backfill-sync function: starts, pauses, resumes and shows the backfill.
 *
 * @module
 */
import { z } from "zod";
import { backfill, BATCH_PAIRS } from "../engine/backfill.ts";
import { requirePair, type SyncConfig } from "../engine/config.ts";
import { openLocalTable } from "../engine/open_sides.ts";
import type { Pair } from "../engine/pair.ts";
import { STALE_MS } from "../engine/slice.ts";
import { countPending } from "../store/backfill_store.ts";
import type { Run } from "../store/run.ts";
import { acquireRun, latestRun, pauseRun, strandRun } from "../store/runs.ts";
import type { Caller } from "./authenticate.ts";
import { callSelf } from "./call_self.ts";
import { type Answer, handler } from "./handler.ts";
import { HttpError } from "./http_error.ts";
import { requireEnv, type Runtime } from "./runtime.ts";
import { sliceDeps } from "./slice_deps.ts";
import { publicStatus, summarise } from "./summarise.ts";
import { runErrorToHttp } from "./to_http_error.ts";

const NAME = "backfill-sync";

const requestSchema = z.strictObject({
  autoContinue: z.boolean().default(true),
  wait: z.boolean().default(false),
  force: z.boolean().default(false),
  link: z.boolean().default(true),
  staleAfterDays: z.number().int().min(0).max(3650).default(30),
  action: z.enum(["start", "pause", "resume", "status"]).default("start"),
  pair: z.string().max(100).optional(),
});

type Request_ = z.infer<typeof requestSchema>;

function answerFor(status: number, run: Run, message: string): Answer {
  return {
    status,
    body: { ok: run.status !== "failed" && run.error === null, message, ...summarise(run) },
  };
}

async function status(runtime: Runtime, pair: Pair): Promise<Answer> {
  const run = await latestRun(runtime.database(), NAME, pair.name);
  if (run === null) throw noRun();
  return answerFor(200, run, run.phase);
}

async function pause(runtime: Runtime, pair: Pair): Promise<Answer> {
  const run = await pauseRun(runtime.database(), NAME, pair.name, STALE_MS);
  if (run === null) throw noRun();
  const message = run.status === "paused" ? "Paused" : "Pausing after the batch at hand";
  return answerFor(202, run, message);
}

function noRun(): HttpError {
  return new HttpError("no_run", "Cannot find a run for this", {
    hint: 'Start one with { "action": "start" }',
  });
}

function busy(run: Run): HttpError {
  return new HttpError("already_running", "Cannot start: a run is at work", {
    hint: 'Watch sync_status; if lastUpdatedAt stands still, send { "force": true }',
    details: { runId: run.id, heartbeatAgeMs: run.heartbeatAgeMs },
  });
}

function paused(run: Run): HttpError {
  return new HttpError("run_paused", "Cannot start: the run was paused by a person", {
    hint: 'Go on with { "action": "resume" }',
    details: { runId: run.id },
  });
}

/** Works on the run, then lets it go on by itself where that was asked for. */
async function workOn(
  runtime: Runtime,
  pair: Pair,
  request: Request_,
  run: Run,
): Promise<Run | null> {
  using slice = sliceDeps(NAME, runtime, pair);
  let left: Run | null;
  try {
    left = await backfill(slice.deps, run);
  } finally {
    await slice.release();
  }
  const goesOn = left?.status === "waiting" && left.error === null && request.autoContinue;
  if (left === null || !goesOn) return left;
  const body = { action: "resume", autoContinue: true, wait: request.wait, pair: pair.name };
  const failure = await callSelf(runtime, NAME, body);
  if (failure === null) return await latestRun(runtime.database(), NAME, pair.name);
  runtime.log("error", "cannot_continue", { runId: run.id, reason: failure });
  await strandRun(
    runtime.database(),
    left,
    "Stopped between two slices, because the function could not call itself; call it to go on",
  );
  return await latestRun(runtime.database(), NAME, pair.name);
}

function finished(run: Run | null, acquired: Run): Answer {
  if (run === null) {
    throw new HttpError(
      "already_running",
      "Cannot tell how the run ended: another worker took it over",
      {
        details: { runId: acquired.id },
      },
    );
  }
  if (run.error !== null) throw runErrorToHttp(run.error, run.id);
  return answerFor(200, run, run.phase);
}

async function start(
  runtime: Runtime,
  pair: Pair,
  request: Request_,
  caller: Caller,
): Promise<Answer> {
  for (const name of pair.remote.connector.spec.requiredEnv) requireEnv(runtime.env, name);
  const pool = runtime.database();
  const table = await openLocalTable(pool, pair);
  const { link, staleAfterDays, autoContinue } = request;
  const acquired = await acquireRun(pool, {
    functionName: NAME,
    pair: pair.name,
    mode: request.action === "resume" ? "resume" : "start",
    force: request.force,
    staleMs: STALE_MS,
    params: { link, staleAfterDays, autoContinue },
    requestedBy: caller.name,
  });
  if (acquired.outcome === "nothing_to_resume") throw noRun();
  if (acquired.outcome === "busy") throw busy(acquired.run);
  if (acquired.outcome === "paused") throw paused(acquired.run);

  const { run, how } = acquired;
  runtime.log("info", "slice_started", { runId: run.id, how, fencing: run.fencing });
  const pending = run.totalBatches > 0
    ? run.totalBatches
    : await countPending(pool, run, link ? await table.count(pool) : 0, BATCH_PAIRS);
  const work = workOn(runtime, pair, request, run);
  if (request.wait) return finished(await work, run);
  runtime.inBackground(work);
  const words = {
    new: "Started",
    resumed: "Going on",
    taken_over: "Taken over from a silent worker",
  };
  return {
    status: 202,
    body: {
      ok: true,
      runId: run.id,
      status: publicStatus(run),
      totalBatches: pending,
      message: words[how],
    },
  };
}

/** Makes the `fetch` of backfill-sync. */
export function backfillSync(
  config: SyncConfig,
  runtime: Runtime,
): (request: Request) => Promise<Response> {
  return handler({
    schema: requestSchema,
    roleFor: (body) => body.action === "status" ? "viewer" : "operator",
    log: runtime.log,
    async handle(body, caller) {
      const pair = requirePair(config, body.pair);
      switch (body.action) {
        case "status":
          return await status(runtime, pair);
        case "pause":
          return await pause(runtime, pair);
        case "start":
        case "resume":
          return await start(runtime, pair, body, caller);
      }
    },
  });
}
