import { type Command, readOptions } from "./command.ts";
import { EXIT_CODE } from "./exit_code.ts";
import { count, duration } from "./format.ts";
import { type RunSummary, runSummarySchema } from "./run_summary.ts";
import { RefusedError, type SyncClient } from "./sync_client.ts";
import type { BackfillStatus } from "./sync_status.ts";
import { renderTable } from "./table.ts";

/** The words of the counters that a run may carry, in the order in which they are shown. */
const COUNTERS: readonly (readonly [key: string, words: string])[] = [
  ["remoteListed", "remote records listed"],
  ["localRead", "local records read"],
  ["linked", "pairs linked"],
  ["pairs", "pairs to snapshot"],
  ["shadowsCreated", "shadows created"],
  ["shadowsRefreshed", "shadows refreshed"],
  ["shadowsKept", "shadows kept as the base of an edit"],
  ["drift", "pairs that differ"],
  ["quarantined", "records quarantined"],
  ["unlinkedLocal", "local records without a partner"],
  ["unlinkedRemote", "remote records without a partner"],
  ["missingLocal", "linked records missing locally"],
  ["missingRemote", "linked records missing remotely"],
  ["overtaken", "shadows somebody else wrote first"],
  ["requests", "requests sent"],
];

/** The latest backfill run, or null where there was none. @throws {LookError} */
export async function latestBackfill(client: SyncClient): Promise<RunSummary | null> {
  try {
    return runSummarySchema.parse(await client.call("backfill-sync", { action: "status" }));
  } catch (error) {
    if (error instanceof RefusedError && error.code === "no_run") return null;
    throw error;
  }
}

/** A run and its status, for a person. */
export function describeRun(status: BackfillStatus, run: RunSummary | null): string {
  const state = status.status === "running" && status.paused ? "pausing" : status.status;
  const lines = [`Backfill: ${run === null ? "never run" : state}. ${status.phase}`];
  if (run === null) return lines[0] ?? "";
  const rows = [
    ["run", run.runId],
    ["batch", `${status.currentBatch}/${status.totalBatches}`],
    ["errors", count(run.errors)],
    ["slices", count(run.slices)],
    ["started", run.startedAt],
    ...(run.endedAt === null ? [] : [
      ["ended", run.endedAt],
      ["took", duration(Date.parse(run.endedAt) - Date.parse(run.startedAt))],
    ]),
    ...COUNTERS.flatMap(([key, words]) => {
      const n = run.counters[key];
      return n === undefined ? [] : [[words, count(n)]];
    }),
  ];
  return [...lines, renderTable(rows)].join("\n");
}

/** `status`: how the latest backfill stands. */
export const statusCommand: Command = {
  name: "status",
  summary: "show how the latest backfill stands",
  usage: `Show how the latest backfill stands. Exits with 1 when it failed.

Usage: deno task sync status [--json]

Examples:
  deno task sync status
  deno task sync status --json | jq .syncStatus.backfill.phase
`,
  read(args) {
    const { json } = readOptions(args, { json: { type: "boolean", default: false } });
    return async ({ client, print }) => {
      const syncStatus = await client.readStatus();
      const run = await latestBackfill(client);
      print(json ? JSON.stringify({ syncStatus, run }) : describeRun(syncStatus.backfill, run));
      return syncStatus.backfill.status === "failed" ? EXIT_CODE.failedRun : EXIT_CODE.ok;
    };
  },
};
