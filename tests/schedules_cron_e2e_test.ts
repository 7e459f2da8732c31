/** The schedules with the real pg_cron, from the job to the remote: every part in a process of its own. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { execute, prepareDatabase } from "../scripts/stack/prepare_database.ts";
import { type Stack, startStack } from "../scripts/stack/stack.ts";
import { migrationUp } from "../scripts/stack/supabase_cli.ts";
import { type DatabasePool, openDatabase } from "../shared/store/database.ts";
import { ControlClient } from "../simulators/mailerlite/control_client.ts";
import { type CronCluster, isCronInstalled, startCronCluster } from "./lib/cron_cluster.ts";
import { PG_NET_AND_VAULT, startNetWorker } from "./lib/pg_net.ts";
import { until } from "./lib/until.ts";

const JOBS = [
  { name: "sync-backfill", schedule: "10-59/5 2-5 1 * *", active: true },
  { name: "sync-enterprise", schedule: "*/5 * * * *", active: true },
  { name: "sync-prune", schedule: "40 1 * * *", active: true },
  { name: "sync-smart", schedule: "* * * * *", active: true },
];

interface World {
  readonly cluster: CronCluster;
  readonly pool: DatabasePool;
  readonly stack: Stack;
  readonly simulator: ControlClient;
}

/** One value; undefined if it is null. */
async function value(pool: DatabasePool, sql: string): Promise<unknown> {
  const rows = await pool.query<{ value: unknown }>(`select (${sql}) as value`);
  return rows[0]?.value ?? undefined;
}

async function requestsWaiting(pool: DatabasePool): Promise<unknown[]> {
  return await pool.query(
    `select url, headers, body, timeout_milliseconds as timeout from net.http_request_queue order by id`,
  );
}

/** The first name the remote has of a person. */
async function nameAtRemote({ simulator }: World, email: string): Promise<unknown> {
  for await (const subscriber of simulator.readAll()) {
    if (subscriber["email"] !== email) continue;
    const fields = subscriber["fields"];
    return fields !== null && typeof fields === "object" ? Reflect.get(fields, "name") : undefined;
  }
}

async function runs(pool: DatabasePool, name: string): Promise<unknown[]> {
  return await pool.query(
    `select status, requested_by as by from public.sync_runs where function = '${name}'
     order by started_at`,
  );
}

// Where nobody can install a Debian package the rest of the suite still tells something; what
// is left out is counted as ignored. Where the package has to be there, it fails.
const isLeftOut = Deno.env.get("PG_CRON_REQUIRED") === undefined && !(await isCronInstalled());

Deno.test("schedules with pg_cron on PostgreSQL 15", { ignore: isLeftOut }, async (t) => {
  await using cluster = await startCronCluster();
  await execute(cluster.url, `create extension pg_cron; ${PG_NET_AND_VAULT}`);
  await prepareDatabase(cluster.url);
  await using pool = openDatabase({ url: cluster.url, name: "test", max: 2 });
  await using stack = await startStack({
    databaseUrl: cluster.url,
    simulator: ["--no-limits"],
  });
  const simulator = new ControlClient(stack.simulator?.url ?? "");
  await simulator.seed({
    groups: ["Clients", "VIP"],
    fields: ["partner_name", "partner_email", "partner_company"],
  });
  const world: World = { cluster, pool, stack, simulator };
  const jobs = () =>
    pool.query(`select jobname as name, schedule, active from cron.job order by jobname`);

  await t.step("the migrations make four jobs, and once more the same four", async () => {
    assertEquals(await jobs(), JOBS);
    assertEquals(await migrationUp(cluster.url), []);
    await pool.query(`select cron.schedule('sync-smart', '0 0 1 1 *', 'select 1')`);
    assertEquals(
      await value(pool, "sync_private.install_schedules()"),
      "Scheduled: sync-smart, sync-enterprise, sync-backfill, sync-prune",
    );
    assertEquals(await jobs(), JOBS);
  });

  await t.step(
    "health tells from pg_cron when each function is due, and what has no job",
    async () => {
      assertEquals(
        await pool.query(
          `select function from public.sync_health where next_due > now() order by function`,
        ),
        [{ function: "backfill-sync" }, { function: "enterprise-sync" }, {
          function: "smart-sync",
        }],
      );
      // From here on a job runs only when the test says so.
      await pool.query(`select cron.alter_job(jobid, active := false) from cron.job`);
      assertEquals(
        await value(pool, "select verdict from public.sync_health where function = 'smart-sync'"),
        "attention: no schedule calls it",
      );
    },
  );

  await t.step("with an empty queue smart-sync is not called", async () => {
    assertEquals((await cluster.fire("sync-smart")).status, "succeeded");
    assertEquals(await requestsWaiting(pool), []);
  });

  await t.step("a missing secret is told in pg_cron's own log, and nothing is sent", async () => {
    await pool.query(
      `insert into public.clients (email, first_name, marketing_status)
       values ('ann@example.com', 'Ann', 'subscribed')`,
    );
    await pool.query(`insert into vault.secrets values ('sync_project_url', '${stack.url}/')`);
    const { status, message } = await cluster.fire("sync-smart");
    assertEquals(status, "failed");
    assertMatch(message, /Cannot call smart-sync: Vault has no secret named sync_cron_key/);
    assertEquals(await requestsWaiting(pool), []);
  });

  const key = stack.keys.secret["cron"] ?? "";
  await t.step("an edit of side A reaches the remote by trigger, queue, cron and net", async () => {
    await pool.query(`insert into vault.secrets values ('sync_cron_key', '${key}')`);
    assertEquals((await cluster.fire("sync-smart")).status, "succeeded");
    assertEquals(await requestsWaiting(pool), [{
      url: `${stack.url}/functions/v1/smart-sync`,
      headers: { "Content-Type": "application/json", apikey: key },
      body: {},
      timeout: 30_000,
    }]);
    await using _ = await startNetWorker(cluster.url);
    await until("the new client is a subscriber", async () => {
      return await nameAtRemote(world, "ann@example.com") === "Ann" ? true : undefined;
    });
    await until(
      "the call was answered",
      () => value(pool, "select status_code from net._http_response"),
    );
    assertEquals(await runs(pool, "smart-sync"), [{ status: "completed", by: "secret:cron" }]);
    assertEquals(await value(pool, "select count(*)::integer from public.sync_queue"), 0);
  });

  await t.step("with the secrets in place an edit wakes smart-sync by itself", async () => {
    await using _ = await startNetWorker(cluster.url);
    await pool.query(`update public.clients set first_name = 'Bea'`);
    await until("the edit is at the remote", async () => {
      return await nameAtRemote(world, "ann@example.com") === "Bea" ? true : undefined;
    });
  });

  await t.step(
    "the tick goes on with the nightly run that was cut off, and with no other",
    async () => {
      await pool.query(
        `insert into public.sync_runs (function, pair, lane, status, requested_by, heartbeat_at, last_updated_at, params)
       values ('enterprise-sync', 'clients', 'both', 'waiting', 'test', now() - interval '1 hour', now() - interval '1 hour',
         '{"flow": "both", "dryRun": false}')`,
      );
      assertEquals((await cluster.fire("sync-enterprise")).status, "succeeded");
      {
        await using _ = await startNetWorker(cluster.url);
        await until("the run is done", async () => {
          const [run] = await runs(pool, "enterprise-sync");
          return JSON.stringify(run) === '{"status":"completed","by":"test"}' ? true : undefined;
        });
      }
      assertEquals(await requestsWaiting(pool), []);
      await pool.query(
        `update public.sync_runs set started_at = now() where function = 'enterprise-sync'`,
      );
      assertEquals((await cluster.fire("sync-enterprise")).status, "succeeded");
      assertEquals(await requestsWaiting(pool), []);
    },
  );

  await t.step("a backfill that stands still is gone on with", async () => {
    await pool.query(
      `insert into public.sync_runs (function, pair, status, requested_by, last_updated_at, params)
       values ('backfill-sync', 'clients', 'waiting', 'test', now() - interval '1 hour',
         '{"link": true, "staleAfterDays": 30}')`,
    );
    assertEquals((await cluster.fire("sync-backfill")).status, "succeeded");
    await using _ = await startNetWorker(cluster.url);
    await until("the run is done", async () => {
      const [run] = await runs(pool, "backfill-sync");
      return JSON.stringify(run) === '{"status":"completed","by":"test"}' ? true : undefined;
    });
  });

  await t.step(
    "the daily job forgets what pg_cron wrote down of these jobs, and of no other",
    async () => {
      await pool.query(`select cron.schedule('not-ours', '0 0 1 1 *', 'select 1')`);
      await pool.query(
        `insert into cron.job_run_details (jobid, database, username, status, start_time)
       select jobid, 'postgres', 'postgres', 'succeeded', now() - age
       from cron.job, unnest(array[interval '6 days', interval '8 days']) age
       where jobname in ('sync-smart', 'not-ours')`,
      );
      const old =
        `select count(*)::integer from cron.job_run_details d join cron.job j using (jobid)
      where d.start_time < now() - interval '1 day' and j.jobname =`;
      assertEquals((await cluster.fire("sync-prune")).status, "succeeded");
      assertEquals(await value(pool, `${old} 'sync-smart'`), 1);
      assertEquals(await value(pool, `${old} 'not-ours'`), 2);
    },
  );

  await t.step("what the jobs wrote down holds no key", async () => {
    const details = await pool.query(`select * from cron.job_run_details`);
    assert(details.length > 0);
    assert(!JSON.stringify(details).includes(key));
  });
});
