/** The function behind `undo`: what it writes, what it leaves alone, and who may call it. */
import { assertEquals } from "@std/assert";
import { type TestDatabase, testDatabase } from "./lib/database.ts";
import { until } from "./lib/until.ts";

const RUN = "00000000-0000-4000-8000-0000000000aa";

function clientId(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
}

interface Write {
  /** Number of the client, and of its link. */
  readonly of: number;
  readonly field: string;
  readonly path: string;
  readonly seen: unknown;
  readonly value: unknown;
}

/** So many clients in Bergen whom a run has moved there from Oslo. */
async function world(database: TestDatabase, people: number): Promise<void> {
  await database.pool.query(
    `insert into public.sync_runs (id, function, pair, status, requested_by, ended_at)
     values ($1, 'enterprise-sync', 'clients', 'completed', 'test', now())`,
    [RUN],
  );
  for (let n = 1; n <= people; n++) {
    await database.pool.query(
      `insert into public.clients (id, email, city, groups, marketing_status)
       values ($1, $2, 'Bergen', '{Clients,Mine}', 'unsubscribed')`,
      [clientId(n), `p${n}@example.com`],
    );
    await database.pool.query(
      `insert into public.integration_crosswalk (id, pair, a_id, b_id)
       overriding system value values ($1, 'clients', $2, $3)`,
      [n, clientId(n), `${n}`],
    );
    await logged(database, n, "city");
  }
  await database.pool.query("delete from public.sync_queue");
}

async function logged(
  database: TestDatabase,
  n: number,
  field: string,
  rule = "edit",
  applied = true,
): Promise<void> {
  await database.pool.query(
    `insert into public.sync_log (run_id, pair, crosswalk_id, a_id, side, action, field, rule, applied)
     values ($1, 'clients', $2, $3, 'a', 'update', $4, $5, $6)`,
    [RUN, n, clientId(n), field, rule, applied],
  );
}

function writesJson(writes: readonly Write[]): string {
  return JSON.stringify(writes.map(({ of, ...write }, n) => ({
    n,
    crosswalkId: of,
    aId: clientId(of),
    bId: `${of}`,
    before: write.seen,
    after: write.value,
    ...write,
  })));
}

const CALL =
  `select outcome from public.undo_sync_writes($1, 'public', 'clients', 'id', $2, $3) order by n`;

async function undo(database: TestDatabase, writes: readonly Write[], apply = true) {
  const { rows } = await database.pool.query<{ outcome: string }>(
    CALL,
    [RUN, writesJson(writes), apply],
  );
  return rows.map(({ outcome }) => outcome);
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => "none",
    (error) => error instanceof Error && Reflect.get(error, "code"),
  );
}

function cityOf(n: number): Write {
  return { of: n, field: "city", path: "city", seen: "Bergen", value: "Oslo" };
}

async function column(database: TestDatabase, name: "city" | "groups"): Promise<unknown[]> {
  const { rows } = await database.pool.query(`select ${name} as v from public.clients order by id`);
  return rows.map(({ v }) => v);
}

Deno.test("undo_sync_writes() puts back what still is as it was seen, and tells of the others", async () => {
  await using database = await testDatabase(import.meta.url);
  await world(database, 3);
  await database.pool.query("update public.clients set city = 'Rome' where id = $1", [clientId(2)]);
  await database.pool.query("delete from public.clients where id = $1", [clientId(3)]);
  const writes = [1, 2, 3].map(cityOf);
  assertEquals(await undo(database, writes, false), ["ready", "moved", "gone"]);
  assertEquals(await column(database, "city"), ["Bergen", "Rome"]);
  assertEquals(await undo(database, writes), ["done", "moved", "gone"]);
  assertEquals(await column(database, "city"), ["Oslo", "Rome"]);
  assertEquals(await undo(database, writes), ["moved", "moved", "gone"]);
});

Deno.test("undo_sync_writes() logs what it did by the rule 'undo' and queues the record as any edit does", async () => {
  await using database = await testDatabase(import.meta.url);
  await world(database, 2);
  await undo(database, [cityOf(1)], false);
  const queued = () =>
    database.pool.query(`select side, record_id from public.sync_queue`).then(({ rows }) => rows);
  assertEquals(await queued(), []);
  await undo(database, [cityOf(1)]);
  assertEquals(await queued(), [{ side: "a", record_id: clientId(1) }]);
  const { rows } = await database.pool.query(
    `select run_id, pair, crosswalk_id::integer as link, a_id, b_id, side, action, field, before, after, applied
     from public.sync_log where rule = 'undo'`,
  );
  assertEquals(rows, [{
    run_id: RUN,
    pair: "clients",
    link: 1,
    a_id: clientId(1),
    b_id: "1",
    side: "a",
    action: "update",
    field: "city",
    before: "Bergen",
    after: "Oslo",
    applied: true,
  }]);
});

Deno.test("undo_sync_writes() writes each column in its own type", async () => {
  await using database = await testDatabase(import.meta.url);
  await database.pool.query(
    `alter table public.clients add column age numeric, add column born date, add column tags jsonb`,
  );
  await world(database, 1);
  await database.pool.query(`update public.clients set age = 7, tags = '{"a": 1}'`);
  const cells: Omit<Write, "of" | "field">[] = [
    { path: "age", seen: 7, value: "42.50" },
    { path: "born", seen: null, value: "2001-02-03" },
    { path: "tags", seen: { a: 1 }, value: ["x"] },
    { path: "groups", seen: ["Clients", "Mine"], value: ["Clients", "Mine", "VIP"] },
    { path: "city", seen: "Bergen", value: null },
  ];
  for (const { path } of cells) await logged(database, 1, path);
  const writes = cells.map((cell) => ({ of: 1, field: cell.path, ...cell }));
  assertEquals(await undo(database, writes), cells.map(() => "done"));
  const { rows } = await database.pool.query(
    `select age::text, born::text, tags, groups, city from public.clients`,
  );
  assertEquals(rows, [{
    age: "42.50",
    born: "2001-02-03",
    tags: ["x"],
    groups: ["Clients", "Mine", "VIP"],
    city: null,
  }]);
});

Deno.test("undo_sync_writes() reaches a partner that nobody shares, and leaves a shared one alone", async () => {
  await using database = await testDatabase(import.meta.url);
  await world(database, 4);
  const partner = (n: number) => clientId(900 + n);
  for (const n of [1, 2]) {
    await database.pool.query(
      `insert into public.partners (id, name, company) values ($1, 'P', 'New')`,
      [partner(n)],
    );
  }
  for (const [n, of] of [[1, 1], [2, 2], [3, 2]] as const) {
    await database.pool.query(`update public.clients set partner_id = $2 where id = $1`, [
      clientId(n),
      partner(of),
    ]);
  }
  await database.pool.query("delete from public.sync_queue");
  for (const n of [1, 2, 4]) await logged(database, n, "partnerCompany");
  const write = { field: "partnerCompany", path: "partner.company", seen: "New", value: "Old" };
  const writes = [1, 2, 4].map((of) => ({ of, ...write }));
  assertEquals(await undo(database, writes, false), ["ready", "shared", "gone"]);
  assertEquals(await undo(database, writes), ["done", "shared", "gone"]);
  const { rows } = await database.pool.query(`select company from public.partners order by id`);
  assertEquals(rows, [{ company: "Old" }, { company: "New" }]);
  const { rows: queued } = await database.pool.query(`select record_id from public.sync_queue`);
  assertEquals(queued, [{ record_id: clientId(1) }]);
});

Deno.test("undo_sync_writes() takes back nothing but what the run's log has as a change, and never consent", async () => {
  await using database = await testDatabase(import.meta.url);
  await world(database, 1);
  await logged(database, 1, "consent", "consent_lowered");
  await logged(database, 1, "company", "edit", false);
  const writes: Write[] = [
    {
      of: 1,
      field: "consent",
      path: "marketing_status",
      seen: "unsubscribed",
      value: "subscribed",
    },
    { of: 1, field: "company", path: "company", seen: null, value: "X" },
    { of: 1, field: "phone", path: "phone", seen: null, value: "1" },
  ];
  for (const write of writes) {
    assertEquals(await codeOf(undo(database, [cityOf(1), write])), "22023", write.field);
  }
  assertEquals(await column(database, "city"), ["Bergen"]);
  const other = "00000000-0000-4000-8000-0000000000bb";
  assertEquals(await codeOf(database.pool.query(CALL, [other, "[]", true])), "PT404");
  assertEquals(await undo(database, []), []);
});

Deno.test("a value that the database refuses is refused as a whole and nothing is written", async () => {
  await using database = await testDatabase(import.meta.url);
  await world(database, 2);
  await database.pool.query(
    `alter table public.clients add constraint c check (city <> 'Nowhere')`,
  );
  const writes = [cityOf(1), { ...cityOf(2), value: "Nowhere" }];
  assertEquals(await codeOf(undo(database, writes)), "23514");
  assertEquals(await column(database, "city"), ["Bergen", "Bergen"]);
});

Deno.test("an edit that is under way is waited for, and wins", async () => {
  await using database = await testDatabase(import.meta.url);
  await world(database, 1);
  const editor = await database.connect();
  try {
    await editor.query("begin");
    await editor.query("update public.clients set city = 'Rome'");
    const undone = undo(database, [cityOf(1)]);
    const waits = `select 1 from pg_stat_activity where wait_event_type = 'Lock'
      and datname = current_database()`;
    await until(
      "the undo waits for the editor",
      async () => (await database.pool.query(waits)).rowCount === 0 ? undefined : true,
    );
    await editor.query("commit");
    assertEquals(await undone, ["moved"]);
    assertEquals(await column(database, "city"), ["Rome"]);
  } finally {
    await editor.end();
  }
});

Deno.test("undo_sync_writes() is for the service role alone, with no more than its own privileges", async () => {
  await using database = await testDatabase(import.meta.url);
  await world(database, 1);
  const as = async (role: string) => {
    const client = await database.connect();
    try {
      await client.query("begin");
      await client.query(`set local role ${role}`);
      return await codeOf(client.query(CALL, [RUN, writesJson([cityOf(1)]), true]));
    } finally {
      await client.end();
    }
  };
  assertEquals(
    [await as("anon"), await as("authenticated"), await as("service_role")],
    ["42501", "42501", "none"],
  );
  await database.pool.query("revoke update on public.clients from service_role");
  assertEquals(await as("service_role"), "42501");
});
