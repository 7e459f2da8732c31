/** How edits of side A get into the queue, whoever makes them. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type TestDatabase, testDatabase } from "./lib/database.ts";

function id(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
}

async function addClients(
  db: TestDatabase,
  from: number,
  to: number,
  partner: string | null = null,
) {
  await db.pool.query(
    `insert into public.clients (id, email, first_name, partner_id)
     select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'p' || n || '@example.com',
       'Ann', $3::uuid
     from generate_series($1::integer, $2::integer) n`,
    [from, to, partner],
  );
}

async function addPartner(db: TestDatabase): Promise<string> {
  const { rows } = await db.pool.query<{ id: string }>(
    `insert into public.partners (name) values ('Acme') returning id`,
  );
  return rows[0]?.id ?? "";
}

async function empty(db: TestDatabase): Promise<void> {
  await db.pool.query(`delete from public.sync_queue`);
}

async function queued(db: TestDatabase): Promise<string[]> {
  const { rows } = await db.pool.query<{ text: string }>(
    `select concat_ws(' ', pair, side, record_id, reason, version) as text
     from public.sync_queue order by 1`,
  );
  return rows.map(({ text }) => text);
}

Deno.test("an insert, an update and a delete put the record into the queue once, due at once", async () => {
  await using db = await testDatabase(import.meta.url);
  await addClients(db, 1, 1);
  assertEquals(await queued(db), [`clients a ${id(1)} edited 1`]);
  await db.pool.query(`update public.clients set first_name = 'Bea'`);
  await db.pool.query(`update public.clients set first_name = 'Cid'`);
  assertEquals(await queued(db), [`clients a ${id(1)} edited 3`]);
  await empty(db);
  await db.pool.query(`delete from public.clients`);
  assertEquals(await queued(db), [`clients a ${id(1)} edited 1`]);
  const { rows } = await db.pool.query(
    `select attempts, not_before <= now() as due from public.sync_queue`,
  );
  assertEquals(rows, [{ attempts: 0, due: true }]);
});

Deno.test("a statement that changes nothing queues nothing, and an edited id queues both ids", async () => {
  await using db = await testDatabase(import.meta.url);
  await addClients(db, 1, 2);
  await empty(db);
  await db.pool.query(`update public.clients set first_name = 'Bea' where false`);
  await db.pool.query(`delete from public.clients where false`);
  assertEquals(await queued(db), []);
  await db.pool.query(`update public.clients set id = $2 where id = $1`, [id(1), id(9)]);
  assertEquals(await queued(db), [
    `clients a ${id(1)} edited 1`,
    `clients a ${id(9)} edited 1`,
  ]);
});

Deno.test("the row is part of the edit's transaction: committed with it, and rolled back with it", async () => {
  await using db = await testDatabase(import.meta.url);
  await addClients(db, 1, 2);
  await empty(db);
  const client = await db.connect();
  try {
    await client.query("begin");
    await client.query(`update public.clients set first_name = 'Bea' where id = $1`, [id(1)]);
    assertEquals(await queued(db), []);
    await client.query("rollback");
    assertEquals(await queued(db), []);
    await client.query("begin");
    await client.query("savepoint before");
    await client.query(`update public.clients set first_name = 'Bea' where id = $1`, [id(1)]);
    await client.query("rollback to before");
    await client.query(`update public.clients set first_name = 'Bea' where id = $1`, [id(2)]);
    await client.query("commit");
    assertEquals(await queued(db), [`clients a ${id(2)} edited 1`]);
  } finally {
    await client.end();
  }
});

Deno.test("a waiting record that is edited again keeps its place and its attempts, and is due at once", async () => {
  await using db = await testDatabase(import.meta.url);
  await addClients(db, 1, 1);
  await db.pool.query(
    `update public.sync_queue set attempts = 4, reason = 'held:updates', enqueued_at = '2026-01-01',
       not_before = now() + interval '1 hour'`,
  );
  await db.pool.query(`update public.clients set first_name = 'Bea'`);
  const { rows } = await db.pool.query(
    `select attempts, reason, enqueued_at = '2026-01-01' as first, not_before <= now() as due
     from public.sync_queue`,
  );
  assertEquals(rows, [{ attempts: 4, reason: "edited", first: true, due: true }]);
});

Deno.test("the sync's own writes queue nothing, and a person's edit in the same moment does", async () => {
  await using db = await testDatabase(import.meta.url);
  await addClients(db, 1, 3);
  await empty(db);
  const [sync, person] = [await db.connect(), await db.connect()];
  try {
    await sync.query("begin");
    await sync.query(`select set_config('sync.writer', 'on', true)`);
    await sync.query(`update public.clients set first_name = 'Bea' where id = $1`, [id(1)]);
    await person.query(`update public.clients set first_name = 'Cid' where id = $1`, [id(2)]);
    // The same row: the person waits for the sync, and is heard after it.
    const edit = person.query(`update public.clients set last_name = 'Roe' where id = $1`, [id(1)]);
    await sync.query(`delete from public.clients where id = $1`, [id(3)]);
    await sync.query("commit");
    await edit;
    // The setting ended with its transaction.
    await sync.query(`update public.clients set last_name = 'Poe' where id = $1`, [id(2)]);
  } finally {
    await Promise.all([sync.end(), person.end()]);
  }
  assertEquals(await queued(db), [
    `clients a ${id(1)} edited 1`,
    `clients a ${id(2)} edited 2`,
  ]);
});

Deno.test("an edit of a partner queues all its clients, and its end those who lose it", async () => {
  await using db = await testDatabase(import.meta.url);
  const [acme, other] = [await addPartner(db), await addPartner(db)];
  await addClients(db, 1, 3, acme);
  await addClients(db, 4, 5, other);
  await addClients(db, 6, 6);
  await empty(db);
  await db.pool.query(`update public.partners set name = 'Acme Ltd' where id = $1`, [acme]);
  const ofAcme = [1, 2, 3].map((n) => `clients a ${id(n)} edited 1`);
  assertEquals(await queued(db), ofAcme);
  await empty(db);
  await db.pool.query(`delete from public.partners where id = $1`, [acme]);
  assertEquals(await queued(db), ofAcme);
  await empty(db);
  await db.pool.query(`insert into public.partners (name) values ('New')`);
  assertEquals(await queued(db), []);
});

Deno.test("one statement over a thousand clients is one row each, and costs little", async () => {
  await using db = await testDatabase(import.meta.url);
  const partner = await addPartner(db);
  await addClients(db, 1, 1000, partner);
  await empty(db);
  const time = async (sql: string) => {
    const begin = performance.now();
    await db.pool.query(sql);
    return performance.now() - begin;
  };
  const first = await time(`update public.clients set first_name = 'Bea'`);
  const { rows } = await db.pool.query(
    `select count(*)::integer as n, sum(version)::integer as versions from public.sync_queue`,
  );
  assertEquals(rows, [{ n: 1000, versions: 1000 }]);
  const again = await time(`update public.clients set first_name = 'Cid'`);
  const byPartner = await time(`update public.partners set name = 'Acme Ltd'`);
  // A tenth of a second in rest; a row-by-row trigger or a scan a row takes seconds.
  for (const ms of [first, again, byPartner]) assert(ms < 2_000, `${ms} ms`);
  assertEquals((await queued(db)).length, 1000);
});

Deno.test("two transactions that edit clients and their partner in opposite order both end, and no edit is lost", async () => {
  await using db = await testDatabase(import.meta.url);
  const partner = await addPartner(db);
  await addClients(db, 1, 50, partner);
  const editOne = `update public.clients set city = 'Oslo' where id = '${id(1)}'`;
  const editAll = `update public.partners set name = name || '.'`;
  const [one, other] = [await db.connect(), await db.connect()];
  try {
    for (const isQueued of [true, false]) {
      if (!isQueued) await empty(db);
      const version = isQueued ? 1 : 0;
      await one.query("begin");
      await other.query("begin");
      // Neither waits for what the other has in the queue.
      for (const client of [one, other]) await client.query("set local lock_timeout = '2s'");
      await one.query(editOne);
      await other.query(editAll);
      await one.query(`update public.partners set name = 'Acme Ltd' where false`);
      await other.query(`update public.clients set city = 'Rome' where id = '${id(2)}'`);
      await one.query(`update public.clients set city = 'Bern' where id = '${id(3)}'`);
      await one.query("commit");
      await other.query("commit");
      const { rows } = await db.pool.query(
        `select record_id, max(version) > $1 as heard from public.sync_queue group by 1 order by 1`,
        [version],
      );
      assertEquals(
        rows,
        Array.from({ length: 50 }, (_, n) => ({ record_id: id(n + 1), heard: true })),
      );
    }
  } finally {
    await Promise.all([one.end(), other.end()]);
  }
});

Deno.test("an edit that meets another one's open edit is heard whichever of them is undone", async () => {
  await using db = await testDatabase(import.meta.url);
  const partner = await addPartner(db);
  await addClients(db, 1, 1, partner);
  const editOne = `update public.clients set city = 'Oslo'`;
  const editAll = `update public.partners set name = name || '.'`;
  const [one, other] = [await db.connect(), await db.connect()];
  try {
    for (const isQueued of [true, false]) {
      for (const undone of [one, other]) {
        if (!isQueued) await empty(db);
        else {await db.pool.query(
            `update public.sync_queue set not_before = now() + interval '1 h'`,
          );}
        await one.query("begin");
        await other.query("begin");
        await other.query("set local lock_timeout = '2s'");
        await one.query(editOne);
        await other.query(editAll);
        for (const client of [one, other]) {
          await client.query(client === undone ? "rollback" : "commit");
        }
        const { rows } = await db.pool.query(
          `select distinct record_id from public.sync_queue where not_before <= now()`,
        );
        assertEquals(rows, [{ record_id: id(1) }]);
      }
    }
  } finally {
    await Promise.all([one.end(), other.end()]);
  }
});

Deno.test("an edit in a transaction that sees one moment only does not fail over the queue", async () => {
  await using db = await testDatabase(import.meta.url);
  await addClients(db, 1, 2);
  const client = await db.connect();
  try {
    for (const isolation of ["repeatable read", "serializable"]) {
      await client.query(`begin isolation level ${isolation}`);
      await client.query("select count(*) from public.clients");
      // A worker takes the one record and is done with the other.
      await db.pool.query(`update public.sync_queue set attempts = 1 where record_id = $1`, [
        id(1),
      ]);
      await db.pool.query(`delete from public.sync_queue where record_id = $1`, [id(2)]);
      for (const city of ["Oslo", "Rome", "Bern"]) {
        await client.query(`update public.clients set city = $1`, [`${city} ${isolation}`]);
      }
      await client.query("commit");
      const { rows } = await db.pool.query(
        `select record_id, count(*)::integer as n from public.sync_queue
         where attempts = 0 group by 1 order by 1`,
      );
      assertEquals(rows, [{ record_id: id(1), n: 1 }, { record_id: id(2), n: 1 }]);
      await empty(db);
      await db.pool.query(`update public.clients set city = null`);
    }
  } finally {
    await client.end();
  }
});

Deno.test("statements over the same records at once, in any order, neither deadlock nor lose one", async () => {
  await using db = await testDatabase(import.meta.url);
  const partner = await addPartner(db);
  await addClients(db, 1, 600, partner);
  await empty(db);
  const edits = [
    // Different rows of side A, and the same records in the queue.
    `update public.partners set name = name || '.'`,
    `update public.clients set city = 'Oslo' where id in (
       select id from public.clients order by id desc)`,
  ];
  for (let round = 0; round < 5; round++) {
    await Promise.all([...edits, ...edits].map((sql) => db.pool.query(sql)));
  }
  const { rows } = await db.pool.query(
    `select count(distinct record_id)::integer as n, sum(version)::integer as heard
     from public.sync_queue`,
  );
  assertEquals(rows, [{ n: 600, heard: 600 * 20 }]);
});

Deno.test("an app's role without a right on the queue can edit clients, and cannot touch the queue", async () => {
  await using db = await testDatabase(import.meta.url);
  await addClients(db, 1, 1);
  await empty(db);
  const role = `app_${crypto.randomUUID().slice(0, 8)}`;
  const client = await db.connect();
  try {
    await client.query(`create role ${role}`);
    await client.query(`grant usage on schema public to ${role}`);
    await client.query(`grant select, insert, update, delete on public.clients to ${role}`);
    await client.query(
      `create policy app on public.clients to ${role} using (true) with check (true)`,
    );
    await client.query(`set role ${role}`);
    await client.query(`update public.clients set first_name = 'Bea'`);
    await client.query(`insert into public.clients (id) values ($1)`, [id(2)]);
    const refused = await assertRejects(() => client.query(`select * from public.sync_queue`));
    assertEquals(Reflect.get(refused as Error, "code"), "42501");
    const called = await assertRejects(() =>
      client.query(`select sync_private.enqueue_local('clients', array['x'])`)
    );
    assertEquals(Reflect.get(called as Error, "code"), "42501");
    await client.query("reset role");
    assertEquals(await queued(db), [
      `clients a ${id(1)} edited 1`,
      `clients a ${id(2)} edited 1`,
    ]);
  } finally {
    await client.query("reset role").catch(() => {});
    await client.query(`drop policy if exists app on public.clients`);
    await client.query(`drop owned by ${role}`);
    await client.query(`drop role ${role}`);
    await client.end();
  }
});

Deno.test("a table of one's own is watched with one call, whatever its names", async () => {
  await using db = await testDatabase(import.meta.url);
  await db.pool.query(`
    create schema "Shop";
    create table "Shop"."Firms" ("Key" integer primary key, "Title" text);
    create table "Shop"."People" (
      "Id" uuid primary key, "Name" text, "firm_id" integer references "Shop"."Firms" ("Key"));
    select sync_private.watch('shop', '"Shop"."People"', 'Id');
    select sync_private.watch_reference('shop', '"Shop"."People"', 'Id', 'firm_id', '"Shop"."Firms"', 'Key');
    insert into "Shop"."Firms" values (1, 'One'), (2, 'Two');
    insert into "Shop"."People" values ('${id(1)}', 'Ann', 1), ('${id(2)}', 'Bob', 2);`);
  assertEquals(await queued(db), [`shop a ${id(1)} edited 1`, `shop a ${id(2)} edited 1`]);
  await empty(db);
  await db.pool.query(`update "Shop"."Firms" set "Title" = 'Uno' where "Key" = 1`);
  assertEquals(await queued(db), [`shop a ${id(1)} edited 1`]);
  await empty(db);
  await db.pool.query(`update "Shop"."People" set "Name" = 'Eve' where "Id" = '${id(2)}'`);
  assertEquals(await queued(db), [`shop a ${id(2)} edited 1`]);
});
