import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { DailyQuotaModel } from "../../tests/lib/daily_quota_model.ts";
import { testDatabase } from "../../tests/lib/database.ts";
import { MIDNIGHT, NAME, quotasOf } from "../../tests/lib/quotas.ts";
import { statementsOver } from "../../tests/lib/statements_over.ts";
import { DatabaseDailyQuotas } from "./daily_quota_store.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** One step of a random history, as choices that are always possible. */
const STEP = fc.record({
  passMs: fc.oneof(
    fc.integer({ min: 0, max: 5 * MINUTE_MS }),
    fc.integer({ min: 0, max: 3 * HOUR_MS }),
    fc.constantFrom(0, 12 * HOUR_MS, 30 * HOUR_MS),
  ),
  act: fc.constantFrom("reserve", "reserve", "settle", "settle again", "kill"),
  want: fc.integer({ min: 1, max: 60 }),
  all: fc.boolean(),
  leaseMs: fc.integer({ min: 1, max: 20 * MINUTE_MS }),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
});

Deno.test("the functions do what the model does, and no day is used beyond its limit", async () => {
  await using db = await testDatabase(import.meta.url);
  const { set } = quotasOf(db);
  let refusals = 0;
  let days = 0;
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 200 }),
    fc.array(STEP, { minLength: 20, maxLength: 60, size: "max" }),
    async (limit, steps) => {
      await set({});
      let now = MIDNIGHT - HOUR_MS;
      const quotas = new DatabaseDailyQuotas(statementsOver(db.pool), () => now);
      const model = new DailyQuotaModel(() => now);
      const held: { real: string; model: string; granted: number; until: number }[] = [];
      let late = 0;
      for (const { passMs, act, want, all, leaseMs, share } of steps) {
        const day = Math.floor(now / DAY_MS);
        now += passMs;
        if (Math.floor(now / DAY_MS) > day) days++;
        const mine = held[0];
        if (act === "reserve" || mine === undefined) {
          const { reservation, ...answer } = await quotas.reserve(NAME, limit, {
            want,
            all,
            leaseMs,
          });
          const { reservation: other, ...expected } = await model.reserve(NAME, limit, {
            want,
            all,
            leaseMs,
          });
          assertEquals(answer, expected);
          assertEquals(reservation === null, other === null);
          if (reservation === null || other === null) refusals++;
          else {
            const until = now + leaseMs;
            held.push({ real: reservation, model: other, granted: answer.granted, until });
          }
        } else if (act === "kill") held.shift();
        else {
          const used = Math.round(mine.granted * share);
          const counted = await quotas.settle(NAME, limit, mine.real, used);
          assertEquals(counted, await model.settle(NAME, limit, mine.model, used));
          if (now >= mine.until) late += used;
          if (act === "settle") held.shift();
        }
        const state = await quotas.state(NAME, limit);
        assertEquals(state, await model.state(NAME, limit));
        // Only what a holder used after its lease can be too much.
        assert(state.used + state.reserved <= limit + late);
      }
    },
  );
  await fc.assert(property, { numRuns: 60, seed: 20261121 });
  // Otherwise the histories show nothing.
  assert(refusals > 100, `${refusals} refusals`);
  assert(days > 100, `${days} midnights`);
});
