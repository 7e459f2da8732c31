/** The migrated schema: what it holds, who may do what with it, and what the Supabase CLI says of it. */
import { assert, assertEquals } from "@std/assert";
import { TYPES_FILE } from "../scripts/gen_types.ts";
import { prepareDatabase } from "../scripts/stack/prepare_database.ts";
import { dbAdvisors, genTypes, migrationUp } from "../scripts/stack/supabase_cli.ts";
import { type TestDatabase, testDatabase } from "./lib/database.ts";
import { EXPECTED_ADVICE } from "./lib/expected_advice.ts";
import { schemaSnapshot } from "./lib/schema_snapshot.ts";

/** What a signed-in user with a role in the sync may read; rows are for the roles named. */
const READABLE: Readonly<Record<string, readonly string[]>> = {
  integration_crosswalk: ["operator", "viewer"],
  sync_conflicts: ["operator"],
  sync_failures: ["operator", "viewer"],
  sync_findings: ["operator", "viewer"],
  sync_health: ["operator", "viewer"],
  sync_log: ["operator"],
  sync_queue: ["operator", "viewer"],
  sync_runs: ["operator", "viewer"],
  sync_state: ["operator", "viewer"],
};

/** They show what their reader may see of the tables. */
const VIEWS: readonly string[] = ["sync_health"];

const TABLES = `select oid, relname as name from pg_class
  where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f')`;

async function texts(database: TestDatabase, sql: string, ...values: unknown[]): Promise<string[]> {
  const { rows } = await database.pool.query<{ text: string }>(
    `select text from (${sql}) as found (text) order by text`,
    values,
  );
  return rows.map(({ text }) => text);
}

async function tableNames(database: TestDatabase): Promise<string[]> {
  return await texts(database, `select name from (${TABLES}) t`);
}

Deno.test("the migrations can be applied again and change nothing", async () => {
  await using database = await testDatabase(import.meta.url);
  const before = await schemaSnapshot(database.pool);
  assert(before.length > 100);
  await database.pool.query(
    `update public.sync_state set value = jsonb_set(value, '{lastSync,recordsProcessed}', '7')
     where key = 'sync_status'`,
  );
  assertEquals(await migrationUp(database.url), []);
  assertEquals(await prepareDatabase(database.url), []);
  assertEquals(await schemaSnapshot(database.pool), before);
  assertEquals(
    await texts(
      database,
      `select value #>> '{lastSync,recordsProcessed}' from public.sync_state
       where key = 'sync_status'`,
    ),
    ["7"],
  );
});

Deno.test("supabase db advisors reports only what is known and justified", async () => {
  await using database = await testDatabase(import.meta.url);
  const advice = await dbAdvisors(database.url);
  assertEquals(advice.filter(({ level }) => level !== "INFO"), []);
  const found = advice.map(({ name, detail }) => `${name} ${/`([^`]+)`/.exec(detail)?.[1]}`);
  const expected = EXPECTED_ADVICE.map(({ rule, subject }) => `${rule} ${subject}`);
  assertEquals(found.sort(), expected.sort());
  for (const { reason } of EXPECTED_ADVICE) assert(reason.length > 20);
});

Deno.test("the row types are what supabase gen types prints", async () => {
  await using database = await testDatabase(import.meta.url);
  const fresh = await genTypes(database.url);
  assert(
    await Deno.readTextFile(TYPES_FILE) === fresh,
    "shared/store/database.types.ts is stale: run 'deno run -A scripts/gen_types.ts'",
  );
});

Deno.test("every table has row level security, and policies only for reading", async () => {
  await using database = await testDatabase(import.meta.url);
  assertEquals(
    await texts(
      database,
      `select relname from pg_class where relnamespace = 'public'::regnamespace
       and relkind in ('r', 'p', 'v', 'm', 'f') and not relrowsecurity
       and not (relkind = 'v' and reloptions @> '{security_invoker=true}')`,
    ),
    [],
  );
  const policies = await texts(
    database,
    `select format('%s %s %s', tablename, cmd, array_to_string(roles, ',')) from pg_policies
     where schemaname = 'public'`,
  );
  const tables = Object.keys(READABLE).filter((name) => !VIEWS.includes(name));
  assertEquals(policies, tables.map((table) => `${table} SELECT authenticated`));
});

Deno.test("anon has no privilege on anything, a signed-in user may only read what is listed", async () => {
  await using database = await testDatabase(import.meta.url);
  // Asked of the server and not read from the lists of grants, so that what comes through PUBLIC,
  // a membership or a single column counts too.
  const held = (role: string) =>
    texts(
      database,
      `select format('%s %s', privilege, name)
       from (${TABLES}) t,
         unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger',
           'maintain']) as privilege
       where has_table_privilege($1, oid, privilege)
         or (privilege in ('select', 'insert', 'update', 'references')
             and has_any_column_privilege($1, oid, privilege))
       union all
       select format('%s %s', privilege, relname)
       from pg_class, unnest(array['usage', 'select', 'update']) as privilege
       where relkind = 'S' and relnamespace = 'public'::regnamespace
         and has_sequence_privilege($1, oid, privilege)
       union all
       select format('execute %s', proname) from pg_proc
       where pronamespace = 'public'::regnamespace and has_function_privilege($1, oid, 'execute')
       union all
       select 'create in public' where has_schema_privilege($1, 'public', 'create')`,
      role,
    );
  assertEquals(await held("anon"), []);
  assertEquals(
    await held("authenticated"),
    [
      "execute reopen_sync_conflict",
      "execute resolve_sync_conflict",
      "execute sync_role",
      ...Object.keys(READABLE).map((table) => `select ${table}`),
    ],
  );
  const all = await tableNames(database);
  assertEquals(
    await held("service_role"),
    [
      ...all.flatMap((table) =>
        (VIEWS.includes(table) ? ["select"] : ["delete", "insert", "select", "update"])
          .map((privilege) => `${privilege} ${table}`)
      ),
      "execute reopen_sync_conflict",
      "execute resolve_sync_conflict",
      "execute sync_breaker_enter",
      "execute sync_breaker_report",
      "execute sync_breaker_state",
      "execute sync_breaker_write",
      "execute sync_quota_reserve",
      "execute sync_quota_settle",
      "execute sync_quota_state",
      "execute sync_quota_write",
      "execute sync_role",
      "execute sync_state_lock",
      "execute sync_take_tokens",
      "execute undo_sync_writes",
      "usage sync_fencing",
    ].sort(),
  );
});

/** One row in every table. */
const ONE_ROW_EACH = `
  insert into public.partners (id, name) values (md5('partner')::uuid, 'P');
  insert into public.clients (id) values (md5('client')::uuid);
  insert into public.integration_crosswalk (pair, a_id, b_id) values ('p', md5('client')::uuid, '1');
  insert into public.shadow_snapshots (crosswalk_id, a, b, a_token, b_token)
    select id, '{}', '{}', '', '' from public.integration_crosswalk;
  insert into public.sync_runs (id, function, pair, status, requested_by)
    values (md5('run')::uuid, 'backfill-sync', 'p', 'running', 'test');
  insert into public.sync_findings (run_id, kind) values (md5('run')::uuid, 'drift');
  insert into public.sync_stage (run_id, epoch, side, record_id, natural_key, doc, token)
    values (md5('run')::uuid, 1, 'a', '1', '', '{}', '');
  insert into public.sync_conflicts (pair, record_key, field, reason) values ('p', '1', 'city', 'r');
  insert into public.sync_log (pair, side, action, rule, applied) values ('p', 'a', 'set', 'r', true);
  insert into public.sync_queue (pair, side, record_id, reason) values ('p', 'a', '1', 'r');
  insert into public.sync_intents (pair, operation, payload, fencing) values ('p', 'update', '{}', 1);
  insert into public.shadow_fingerprints (crosswalk_id, print)
    select id, 1 from public.integration_crosswalk;
  insert into public.sync_seen (run_id, epoch, page, ids) values (md5('run')::uuid, 1, 0, '{1}');
  insert into public.sync_work (run_id, epoch, ordinal, kind) values (md5('run')::uuid, 1, 1, 'pair');
  insert into public.sync_failures (pair, record_key, code, a_token, b_token)
    values ('p', 'cw:1', 'c', '', '');
  insert into public.sync_suppressions (pair, key_digest, consent) values ('p', 'd', 'unsubscribed');`;

Deno.test("rows are shown to the roles of the sync alone", async () => {
  await using database = await testDatabase(import.meta.url);
  await database.pool.query(ONE_ROW_EACH);
  const all = await tableNames(database);
  const client = await database.connect();
  const seen = async (role: string, claims: unknown): Promise<string[]> => {
    await client.query("begin");
    await client.query("select set_config('request.jwt.claims', $1, true)", [
      JSON.stringify(claims),
    ]);
    await client.query(`set local role ${role}`);
    const names: string[] = [];
    for (const name of all) {
      await client.query("savepoint before");
      try {
        const { rowCount } = await client.query(`select 1 from public.${name}`);
        if (rowCount !== 0) names.push(name);
      } catch (error) {
        assertEquals(error instanceof Error && Reflect.get(error, "code"), "42501");
        await client.query("rollback to before");
      }
    }
    await client.query("rollback");
    return names;
  };
  try {
    for (const role of ["operator", "viewer", "stranger"]) {
      const claims = { role: "authenticated", app_metadata: { sync_role: role } };
      const wanted = Object.keys(READABLE).filter((table) => READABLE[table]?.includes(role));
      assertEquals(await seen("authenticated", claims), wanted, role);
    }
    assertEquals(await seen("authenticated", { role: "authenticated" }), []);
    // What a user can write about themselves raises nobody.
    const self = { role: "authenticated", user_metadata: { sync_role: "operator" } };
    assertEquals(await seen("authenticated", { ...self, sync_role: "operator" }), []);
    assertEquals(await seen("anon", { app_metadata: { sync_role: "operator" } }), []);
    assertEquals(await seen("service_role", {}), all);
  } finally {
    await client.end();
  }
});

Deno.test("the service role can fill, change and empty every table, triggers included", async () => {
  await using database = await testDatabase(import.meta.url);
  const client = await database.connect();
  try {
    await client.query("set role service_role");
    await client.query(ONE_ROW_EACH);
    await client.query(`update public.sync_runs set status = 'paused'`);
    const { rows } = await client.query(
      `select value #>> '{backfill,status}' as status from public.sync_state
       where key = 'sync_status'`,
    );
    assertEquals(rows, [{ status: "paused" }]);
    await client.query(`select * from public.sync_take_tokens('b', 10, 1000, 1, 0, 0, 1000, 1000)`);
    for (const name of await tableNames(database)) {
      if (!VIEWS.includes(name)) await client.query(`delete from public.${name}`);
    }
  } finally {
    await client.end();
  }
});

Deno.test("every function has an empty search path and none is security definer", async () => {
  await using database = await testDatabase(import.meta.url);
  const functions = await texts(
    database,
    `select format('%s %s %s', proname, array_to_string(proconfig, ','), prosecdef) from pg_proc
     where pronamespace = 'public'::regnamespace`,
  );
  assert(functions.length > 0);
  for (const text of functions) {
    assert(/^\w+ search_path="" f$/.test(text), `${text} should have search_path="" alone`);
  }
});

Deno.test("every foreign key has an index that begins with its columns", async () => {
  await using database = await testDatabase(import.meta.url);
  const bare = `select format('%s on %s', c.conname, c.conrelid::regclass)
    from pg_constraint c
    where c.contype = 'f' and c.connamespace = 'public'::regnamespace`;
  assert((await texts(database, bare)).length >= 6);
  const unindexed = `${bare} and not exists (
    select 1 from pg_index i
    where i.indrelid = c.conrelid and i.indpred is null and i.indisvalid
      and (string_to_array(i.indkey::text, ' ')::smallint[])[1:cardinality(c.conkey)] @> c.conkey)`;
  assertEquals(await texts(database, unindexed), []);
  await database.pool.query(`drop index public.sync_intents_run_id_idx`);
  assertEquals(await texts(database, unindexed), ["sync_intents_run_id_fkey on sync_intents"]);
});

Deno.test("the status starts in the shape that dashboards read", async () => {
  await using database = await testDatabase(import.meta.url);
  assertEquals(await texts(database, `select key from public.sync_state`), [
    "circuit_breaker",
    "daily_quota",
    "retention",
    "sync_status",
    "token_bucket_state",
  ]);
  const keys = await texts(
    database,
    `select s.key || '.' || inner_key
     from public.sync_state, jsonb_each(value) s, jsonb_object_keys(s.value) inner_key
     where sync_state.key = 'sync_status'`,
  );
  assertEquals(
    keys,
    [
      ...["status", "phase", "currentBatch", "totalBatches", "shadowsCreated", "errors"]
        .map((key) => `backfill.${key}`),
      ...["startedAt", "lastUpdatedAt", "completedAt", "paused"].map((key) => `backfill.${key}`),
      ...["status", "lastCompletedAt", "totalProcessed", "totalUpdated"]
        .map((key) => `fullSync.${key}`),
      ...["timestamp", "recordsProcessed"].map((key) => `lastSync.${key}`),
      ...["recordsProcessed", "updatesApplied", "conflicts", "lastUpdated"]
        .map((key) => `statistics.${key}`),
    ].sort(),
  );
});
