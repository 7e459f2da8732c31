/** What is deleted with age, and what a lost worker leaves. */
import { assertEquals } from "@std/assert";
import { testDatabase } from "./lib/database.ts";
import { addRun, type Queryable, value } from "./lib/sql_values.ts";

const prune = (database: Queryable) => value(database, "sync_private.prune()");
const NOTHING = { lostRuns: 0, runs: 0, conflicts: 0, log: 0, leftOver: 0, cronRuns: 0 };

Deno.test("the log is pruned by age, as retention says", async () => {
  await using database = await testDatabase(import.meta.url);
  const { pool } = database;
  await pool.query(
    `insert into public.sync_log (pair, side, action, rule, applied, created_at)
     select 'p', 'a', 'set', 'r', true, now() - make_interval(days => n) from generate_series(1, 100) n`,
  );
  assertEquals(await prune(pool), { ...NOTHING, log: 11 });
  assertEquals(await prune(pool), NOTHING);
  for (const damaged of [`"ten"`, "0", "-1", "null", "1.5", "[]"]) {
    await pool.query(
      `update public.sync_state set value = jsonb_build_object('logDays', $1::jsonb) where key = 'retention'`,
      [damaged],
    );
    assertEquals(await prune(pool), NOTHING, damaged);
  }
  await pool.query(
    `update public.sync_state set value = '{"logDays": 10}' where key = 'retention'`,
  );
  assertEquals(await prune(pool), { ...NOTHING, log: 80 });
  await pool.query(`delete from public.sync_state where key = 'retention'`);
  assertEquals(await prune(pool), NOTHING);
});

Deno.test("a conflict that is over is pruned, one that is open or decided and not carried out is not", async () => {
  await using database = await testDatabase(import.meta.url);
  const { pool } = database;
  await pool.query(
    `insert into public.sync_conflicts
       (pair, record_key, field, reason, created_at, status, resolved_at, applied_at)
     select 'p', status || coalesce(applied::text, ''), days::text, 'r', now() - interval '1 year',
       status, case when status <> 'open' then now() - interval '1 year' end,
       case when applied then now() - make_interval(days => days) end
     from (values ('open', false), ('superseded', false), ('resolved', false), ('resolved', true)) s (status, applied),
       unnest(array[89, 91]) days`,
  );
  assertEquals(await prune(pool), { ...NOTHING, conflicts: 3 });
  const { rows } = await pool.query(
    `select record_key as key, count(*)::integer as n from public.sync_conflicts group by 1 order by 1`,
  );
  assertEquals(rows, [
    { key: "openfalse", n: 2 },
    { key: "resolvedfalse", n: 2 },
    { key: "resolvedtrue", n: 1 },
  ]);
});

Deno.test("runs are pruned by age, but for the newest of a kind and the newest that completed", async () => {
  await using database = await testDatabase(import.meta.url);
  const { pool } = database;
  const kept = new Set<string>();
  const run = async (days: number, keep: boolean, columns: Record<string, unknown> = {}) => {
    const at = new Date(Date.now() - days * 86_400_000).toISOString();
    const id = await addRun(pool, { started_at: at, ...columns });
    if (keep) kept.add(id);
    return id;
  };
  // Newest, and the newest that completed, are both old.
  const over = await run(50, false);
  await run(45, true);
  await run(40, false, { status: "failed" });
  await run(35, true, { status: "failed" });
  // Another lane is another kind; so is a dry run.
  await run(60, true, { lane: "to_local" });
  await run(61, false, { lane: "to_local" });
  await run(33, true, { params: { dryRun: true }, lane: "both:dry" });
  // Every call of smart-sync has a lane of its own.
  await run(50, false, { function: "smart-sync", lane: "x" });
  await run(20, true, { function: "smart-sync", lane: "y" });
  // Unfinished, whatever its age.
  await run(300, true, { function: "backfill-sync", lane: "", status: "paused" });
  await run(299, true, { function: "backfill-sync", lane: "", pair: "other" });
  await pool.query(
    `insert into public.sync_findings (run_id, kind) values ('${over}', 'drift')`,
  );
  // The log still tells what it changed.
  const changed = await run(49, true);
  await pool.query(
    `insert into public.sync_log (run_id, pair, side, action, rule, applied, created_at)
     values ('${changed}', 'clients', 'a', 'set', 'r', true, now() - interval '49 days'),
       ('${over}', 'clients', 'a', 'set', 'r', true, now() - interval '91 days')`,
  );
  assertEquals(await prune(pool), { ...NOTHING, runs: 4, log: 1 });
  const { rows } = await pool.query<{ id: string }>(`select id from public.sync_runs`);
  assertEquals(new Set(rows.map(({ id }) => id)), kept);
  assertEquals(await value(pool, "select count(*)::integer from public.sync_findings"), 0);
  assertEquals(await value(pool, "select count(*)::integer from public.sync_log"), 1);
  assertEquals(await prune(pool), NOTHING);
});

Deno.test("a run of smart-sync whose worker is lost fails, with a higher number than the worker's", async () => {
  await using database = await testDatabase(import.meta.url);
  const { pool } = database;
  const smart = { function: "smart-sync", status: "running", fencing: 1 };
  const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
  const lost = await addRun(pool, { ...smart, lane: "1", heartbeat_at: ago(11) });
  const cutOff = await addRun(pool, {
    ...smart,
    lane: "2",
    status: "waiting",
    heartbeat_at: ago(11),
    error: { code: "remote_timeout", message: "m" },
  });
  const alive = await addRun(pool, { ...smart, lane: "3", heartbeat_at: ago(9) });
  const other = await addRun(pool, { status: "running", fencing: 1, heartbeat_at: ago(60) });
  await pool.query(`select nextval('public.sync_fencing') from generate_series(1, 5)`);
  assertEquals(await prune(pool), { ...NOTHING, lostRuns: 2 });
  const { rows } = await pool.query(
    `select id, status, error ->> 'code' as code, errors, fencing > 1 as fenced,
       ended_at is not null as ended
     from public.sync_runs`,
  );
  const failed = { status: "failed", errors: 1, fenced: true, ended: true };
  const untouched = { status: "running", code: null, errors: 0, fenced: false, ended: false };
  assertEquals(Object.fromEntries(rows.map(({ id, ...rest }) => [id, rest])), {
    [lost]: { ...failed, code: "worker_lost" },
    [cutOff]: { ...failed, code: "remote_timeout" },
    [alive]: untouched,
    [other]: untouched,
  });
  assertEquals(await prune(pool), NOTHING);
});

Deno.test("what a run has staged is dropped once the run is gone or over", async () => {
  await using database = await testDatabase(import.meta.url);
  const { pool } = database;
  const unfinished = await addRun(pool, { status: "waiting" });
  const over = await addRun(pool, { lane: "to_local" });
  for (const id of [unfinished, over, crypto.randomUUID()]) {
    await pool.query(
      `insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token)
       values ($1, 1, 'a', '1', '', '{}', '')`,
      [id],
    );
    await pool.query(
      `insert into public.sync_seen (run_id, epoch, page, ids) values ($1, 1, 0, '{1}')`,
      [id],
    );
    await pool.query(
      `insert into public.sync_work (run_id, epoch, ordinal, kind) values ($1, 1, 1, 'pair')`,
      [id],
    );
  }
  assertEquals(await prune(pool), { ...NOTHING, leftOver: 6 });
  for (const table of ["sync_stage", "sync_seen", "sync_work"]) {
    const { rows } = await pool.query(`select run_id from public.${table}`);
    assertEquals(rows, [{ run_id: unfinished }], table);
  }
});
