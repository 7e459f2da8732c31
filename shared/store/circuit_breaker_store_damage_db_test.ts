import { assert, assertEquals } from "@std/assert";
import { circuitsOf, iso, probeOf, SUBJECT } from "../../tests/lib/circuits.ts";
import { testDatabase } from "../../tests/lib/database.ts";

const MINUTE_MS = 60_000;

Deno.test("a damaged state lets one caller try and is whole again by what comes of it", async (t) => {
  await using db = await testDatabase(import.meta.url);
  const c = circuitsOf(db);
  await c.open();
  const sound = (await c.value())[SUBJECT];
  assert(typeof sound === "object");
  const damaged: Record<string, unknown> = {
    "not an object": 7,
    "null": null,
    "a list": [sound],
    "a subject that is null": { [SUBJECT]: null },
    "a subject that is text": { [SUBJECT]: "open" },
    "a subject with nothing in it": { [SUBJECT]: {} },
    "a state that is unknown": { [SUBJECT]: { ...sound, state: "ajar" } },
    "failures that are no list": { [SUBJECT]: { ...sound, state: "closed", failedAt: 3 } },
    "failures that are no times": { [SUBJECT]: { ...sound, state: "closed", failedAt: ["soon"] } },
    "open without an end": { [SUBJECT]: { ...sound, nextProbeAt: null } },
    "open until the end of time": { [SUBJECT]: { ...sound, nextProbeAt: "infinity" } },
    "open for longer than any cool-down": { [SUBJECT]: { ...sound, nextProbeAt: iso(900_001) } },
    "a cool-down that is no number": { [SUBJECT]: { ...sound, cooldownMs: "long" } },
    "a cool-down below nothing": { [SUBJECT]: { ...sound, cooldownMs: -1 } },
    "a probe that is no id": { [SUBJECT]: { ...sound, state: "half_open", probe: "me" } },
  };
  const reason = "state_damaged";
  for (const [name, value] of Object.entries(damaged)) {
    await t.step(name, async () => {
      await c.set(value);
      assertEquals(await c.state(0), {
        state: "half_open",
        reason,
        failures: 0,
        openedAt: null,
        nextProbeAt: iso(0),
      });
      const answer = await c.enter(0);
      assertEquals(answer.decision === "probe" && answer.reason, reason);
      assertEquals(await c.enter(1), { decision: "open", retryAfterMs: 59_999, reason });
      const { openedAt } = await c.state(1);
      assertEquals(openedAt, iso(0));
      assertEquals((await c.succeed(2, probeOf(answer))).state, "closed");
      assertEquals(await c.enter(3), { decision: "allowed" });
    });
  }
  await t.step("a row that is gone", async () => {
    await db.pool.query("delete from public.sync_state where key = 'circuit_breaker'");
    const probe = probeOf(await c.enter(0));
    assertEquals((await c.fail(0, probe)).state, "open");
    const waiting = await c.enter(0);
    assertEquals(waiting.decision === "open" && waiting.retryAfterMs, MINUTE_MS);
  });
  await t.step("every subject of a state that is lost, also one asked later", async () => {
    await c.set(null);
    await c.succeed(0, probeOf(await c.enter(0)));
    assertEquals((await c.enter(MINUTE_MS, "database")).decision, "probe");
    assertEquals(await c.enter(MINUTE_MS), { decision: "allowed" });
  });
  await t.step("the report of a call that found it whole changes nothing", async () => {
    await c.set({ [SUBJECT]: 7 });
    assertEquals(await c.fail(0), { state: "half_open", changed: false });
    assertEquals((await c.enter(0)).decision, "probe");
  });
});

Deno.test("a clock that is set back does not keep a circuit open for longer than a cool-down", async () => {
  await using db = await testDatabase(import.meta.url);
  const c = circuitsOf(db);
  await c.open();
  const day = 86_400_000;
  assertEquals((await c.state(-day)).reason, "state_damaged");
  assertEquals((await c.enter(-day)).decision, "probe");
});

Deno.test("what is shown as the reason is a code, whatever was handed in", async () => {
  await using db = await testDatabase(import.meta.url);
  const c = circuitsOf(db);
  for (const code of ["Cannot reach ann@example.com", "", "x".repeat(65), null]) {
    await c.set({});
    await c.fail(0, null, code);
    assertEquals((await c.state(0)).reason, "unknown");
  }
  await c.fail(0, null, "57P03");
  assertEquals((await c.state(0)).reason, "57P03");
});
