/**
 * The invariants that are looked at when a call is over, and those of the whole
 * history.
 *
 * @module
 */
import { isForbidding } from "../../shared/merge/consent_order.ts";
import { sameJson } from "../../shared/merge/same_json.ts";
import { busiestWindow } from "../lib/rate_workers.ts";
import { checkLimits } from "./check_limits.ts";
import { checkLog } from "./check_log.ts";
import { CANARY } from "./hands.ts";
import { readShadows, type ShadowRow } from "./shadows.ts";
import { slotsOf } from "./versions.ts";
import type { Worker } from "./worker.ts";
import type { World } from "./world.ts";

const CLASSES = ["unchanged", "changed", "conflicted", "excluded", "failed", "skipped"];

/** Statuses that a call may be answered with, by what went wrong. */
const STATUSES = [200, 202, 400, 401, 404, 409, 429, 500, 502, 503];

/** Codes that a failing remote or database is told with. */
const KNOWN_CODES = [
  "already_running",
  "circuit_open",
  "daily_quota_exceeded",
  "database_error",
  "database_unhealthy",
  "guard_tripped",
  "invalid_cursor",
  "local_empty",
  "no_run",
  "rate_limited",
  "remote_empty",
  "remote_error",
  "run_paused",
];

interface RunRow {
  readonly id: string;
  readonly counters: Readonly<Record<string, number>>;
}

/** Checks what a call left behind. */
export async function checkAnswer(world: World, worker: Worker): Promise<void> {
  const { answer } = worker;
  if (answer !== null) {
    const code = String(answer.body["code"] ?? "");
    const isKnown = STATUSES.includes(answer.status) &&
      (answer.status < 400 || KNOWN_CODES.includes(code) ||
        world.stormy && code !== "internal_error");
    const isRefused = answer.status >= 400 && code !== "daily_quota_exceeded";
    if (!isKnown || world.undisturbed.has(worker) && isRefused) {
      world.violate(
        "every call is answered as documented",
        `${worker.name} ${worker.call.functionName}: ${answer.status} ${code}`,
      );
    }
    noteAnswer(world, answer.body);
  }
  const runs = await world.database.pool.query<RunRow>(
    `select id::text as id, counters from public.sync_runs where function in ('enterprise-sync', 'smart-sync')`,
  );
  for (const { counters } of runs) {
    const sum = CLASSES.reduce((total, name) => total + (counters[name] ?? 0), 0);
    if (sum !== (counters["processed"] ?? 0)) {
      world.violate("every record of a run is in one class", `after ${worker.name}`);
    }
  }
  await checkShadows(world);
}

function noteAnswer(world: World, body: Readonly<Record<string, unknown>>): void {
  const { code, stopReason, message, out } = body;
  if (code === "daily_quota_exceeded") world.reach("the quota of a day was used up");
  if (code === "guard_tripped" || stopReason === "guard") world.reach("a guard stopped a run");
  if (String(message ?? "").startsWith("The cursor was of an older enumeration")) {
    world.reach("a cursor of an older enumeration was sent");
  }
  if (!Array.isArray(out)) return;
  for (const entry of out) {
    if (entry?.changed === true && entry.email === undefined) {
      world.reach("a queued record was synced");
    }
  }
}

/** Takes in what the sync has written down of both sides, and checks that it stood there. */
export async function checkShadows(world: World): Promise<void> {
  for (const shadow of await readShadows(world)) {
    const { aId, bId } = shadow;
    const sides = [["a", aId, shadow.a], ["b", bId, shadow.b]] as const;
    for (const [side, id, record] of sides) {
      if (id === null) continue;
      for (const [slot, value] of slotsOf(world.rules, record)) {
        const stood = world.versions.confirm(side, id, slot, value);
        if (stood || slot.includes("/") || slot.startsWith("partner")) continue;
        world.violate("shadows hold what stood on their side", `${world.name(side, id)}.${slot}`);
      }
    }
    for (const field of Object.keys(world.rules.fields)) {
      const [a = null, b = null] = [shadow.a[field], shadow.b[field]];
      if (bId === null) continue;
      if (sameJson(a, b)) world.versions.agree(aId, bId, field);
      else if (shadow.settled.includes(field)) world.versions.settle(aId, bId, field, a, b);
    }
    noteForbidden(world, shadow);
  }
}

/** Of whom the sync knows, by what it has committed, that they must not be written to. */
function noteForbidden(world: World, { a, b }: ShadowRow): void {
  const consents = [a["consent"], b["consent"]];
  const emails = [a["email"], b["email"]].filter((email) => typeof email === "string");
  for (const email of emails) {
    if (consents.some((consent) => isForbidding(consent))) world.forbidden.add(email);
    else world.forbidden.delete(email);
  }
}

/** Checks the history of all calls. */
export async function checkWorkers(world: World): Promise<void> {
  checkLeases(world);
  checkRate(world);
  await checkProofs(world);
  await checkPrivacy(world);
  await checkLog(world);
  await checkLimits(world);
  checkBounds(world);
  await noteTables(world);
}

/** Whoever took a run over has it alone from then on. */
function checkLeases(world: World): void {
  const lines = world.log.filter(({ event }) => event === "slice_started");
  for (const { fields } of lines) {
    if (fields["how"] === "taken_over") world.reach("a run was taken over from a silent worker");
  }
  world.reach("a worker lost its lease and noticed", countEvents(world, "lease_lost"));
  world.reach("an enumeration began anew", countEvents(world, "epoch_restarted"));
  world.reach("a page was read again because of one record", countEvents(world, "page_read_again"));
  for (const { event, fields } of world.log) {
    if (event === "intents_resolved" && Number(fields["linked"]) > 0) {
      world.reach("a create without an answer was found and linked");
    }
    if (event === "circuit_changed" && fields["state"] === "open") {
      world.reach("the circuit breaker opened");
    }
    if (event === "slice_ended" && fields["reason"] === "shutdown") {
      world.reach("a run was stopped by a shutdown");
    }
    if (event === "slice_ended" && fields["reason"] === "time_limit") {
      world.reach("a run was stopped by its time");
    }
    if (event === "slice_ended" && fields["reason"] === "rate_limit") {
      world.reach("a run waited for the rate limit");
    }
  }
}

function countEvents(world: World, name: string): number {
  return world.log.filter(({ event }) => event === name).length;
}

function checkRate(world: World): void {
  const busiest = busiestWindow([...world.remote.arrivals].sort((a, b) => a - b), 60_000);
  if (busiest <= 120) return;
  world.violate("no window of a minute above the remote's budget", `${busiest} requests`);
}

async function checkProofs(world: World): Promise<void> {
  const lines = await world.database.pool.query<
    { a: string | null; b: string | null; rule: string; n: number }
  >(
    `select a_id::text as a, b_id as b, rule, count(*)::integer as n from public.sync_log
     where rule in ('remote_missing', 'local_deleted', 'both_gone') and field is null
     group by 1, 2, 3 order by 1, 2, 3`,
  );
  for (const { a, b, rule } of lines) {
    const goneA = a !== null && (world.local.deleted.has(a) || !world.local.clients.has(a));
    const goneB = b !== null && (world.remote.deleted.has(b) || !world.remote.rows.has(b));
    if (rule !== "remote_missing" && !goneA || rule !== "local_deleted" && !goneB) {
      world.violate(
        "deletion needs proof: what is called gone was deleted by somebody",
        `${rule} of ${a === null ? "nobody" : world.name("a", a)}`,
      );
    }
    if (rule === "local_deleted") world.reach("a record was gone from side A");
    if (rule === "remote_missing") world.reach("a record was gone from the remote");
    if (rule === "both_gone") world.reach("a record was gone from both sides");
  }
}

async function checkPrivacy(world: World): Promise<void> {
  const tell = (place: string) =>
    world.violate("no address and no value in logs, runs, findings and state", place);
  for (const { event, fields } of world.log) {
    if (JSON.stringify(fields).toLowerCase().includes(CANARY)) tell(`log ${event}`);
  }
  for (
    const table of [
      "sync_runs",
      "sync_findings",
      "sync_state",
      "sync_failures",
      "sync_queue",
      "sync_suppressions",
    ]
  ) {
    const rows = await world.database.pool.query<{ n: number }>(
      `select count(*)::integer as n from public.${table} t where lower(to_jsonb(t)::text) like $1`,
      [`%${CANARY}%`],
    );
    if ((rows[0]?.n ?? 0) > 0) tell(table);
  }
}

/** A field of a record is not written more often than somebody edited it, on either side. */
function checkBounds(world: World): void {
  const { local, remote } = world;
  const count = (of: ReadonlyMap<string, number>, id: string, slot: string) =>
    of.get(`${id}:${slot}`) ?? 0;
  for (const [aId, partners] of world.partners) {
    // Who took a deleted client's place brings edits of their own to the same partner.
    const kin = [...world.partners].filter(([, others]) => !others.isDisjointFrom(partners));
    const links = kin.reduce((total, [, others]) => total + others.size, 0);
    const sum = (of: ReadonlyMap<string, number>, slot: string, ids = [...partners]) =>
      ids.reduce((total, id) => total + count(of, id, slot), 0);
    for (const slot of slotsOf(world.rules, {}).keys()) {
      if (slot.startsWith("partner")) continue;
      const writes = Math.max(count(local.writes, aId, slot), sum(remote.writes, slot));
      const edits = sum(local.edits, slot, kin.map(([id]) => id)) + sum(remote.edits, slot);
      // Linking, and bringing together again, may fill what nobody edited since.
      if (writes <= edits + 2 * links) continue;
      world.violate(
        "writes are bounded by edits",
        `${world.name("a", aId)}.${slot}: ${writes} writes for ${edits} edits`,
      );
    }
  }
}

async function noteTables(world: World): Promise<void> {
  const { pool } = world.database;
  const [counts] = await pool.query<Record<string, number>>(
    `select
       (select count(*) from public.sync_conflicts)::integer as opened,
       (select count(*) from public.sync_conflicts where applied_at is not null)::integer as decided,
       (select count(*) from public.sync_conflicts where status = 'superseded' and choice is null)::integer as closed,
       (select count(*) from public.sync_conflicts where field = '(record)')::integer as whole,
       (select count(*) from public.sync_failures where runs >= 3)::integer as dead,
       (select count(*) from public.sync_log where not applied and action = 'refuse' and side = 'a')::integer as moved,
       (select count(*) from public.sync_findings where kind = 'duplicate_key')::integer as shared,
       (select count(*) from public.sync_log l where action = 'link' and exists (
         select 1 from public.sync_log g where g.a_id = l.a_id and g.b_id = l.b_id
           and g.rule in ('remote_missing', 'local_deleted') and g.id < l.id))::integer as reunited`,
  );
  world.reach("a conflict was opened", counts?.["opened"]);
  world.reach("a conflict was decided and carried out", counts?.["decided"]);
  world.reach("a conflict closed by itself", counts?.["closed"]);
  world.reach("a whole record was left to a person", counts?.["whole"]);
  world.reach("a record became a dead letter", counts?.["dead"]);
  world.reach("a write on side A met a newer edit", counts?.["moved"]);
  world.reach("records shared a key", counts?.["shared"]);
  world.reach("an orphan was brought together with its record again", counts?.["reunited"]);
  const attempts = world.simulator.webhookAttempts();
  const tries = attempts.filter(({ outcome }) => outcome === 200).length;
  world.reach("a webhook was delivered twice", tries > 1 ? 1 : 0);
}
