import { assert, assertEquals, assertRejects } from "@std/assert";
import { VirtualClock } from "../../tests/lib/virtual_clock.ts";
import { checkDatabase, type DatabaseHealthLimits, requireHealthyDatabase } from "./db_health.ts";
import { DatabaseUnhealthyError } from "./db_health_error.ts";
import type { DatabaseVitals } from "./db_health_probe.ts";

const WELL: DatabaseVitals = {
  usedConnections: 12,
  maxConnections: 57,
  readOnly: false,
  inRecovery: false,
};

/** A database that answers after a while. */
function database(vitals: Partial<DatabaseVitals>, latencyMs = 5) {
  const clock = new VirtualClock(0);
  const deps = {
    probe: {
      vitals: async () => {
        await clock.sleep(latencyMs);
        return { ...WELL, ...vitals };
      },
    },
    monotonic: clock.now,
    sleep: clock.sleep,
  };
  return {
    check: (limits?: DatabaseHealthLimits) => clock.run(checkDatabase(deps, limits)),
    require: () => clock.run(requireHealthyDatabase(deps)),
  };
}

function refusing(error: unknown) {
  const clock = new VirtualClock(0);
  return checkDatabase({
    probe: { vitals: () => Promise.reject(error) },
    monotonic: clock.now,
    sleep: clock.sleep,
  });
}

Deno.test("checkDatabase() tells how long a healthy database took", async () => {
  assertEquals(await database({}, 7).check(), { healthy: true, latencyMs: 7 });
  assertEquals(await database({}, 7).require(), 7);
});

Deno.test("checkDatabase() calls a database slow above 2000 ms", async () => {
  assertEquals(await database({}, 2_000).check(), { healthy: true, latencyMs: 2_000 });
  assertEquals(await database({}, 2_001).check(), {
    healthy: false,
    code: "slow",
    detail: "it took 2001 ms to answer and may take 2000",
    latencyMs: 2_001,
  });
  const { healthy } = await database({}, 51).check({ maxLatencyMs: 50 });
  assert(!healthy);
});

Deno.test("checkDatabase() wants a tenth of the connections free", async () => {
  const used = (usedConnections: number) => database({ usedConnections, maxConnections: 100 });
  assertEquals((await used(90).check()).healthy, true);
  assertEquals(await used(91).check(), {
    healthy: false,
    code: "connections",
    detail: "91 of 100 connections are in use",
    latencyMs: 5,
  });
  assertEquals((await used(91).check({ maxUsedShare: 1 })).healthy, true);
});

Deno.test("checkDatabase() names what makes work impossible before what makes it slow", async () => {
  const code = async (vitals: Partial<DatabaseVitals>) => {
    const health = await database({ usedConnections: 57, ...vitals }, 9_000).check();
    return health.healthy ? null : health.code;
  };
  assertEquals(await code({ inRecovery: true, readOnly: true }), "recovery");
  assertEquals(await code({ readOnly: true }), "read_only");
  assertEquals(await code({}), "connections");
  assertEquals(await code({ usedConnections: 1 }), "slow");
});

Deno.test("checkDatabase() gives up on a database that does not answer", async () => {
  assertEquals(await database({}, 60_000).check(), {
    healthy: false,
    code: "unreachable",
    detail: "it has not answered for 10000 ms",
    latencyMs: 10_000,
  });
});

Deno.test("checkDatabase() keeps the code of a refusal and nothing else of it", async () => {
  const refused = Object.assign(new Error("postgres://user:secret@host"), { code: "ECONNREFUSED" });
  assertEquals(await refusing(refused), {
    healthy: false,
    code: "unreachable",
    detail: "it does not answer (ECONNREFUSED)",
    latencyMs: 0,
  });
  const vague = await refusing(Object.assign(new Error("secret"), { code: "not a code: secret" }));
  assert(!vague.healthy && vague.detail === "it does not answer (no code)");
  const full = await refusing(Object.assign(new Error("too many"), { code: "53300" }));
  assert(!full.healthy && full.code === "connections");
});

Deno.test("requireHealthyDatabase() throws what is wrong", async () => {
  const error = await assertRejects(
    () => database({ readOnly: true }).require(),
    DatabaseUnhealthyError,
    "Cannot work with the database: it is read-only",
  );
  assertEquals([error.code, error.reason], ["database_unhealthy", "read_only"]);
});

Deno.test("checkDatabase() refuses limits that are none", async () => {
  const wrong = [
    { maxLatencyMs: 0 },
    { maxUsedShare: 1.1 },
    { maxUsedShare: Number.NaN },
    { timeoutMs: -1 },
  ];
  for (const limits of wrong) {
    await assertRejects(
      () => database({}).check(limits),
      RangeError,
      `'${Object.keys(limits)[0]}' must be above 0`,
    );
  }
});
