/** States of the sync, as SQL that brings them about, and what `sync_health` says of them. */

const SINCE = (column: string, age: string) =>
  `update public.sync_runs set ${column} = now() - interval '${age}' where function = 'enterprise-sync';`;
/** Makes every run an unfinished one: how long its worker has been silent, and what stopped it. */
export const UNFINISHED = (status: string, silent = "0 s", error: string | null = null) =>
  `update public.sync_runs set ended_at = null, status = '${status}',
     heartbeat_at = now() - interval '${silent}', error = ${
    error === null ? "null" : `'{"code": "${error}"}'`
  }`;
const BREAKER = `update public.sync_state set value = `;
const AT = (shift: string) =>
  `to_char((now() + interval '${shift}') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** State, function, severity and verdict. Before, each run was done within the last hour. */
export const HEALTH_STATES: readonly (readonly [string, string, number, string])[] = [
  ["", "enterprise-sync", 0, "ok"],
  ["", "backfill-sync", 0, "ok"],
  ["", "smart-sync", 0, "ok"],
  ["", "sync-webhook", 0, "ok"],
  ["delete from public.sync_runs", "enterprise-sync", 1, "attention: it has never run"],
  ["delete from public.sync_runs", "backfill-sync", 1, "attention: it has never run"],
  ["delete from public.sync_runs", "smart-sync", 0, "ok"],
  [
    SINCE("started_at", "50 hours") + SINCE("ended_at", "49 hours"),
    "enterprise-sync",
    2,
    "late: the nightly run has not finished for 2 days",
  ],
  [SINCE("ended_at", "35 hours"), "enterprise-sync", 0, "ok"],
  [
    SINCE("ended_at", "37 hours"),
    "enterprise-sync",
    2,
    "late: the nightly run has not finished for 37 hours",
  ],
  [
    `update public.sync_runs set lane = 'to_local' where function = 'enterprise-sync'`,
    "enterprise-sync",
    1,
    "attention: it has never run",
  ],
  [
    `update public.sync_runs set params = '{"dryRun": true}'`,
    "enterprise-sync",
    1,
    "attention: it has never run",
  ],
  [
    `update public.sync_runs set status = 'failed', errors = 2, started_at = now() - interval '3 days'`,
    "enterprise-sync",
    2,
    "late: the nightly run has never finished; attention: 2 records failed in the last run",
  ],
  [
    `update public.sync_runs set ended_at = now() - interval '41 days'`,
    "backfill-sync",
    2,
    "late: the monthly run has not finished for 41 days",
  ],
  [
    `insert into public.sync_runs (function, pair, lane, status, error, errors, requested_by, started_at, ended_at)
     values ('enterprise-sync', 'clients', 'both', 'failed', '{"code": "guard_tripped"}', 1, 'test', now() + interval '1 s', now())`,
    "enterprise-sync",
    3,
    "stopped: the last run failed with guard_tripped",
  ],
  [
    `insert into public.sync_runs (function, pair, lane, status, error, errors, requested_by, started_at, ended_at)
     values ('smart-sync', 'clients', 'y', 'failed', '{"code": "worker_lost"}', 1, 'test', now() + interval '1 s', now())`,
    "smart-sync",
    1,
    "attention: the last run failed with worker_lost",
  ],
  [
    `insert into public.sync_runs (function, pair, lane, status, errors, requested_by, started_at, ended_at)
     values ('enterprise-sync', 'clients', 'both', 'failed', 1, 'test', now() + interval '1 s', now())`,
    "enterprise-sync",
    1,
    "attention: 1 record failed in the last run",
  ],
  [UNFINISHED("running"), "enterprise-sync", 0, "ok"],
  [
    UNFINISHED("running", "12 minutes 40 s"),
    "enterprise-sync",
    2,
    "late: the worker has given no sign for 12 minutes",
  ],
  [UNFINISHED("paused"), "enterprise-sync", 3, "stopped: paused by a person"],
  [
    UNFINISHED("waiting", "0 s", "remote_unauthorized"),
    "backfill-sync",
    3,
    "stopped: waits after remote_unauthorized",
  ],
  [UNFINISHED("waiting", "0 s", "remote_timeout"), "smart-sync", 0, "ok"],
  [UNFINISHED("waiting"), "enterprise-sync", 0, "ok"],
  [
    UNFINISHED("waiting", "3 hours"),
    "enterprise-sync",
    2,
    "late: nobody has gone on with the run for 3 hours",
  ],
  [
    `${BREAKER} jsonb_build_object('smart-sync', jsonb_build_object('state', 'open',
       'reason', 'remote_unavailable', 'nextProbeAt', ${
      AT("1 minute")
    })) where key = 'circuit_breaker'`,
    "smart-sync",
    3,
    "stopped: circuit open after remote_unavailable",
  ],
  [
    `${BREAKER} jsonb_build_object('smart-sync', jsonb_build_object('state', 'open',
       'reason', 'remote_unavailable', 'nextProbeAt', ${
      AT("-1 minute")
    })) where key = 'circuit_breaker'`,
    "smart-sync",
    1,
    "attention: the next call tries whether all is well again after remote_unavailable",
  ],
  [
    `${BREAKER} '{"smart-sync": {"state": "closed", "failures": 2}, "lostAt": "x"}' where key = 'circuit_breaker'`,
    "smart-sync",
    0,
    "ok",
  ],
  ...[
    '{"lostAt": "2026-11-21T00:00:00.000Z"}',
    "null",
    '{"smart-sync": 1}',
    '{"smart-sync": {"state": "open", "nextProbeAt": "soon"}}',
  ]
    .map((damaged) =>
      [
        `${BREAKER} '${damaged}' where key = 'circuit_breaker'`,
        "smart-sync",
        1,
        "attention: the next call tries whether all is well again after state_damaged",
      ] as const
    ),
  ["delete from public.sync_state", "smart-sync", 0, "ok"],
  [
    `${BREAKER} jsonb_build_object('records', jsonb_build_object('used', 10, 'limit', 10,
       'day', (now() at time zone 'UTC')::date)) where key = 'daily_quota'`,
    "smart-sync",
    3,
    "stopped: the quota of today is used up",
  ],
  [
    `${BREAKER} '{"records": {"used": 10, "limit": 10, "day": "2026-01-01"}}' where key = 'daily_quota'`,
    "smart-sync",
    0,
    "ok",
  ],
  [`${BREAKER} '{"records": {"used": "?"}}' where key = 'daily_quota'`, "smart-sync", 0, "ok"],
  [
    `insert into public.sync_conflicts (pair, record_key, field, reason)
     select 'p', 'r', n::text, 'r' from generate_series(1, 3) n`,
    "enterprise-sync",
    1,
    "attention: 3 conflicts wait for a person",
  ],
  [
    `insert into public.sync_conflicts (pair, record_key, field, reason) values ('p', 'r', 'f', 'r')`,
    "enterprise-sync",
    1,
    "attention: 1 conflict waits for a person",
  ],
  [
    `insert into public.sync_failures (pair, record_key, code, a_token, b_token, runs)
     select 'p', n::text, 'c', '', '', n from generate_series(1, 4) n`,
    "enterprise-sync",
    1,
    "attention: 2 records are left alone after failing three times",
  ],
  [
    `insert into public.sync_queue (pair, side, record_id, reason, not_before)
     values ('p', 'b', '1', 'webhook:subscriber.updated', now() - interval '75 minutes'),
       ('p', 'a', '1', 'edited', now() - interval '1 minute')`,
    "smart-sync",
    2,
    "late: records have been due for 75 minutes",
  ],
  [
    `insert into public.sync_queue (pair, side, record_id, reason, not_before)
     values ('p', 'b', '1', 'r', now() + interval '1 hour')`,
    "smart-sync",
    0,
    "ok",
  ],
  [
    `${SINCE("ended_at", "3 days")}
     insert into public.sync_conflicts (pair, record_key, field, reason) values ('p', 'r', 'f', 'r');
     insert into public.sync_runs (function, pair, lane, status, requested_by)
     values ('enterprise-sync', 'clients', 'both', 'paused', 'test')`,
    "enterprise-sync",
    3,
    "stopped: paused by a person; late: the nightly run has not finished for 3 days; attention: 1 conflict waits for a person",
  ],
];
