import { assert, assertEquals, assertRejects } from "@std/assert";
import { DailyQuota } from "../limits/daily_quota.ts";
import { QuotaExceededError } from "../limits/daily_quota_exceeded_error.ts";
import { testDatabase } from "../../tests/lib/database.ts";
import { iso, LIMIT, MIDNIGHT, NAME, quotasOf, REQUEST } from "../../tests/lib/quotas.ts";
import { seededRandom } from "../../tests/lib/seeded_random.ts";
import { statementsOver } from "../../tests/lib/statements_over.ts";
import { DatabaseDailyQuotas } from "./daily_quota_store.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

Deno.test("a quota is reserved, used and returned, and its state can be read", async () => {
  await using db = await testDatabase(import.meta.url);
  const q = quotasOf(db);
  const untouched = { limit: LIMIT, used: 0, reserved: 0, resetAt: iso(DAY_MS), lostAt: null };
  assertEquals(await q.state(0), untouched);
  const first = await q.reserve(HOUR_MS, { want: 60 });
  assert(first.reservation !== null);
  assertEquals(first, {
    reservation: first.reservation,
    granted: 60,
    used: 0,
    reserved: 60,
    resetAt: iso(DAY_MS),
    retryAfterMs: 23 * HOUR_MS,
  });
  const second = await q.reserve(HOUR_MS, { want: 60 });
  assertEquals([second.granted, second.reserved], [40, 100]);
  assertEquals(await q.settle(HOUR_MS, first.reservation, 25), true);
  assertEquals(await q.state(HOUR_MS), { ...untouched, used: 25, reserved: 40 });
  assertEquals(await q.settle(HOUR_MS, second.reservation, 0), true);
  assertEquals(await q.state(HOUR_MS), { ...untouched, used: 25 });
  assertEquals((await q.reserve(HOUR_MS, { want: 100 })).granted, 75);
});

Deno.test("sync_state.daily_quota has the keys that dashboards read", async () => {
  await using db = await testDatabase(import.meta.url);
  const q = quotasOf(db);
  const { reservation } = await q.reserve(0);
  assert(reservation !== null);
  const quota = {
    day: "2026-11-22",
    limit: LIMIT,
    used: 0,
    reserved: 10,
    resetAt: iso(DAY_MS),
    previous: null,
    lostAt: null,
    reservations: {
      [reservation]: { day: "2026-11-22", count: 10, until: iso(10 * MINUTE_MS) },
    },
  };
  assertEquals(await q.value(), { [NAME]: quota });
  await q.settle(0, reservation, 7);
  assertEquals(await q.value(), {
    [NAME]: { ...quota, used: 7, reserved: 0, reservations: {} },
  });
  const next = await q.reserve(DAY_MS);
  await q.settle(DAY_MS, next.reservation, 1);
  assertEquals(await q.value(), {
    [NAME]: {
      ...quota,
      day: "2026-11-23",
      used: 1,
      reserved: 0,
      resetAt: iso(2 * DAY_MS),
      previous: { day: "2026-11-22", used: 7 },
      reservations: {},
    },
  });
});

Deno.test("past the limit nothing is granted and nothing is written", async () => {
  await using db = await testDatabase(import.meta.url);
  const q = quotasOf(db);
  const { reservation } = await q.reserve(0, { want: 100 });
  await q.settle(0, reservation, 100);
  const before = await q.value();
  assertEquals(await q.reserve(23 * HOUR_MS, { want: 1 }), {
    reservation: null,
    granted: 0,
    used: 100,
    reserved: 0,
    resetAt: iso(DAY_MS),
    retryAfterMs: HOUR_MS,
  });
  assertEquals(await q.value(), before);
  // A limit that was lowered since.
  assertEquals((await q.reserve(23 * HOUR_MS, { want: 1 }, 50)).granted, 0);
});

Deno.test("all or nothing is granted when asked for", async () => {
  await using db = await testDatabase(import.meta.url);
  const q = quotasOf(db);
  await q.reserve(0, { want: 95 });
  const none = await q.reserve(0, { want: 6, all: true });
  assertEquals([none.reservation, none.granted, none.reserved], [null, 0, 95]);
  assertEquals((await q.reserve(0, { want: 5, all: true })).granted, 5);
});

Deno.test("at midnight UTC a new day begins, and a reservation counts on the day it was made", async () => {
  await using db = await testDatabase(import.meta.url);
  const q = quotasOf(db);
  const last = await q.reserve(-1, { want: 80 });
  assertEquals([last.granted, last.resetAt, last.retryAfterMs], [80, iso(0), 1]);
  assertEquals((await q.reserve(-1, { want: 80 })).granted, 20);
  const first = await q.reserve(0, { want: 100 });
  assertEquals([first.granted, first.used, first.reserved], [100, 0, 100]);
  assertEquals(first.retryAfterMs, DAY_MS);
  assertEquals(await q.settle(1, last.reservation, 50), true);
  const { used, reserved } = await q.state(1);
  assertEquals([used, reserved], [0, 100]);
  assertEquals((await q.value())[NAME]?.["previous"], { day: "2026-11-21", used: 50 });
});

Deno.test("the day does not depend on the session's settings", async () => {
  await using db = await testDatabase(import.meta.url);
  const client = await db.connect();
  try {
    await client.query("set timezone = 'Pacific/Kiritimati'");
    await client.query("set datestyle = 'German, DMY'");
    const q = quotasOf(db, statementsOver(client));
    const last = await q.reserve(-1, { want: 80 });
    assertEquals(last.resetAt, iso(0));
    const first = await q.reserve(0);
    assertEquals([first.used, first.reserved, first.resetAt], [0, 10, iso(DAY_MS)]);
    assertEquals(await q.settle(0, last.reservation, 1), true);
  } finally {
    await client.end();
  }
});

Deno.test("a killed holder's reservation comes back after its lease", async () => {
  await using db = await testDatabase(import.meta.url);
  const q = quotasOf(db);
  await q.reserve(0, { want: 100 });
  assertEquals((await q.reserve(10 * MINUTE_MS - 1)).granted, 0);
  assertEquals((await q.reserve(10 * MINUTE_MS, { want: 100 })).granted, 100);
});

Deno.test("a holder that was slow and not killed still has its use counted, once", async () => {
  await using db = await testDatabase(import.meta.url);
  const q = quotasOf(db);
  const slow = await q.reserve(0, { want: 100 });
  const other = await q.reserve(10 * MINUTE_MS, { want: 30 });
  assertEquals(await q.settle(11 * MINUTE_MS, slow.reservation, 90), true);
  assertEquals(await q.settle(11 * MINUTE_MS, slow.reservation, 90), false);
  const { used, reserved } = await q.state(11 * MINUTE_MS);
  assertEquals([used, reserved], [90, 30]);
  assertEquals((await q.value())[NAME]?.["reserved"], 30);
  assertEquals(await q.settle(11 * MINUTE_MS, other.reservation, 30), true);
  assertEquals((await q.reserve(11 * MINUTE_MS)).granted, 0);
});

Deno.test("what a killed holder leaves behind is forgotten after an hour", async () => {
  await using db = await testDatabase(import.meta.url);
  const q = quotasOf(db);
  const killed = await q.reserve(0);
  await q.reserve(10 * MINUTE_MS + HOUR_MS);
  assertEquals(Object.keys((await q.value())[NAME]?.["reservations"] ?? {}).length, 1);
  assertEquals(await q.settle(10 * MINUTE_MS + HOUR_MS, killed.reservation, 5), false);
});

Deno.test("settling twice changes nothing, nor does settling what is not known", async () => {
  await using db = await testDatabase(import.meta.url);
  const q = quotasOf(db);
  const { reservation } = await q.reserve(0);
  assertEquals(await q.settle(0, reservation, 4), true);
  const before = await q.value();
  assertEquals(await q.settle(0, reservation, 4), false);
  assertEquals(await q.settle(0, reservation, 10), false);
  assertEquals(await q.settle(0, crypto.randomUUID(), 10), false);
  assertEquals(await q.value(), before);
});

Deno.test("20 connections at once never get more than the limit, and nothing is lost", async () => {
  await using db = await testDatabase(import.meta.url);
  const clients = await Promise.all(Array.from({ length: 20 }, () => db.connect()));
  const random = seededRandom(7);
  const whole = (most: number) => Math.floor(random() * (most + 1));
  const limit = 1_000;
  try {
    const store = (client: (typeof clients)[number]) =>
      new DatabaseDailyQuotas(statementsOver(client), () => MIDNIGHT);
    const first = await Promise.all(
      clients.map((client) => store(client).reserve(NAME, limit, { ...REQUEST, want: 70 })),
    );
    assertEquals(first.reduce((sum, { granted }) => sum + granted, 0), limit);
    await Promise.all(clients.map(async (client, i) => {
      const { reservation } = first[i] ?? { reservation: null };
      if (reservation !== null) await store(client).settle(NAME, limit, reservation, 0);
    }));

    let used = 0;
    await Promise.all(clients.map(async (client) => {
      const quota = new DailyQuota({ store: store(client), limit });
      while (true) {
        const reservation = await quota.reserve(1 + whole(15)).catch((error: unknown) => {
          if (error instanceof QuotaExceededError) return error;
          throw error;
        });
        if (reservation instanceof QuotaExceededError) {
          assert(reservation.used + reservation.reserved <= limit);
          // The others may return some of theirs yet.
          if (reservation.reserved === 0) return;
          continue;
        }
        const part = whole(reservation.granted);
        await quota.settle(reservation, part);
        used += part;
      }
    }));
    assertEquals(used, limit);
    const { used: counted, reserved } = await quotasOf(db).state(0, limit);
    assertEquals([counted, reserved], [limit, 0]);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
});

Deno.test("a count that is lost goes on as if it had been used evenly until then", async (t) => {
  await using db = await testDatabase(import.meta.url);
  const q = quotasOf(db);
  await q.reserve(0);
  const sound = (await q.value())[NAME];
  const held = { day: "2026-11-22", count: 10, until: iso(0) };
  const holding = (reservation: unknown) => ({ ...sound, reservations: { x: reservation } });
  const damaged: Record<string, unknown> = {
    "not an object": 7,
    "null": null,
    "a quota that is text": { [NAME]: "x" },
    "a quota that is null": { [NAME]: null },
    "a quota with nothing in it": { [NAME]: {} },
    "a day that is none": { [NAME]: { ...sound, day: "today, perhaps" } },
    "a day of next week": { [NAME]: { ...sound, day: "2026-11-29" } },
    "a number that is none": { [NAME]: { ...sound, used: "many" } },
    "a number below nothing": { [NAME]: { ...sound, used: -1 } },
    "a number that is null": { [NAME]: { ...sound, used: null } },
    "reservations that are a list": { [NAME]: { ...sound, reservations: [] } },
    "a reservation of nothing": { [NAME]: holding({ ...held, count: 0 }) },
    "a reservation without a number": { [NAME]: holding({ ...held, count: null }) },
    "a reservation without an end": { [NAME]: holding({ ...held, until: null }) },
    "a reservation without a day": { [NAME]: holding({ ...held, day: null }) },
    "a reservation that is text": { [NAME]: holding("x") },
    "a previous day that is later": {
      [NAME]: { ...sound, previous: { day: "2026-11-23", used: 1 } },
    },
    "a previous day without a number": { [NAME]: { ...sound, previous: { day: "2026-11-21" } } },
  };
  const sixOClock = 18 * HOUR_MS;
  for (const [name, value] of Object.entries(damaged)) {
    await t.step(name, async () => {
      await q.set(value);
      const state = await q.state(sixOClock);
      assertEquals([state.used, state.reserved, state.lostAt], [75, 0, iso(sixOClock)]);
      // Those who get nothing leave a whole count behind, too.
      assertEquals((await q.reserve(sixOClock, { want: 26, all: true })).granted, 0);
      assertEquals((await q.reserve(21 * HOUR_MS, { want: 100 })).granted, 25);
      assertEquals((await q.state(21 * HOUR_MS)).lostAt, iso(sixOClock));
      assertEquals((await q.reserve(DAY_MS, { want: 100 })).granted, 100);
      assertEquals((await q.state(DAY_MS)).lostAt, null);
    });
  }
  await t.step("a row that is gone", async () => {
    await db.pool.query("delete from public.sync_state where key = 'daily_quota'");
    assertEquals((await q.reserve(sixOClock, { want: 100 })).granted, 25);
  });
  await t.step("every quota of a state that is lost, until midnight", async () => {
    await q.set(null);
    await q.reserve(sixOClock);
    const other = (ms: number) => {
      const quotas = new DatabaseDailyQuotas(statementsOver(db.pool), () => MIDNIGHT + ms);
      return quotas.reserve("other", LIMIT, { ...REQUEST, want: 100 });
    };
    assertEquals((await other(sixOClock)).granted, 25);
    assertEquals((await other(DAY_MS)).granted, 100);
    await q.set({ lostAt: iso(sixOClock) });
    assertEquals((await other(DAY_MS)).granted, 100);
  });
});

Deno.test("a clock set back over midnight goes on with the later day", async () => {
  await using db = await testDatabase(import.meta.url);
  const q = quotasOf(db);
  const { reservation } = await q.reserve(0, { want: 60 });
  const answer = await q.reserve(-MINUTE_MS, { want: 60 });
  assertEquals([answer.granted, answer.resetAt], [40, iso(DAY_MS)]);
  assertEquals(await q.settle(-MINUTE_MS, reservation, 60), true);
  assertEquals((await q.state(1)).used, 60);
});

Deno.test("the database's clock decides by default", async () => {
  await using db = await testDatabase(import.meta.url);
  const quotas = new DatabaseDailyQuotas(statementsOver(db.pool));
  const before = Date.now();
  const { resetAt, retryAfterMs } = await quotas.reserve(NAME, LIMIT, REQUEST);
  assertEquals(Date.parse(resetAt) % DAY_MS, 0);
  const now = Date.parse(resetAt) - retryAfterMs;
  assert(now >= before - 1_000 && now <= Date.now() + 1_000);
});

Deno.test("numbers that count nothing are refused", async () => {
  await using db = await testDatabase(import.meta.url);
  const { quotas, reserve, settle } = quotasOf(db);
  for (const wrong of [{ want: 0 }, { leaseMs: 0 }]) {
    await assertRejects(() => reserve(0, wrong), Error, "Cannot reserve of 'records'");
  }
  await assertRejects(() => reserve(0, {}, 0), Error, "Cannot count 'records'");
  await assertRejects(() => quotas.state("lostAt", LIMIT), Error, "Cannot count 'lostAt'");
  const { reservation } = await reserve(0);
  for (const used of [-1, 11]) {
    await assertRejects(() => settle(0, reservation, used), Error, "Cannot settle with 'records'");
  }
});

Deno.test("the quota's functions may be called by the service role and by no other role of the API", async () => {
  await using db = await testDatabase(import.meta.url);
  const { rows } = await db.pool.query(`
    select r.role, count(*)::integer as functions,
      count(*) filter (where has_function_privilege(r.role, p.oid, 'execute'))::integer as may
    from pg_proc p, unnest(array['anon', 'authenticated', 'service_role']) r (role)
    where p.proname like 'sync\\_quota\\_%' or p.proname = 'sync_state_lock'
    group by r.role order by r.role`);
  assertEquals(rows, [
    { role: "anon", functions: 5, may: 0 },
    { role: "authenticated", functions: 5, may: 0 },
    { role: "service_role", functions: 5, may: 5 },
  ]);
  const client = await db.connect();
  try {
    await client.query("set role service_role");
    const q = quotasOf(db, statementsOver(client));
    const { reservation } = await q.reserve(0);
    assertEquals(await q.settle(0, reservation, 3), true);
    assertEquals((await q.state(0)).used, 3);
  } finally {
    await client.end();
  }
});
