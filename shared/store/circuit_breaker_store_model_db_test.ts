import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { CircuitBreakerModel } from "../../tests/lib/circuit_breaker_model.ts";
import { circuitsOf, START, SUBJECT } from "../../tests/lib/circuits.ts";
import { testDatabase } from "../../tests/lib/database.ts";
import { statementsOver } from "../../tests/lib/statements_over.ts";
import { DatabaseCircuitBreakers } from "./circuit_breaker_store.ts";

const MINUTE_MS = 60_000;

/** One step of a random history, as choices that are always possible. */
const STEP = fc.record({
  passMs: fc.oneof(
    fc.constantFrom(0, 1, MINUTE_MS),
    fc.integer({ min: 0, max: 20_000 }),
    fc.integer({ min: 0, max: 200_000 }),
  ),
  worker: fc.integer({ min: 0, max: 2 }),
  enters: fc.boolean(),
  ok: fc.constantFrom(true, true, false, false, false, null),
  code: fc.constantFrom("remote_timeout", "remote_unavailable"),
  again: fc.integer({ min: 0, max: 9 }),
});

Deno.test("the functions do what the model does, and there is one probe at a time", async () => {
  await using db = await testDatabase(import.meta.url);
  const { set } = circuitsOf(db);
  let probes = 0;
  let closings = 0;
  const property = fc.asyncProperty(
    fc.record({
      failureThreshold: fc.integer({ min: 1, max: 3 }),
      windowMs: fc.integer({ min: 10_000, max: 600_000 }),
      cooldownMs: fc.integer({ min: 1, max: MINUTE_MS }),
      maxCooldownMs: fc.integer({ min: MINUTE_MS, max: 900_000 }),
      probeLeaseMs: fc.integer({ min: 1, max: MINUTE_MS }),
    }),
    fc.array(STEP, { minLength: 30, maxLength: 60, size: "max" }),
    async (limits, steps) => {
      await set({});
      let now = START;
      const circuits = new DatabaseCircuitBreakers(statementsOver(db.pool), () => now);
      const model = new CircuitBreakerModel(() => now);
      // The calls a worker has under way; a killed one's is never reported.
      const calls: { real: string | null; model: string | null }[][] = [[], [], []];
      let probeUntil = 0;
      for (const { passMs, worker, enters, ok, code, again } of steps) {
        now += passMs;
        const own = calls[worker] ?? [];
        if (enters || own.length === 0) {
          const answer = await circuits.enter(SUBJECT, limits);
          const expected = await model.enter(SUBJECT, limits);
          if (answer.decision === "probe" && expected.decision === "probe") {
            assert(now >= probeUntil, "there is a probe already");
            assertEquals(answer.reason, expected.reason);
            probeUntil = now + limits.probeLeaseMs;
            own.push({ real: answer.probe, model: expected.probe });
            probes++;
          } else {
            assertEquals(answer, expected);
            if (answer.decision === "allowed") own.push({ real: null, model: null });
          }
        } else {
          // Now and then a report is sent twice.
          const call = own.at(-1) ?? { real: null, model: null };
          if (again > 0) own.pop();
          const answer = await circuits.report(SUBJECT, limits, { ok, code, probe: call.real });
          const report = { ok, code, probe: call.model };
          assertEquals(answer, await model.report(SUBJECT, limits, report));
          if (answer.changed && answer.state === "closed") closings++;
          if (answer.changed || ok === null) probeUntil = 0;
        }
        assertEquals(await circuits.state(SUBJECT, limits), await model.state(SUBJECT, limits));
      }
    },
  );
  await fc.assert(property, { numRuns: 60, seed: 20261121 });
  // Otherwise the histories show nothing.
  assert(probes > 200, `${probes} probes`);
  assert(closings > 20, `${closings} closings`);
});
