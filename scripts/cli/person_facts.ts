/**
 * All that the project knows of one person's sync.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Pair } from "../../shared/engine/pair.ts";
import { canonicalKey, UnreadableValueError } from "../../shared/merge/canonical.ts";
import type { Json } from "../../shared/merge/json.ts";
import { readRows, readRowsOf } from "./read_rows.ts";
import type { RowFilter } from "./row_query.ts";
import { readSmartAnswer, type SmartEntry } from "./smart.ts";
import { LookError, RefusedError, type SyncClient } from "./sync_client.ts";

/** Log lines that are read. */
const LOG_LINES = 10;

const link = z.object({
  id: z.number(),
  a_id: z.string(),
  // A link that was given up may have no record of side B any more.
  b_id: z.string().nullable(),
  link_state: z.string(),
});

const shadow = z.object({
  crosswalk_id: z.number(),
  taken_at: z.string(),
  settled: z.array(z.string()),
});

/** A link, with when its sides last agreed. */
export type PersonLink = z.infer<typeof link> & { readonly shadow: z.infer<typeof shadow> | null };

const conflict = z.object({
  id: z.number(),
  field: z.string(),
  reason: z.string(),
  status: z.string(),
});

const failure = z.object({
  code: z.string(),
  runs: z.number(),
  last_failed_at: z.string(),
});

const queued = z.object({
  side: z.string(),
  reason: z.string(),
  attempts: z.number(),
  enqueued_at: z.string(),
  not_before: z.string(),
});

const finding = z.object({ id: z.number(), kind: z.string(), found_at: z.string() });

const logLine = z.object({
  id: z.number(),
  created_at: z.string(),
  side: z.string(),
  action: z.string(),
  field: z.string().nullable(),
  before: z.json().nullable(),
  after: z.json().nullable(),
  rule: z.string(),
  applied: z.boolean(),
});

/** A change of the person's record, newest first. */
export type LogLine = z.infer<typeof logLine>;

/** What a look at both sides tells, without writing; or why there was none. */
export type LiveLook =
  | { readonly kind: "looked"; readonly entry: SmartEntry }
  | { readonly kind: "not_looked"; readonly why: string };

/** All that is known of one person. */
export interface PersonFacts {
  /** Ids of the clients with the address. */
  readonly clients: readonly string[];
  readonly links: readonly PersonLink[];
  /** Open, or decided and not yet carried out. */
  readonly conflicts: readonly z.infer<typeof conflict>[];
  readonly failures: readonly z.infer<typeof failure>[];
  readonly queue: readonly z.infer<typeof queued>[];
  /** What the last run that found anything about a client without a link found. */
  readonly findings: readonly z.infer<typeof finding>[];
  /** What the person said before leaving; null if they did not leave. */
  readonly suppressed: string | null;
  readonly live: LiveLook;
  readonly log: readonly LogLine[];
}

function keyOf(value: Json, pair: Pair): string {
  try {
    return canonicalKey(value, pair.rules.keyCompare);
  } catch (error) {
    if (error instanceof UnreadableValueError) return "";
    throw error;
  }
}

/** Ids of the clients, of those that a filter lets through, whose address is this however it is written. */
async function clientsWith(
  client: SyncClient,
  pair: Pair,
  key: string,
  filter: (keyColumn: string) => RowFilter,
): Promise<string[]> {
  const column = pair.rules.fields[pair.rules.keyField]?.local ?? pair.local.id;
  const { id, schema, table } = pair.local;
  const rows = await readRows(
    client,
    { schema, table, columns: `${id},${column}`, where: [filter(column)] },
    z.record(z.string(), z.json()),
  );
  return rows.filter((row) => keyOf(row[column] ?? null, pair) === key).map((row) =>
    String(row[id])
  );
}

async function findLinks(
  client: SyncClient,
  pair: Pair,
  clients: readonly string[],
  key: string,
): Promise<PersonLink[]> {
  const query = {
    table: "integration_crosswalk",
    columns: "id,a_id,b_id,link_state",
    where: [["pair", "eq", pair.name]] as const,
  };
  if (clients.length > 0) {
    return await withShadows(client, await readRowsOf(client, query, link, "a_id", clients));
  }
  // The client is gone, or has another address by now.
  const shadows = await readRows(
    client,
    {
      table: "shadow_snapshots",
      columns: "crosswalk_id",
      where: [[`b->>${pair.rules.keyField}`, "eq", key]],
    },
    z.object({ crosswalk_id: z.number() }),
  );
  const ids = shadows.map((row) => row.crosswalk_id);
  return await withShadows(client, await readRowsOf(client, query, link, "id", ids));
}

async function withShadows(
  client: SyncClient,
  links: readonly z.infer<typeof link>[],
): Promise<PersonLink[]> {
  const shadows = await readRowsOf(
    client,
    { table: "shadow_snapshots", columns: "crosswalk_id,taken_at,settled" },
    shadow,
    "crosswalk_id",
    links.map(({ id }) => id),
  );
  const byLink = new Map(shadows.map((row) => [row.crosswalk_id, row]));
  return links.map((row) => ({ ...row, shadow: byLink.get(row.id) ?? null }));
}

async function look(client: SyncClient, pair: Pair, email: string): Promise<LiveLook> {
  try {
    const answer = await client.call("smart-sync", {
      emails: [email],
      dryRun: true,
      pair: pair.name,
    });
    const [entry] = readSmartAnswer(answer).out;
    if (entry !== undefined) return { kind: "looked", entry };
    return { kind: "not_looked", why: "smart-sync told nothing" };
  } catch (error) {
    if (error instanceof RefusedError) {
      return { kind: "not_looked", why: `${error.message} (${error.code})` };
    }
    if (error instanceof LookError) return { kind: "not_looked", why: error.message };
    throw error;
  }
}

/** Gathers what is known of the person with an address. @throws {LookError} */
export async function readPersonFacts(
  client: SyncClient,
  pair: Pair,
  email: string,
): Promise<PersonFacts> {
  const key = keyOf(email, pair);
  // Wider than needed: spaces around, and signs that stand for others.
  const pattern = `%${key.replaceAll("\\", "\\\\")}%`;
  const found = await clientsWith(client, pair, key, (column) => [column, "ilike", pattern]);
  const links = await findLinks(client, pair, found, key);
  // Written in a way that only the canonical form sees through.
  const clients = found.length > 0 || links.length === 0
    ? found
    : await clientsWith(client, pair, key, () => [
      pair.local.id,
      "in",
      links.map(({ a_id }) => a_id),
    ]);
  const bIds = links.flatMap(({ b_id }) => b_id ?? []);
  const recordKeys = [
    ...links.map(({ id }) => `cw:${id}`),
    ...clients.map((id) => `a:${id}`),
    ...bIds.map((id) => `b:${id}`),
  ];
  const ofPair = [["pair", "eq", pair.name]] as const;
  const conflicts = await readRowsOf(
    client,
    {
      table: "sync_conflicts",
      columns: "id,field,reason,status",
      where: [...ofPair, ["applied_at", "is", null], ["status", "neq", "superseded"]],
    },
    conflict,
    "record_key",
    recordKeys,
  );
  const failures = await readRowsOf(
    client,
    { table: "sync_failures", columns: "code,runs,last_failed_at", where: ofPair },
    failure,
    "record_key",
    recordKeys,
  );
  const waiting = async (side: "a" | "b", ids: readonly string[]) =>
    await readRowsOf(
      client,
      {
        table: "sync_queue",
        columns: "side,reason,attempts,enqueued_at,not_before",
        where: [...ofPair, ["side", "eq", side]],
      },
      queued,
      "record_id",
      ids,
    );
  // Of a linked record an old finding tells nothing any more.
  const isLinked = links.some(({ link_state }) => link_state === "linked");
  const findings = (await Promise.all((isLinked ? [] : clients).map((id) =>
    readRows(client, {
      table: "sync_findings",
      columns: "id,kind,found_at",
      where: [
        ["a_ids", "contains", [id]],
        ["kind", "in", ["duplicate_key", "key_taken", "unreadable_local"]],
      ],
      order: { column: "id", descending: true },
      limit: 1,
    }, finding)
  ))).flat();
  const digest = createHash("sha256").update(`${pair.name}:${key}`).digest("hex");
  const [left] = await readRows(
    client,
    {
      table: "sync_suppressions",
      columns: "consent",
      where: [...ofPair, ["key_digest", "eq", digest]],
    },
    z.object({ consent: z.string() }),
  );
  const log = links.length === 0 ? [] : await readRows(
    client,
    {
      table: "sync_log",
      columns: "id,created_at,side,action,field,before,after,rule,applied",
      where: [["crosswalk_id", "in", links.map(({ id }) => id)]],
      order: { column: "id", descending: true },
      limit: LOG_LINES,
    },
    logLine,
  );
  return {
    clients,
    links,
    conflicts,
    failures,
    queue: [...await waiting("a", clients), ...await waiting("b", bIds)],
    findings,
    suppressed: left?.consent ?? null,
    live: await look(client, pair, email),
    log,
  };
}
