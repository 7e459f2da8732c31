/** What sync_health tells an operator, in every state, and whom it tells anything. */
// @ts-types="npm:@types/pg@8.23.1"
import type pg from "pg";
import { assertEquals, assertRejects } from "@std/assert";
import { testDatabase } from "./lib/database.ts";
import { HEALTH_STATES, UNFINISHED } from "./lib/health_states.ts";
import { addRun, undone } from "./lib/sql_values.ts";

interface HealthRow {
  readonly function: string;
  readonly severity: number;
  readonly verdict: string;
  readonly [column: string]: unknown;
}

async function health(client: pg.Client): Promise<HealthRow[]> {
  const { rows } = await client.query<HealthRow>(`select * from public.sync_health`);
  return rows;
}

async function verdict(client: pg.Client, name: string): Promise<unknown> {
  const row = (await health(client)).find((row) => row.function === name);
  return [row?.severity, row?.verdict];
}

/** A database where everything is all right: each run done within the last hour. */
async function wellDatabase() {
  const database = await testDatabase(import.meta.url);
  await addRun(database.pool, {});
  await addRun(database.pool, { function: "backfill-sync", lane: "" });
  await addRun(database.pool, { function: "smart-sync", lane: "x" });
  return database;
}

Deno.test("health says in words what is wrong, in every state", async () => {
  await using database = await wellDatabase();
  const client = await database.connect();
  try {
    for (const [state, name, severity, words] of HEALTH_STATES) {
      await undone(client, async () => {
        if (state !== "") await client.query(state);
        assertEquals(await verdict(client, name), [severity, words], `${name}: ${state}`);
      });
    }
  } finally {
    await client.end();
  }
});

Deno.test("health shows the worst first, and what does not apply as null", async () => {
  await using database = await wellDatabase();
  const client = await database.connect();
  try {
    await client.query(
      `insert into public.sync_queue (pair, side, record_id, reason, not_before)
       values ('p', 'b', '1', 'webhook:x', now() - interval '1 hour'), ('p', 'a', '1', 'edited', now())`,
    );
    await client.query(
      `${UNFINISHED("paused", "90 s")} where function = 'backfill-sync'`,
    );
    await client.query(
      `update public.sync_state set value = jsonb_build_object('records', jsonb_build_object(
         'used', 7, 'limit', 5000, 'day', (now() at time zone 'UTC')::date))
       where key = 'daily_quota'`,
    );
    const { rows } = await client.query(
      `select h.*, last_success_age::text, heartbeat_age::text, oldest_due_age::text,
         last_success is not null as succeeded
       from public.sync_health h`,
    );
    const shown = rows.map(({ last_success: _, last_success_age: __, heartbeat_age, ...row }) => ({
      ...row,
      heartbeat_age: heartbeat_age?.slice(0, 7) ?? null,
      oldest_due_age: row["oldest_due_age"]?.slice(0, 5) ?? null,
    }));
    const nothing = {
      next_due: null,
      unfinished_status: null,
      heartbeat_age: null,
      open_conflicts: null,
      dead_letters: null,
      queue_depth: null,
      oldest_due_age: null,
      circuit: null,
      circuit_reason: null,
      quota_used: null,
      quota_limit: null,
    };
    assertEquals(shown, [
      {
        ...nothing,
        function: "backfill-sync",
        severity: 3,
        verdict: "stopped: paused by a person",
        succeeded: false,
        unfinished_status: "paused",
        heartbeat_age: "00:01:3",
      },
      {
        ...nothing,
        function: "smart-sync",
        severity: 2,
        verdict: "late: records have been due for 60 minutes",
        succeeded: true,
        queue_depth: "2",
        oldest_due_age: "01:00",
        circuit: "closed",
        quota_used: "7",
        quota_limit: "5000",
      },
      {
        ...nothing,
        function: "enterprise-sync",
        severity: 0,
        verdict: "ok",
        succeeded: true,
        open_conflicts: "0",
        dead_letters: "0",
      },
      {
        ...nothing,
        function: "sync-webhook",
        severity: 0,
        verdict: "ok",
        succeeded: false,
        queue_depth: "1",
        oldest_due_age: "01:00",
      },
    ]);
  } finally {
    await client.end();
  }
});

/** pg_cron's table with the jobs named. */
const CRON = (jobs: string) => `
  create schema cron;
  create table cron.job (jobname text, schedule text, active boolean);
  insert into cron.job values ${jobs}`;

Deno.test("where there is pg_cron, health tells what is due next and what no schedule calls", async () => {
  await using database = await wellDatabase();
  const client = await database.connect();
  const due = `select function, verdict, next_due > now() as ahead,
    next_due = (date_trunc('day', now() at time zone 'UTC' - interval '3 hours 10 minutes')
      + interval '1 day 3 hours 10 minutes') at time zone 'UTC' as nightly,
    next_due <= now() + interval '5 minutes' as soon
    from public.sync_health order by function`;
  try {
    await client.query(CRON(
      `('sync-smart', '* * * * *', true), ('sync-enterprise', '*/5 * * * *', true), ('sync-backfill', '10 2 1 * *', false)`,
    ));
    const { rows } = await client.query(due);
    const none = { ahead: null, nightly: null, soon: null };
    assertEquals(rows[0], {
      function: "backfill-sync",
      verdict: "attention: no schedule calls it",
      ...none,
    });
    // Done tonight, so its job will call it the night after.
    assertEquals([rows[1].function, rows[1].ahead, rows[1].nightly], [
      "enterprise-sync",
      true,
      true,
    ]);
    assertEquals([rows[2].function, rows[2].ahead, rows[2].soon], ["smart-sync", true, true]);
    assertEquals(rows[3], { function: "sync-webhook", verdict: "ok", ...none });
    await client.query(
      `insert into public.sync_runs (function, pair, lane, status, requested_by, last_updated_at)
       values ('enterprise-sync', 'clients', 'both', 'waiting', 'test', now() - interval '1 minute')`,
    );
    const [, enterprise] = (await client.query(due)).rows;
    assertEquals([enterprise.ahead, enterprise.soon], [true, true]);
  } finally {
    await client.end();
  }
});

Deno.test("viewers, operators and the service read health, with the conflicts counted; nobody else does", async () => {
  await using database = await wellDatabase();
  const client = await database.connect();
  const as = async (role: string, syncRole?: string): Promise<unknown[]> => {
    let seen: unknown[] = [];
    await undone(client, async () => {
      await client.query(`select set_config('request.jwt.claims', $1, true)`, [
        JSON.stringify({ role, sub: "u", app_metadata: { sync_role: syncRole } }),
      ]);
      await client.query(`set local role ${role}`);
      seen = (await health(client)).map((
        row,
      ) => [row.function, row.verdict, row["next_due"] !== null]);
    });
    return seen;
  };
  try {
    await client.query(
      `insert into public.sync_conflicts (pair, record_key, field, reason) values ('p', 'r', 'f', 'r');
       insert into public.sync_queue (pair, side, record_id, reason, not_before)
       values ('p', 'a', '1', 'edited', now() - interval '1 hour')`,
    );
    await client.query(CRON(
      `('sync-smart', '* * * * *', true), ('sync-enterprise', '*/5 * * * *', true), ('sync-backfill', '10 2 1 * *', true)`,
    ));
    const all = [
      ["smart-sync", "late: records have been due for 60 minutes", true],
      ["enterprise-sync", "attention: 1 conflict waits for a person", true],
      ["sync-webhook", "ok", false],
      ["backfill-sync", "ok", true],
    ];
    assertEquals(await as("authenticated", "viewer"), all);
    assertEquals(await as("authenticated", "operator"), all);
    assertEquals(await as("service_role"), all);
    assertEquals((await health(client)).length, 4);
    assertEquals(await as("authenticated"), []);
    assertEquals(await as("authenticated", "stranger"), []);
    for (const claimed of [undefined, "operator"]) {
      const error = await assertRejects(() => as("anon", claimed));
      assertEquals(error instanceof Error && Reflect.get(error, "code"), "42501");
    }
  } finally {
    await client.end();
  }
});

Deno.test("what the view asks tells strangers nothing when they ask it themselves", async () => {
  await using database = await wellDatabase();
  const client = await database.connect();
  try {
    await client.query(CRON(`('sync-smart', '* * * * *', true)`));
    await undone(client, async () => {
      await client.query(`set local role authenticated`);
      const { rows } = await client.query(
        `select sync_private.open_conflicts() as conflicts,
           (select count(*)::integer from sync_private.schedules()) as jobs`,
      );
      assertEquals(rows, [{ conflicts: null, jobs: 0 }]);
    });
    for (
      const call of ["prune()", "install_schedules()", "call_smart()", "secret('x')", "wake()"]
    ) {
      for (const role of ["authenticated", "service_role", "anon"]) {
        await undone(client, async () => {
          await client.query(`set local role ${role}`);
          const error = await assertRejects(() => client.query(`select sync_private.${call}`));
          assertEquals(error instanceof Error && Reflect.get(error, "code"), "42501", call);
        });
      }
    }
  } finally {
    await client.end();
  }
});
