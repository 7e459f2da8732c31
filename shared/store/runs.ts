/**
 * Runs and their leases. A lease is a row, not a session lock: it spans remote
 * calls, works through a transaction pooler, and everybody can read who holds it.
 *
 * @module
 */
import type { Json } from "../merge/json.ts";
import type { Database, DatabasePool } from "./database.ts";
import { LeaseLostError } from "./lease_lost_error.ts";
import { type Run, RUN_JSON, type RunError } from "./run.ts";

/** What a caller wants to run. */
export interface RunRequest {
  readonly functionName: string;
  readonly pair: string;
  /** Runs of one function and pair in different lanes do not stand in each other's way; default one lane. */
  readonly lane?: string;
  /** `start` begins a run or goes on with the unfinished one; `resume` only goes on. */
  readonly mode: "start" | "resume";
  /** Takes the lease from a holder that still gives signs. */
  readonly force: boolean;
  /** How long a holder may be silent before the next caller takes over, in ms. */
  readonly staleMs: number;
  readonly params: { readonly [name: string]: Json };
  /** Who asked: a key's name or a user's id. */
  readonly requestedBy: string;
}

/** Leave to work on a run: its row as it stood, and the number every commit has to show. */
export type Acquired =
  | {
    readonly outcome: "acquired";
    readonly run: Run;
    readonly how: "new" | "resumed" | "taken_over";
  }
  | { readonly outcome: "busy"; readonly run: Run }
  | { readonly outcome: "paused"; readonly run: Run }
  | { readonly outcome: "nothing_to_resume" };

async function findUnfinished(database: Database, request: RunRequest): Promise<Run | null> {
  const rows = await database.query<{ run: Run }>(
    `select ${RUN_JSON} as run from public.sync_runs r
     where r.function = $1 and r.pair = $2 and r.lane = $3
       and r.status in ('running', 'waiting', 'paused')
     for update`,
    [request.functionName, request.pair, request.lane ?? ""],
  );
  return rows[0]?.run ?? null;
}

/**
 * Begins a run in a lane that nobody else uses.
 *
 * @throws What the database answers (code 23505) if there is an unfinished run in the lane.
 */
export async function insertRun(database: Database, request: RunRequest): Promise<Run> {
  const rows = await database.query<{ run: Run }>(
    `insert into public.sync_runs as r
       (function, pair, lane, status, phase, params, requested_by, lease_owner, fencing, slices)
     values ($1, $2, $3, 'running', 'Starting', $4, $5, gen_random_uuid(),
       nextval('public.sync_fencing'), 1)
     returning ${RUN_JSON} as run`,
    [
      request.functionName,
      request.pair,
      request.lane ?? "",
      JSON.stringify(request.params),
      request.requestedBy,
    ],
  );
  return only(rows).run;
}

// Only how the run goes on may differ from what its first caller asked for; what
// it does may not, since half of it is done.
async function takeLease(database: Database, runId: string, autoContinue: boolean): Promise<Run> {
  const rows = await database.query<{ run: Run }>(
    `update public.sync_runs as r
     set status = 'running', stop_reason = null, error = null, pause_requested = false,
       lease_owner = gen_random_uuid(), fencing = nextval('public.sync_fencing'),
       params = r.params || jsonb_build_object('autoContinue', $2::boolean),
       slices = r.slices + 1, heartbeat_at = now(), last_updated_at = now()
     where r.id = $1
     returning ${RUN_JSON} as run`,
    [runId, autoContinue],
  );
  return only(rows).run;
}

function only<Row>(rows: readonly Row[]): Row {
  const row = rows[0];
  if (row === undefined || rows.length !== 1) {
    throw new Error(`Cannot use the answer: ${rows.length} rows instead of one`);
  }
  return row;
}

/**
 * Begins a run or goes on with the unfinished one, if nobody else is at it.
 *
 * Callers of one function and pair pass one at a time, by an advisory lock that
 * lasts as long as this short transaction: without it two first callers would
 * both see no run, and one of them would end in a unique violation.
 */
export function acquireRun(pool: DatabasePool, request: RunRequest): Promise<Acquired> {
  return pool.transaction(async (database): Promise<Acquired> => {
    await database.query(
      `select pg_advisory_xact_lock(hashtextextended('sync_run:' || $1 || ':' || $2 || ':' || $3, 0))`,
      [request.functionName, request.pair, request.lane ?? ""],
    );
    const run = await findUnfinished(database, request);
    if (run === null) {
      if (request.mode === "resume") return { outcome: "nothing_to_resume" };
      return { outcome: "acquired", run: await insertRun(database, request), how: "new" };
    }
    if (run.status === "running") {
      if (!request.force && run.heartbeatAgeMs <= request.staleMs) return { outcome: "busy", run };
      if (run.pauseRequested && request.mode === "start" && !request.force) {
        // Its worker died before it came to it. Whoever asked does not expect it to go on.
        const { functionName, pair, staleMs, lane } = request;
        const paused = await pauseRun(database, functionName, pair, staleMs, lane);
        if (paused?.status === "paused") return { outcome: "paused", run: paused };
      }
      return {
        outcome: "acquired",
        run: await takeLease(database, run.id, request.params["autoContinue"] === true),
        how: "taken_over",
      };
    }
    // What a person paused is not started again by a schedule.
    if (run.status === "paused" && request.mode === "start" && !request.force) {
      return { outcome: "paused", run };
    }
    return {
      outcome: "acquired",
      run: await takeLease(database, run.id, request.params["autoContinue"] === true),
      how: "resumed",
    };
  });
}

/** The newest run of a function and pair, whatever its state. */
export async function latestRun(
  database: Database,
  functionName: string,
  pair: string,
): Promise<Run | null> {
  const rows = await database.query<{ run: Run }>(
    `select ${RUN_JSON} as run from public.sync_runs r
     where r.function = $1 and r.pair = $2
     order by r.started_at desc limit 1`,
    [functionName, pair],
  );
  return rows[0]?.run ?? null;
}

/** The run of an id. */
export async function findRun(database: Database, id: string): Promise<Run | null> {
  const rows = await database.query<{ run: Run }>(
    `select ${RUN_JSON} as run from public.sync_runs r where r.id = $1`,
    [id],
  );
  return rows[0]?.run ?? null;
}

/**
 * Pauses the unfinished run of a lane: at once where no worker is at it, else after the
 * batch the worker is at.
 *
 * @returns The run, or null where there is none to pause.
 */
export async function pauseRun(
  database: Database,
  functionName: string,
  pair: string,
  staleMs: number,
  lane = "",
): Promise<Run | null> {
  const rows = await database.query<{ run: Run }>(
    `update public.sync_runs as r
     set pause_requested = r.status = 'running' and not old.stale,
       status = case when r.status = 'running' and not old.stale then 'running' else 'paused' end,
       stop_reason = case when r.status = 'running' and not old.stale then r.stop_reason else 'paused' end,
       fencing = case when old.stale then nextval('public.sync_fencing') else r.fencing end,
       last_updated_at = now()
     from (
       select id, status = 'running'
         and clock_timestamp() - heartbeat_at > make_interval(secs => $3::double precision / 1000) as stale
       from public.sync_runs
       where function = $1 and pair = $2 and lane = $4 and status in ('running', 'waiting', 'paused')
       for update
     ) old
     where r.id = old.id
     returning ${RUN_JSON} as run`,
    [functionName, pair, staleMs, lane],
  );
  return rows[0]?.run ?? null;
}

/**
 * Tells the others that the holder is alive.
 *
 * @returns Whether a pause is asked for.
 * @throws {LeaseLostError} If another worker holds the run.
 */
export async function beat(database: Database, run: Run): Promise<boolean> {
  const rows = await database.query<{ pause: boolean }>(
    `update public.sync_runs
     set heartbeat_at = now(), last_updated_at = now()
     where id = $1 and fencing = $2 and status = 'running'
     returning pause_requested as pause`,
    [run.id, run.fencing],
  );
  if (rows[0] === undefined) throw new LeaseLostError(run.id);
  return rows[0].pause;
}

/**
 * Writes down that a run which was to go on by itself could not call itself: from
 * then on it waits for a person or a schedule, and its status says so.
 */
export async function strandRun(database: Database, run: Run, phase: string): Promise<void> {
  await database.query(
    `update public.sync_runs
     set params = params || '{"autoContinue": false}', phase = $3, last_updated_at = now()
     where id = $1 and fencing = $2 and status = 'waiting'`,
    [run.id, run.fencing, phase],
  );
}

/** How a slice lays its run down. */
export interface LayDown {
  readonly status: "waiting" | "paused";
  readonly stopReason: string;
  readonly phase: string;
  readonly error: RunError | null;
}

/**
 * Gives the lease back and leaves the run to be continued.
 *
 * @throws {LeaseLostError} If another worker holds the run.
 */
export async function layDownRun(database: Database, run: Run, how: LayDown): Promise<Run> {
  const rows = await database.query<{ run: Run }>(
    `update public.sync_runs as r
     set status = $3, stop_reason = $4, phase = $5, error = $6, pause_requested = false,
       lease_owner = null, last_updated_at = now()
     where r.id = $1 and r.fencing = $2 and r.status = 'running'
     returning ${RUN_JSON} as run`,
    [run.id, run.fencing, how.status, how.stopReason, how.phase, jsonOrNull(how.error)],
  );
  if (rows[0] === undefined) throw new LeaseLostError(run.id);
  return rows[0].run;
}

/**
 * Ends the run. Whether it completed is computed from its errors, here and in a
 * check of the table; no caller can say it.
 *
 * @param error Why it cannot go on; null where it came to its end.
 * @throws {LeaseLostError} If another worker holds the run.
 */
export async function endRun(
  database: Database,
  run: Run,
  stopReason: string,
  phases: { readonly completed: string; readonly failed: string },
  error: RunError | null,
): Promise<Run> {
  const rows = await database.query<{ run: Run }>(
    `update public.sync_runs as r
     set status = case when r.errors = 0 and $6::jsonb is null then 'completed' else 'failed' end,
       phase = case when r.errors = 0 and $6::jsonb is null then $4 else $5 end,
       errors = r.errors + case when $6::jsonb is null then 0 else 1 end,
       stop_reason = $3, error = $6::jsonb, pause_requested = false, lease_owner = null,
       ended_at = now(), heartbeat_at = now(), last_updated_at = now()
     where r.id = $1 and r.fencing = $2 and r.status = 'running'
     returning ${RUN_JSON} as run`,
    [run.id, run.fencing, stopReason, phases.completed, phases.failed, jsonOrNull(error)],
  );
  if (rows[0] === undefined) throw new LeaseLostError(run.id);
  return rows[0].run;
}

function jsonOrNull(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value);
}
