/** What the schedules call and when, without pg_cron; and that an edit wakes without waiting. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type TestDatabase, testDatabase } from "./lib/database.ts";
import { PG_NET_AND_VAULT } from "./lib/pg_net.ts";
import { addRun, type Queryable, undone, value } from "./lib/sql_values.ts";

const SECRETS = `insert into vault.secrets values
  ('sync_project_url', 'https://project.test'), ('sync_cron_key', 'sb_secret_of_cron');`;

/** A database with the stand-ins of pg_net and Vault. */
async function hostedDatabase(setUp = SECRETS): Promise<TestDatabase> {
  const database = await testDatabase(import.meta.url);
  await database.pool.query(PG_NET_AND_VAULT + setUp);
  return database;
}

const calls = (database: Queryable) =>
  value(database, "select count(*)::integer from net.http_request_queue");

Deno.test("without the extensions nothing is scheduled, and both the answer and a notice name them", async () => {
  await using database = await testDatabase(import.meta.url);
  const client = await database.connect();
  const notices: (string | undefined)[] = [];
  client.on("notice", ({ message }) => notices.push(message));
  try {
    for (let n = 0; n < 2; n++) {
      const said = await value(client, "sync_private.install_schedules()");
      assertMatch(
        String(said),
        /^Nothing was scheduled, because there is no pg_cron and no pg_net/,
      );
      assertEquals(notices.splice(0), [said]);
    }
    await client.query(PG_NET_AND_VAULT);
    const said = await value(client, "sync_private.install_schedules()");
    assertMatch(String(said), /^Nothing was scheduled, because there is no pg_cron: enable it/);
  } finally {
    await client.end();
  }
});

Deno.test("edits go into the queue where there is neither pg_net nor Vault", async () => {
  await using database = await testDatabase(import.meta.url);
  await database.pool.query(`insert into public.clients (email) values ('a@example.com')`);
  assertEquals(await value(database.pool, "select count(*)::integer from public.sync_queue"), 1);
});

// Calls ---------------------------------------------------------------------

Deno.test("a call names the function, carries the key, and waits for 30 s", async () => {
  await using database = await hostedDatabase();
  await database.pool.query(`select sync_private.call('enterprise-sync', '{"maxRecords": 7}')`);
  const { rows } = await database.pool.query(
    `select url, headers, body, timeout_milliseconds as ms from net.http_request_queue`,
  );
  assertEquals(rows, [{
    url: "https://project.test/functions/v1/enterprise-sync",
    headers: { "Content-Type": "application/json", apikey: "sb_secret_of_cron" },
    body: { maxRecords: 7 },
    ms: 30_000,
  }]);
});

for (
  const [what, secrets, message] of [
    ["no secret", "", /no secret named sync_project_url nor sync_cron_key$/],
    ["no key", "('sync_project_url', 'https://p.test')", /no secret named sync_cron_key$/],
    [
      "an empty key",
      "('sync_project_url', 'https://p.test'), ('sync_cron_key', ' ')",
      /no secret named sync_cron_key$/,
    ],
    [
      "an address that is none",
      "('sync_project_url', 'project.test'), ('sync_cron_key', 'k')",
      /is not an address that begins with https:\/\/$/,
    ],
  ] as const
) {
  Deno.test(`with ${what} a job fails and says why, and sends nothing`, async () => {
    await using database = await hostedDatabase(
      secrets === "" ? "" : `insert into vault.secrets values ${secrets}`,
    );
    await database.pool.query(
      `insert into public.sync_queue (pair, side, record_id, reason) values ('clients', 'b', '1', 'r')`,
    );
    const error = await assertRejects(() =>
      database.pool.query(`select sync_private.call_smart()`)
    );
    assertMatch(error instanceof Error ? error.message : "", message);
    assertEquals(await calls(database.pool), 0);
  });
}

Deno.test("smart-sync is called only if a record of the queue is due", async () => {
  await using database = await hostedDatabase();
  const { pool } = database;
  assertEquals(await value(pool, "sync_private.call_smart()"), false);
  await pool.query(
    `insert into public.sync_queue (pair, side, record_id, reason, not_before)
     values ('clients', 'b', '1', 'r', now() + interval '1 minute')`,
  );
  assertEquals(await value(pool, "sync_private.call_smart()"), false);
  assertEquals(await calls(pool), 0);
  await pool.query(`update public.sync_queue set not_before = now()`);
  assertEquals(await value(pool, "sync_private.call_smart()"), true);
  assertEquals(await calls(pool), 1);
});

const NOON = "2026-11-21T12:00:00Z";

const NIGHTLY = [
  ["never run, at 03:10", "2026-11-21T03:10:00Z", null, true],
  ["never run, at 03:09:59", "2026-11-21T03:09:59Z", null, false],
  ["never run, at noon", NOON, null, false],
  ["done before tonight", NOON, { started_at: "2026-11-21T03:09:59Z" }, true],
  ["done tonight", NOON, { started_at: "2026-11-21T03:10:00Z" }, false],
  ["failed tonight", NOON, { status: "failed", started_at: "2026-11-21T03:10:00Z" }, false],
  [
    "done last night, before tonight",
    "2026-11-21T03:09:00Z",
    { started_at: "2026-11-20T03:12:00Z" },
    false,
  ],
  ["last night left out", "2026-11-21T00:05:00Z", { started_at: "2026-11-19T03:12:00Z" }, true],
  [
    "waiting for a minute",
    NOON,
    { status: "waiting", last_updated_at: "2026-11-21T11:59:00Z" },
    true,
  ],
  [
    "waiting between two calls of a person",
    NOON,
    { status: "waiting", last_updated_at: "2026-11-21T11:59:55Z" },
    false,
  ],
  ["at work", NOON, { status: "running", heartbeat_at: "2026-11-21T11:59:30Z" }, false],
  ["its worker silent", NOON, { status: "running", heartbeat_at: "2026-11-21T11:58:00Z" }, true],
  ["paused by a person", NOON, { status: "paused", heartbeat_at: "2026-11-01T00:00:00Z" }, false],
  [
    "only a dry run unfinished",
    NOON,
    { status: "waiting", lane: "both:dry", last_updated_at: "2026-11-21T03:20:00Z" },
    false,
  ],
] as const;

Deno.test("the nightly run is called for when it is due, or stands still", async () => {
  await using database = await hostedDatabase();
  const client = await database.connect();
  try {
    for (const [what, now, run, called] of NIGHTLY) {
      await undone(client, async () => {
        if (run !== null) await addRun(client, { started_at: "2026-11-20T03:10:01Z", ...run });
        assertEquals(await value(client, "sync_private.call_enterprise($1)", now), called, what);
        const { rows } = await client.query(`select url, body from net.http_request_queue`);
        const url = "https://project.test/functions/v1/enterprise-sync";
        assertEquals(rows, called ? [{ url, body: { maxRecords: 100_000 } }] : [], what);
      });
    }
  } finally {
    await client.end();
  }
});

const MONTHLY = [
  ["never run, on the first at 02:10", "2026-12-01T02:10:00Z", null, true],
  ["done last month", "2026-12-01T05:55:00Z", { started_at: "2026-11-01T02:10:00Z" }, true],
  ["done this month", "2026-12-01T02:15:00Z", { started_at: "2026-12-01T02:10:01Z" }, false],
  [
    "cut off this month",
    "2026-12-01T02:30:00Z",
    { status: "waiting", last_updated_at: "2026-12-01T02:15:00Z" },
    true,
  ],
] as const;

Deno.test("the monthly run is called for when it is due, or stands still", async () => {
  await using database = await hostedDatabase();
  const client = await database.connect();
  try {
    for (const [what, now, run, called] of MONTHLY) {
      await undone(client, async () => {
        if (run !== null) await addRun(client, { function: "backfill-sync", lane: "", ...run });
        assertEquals(await value(client, "sync_private.call_backfill($1)", now), called, what);
        const { rows } = await client.query(`select url, body from net.http_request_queue`);
        const url = "https://project.test/functions/v1/backfill-sync";
        assertEquals(rows, called ? [{ url, body: {} }] : [], what);
      });
    }
  } finally {
    await client.end();
  }
});

Deno.test("a schedule's next time is the one pg_cron would choose", async () => {
  await using database = await testDatabase(import.meta.url);
  // 2026-11-21 is a Saturday.
  const after = "2026-11-21T09:30:15Z";
  const cases: Record<string, string | null> = {
    "* * * * *": "2026-11-21T09:31:00Z",
    "*/5 * * * *": "2026-11-21T09:35:00Z",
    "30 9 * * *": "2026-11-22T09:30:00Z",
    "40 1 * * *": "2026-11-22T01:40:00Z",
    "10-59/5 2-5 1 * *": "2026-12-01T02:10:00Z",
    "0,45 9,10 * * *": "2026-11-21T09:45:00Z",
    "30 3 * * 6": "2026-11-28T03:30:00Z",
    "30 3 * * 0": "2026-11-22T03:30:00Z",
    "30 3 * * 7": "2026-11-22T03:30:00Z",
    "0 0 13 * 5": "2026-11-27T00:00:00Z",
    "0 0 1 1 *": "2027-01-01T00:00:00Z",
    "0 0 29 2 *": "2028-02-29T00:00:00Z",
    "0 0 31 2 *": null,
    "30 seconds": "2026-11-21T09:30:45Z",
    "@reboot": null,
    "0 0 1 jan *": null,
    "0 0 * *": null,
    "": null,
  };
  for (const [schedule, wanted] of Object.entries(cases)) {
    const found = await value(database.pool, "sync_private.next_time($1, $2)", schedule, after);
    assertEquals(
      found instanceof Date ? found.toISOString().replace(".000", "") : found,
      wanted,
      schedule,
    );
  }
});

// Waking --------------------------------------------------------------------

const ADD = `insert into public.clients (email) values (gen_random_uuid() || '@example.com')`;

Deno.test("an edit calls smart-sync once it is committed, and one that is undone does not", async () => {
  await using database = await hostedDatabase();
  const client = await database.connect();
  try {
    await client.query("begin");
    await client.query(ADD);
    assertEquals(await calls(database.pool), 0);
    await client.query("commit");
    assertEquals(await calls(database.pool), 1);
    await client.query(`select setval('sync_private.wake_clock', 0)`);
    await client.query("begin");
    await client.query(ADD);
    await client.query("rollback");
    assertEquals(await calls(database.pool), 1);
  } finally {
    await client.end();
  }
});

Deno.test("a clock that was set back keeps no edit from calling", async () => {
  await using database = await hostedDatabase();
  await database.pool.query(
    `select setval('sync_private.wake_clock', floor(extract(epoch from now()))::bigint + 3600)`,
  );
  await database.pool.query(ADD);
  assertEquals(await calls(database.pool), 1);
});

Deno.test("many edits at once make at most one call a second", async () => {
  await using database = await hostedDatabase();
  const second = () =>
    value(database.pool, "floor(extract(epoch from clock_timestamp()))::integer");
  const clients = await Promise.all(Array.from({ length: 12 }, () => database.connect()));
  try {
    const from = Number(await second());
    await Promise.all(clients.map(async (client) => {
      for (let n = 0; n < 10; n++) await client.query(ADD);
    }));
    const to = Number(await second());
    const made = Number(await calls(database.pool));
    assert(made >= 1 && made <= to - from + 1, `${made} calls in ${to - from + 1} seconds`);
    assertEquals(
      await value(database.pool, "select count(*)::integer from public.sync_queue"),
      120,
    );
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
});

/** Notifications that come in while something is done. */
async function notified(database: TestDatabase, work: () => Promise<void>): Promise<number> {
  const listener = await database.connect();
  let count = 0;
  const last = Promise.withResolvers<void>();
  listener.on("notification", ({ payload }) => {
    if (payload === "last") last.resolve();
    else count++;
  });
  await listener.query("listen sync_wake");
  await work();
  await database.pool.query("select pg_notify('sync_wake', 'last')");
  await last.promise;
  await listener.end();
  return count;
}

Deno.test("where there is pg_net an edit notifies nobody, and so takes no lock that all commits share", async () => {
  await using database = await hostedDatabase();
  assertEquals(await notified(database, () => database.pool.query(ADD).then(() => {})), 0);
  assertEquals(await calls(database.pool), 1);
});

Deno.test("where there is none, edits of two connections notify at most once a second, and none waits", async () => {
  await using database = await testDatabase(import.meta.url);
  const second = () =>
    value(database.pool, "floor(extract(epoch from clock_timestamp()))::integer");
  const clients = await Promise.all([database.connect(), database.connect()]);
  const [open, other] = clients;
  try {
    let seconds = 0;
    const count = await notified(database, async () => {
      const from = Number(await second());
      await open.query("begin");
      await open.query(ADD);
      await other.query("set lock_timeout = '1s'");
      for (let n = 0; n < 50; n++) await other.query(ADD);
      await open.query("commit");
      await Promise.all(clients.map(async (client) => {
        for (let n = 0; n < 50; n++) await client.query(ADD);
      }));
      seconds = Number(await second()) - from + 1;
    });
    assert(count >= 1 && count <= seconds, `${count} notifications in ${seconds} seconds`);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
});

Deno.test("a transaction calls once, however long it lasts", async () => {
  await using database = await hostedDatabase();
  const client = await database.connect();
  try {
    await client.query("begin");
    await client.query(ADD);
    await database.pool.query(`select setval('sync_private.wake_clock', 0)`);
    await client.query(ADD);
    await client.query("commit");
  } finally {
    await client.end();
  }
  assertEquals(await calls(database.pool), 1);
});

Deno.test("an edit waits for no other, and a transaction left open keeps nobody from calling later", async () => {
  await using database = await hostedDatabase();
  const [open, other] = [await database.connect(), await database.connect()];
  try {
    await open.query("begin");
    await open.query(ADD);
    await other.query("set lock_timeout = '1s'");
    await other.query(ADD);
    const made = Number(await calls(database.pool));
    // What the open transaction holds is its own second alone.
    await other.query(`select pg_sleep(1 - extract(epoch from clock_timestamp()) % 1)`);
    await other.query(ADD);
    assertEquals(await calls(database.pool), made + 1);
    await open.query("commit");
    assertEquals(await calls(database.pool), made + 2);
  } finally {
    await open.end();
    await other.end();
  }
});

for (
  const [what, fault] of [
    [
      "pg_net fails",
      `alter table net.http_request_queue add check (body is null)`,
    ],
    ["pg_net has another form", `drop function net.http_post`],
    [
      "Vault fails",
      `create or replace view vault.decrypted_secrets as
       select name, (1 / (length(name) - length(name)))::text as decrypted_secret from vault.secrets`,
    ],
    ["a secret is missing", `delete from vault.secrets where name = 'sync_cron_key'`],
  ] as const
) {
  Deno.test(`an edit succeeds although ${what}`, async () => {
    await using database = await hostedDatabase();
    await database.pool.query(fault);
    const client = await database.connect();
    try {
      await client.query("begin");
      await client.query(ADD);
      await client.query(ADD);
      await client.query("commit");
    } finally {
      await client.end();
    }
    assertEquals(await calls(database.pool), 0);
    assertEquals(await value(database.pool, "select count(*)::integer from public.sync_queue"), 2);
  });
}
