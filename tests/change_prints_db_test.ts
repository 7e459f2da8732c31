/** What is taken for unchanged without being read closely: side A by a hash of its columns, side B by a fingerprint. */
import { assert, assertEquals } from "@std/assert";
import { commitPageRest } from "../shared/store/enumeration_store.ts";
import { stageChangedLocal } from "../shared/store/match_store.ts";
import type { Database } from "../shared/store/database.ts";
import { LocalTable } from "../shared/store/local_table.ts";
import type { Run } from "../shared/store/run.ts";
import { openLocalTable } from "../shared/engine/open_sides.ts";
import { requirePair } from "../shared/engine/config.ts";
import { clientId, equalPeople, type TwoWayWorld, twoWayWorld } from "./lib/two_way_world.ts";

interface Print {
  readonly version: number;
  readonly print: string | null;
  readonly a_print: string | null;
}

/** Shadows are known, and what stands for them is not. */
const UNKNOWN_PRINTS = `insert into public.shadow_fingerprints as f (crosswalk_id, version)
  select s.crosswalk_id, s.version from public.shadow_snapshots s
  on conflict (crosswalk_id) do update set version = excluded.version, print = null, a_print = null`;

async function printOf(world: TwoWayWorld, n: number): Promise<Print | undefined> {
  const rows = await world.pool.query<Print>(
    `select f.version::float8 as version, f.print::text as print, f.a_print::text as a_print
     from public.shadow_fingerprints f
     join public.integration_crosswalk cw on cw.id = f.crosswalk_id where cw.a_id = $1`,
    [clientId(n)],
  );
  return rows[0];
}

async function startedRun(world: TwoWayWorld): Promise<Run> {
  const rows = await world.pool.query<{ id: string; pair: string }>(
    `insert into public.sync_runs (function, pair, status, phase, fencing, lease_owner,
       requested_by)
     values ('enterprise-sync', 'clients', 'running', 'Test', 7, gen_random_uuid(), 'test') returning id, pair`,
  );
  const { id = "", pair = "" } = rows[0] ?? {};
  return { id, pair, epoch: 0, fencing: 7, cursor: {}, params: {}, counters: {} } as Run;
}

async function staged(world: TwoWayWorld, run: Run): Promise<string[]> {
  const rows = await world.pool.query<{ record_id: string }>(
    `select record_id from public.sync_stage where run_id = $1 order by record_id`,
    [run.id],
  );
  return rows.map(({ record_id }) => record_id);
}

/** How many others a backend keeps waiting, directly or not. In a transaction, the view of them stands still. */
async function countWaiting(database: Database, pid: number): Promise<number> {
  const [row] = await database.query<{ waiting: number }>(
    `with recursive held (pid) as (
       select $1::integer
       union
       select a.pid from pg_stat_activity a join held on held.pid = any (pg_blocking_pids(a.pid))
     )
     select count(*)::integer - 1 as waiting from held`,
    [pid],
  );
  return row?.waiting ?? 0;
}

async function untilBlocked(database: Database, pid: number, others: number): Promise<void> {
  while (await countWaiting(database, pid) < others);
}

/** Raises the shadow of a client's record as the commit of a batch does, and waits with the commit. */
async function whileShadowChanges(
  world: TwoWayWorld,
  n: number,
  meanwhile: () => Promise<unknown>,
): Promise<void> {
  let pending: Promise<unknown> = Promise.resolve();
  await world.pool.transaction(async (database) => {
    const rows = await database.query<{ pid: number }>(
      `with raised as (
         update public.shadow_snapshots s set version = s.version + 1
         from public.integration_crosswalk cw where cw.id = s.crosswalk_id and cw.a_id = $1
         returning s.crosswalk_id, s.version
       )
       insert into public.shadow_fingerprints as f (crosswalk_id, version)
       select crosswalk_id, version from raised
       on conflict (crosswalk_id) do update
         set version = excluded.version, print = null, a_print = null
       returning pg_backend_pid() as pid`,
      [clientId(n)],
    );
    pending = meanwhile();
    // Until the other one has read the shadow and stands before the row.
    await untilBlocked(world.pool, rows[0]?.pid ?? 0, 1);
  });
  await pending;
}

Deno.test("a client that is changed back after a sync is seen, in whichever way it was changed", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.sync();
  await world.assertQuiet();
  const before = await printOf(world, 1);
  assertEquals([typeof before?.print, typeof before?.a_print], ["string", "string"]);

  await world.editClient(1, { city: "Rome" });
  world.editSubscriber(2, { fields: { city: "Rome" } });
  await world.sync();
  assertEquals([world.subscriber(1)?.fields["city"], (await world.client(2))?.city], [
    "Rome",
    "Rome",
  ]);
  await world.editClient(1, { city: "Oslo" });
  await world.editClient(2, { city: "Oslo" });
  assertEquals((await world.sync()).updatesApplied, 2);
  assertEquals(world.subscriber(1)?.fields["city"], "Oslo");
  assertEquals(world.subscriber(2)?.fields["city"], "Oslo");
  await world.assertQuiet();
  assertEquals((await printOf(world, 1))?.a_print, before?.a_print);
});

Deno.test("clients are compared anew where other columns are mapped, though they hold the same", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.sync();
  await world.pool.query(`alter table public.clients add column nickname text`);
  await world.pool.query(`update public.clients set nickname = first_name`);
  const { rules, local } = requirePair(world.config);
  const paths = Object.values(rules.fields).map((rule) => rule.local);
  for (const other of [paths, paths.map((path) => path === "first_name" ? "nickname" : path)]) {
    const opened = await LocalTable.open(world.pool, local, other);
    assert("table" in opened);
    const run = await startedRun(world);
    await stageChangedLocal(world.pool, run, opened.table);
    assertEquals(await staged(world, run), other === paths ? [] : [clientId(1), clientId(2)]);
    await world.pool.query(`delete from public.sync_runs where id = $1`, [run.id]);
  }
});

Deno.test("4: who compares side A with a shadow that is written at this moment does not vouch for it", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  const run = await startedRun(world);
  const table = await openLocalTable(world.pool, requirePair(world.config));
  await world.pool.query(`delete from public.shadow_fingerprints`);
  await whileShadowChanges(world, 1, () => stageChangedLocal(world.pool, run, table));
  // Both are as their shadows said; of one that is no longer known.
  assertEquals(await staged(world, run), []);
  assertEquals((await printOf(world, 1))?.a_print, null);
  assertEquals(typeof (await printOf(world, 2))?.a_print, "string");
});

Deno.test("4: who compares side B with a shadow that is written at this moment does not vouch for it", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  const run = await startedRun(world);
  const records = await world.pool.query<{ id: string; b: unknown }>(
    `select cw.b_id as id, s.b from public.integration_crosswalk cw
     join public.shadow_snapshots s on s.crosswalk_id = cw.id order by cw.a_id`,
  );
  await world.pool.query(`delete from public.shadow_fingerprints`);
  await whileShadowChanges(world, 1, () =>
    commitPageRest(world.pool, run, {
      side: "b",
      listed: null,
      records: JSON.stringify(records.map(({ id, b }, n) => [id, "", b, null, String(n + 1)])),
      unreadable: [],
      requests: 0,
      seen: 2,
      cursor: {},
      phase: "Test",
    }));
  assertEquals(await staged(world, run), []);
  assertEquals((await printOf(world, 1))?.print, null);
  assertEquals((await printOf(world, 2))?.print, "2");
});

Deno.test("who compares side A and who compares side B never wait for each other", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  // So that the ids of side B and those of the links run against each other.
  await world.pool.query(`update public.integration_crosswalk set b_id = 'x' || b_id`);
  await world.pool.query(
    `update public.integration_crosswalk cw set b_id = 'b' || (
       select count(*) from public.integration_crosswalk o where o.id > cw.id)`,
  );
  const records = await world.pool.query<{ link: number; id: string; b: unknown }>(
    `select cw.id::float8 as link, cw.b_id as id, s.b from public.integration_crosswalk cw
     join public.shadow_snapshots s on s.crosswalk_id = cw.id order by cw.id`,
  );
  const run = await startedRun(world);
  const table = await openLocalTable(world.pool, requirePair(world.config));
  const ends: Promise<unknown>[] = [];
  await world.pool.transaction(async (database) => {
    const [row] = await database.query<{ pid: number }>(
      `insert into public.shadow_fingerprints as f (crosswalk_id) values ($1)
       on conflict (crosswalk_id) do update set print = null returning pg_backend_pid() as pid`,
      [records[0]?.link],
    );
    const page = records.map(({ id, b }, n) => [id, "", b, null, String(n + 1)]);
    ends.push(
      stageChangedLocal(world.pool, run, table),
      commitPageRest(world.pool, run, {
        side: "b",
        listed: null,
        records: JSON.stringify(page),
        unreadable: [],
        requests: 0,
        seen: 2,
        cursor: {},
        phase: "Test",
      }),
    );
    await untilBlocked(world.pool, row?.pid ?? 0, 2);
  });
  await Promise.all(ends);
  assertEquals((await printOf(world, 1))?.version, (await printOf(world, 2))?.version);
});

/** Gives a client's link up, and waits with the commit until the other one stands before it or is done. */
async function whileLinkGoes(
  world: TwoWayWorld,
  n: number,
  meanwhile: () => Promise<unknown>,
): Promise<void> {
  let pending: Promise<unknown> = Promise.resolve();
  await world.pool.transaction(async (database) => {
    const [row] = await database.query<{ pid: number }>(
      `delete from public.integration_crosswalk where a_id = $1 returning pg_backend_pid() as pid`,
      [clientId(n)],
    );
    const pid = row?.pid ?? 0;
    let isOver = false;
    pending = meanwhile().finally(() => isOver = true);
    pending.catch(() => {});
    while (!isOver && await countWaiting(world.pool, pid) === 0);
  });
  await pending;
}

Deno.test("who compares side A passes over a link that goes at this moment", async () => {
  for (const sql of ["delete from public.shadow_fingerprints", UNKNOWN_PRINTS]) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(2));
    const run = await startedRun(world);
    const table = await openLocalTable(world.pool, requirePair(world.config));
    await world.pool.query(sql);
    await whileLinkGoes(world, 1, () => stageChangedLocal(world.pool, run, table));
    assertEquals(await printOf(world, 1), undefined);
    assertEquals(typeof (await printOf(world, 2))?.a_print, "string");
  }
});

Deno.test("who compares side B passes over a link that goes at this moment", async () => {
  for (const sql of ["delete from public.shadow_fingerprints", UNKNOWN_PRINTS]) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(2));
    const run = await startedRun(world);
    const records = await world.pool.query<{ id: string; b: unknown }>(
      `select cw.b_id as id, s.b from public.integration_crosswalk cw
       join public.shadow_snapshots s on s.crosswalk_id = cw.id order by cw.a_id`,
    );
    await world.pool.query(sql);
    await whileLinkGoes(world, 1, () =>
      commitPageRest(world.pool, run, {
        side: "b",
        listed: null,
        records: JSON.stringify(records.map(({ id, b }, n) => [id, "", b, null, String(n + 1)])),
        unreadable: [],
        requests: 0,
        seen: 2,
        cursor: {},
        phase: "Test",
      }));
    assertEquals(await printOf(world, 1), undefined);
    assertEquals((await printOf(world, 2))?.print, "2");
  }
});
