import type { MainContext } from "./main.ts";
import type { SyncClient } from "./sync_client.ts";
import type { BackfillStatus } from "./sync_status.ts";

/** A status of a run in its middle. */
export function statusOf(changes: Partial<BackfillStatus> = {}): BackfillStatus {
  return {
    status: "running",
    phase: "Writing snapshots",
    currentBatch: 3,
    totalBatches: 12,
    shadowsCreated: 1_500,
    errors: 0,
    startedAt: "2026-01-01T00:00:00+00:00",
    lastUpdatedAt: "2026-01-01T00:00:10+00:00",
    completedAt: null,
    paused: false,
    ...changes,
  };
}

/** What the function tells of the run of {@linkcode statusOf}. */
export const RUN = {
  runId: "11111111-1111-4111-8111-111111111111",
  status: "completed",
  stopReason: "complete",
  phase: "Done",
  errors: 0,
  counters: { linked: 24_222, requests: 26 },
  slices: 2,
  startedAt: "2026-01-01T00:00:00+00:00",
  endedAt: "2026-01-01T00:00:10+00:00",
};

/** A client that answers from a list of statuses, and remembers what it was asked. */
export interface FakeClient extends SyncClient {
  readonly calls: (readonly [name: string, body: Record<string, unknown>])[];
}

/** Makes a {@linkcode FakeClient}; the last status is repeated. */
export function fakeClient(
  statuses: readonly BackfillStatus[],
  call: (body: Record<string, unknown>) => unknown = () => RUN,
): FakeClient {
  const calls: [string, Record<string, unknown>][] = [];
  let looks = 0;
  return {
    calls,
    readStatus: () => {
      const status = statuses[Math.min(looks++, statuses.length - 1)] ?? statusOf();
      return Promise.resolve({ backfill: status });
    },
    call: (name, body) => {
      calls.push([name, body]);
      return Promise.resolve(body).then(call);
    },
    select: () => Promise.resolve([]),
    count: () => Promise.resolve(0),
    rpc: () => Promise.resolve(null),
  };
}

/** A context of the CLI that keeps what is printed. */
export interface FakeContext extends MainContext {
  readonly printed: string[];
  readonly told: string[];
  readonly drawn: string[];
}

/** Makes a {@linkcode FakeContext} whose clock moves on by what is slept. */
export function fakeContext(client: SyncClient): FakeContext {
  const printed: string[] = [];
  const told: string[] = [];
  const drawn: string[] = [];
  let now = 0;
  return {
    printed,
    told,
    drawn,
    openClient: () => Promise.resolve(client),
    print: (line) => void printed.push(line),
    tell: (line) => void told.push(line),
    progress: {
      write: (text) => void drawn.push(text),
      columns: () => undefined,
      now: () => now,
    },
    sleep: (ms) => {
      now += ms;
      return Promise.resolve();
    },
  };
}
