import type { Json } from "../merge/json.ts";

/** Where a run stands. See the column's comment in the migration. */
export type RunStatus = "running" | "waiting" | "paused" | "completed" | "failed";

/** Why a run stopped or failed: a code, and words without any value. */
export interface RunError {
  readonly code: string;
  readonly message: string;
  readonly details?: Json;
}

/** One run as the database holds it. Times are ISO 8601 in UTC. */
export interface Run {
  readonly id: string;
  readonly function: string;
  readonly pair: string;
  readonly status: RunStatus;
  readonly stopReason: string | null;
  readonly phase: string;
  readonly params: { readonly [name: string]: Json };
  readonly cursor: { readonly [name: string]: Json };
  readonly counters: { readonly [name: string]: number };
  readonly errors: number;
  readonly currentBatch: number;
  readonly totalBatches: number;
  readonly error: RunError | null;
  readonly epoch: number;
  readonly slices: number;
  readonly pauseRequested: boolean;
  readonly fencing: number;
  /** How long ago the holder of the lease last gave a sign, in ms of the database's clock. */
  readonly heartbeatAgeMs: number;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

/**
 * The columns of {@linkcode Run}, from `public.sync_runs r`. As one JSON value,
 * so that times are texts and the fencing number is a number on every driver.
 */
export const RUN_JSON = `jsonb_build_object(
  'id', r.id, 'function', r.function, 'pair', r.pair, 'status', r.status,
  'stopReason', r.stop_reason, 'phase', r.phase, 'params', r.params, 'cursor', r.cursor,
  'counters', r.counters, 'errors', r.errors, 'currentBatch', r.current_batch,
  'totalBatches', r.total_batches, 'error', r.error, 'epoch', r.epoch, 'slices', r.slices,
  'pauseRequested', r.pause_requested, 'fencing', r.fencing,
  'heartbeatAgeMs', round(extract(epoch from clock_timestamp() - r.heartbeat_at) * 1000),
  'startedAt', r.started_at, 'endedAt', r.ended_at
)`;
