import { assert, assertEquals, assertRejects } from "@std/assert";
import { testDatabase } from "../../tests/lib/database.ts";
import type { CanonicalRecord } from "../merge/pair.ts";
import {
  clearStage,
  countPending,
  linkUniqueKeys,
  restartEpoch,
  stagePage,
} from "./backfill_store.ts";
import { type DatabasePool, openDatabase } from "./database.ts";
import { LeaseLostError } from "./lease_lost_error.ts";
import type { Run } from "./run.ts";
import { acquireRun, latestRun } from "./runs.ts";
import { planSnapshots, snapshotBatch, type SnapshotWalk } from "./snapshot_store.ts";

interface Pairing {
  a_id: string;
  b_id: string;
}

async function open(staleAfterDays = 30) {
  const database = await testDatabase(import.meta.url);
  const pool = openDatabase({ url: database.url, name: "backfill-store-test", max: 4 });
  const acquired = await acquireRun(pool, {
    functionName: "backfill-sync",
    pair: "people",
    mode: "start",
    force: false,
    staleMs: 90_000,
    params: { link: true, staleAfterDays, autoContinue: false },
    requestedBy: "secret:default",
  });
  assert(acquired.outcome === "acquired");
  return {
    pool,
    run: acquired.run,
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

function uuid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
}

async function stage(
  pool: DatabasePool,
  run: Run,
  side: "a" | "b",
  records: { id: string; key: string; doc?: CanonicalRecord; token?: string }[],
  unreadable: string[] = [],
) {
  return await stagePage(pool, run, {
    side,
    records: JSON.stringify(
      records.map((r) => [r.id, r.key, r.doc ?? { mail: r.key }, r.token ?? null]),
    ),
    unreadable,
    seen: records.length + unreadable.length,
    requests: 1,
    cursor: { step: "remote" },
    phase: "Reading",
  });
}

async function link(pool: DatabasePool, run: Run) {
  await linkUniqueKeys(pool, run, { step: "plan" }, "Matching");
}

async function pairings(pool: DatabasePool): Promise<string[]> {
  const rows = await pool.query<Pairing>(
    `select a_id::text, b_id from public.integration_crosswalk where link_state = 'linked' order by 1`,
  );
  return rows.map(({ a_id, b_id }) => `${Number(a_id.slice(-12))}=${b_id}`);
}

async function findings(pool: DatabasePool, kind: string) {
  const rows = await pool.query<{ a_ids: string[]; b_ids: string[]; fields: string[] }>(
    `select a_ids, b_ids, fields from public.sync_findings where kind = $1 order by a_ids, b_ids`,
    [kind],
  );
  return rows.map(({ a_ids, b_ids, fields }) => [
    a_ids.map((id) => Number(id.slice(-12))),
    b_ids,
    fields,
  ]);
}

async function counters(pool: DatabasePool) {
  return (await latestRun(pool, "backfill-sync", "people"))?.counters ?? {};
}

async function linkByHand(
  pool: DatabasePool,
  a: number,
  b: string,
  state = "linked",
): Promise<number> {
  const rows = await pool.query<{ id: number }>(
    `insert into public.integration_crosswalk (pair, a_id, b_id, link_state)
     values ('people', $1, $2, $3) returning id::integer`,
    [uuid(a), b, state],
  );
  return rows[0]?.id ?? 0;
}

async function snapshotByHand(
  pool: DatabasePool,
  crosswalkId: number,
  a: CanonicalRecord,
  b: CanonicalRecord,
  ageDays: number,
) {
  await pool.query(
    `insert into public.shadow_snapshots (crosswalk_id, a, b, a_token, b_token, taken_at)
     values ($1, $2, $3, 'old-a', 'old-b', now() - make_interval(days => $4))`,
    [crosswalkId, JSON.stringify(a), JSON.stringify(b), ageDays],
  );
}

async function shadows(pool: DatabasePool) {
  return await pool.query<
    {
      crosswalk_id: number;
      a: CanonicalRecord;
      b: CanonicalRecord;
      a_token: string;
      version: number;
      fresh: boolean;
    }
  >(
    `select crosswalk_id::integer, a, b, a_token, version::integer, taken_at > now() - interval '1 hour' as fresh
     from public.shadow_snapshots order by crosswalk_id`,
  );
}

async function walkAll(pool: DatabasePool, run: Run, from: SnapshotWalk, batch: number) {
  const sizes: number[] = [];
  for (let walk = from;;) {
    const done = await snapshotBatch(pool, run, "mail", walk, batch);
    sizes.push(done.pairs);
    if (done.pairs < batch) return sizes;
    walk = done.walk;
  }
}

async function snapshotAll(pool: DatabasePool, run: Run, batch = 500) {
  const { walk } = await planSnapshots(pool, run, batch, "Writing");
  return await walkAll(pool, run, walk, batch);
}

Deno.test("linkUniqueKeys() pairs what is equal and unique on both sides", async () => {
  await using db = await open();
  await stage(db.pool, db.run, "a", [
    { id: uuid(1), key: "ann" },
    { id: uuid(2), key: "bob" },
    { id: uuid(3), key: "only-here" },
    { id: uuid(4), key: "" },
  ]);
  await stage(db.pool, db.run, "b", [
    { id: "b1", key: "ann" },
    { id: "b2", key: "bob" },
    { id: "b3", key: "only-there" },
    { id: "b4", key: "" },
  ]);
  await link(db.pool, db.run);
  assertEquals(await pairings(db.pool), ["1=b1", "2=b2"]);
  const { linked, quarantined, unlinkedLocal, unlinkedRemote } = await counters(db.pool);
  assertEquals({ linked, quarantined, unlinkedLocal, unlinkedRemote }, {
    linked: 2,
    quarantined: 0,
    unlinkedLocal: 2,
    unlinkedRemote: 2,
  });
});

Deno.test("linkUniqueKeys() quarantines every record that shares its key, on either side", async () => {
  await using db = await open();
  await stage(db.pool, db.run, "a", [
    { id: uuid(1), key: "twice" },
    { id: uuid(2), key: "twice" },
    { id: uuid(3), key: "one" },
    { id: uuid(4), key: "alone-twice" },
    { id: uuid(5), key: "alone-twice" },
  ]);
  await stage(db.pool, db.run, "b", [
    { id: "b1", key: "twice" },
    { id: "b2", key: "one" },
    { id: "b3", key: "one" },
  ]);
  await link(db.pool, db.run);
  assertEquals(await pairings(db.pool), []);
  assertEquals(await findings(db.pool, "duplicate_key"), [
    [[1, 2], ["b1"], []],
    [[3], ["b2", "b3"], []],
    [[4, 5], [], []],
  ]);
  assertEquals((await counters(db.pool))["quarantined"], 8);
});

Deno.test("linkUniqueKeys() does not give a linked record's partner to a second one with the same key", async () => {
  await using db = await open();
  await linkByHand(db.pool, 1, "b1");
  await stage(db.pool, db.run, "a", [{ id: uuid(1), key: "ann" }, { id: uuid(2), key: "ann" }]);
  await stage(db.pool, db.run, "b", [{ id: "b1", key: "ann" }, { id: "b2", key: "ann" }]);
  await link(db.pool, db.run);
  assertEquals(await pairings(db.pool), ["1=b1"]);
  assertEquals(await findings(db.pool, "duplicate_key"), [[[1, 2], ["b1", "b2"], []]]);
  assertEquals((await counters(db.pool))["quarantined"], 2);
});

Deno.test("linkUniqueKeys() leaves alone what is linked, missing or kept apart by a person", async () => {
  await using db = await open();
  await linkByHand(db.pool, 1, "elsewhere");
  await linkByHand(db.pool, 2, "b2", "keep_apart");
  await linkByHand(db.pool, 3, "gone", "b_missing");
  await linkByHand(db.pool, 4, "b5", "keep_apart");
  await stage(db.pool, db.run, "a", [1, 2, 3, 4].map((n) => ({ id: uuid(n), key: `k${n}` })));
  await stage(db.pool, db.run, "b", [1, 2, 3, 4].map((n) => ({ id: `b${n}`, key: `k${n}` })));
  await link(db.pool, db.run);
  // 4 is kept apart from another record than the one it matches.
  assertEquals(await pairings(db.pool), ["1=elsewhere", "4=b4"]);
});

Deno.test("snapshotBatch() writes both sides and their tokens for pairs that lack them", async () => {
  await using db = await open();
  const a = { mail: "ann", city: "Oslo" };
  const b = { mail: "ann", city: "Bergen" };
  await stage(db.pool, db.run, "a", [{ id: uuid(1), key: "ann", doc: a, token: "token-a" }]);
  await stage(db.pool, db.run, "b", [{ id: "b1", key: "ann", doc: b }]);
  await link(db.pool, db.run);
  await snapshotAll(db.pool, db.run);
  const [shadow] = await shadows(db.pool);
  assert(shadow !== undefined);
  assertEquals([shadow.a, shadow.b, shadow.a_token, shadow.version], [a, b, "token-a", 1]);
  assertEquals(await findings(db.pool, "drift"), [[[1], ["b1"], ["city"]]]);
  const { shadowsCreated, drift, visited } = await counters(db.pool);
  assertEquals([shadowsCreated, drift, visited], [1, 1, 1]);
});

Deno.test("snapshotBatch() walks every pair once, whatever the batch size", async () => {
  await using db = await open();
  const ids = Array.from({ length: 11 }, (_, i) => i + 1);
  await stage(db.pool, db.run, "a", ids.map((n) => ({ id: uuid(n), key: `k${n}` })));
  await stage(db.pool, db.run, "b", ids.map((n) => ({ id: `b${n}`, key: `k${n}` })));
  await link(db.pool, db.run);
  const plan = await planSnapshots(db.pool, db.run, 4, "Writing");
  assertEquals([plan.pairs, plan.totalBatches], [11, 3]);
  assertEquals(await walkAll(db.pool, db.run, plan.walk, 4), [4, 4, 3]);
  const run = await latestRun(db.pool, "backfill-sync", "people");
  assertEquals([run?.currentBatch, run?.totalBatches, run?.counters["shadowsCreated"]], [3, 3, 11]);
  // Walked again from the start, as after a crash before the cursor was known: nothing is left to do.
  assertEquals(await walkAll(db.pool, db.run, plan.walk, 4), [0]);
  assertEquals((await shadows(db.pool)).length, 11);
});

Deno.test("snapshotBatch() leaves a fresh snapshot alone and renews an old one the sides agree on", async () => {
  await using db = await open();
  const fresh = await linkByHand(db.pool, 1, "b1");
  const old = await linkByHand(db.pool, 2, "b2");
  const was = { mail: "k", city: "Rome" };
  const now = { mail: "k", city: "Pisa" };
  await snapshotByHand(db.pool, fresh, was, was, 3);
  await snapshotByHand(db.pool, old, was, was, 31);
  for (const side of ["a", "b"] as const) {
    await stage(
      db.pool,
      db.run,
      side,
      [1, 2].map((n) => ({
        id: side === "a" ? uuid(n) : `b${n}`,
        key: `k${n}`,
        doc: now,
        token: "new",
      })),
    );
  }
  await snapshotAll(db.pool, db.run);
  assertEquals((await shadows(db.pool)).map((s) => [s.a, s.b, s.version, s.fresh]), [
    [was, was, 1, false],
    [now, now, 2, true],
  ]);
});

Deno.test("snapshotBatch() never renews a snapshot over an edit that has not travelled yet", async () => {
  await using db = await open();
  const base = { mail: "k", city: "Rome" };
  const edited = { mail: "k", city: "Pisa" };
  const other = { mail: "k", city: "Lucca" };
  const cases: [CanonicalRecord, CanonicalRecord][] = [[edited, base], [base, edited], [
    edited,
    other,
  ]];
  for (const [i, [a, b]] of cases.entries()) {
    await snapshotByHand(db.pool, await linkByHand(db.pool, i, `b${i}`), base, base, 31);
    await stage(db.pool, db.run, "a", [{ id: uuid(i), key: `k${i}`, doc: a, token: "new" }]);
    await stage(db.pool, db.run, "b", [{ id: `b${i}`, key: `k${i}`, doc: b }]);
  }
  await snapshotAll(db.pool, db.run);
  for (const shadow of await shadows(db.pool)) {
    assertEquals([shadow.a, shadow.b, shadow.a_token, shadow.version], [base, base, "old-a", 1]);
  }
  const { shadowsKept, drift } = await counters(db.pool);
  assertEquals([shadowsKept, drift], [3, 3]);
});

Deno.test("snapshotBatch() leaves an old key that both sides have given up to who remembers it", async () => {
  await using db = await open();
  const [was, moved] = [{ mail: "k", city: "Rome" }, { mail: "moved", city: "Rome" }];
  const bases: [CanonicalRecord, CanonicalRecord][] = [[was, was], [was, moved], [moved, was]];
  for (const [i, [a, b]] of bases.entries()) {
    await snapshotByHand(db.pool, await linkByHand(db.pool, i, `b${i}`), a, b, 31);
    await stage(db.pool, db.run, "a", [{ id: uuid(i), key: "moved", doc: moved, token: "new" }]);
    await stage(db.pool, db.run, "b", [{ id: `b${i}`, key: "moved", doc: moved }]);
  }
  await snapshotAll(db.pool, db.run);
  assertEquals((await shadows(db.pool)).map((s) => [s.a, s.b]), bases);
  const { shadowsKept, drift } = await counters(db.pool);
  assertEquals([shadowsKept, drift], [3, 0]);
});

Deno.test("snapshotBatch() renews an old difference that nobody has touched since", async () => {
  await using db = await open();
  const a = { mail: "k", city: "Rome" };
  const b = { mail: "k", city: "Pisa" };
  await snapshotByHand(db.pool, await linkByHand(db.pool, 1, "b1"), a, b, 31);
  await stage(db.pool, db.run, "a", [{ id: uuid(1), key: "k", doc: a, token: "new" }]);
  await stage(db.pool, db.run, "b", [{ id: "b1", key: "k", doc: b }]);
  await snapshotAll(db.pool, db.run);
  assertEquals((await shadows(db.pool)).map((s) => [s.a, s.b, s.fresh]), [[a, b, true]]);
  assertEquals((await counters(db.pool))["drift"], 1);
});

Deno.test("snapshotBatch() does not overwrite a snapshot that another function wrote meanwhile", async () => {
  await using db = await open(0);
  const staged = { mail: "k", city: "Rome" };
  const newer = { mail: "k", city: "Pisa" };
  const id = await linkByHand(db.pool, 1, "b1");
  await stage(db.pool, db.run, "a", [{ id: uuid(1), key: "k", doc: staged, token: "t" }]);
  await stage(db.pool, db.run, "b", [{ id: "b1", key: "k", doc: staged }]);
  const { walk } = await planSnapshots(db.pool, db.run, 500, "Writing");
  // Written after this run began, with values this run never saw.
  await snapshotByHand(db.pool, id, newer, newer, 0);
  await snapshotBatch(db.pool, db.run, "mail", walk, 500);
  assertEquals((await shadows(db.pool)).map((s) => [s.a, s.version]), [[newer, 1]]);
});

Deno.test("snapshotBatch() passes over a link that goes at this moment", async () => {
  for (const base of [null, { mail: "k", city: "Rome" }]) {
    await using db = await open();
    const doc = { mail: "k", city: "Pisa" };
    for (const n of [1, 2]) {
      const id = await linkByHand(db.pool, n, `b${n}`);
      if (base !== null) await snapshotByHand(db.pool, id, base, base, 31);
      await stage(db.pool, db.run, "a", [{ id: uuid(n), key: "k", doc, token: "new" }]);
      await stage(db.pool, db.run, "b", [{ id: `b${n}`, key: "k", doc }]);
    }
    const { walk } = await planSnapshots(db.pool, db.run, 500, "Writing");
    let pending: Promise<unknown> = Promise.resolve();
    await db.pool.transaction(async (other) => {
      const [row] = await other.query<{ pid: number }>(
        `delete from public.integration_crosswalk where b_id = 'b1' returning pg_backend_pid() as pid`,
      );
      let isOver = false;
      pending = snapshotBatch(db.pool, db.run, "mail", walk, 500).finally(() => isOver = true);
      pending.catch(() => {});
      // Until it is done, or stands before the one who takes the link away.
      for (let isBlocked = false; !isOver && !isBlocked;) {
        isBlocked = (await db.pool.query(
          `select 1 from pg_stat_activity where $1::integer = any (pg_blocking_pids(pid))`,
          [row?.pid],
        )).length > 0;
      }
    });
    await pending;
    assertEquals((await shadows(db.pool)).map((s) => [s.a, s.fresh]), [[doc, true]]);
    const { pairs, overtaken } = await counters(db.pool);
    assertEquals([pairs, overtaken], [2, 1]);
  }
});

Deno.test("snapshotBatch() reports pairs with a side missing and marks nothing", async () => {
  await using db = await open();
  for (const n of [1, 2, 3]) await linkByHand(db.pool, n, `b${n}`);
  await stage(db.pool, db.run, "a", [1, 3].map((n) => ({ id: uuid(n), key: `k${n}` })));
  await stage(db.pool, db.run, "b", [2, 3].map((n) => ({ id: `b${n}`, key: `k${n}` })));
  await snapshotAll(db.pool, db.run);
  assertEquals(await findings(db.pool, "missing_remote"), [[[1], ["b1"], []]]);
  assertEquals(await findings(db.pool, "missing_local"), [[[2], ["b2"], []]]);
  assertEquals(await pairings(db.pool), ["1=b1", "2=b2", "3=b3"]);
  const c = await counters(db.pool);
  assertEquals([c["missingLocal"], c["missingRemote"], c["shadowsCreated"], c["visited"]], [
    1,
    1,
    1,
    3,
  ]);
});

Deno.test("every visited pair is counted in exactly one class", async () => {
  await using db = await open();
  const doc = (n: number) => ({ mail: "k", v: String(n % 3) });
  const ids = Array.from({ length: 60 }, (_, i) => i + 1);
  for (const n of ids) {
    const id = await linkByHand(db.pool, n, `b${n}`);
    if (n % 4 === 0) await snapshotByHand(db.pool, id, doc(n), doc(n + n % 5), 20 + n % 20);
  }
  await stage(
    db.pool,
    db.run,
    "a",
    ids.filter((n) => n % 7 !== 0).map((n) => ({
      id: uuid(n),
      key: `k${n}`,
      doc: doc(n),
      token: "t",
    })),
  );
  await stage(
    db.pool,
    db.run,
    "b",
    ids.filter((n) => n % 11 !== 0).map((n) => ({
      id: `b${n}`,
      key: `k${n}`,
      doc: doc(n - n % 3),
    })),
  );
  const { pairs, walk } = await planSnapshots(db.pool, db.run, 7, "Writing");
  await walkAll(db.pool, db.run, walk, 7);
  const c = await counters(db.pool);
  const classes = [
    "shadowsCreated",
    "shadowsRefreshed",
    "shadowsKept",
    "overtaken",
    "missingLocal",
    "missingRemote",
  ];
  assertEquals(classes.reduce((sum, name) => sum + (c[name] ?? 0), 0), pairs);
  assertEquals(c["visited"], pairs);
  assert(
    (c["shadowsRefreshed"] ?? 0) > 0 && (c["shadowsKept"] ?? 0) > 0 && (c["missingLocal"] ?? 0) > 0,
  );
});

Deno.test("stagePage() keeps one row a record, however often it is listed, and counts what cannot be read", async () => {
  await using db = await open();
  await stage(db.pool, db.run, "b", [{ id: "b1", key: "old" }], ["b9"]);
  await stage(db.pool, db.run, "b", [{ id: "b1", key: "new" }]);
  const rows = await db.pool.query<{ natural_key: string }>(
    `select natural_key from public.sync_stage`,
  );
  assertEquals(rows, [{ natural_key: "new" }]);
  assertEquals(await findings(db.pool, "unreadable_remote"), [[[], ["b9"], []]]);
  const run = await latestRun(db.pool, "backfill-sync", "people");
  assertEquals([run?.errors, run?.counters["remoteListed"], run?.counters["requests"]], [1, 3, 2]);
});

Deno.test("no statement of a worker that lost its lease writes anything", async () => {
  await using db = await open();
  await stage(db.pool, db.run, "a", [{ id: uuid(1), key: "ann" }]);
  await stage(db.pool, db.run, "b", [{ id: "b1", key: "ann" }]);
  await linkByHand(db.pool, 7, "b7");
  await db.pool.query(`update public.sync_runs set fencing = nextval('public.sync_fencing')`);
  const walk = { after: 0, through: 99, staleBefore: "2026-01-01T00:00:00Z" };
  const before = await db.pool.query(`select * from public.sync_runs`);
  const attempts = [
    () => stage(db.pool, db.run, "b", [{ id: "b2", key: "bob" }], ["b3"]),
    () => link(db.pool, db.run),
    () => planSnapshots(db.pool, db.run, 500, "Writing"),
    () => snapshotBatch(db.pool, db.run, "mail", walk, 500),
    () => restartEpoch(db.pool, db.run, "Again"),
  ];
  for (const attempt of attempts) await assertRejects(attempt, LeaseLostError);
  const counts = await db.pool.query(
    `select (select count(*)::integer from public.sync_stage) as stage,
       (select count(*)::integer from public.integration_crosswalk) as crosswalk,
       (select count(*)::integer from public.shadow_snapshots) as shadows,
       (select count(*)::integer from public.sync_findings) as findings`,
  );
  assertEquals(counts, [{ stage: 2, crosswalk: 1, shadows: 0, findings: 0 }]);
  assertEquals(await db.pool.query(`select * from public.sync_runs`), before);
});

Deno.test("restartEpoch() forgets what the older enumeration found", async () => {
  await using db = await open();
  await stage(db.pool, db.run, "b", [{ id: "b1", key: "ann" }], ["b2"]);
  const again = await restartEpoch(db.pool, db.run, "Again");
  const stored = await latestRun(db.pool, "backfill-sync", "people");
  for (const run of [again, stored]) {
    assertEquals([run?.epoch, run?.errors, run?.cursor, run?.counters], [2, 0, {}, {
      requests: 1,
    }]);
  }
  assertEquals(await db.pool.query(`select 1 from public.sync_stage`), []);
  assertEquals(await findings(db.pool, "unreadable_remote"), []);
});

Deno.test("clearStage() frees the stages of ended runs, and of no unfinished one but its own", async () => {
  await using db = await open();
  await stage(db.pool, db.run, "b", [{ id: "b1", key: "ann" }]);
  const other = await acquireRun(db.pool, {
    functionName: "backfill-sync",
    pair: "companies",
    mode: "start",
    force: false,
    staleMs: 90_000,
    params: { staleAfterDays: 30 },
    requestedBy: "secret:default",
  });
  assert(other.outcome === "acquired");
  await stage(db.pool, other.run, "b", [{ id: "c1", key: "acme" }]);
  await db.pool.query(
    `insert into public.sync_stage values (gen_random_uuid(), 1, 'a', 'x', 'x', '{}', 'x')`,
  );
  await clearStage(db.pool, db.run);
  assertEquals(await db.pool.query(`select record_id from public.sync_stage`), [{
    record_id: "c1",
  }]);
});

Deno.test("countPending() counts pairs without a fresh snapshot and records that may find a partner", async () => {
  await using db = await open();
  for (const n of [1, 2, 3]) await linkByHand(db.pool, n, `b${n}`);
  await linkByHand(db.pool, 4, "b4", "keep_apart");
  await snapshotByHand(db.pool, await linkByHand(db.pool, 5, "b5"), {}, {}, 1);
  assertEquals(await countPending(db.pool, db.run, 0, 2), 2);
  assertEquals(await countPending(db.pool, db.run, 10, 2), 5);
});
