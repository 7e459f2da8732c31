/**
 * What a caller of enterprise-sync may ask for and is answered, and what a run does
 * not depend on.
 *
 * The invariants, by number: 9 the order within a batch, 14 a changed configuration,
 * 17 the clocks.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { functionRequest } from "./lib/function_harness.ts";
import { oneOfEverything } from "./lib/one_of_everything.ts";
import { changedConfig, equalPeople, TwoWayWorld, twoWayWorld } from "./lib/two_way_world.ts";
import { enterpriseSync } from "../shared/http/enterprise_sync.ts";

const YEARS = 10 * 365 * 24 * 60 * 60_000;

/** A clock that runs on by so much with every answer of the remote. */
function hurried(world: TwoWayWorld, ms: number) {
  let now = 0;
  const runtime = world.harness.runtime();
  return {
    monotonic: () => now,
    fetch: async (input: URL | RequestInfo, init?: RequestInit) => {
      now += ms;
      return await runtime.fetch(input, init);
    },
  };
}

Deno.test("a call without settings goes both ways, over 300 records and for 120 s at most", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(310));
  await world.editClient(1, { first_name: "Bea" });
  world.editSubscriber(2, { fields: { city: "Rome" } });
  const first = await world.sync();
  assertEquals([first.recordsProcessed, first.done, first.stopReason], [
    300,
    false,
    "record_limit",
  ]);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  assertEquals((await world.client(2))?.city, "Rome");
  const rest = await world.sync();
  assertEquals([rest.recordsProcessed, rest.done], [10, true]);
  // Two requests: one reads the account, one the list.
  const late = await world.sync({}, hurried(world, 60_001));
  assertEquals([late.done, late.stopReason], [false, "time_limit"]);
  await world.syncAll();
  const early = await world.sync({ maxRecords: 1000 }, hurried(world, 59_000));
  assertEquals([early.done, early.stopReason], [true, "complete"]);
});

Deno.test("a column that does not exist is told of at once, also while the remote keeps silent", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  const config = changedConfig({
    fields: { city: { local: "town", remote: "fields.city", wins: "remote" } },
  });
  const silent = new TwoWayWorld(world.harness, config);
  const answer = await silent.sync({}, {
    fetch: (_, init) =>
      new Promise((_, reject) =>
        init?.signal?.addEventListener("abort", () => reject(init.signal?.reason))
      ),
  });
  assertEquals([answer.status, answer.code], [500, "invalid_configuration"]);
});

Deno.test("what is asked for is taken up to its bounds and refused beyond them, with the path", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  const good = [
    { maxRecords: 1, maxDurationMs: 1_000 },
    { maxRecords: 100_000, maxDurationMs: 400_000 },
    { direction: "both", dryRun: false, plan: false },
    { direction: "mailerlite-to-supabase" },
    { direction: "supabase-to-mailerlite" },
    { override: { guards: ["deletes"], reason: "a test" } },
  ];
  for (const body of good) assertEquals((await world.sync(body)).status, 200);
  await world.syncAll();
  const runs = async () => await world.pool.query(`select id from public.sync_runs order by id`);
  const before = await runs();
  const bad: [Record<string, unknown>, string][] = [
    [{ maxRecords: 1.5 }, "maxRecords"],
    [{ maxRecords: 100_001 }, "maxRecords"],
    [{ maxDurationMs: 400_001 }, "maxDurationMs"],
    [{ plan: 1 }, "plan"],
    [{ cursor: 7 }, "cursor"],
    [{ override: { guards: ["deletes"] } }, "override.reason"],
    [{ override: { guards: ["deletes"], reason: "" } }, "override.reason"],
    [{ override: { guards: ["everything"], reason: "a test" } }, "override.guards.0"],
  ];
  for (const [body, path] of bad) {
    const { status, code, details } = await world.sync(body);
    const fields = details?.["fields"];
    const paths = Array.isArray(fields) ? fields.map((field) => field.path) : fields;
    assertEquals([status, code, paths], [400, "invalid_request", [path]]);
  }
  assertEquals(await runs(), before);
});

Deno.test("an answer has what is documented, and the requests of its own call", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  await world.editClient(1, { first_name: "Bea" });
  const ask = async (body: Record<string, unknown>) => {
    const handle = enterpriseSync(world.config, world.harness.runtime());
    const response = await handle(functionRequest("enterprise-sync", body));
    return await response.json() as Record<string, unknown>;
  };
  const first = await ask({ maxRecords: 2 });
  assertEquals(Object.keys(first).sort(), [
    "conflictsDetected",
    "done",
    "dryRun",
    "errors",
    "message",
    "nextCursor",
    "quota",
    "recordsProcessed",
    "runId",
    "skipped",
    "stopReason",
    "updatesApplied",
  ]);
  // The account, the list, the confirming read, the write.
  assertEquals(first["quota"], { requests: 4, limit: 120, windowMs: 60_000 });
  const second = await ask({ cursor: first["nextCursor"] });
  assertEquals([second["quota"], second["nextCursor"], second["done"]], [
    { requests: 0, limit: 120, windowMs: 60_000 },
    null,
    true,
  ]);
});

Deno.test("new people are made without the budget of imports, however many they are", async () => {
  // The simulator's minute never ends: a sixth import would be refused.
  await using world = await twoWayWorld(import.meta.url, equalPeople(1), {
    simulator: { limits: { enabled: true, perMinute: 120, importsPerMinute: 5 } },
  });
  const made = Array.from({ length: 300 }, (_, index) => index + 2);
  for (const n of made) await world.addClient(n);
  const answer = await world.sync({ maxRecords: 1000 });
  assertEquals([answer.done, answer.errors, answer.skipped, answer.updatesApplied], [
    true,
    0,
    0,
    300,
  ]);
  assertEquals(world.simulator.counts().subscribers, 301);
});

Deno.test("14: a changed configuration begins an unfinished run anew, and nothing is done by the old one", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  await world.editClient(3, { groups: ["Clients", "Newsletter"] });
  const first = await world.sync({ maxRecords: 1 });
  world.simulator.resetRequests();
  const config = changedConfig({ managedGroups: ["Clients", "VIP", "Newsletter"] });
  const changed = new TwoWayWorld(world.harness, config);
  const answer = await changed.sync({ cursor: first.nextCursor });
  assertEquals([answer.runId, answer.done, answer.errors], [first.runId, true, 0]);
  assertEquals(world.simulator.requests()["GET /subscribers"], 1);
  assertMatch(answer.message, /new one was started/);
  assertEquals(world.subscriber(3)?.groups, ["Clients", "Newsletter"]);
  const restarts = world.harness.log.filter(({ event }) => event === "epoch_restarted");
  assertEquals(restarts.map(({ fields }) => fields["reason"]), ["configuration_changed"]);
  await changed.assertQuiet();
});

Deno.test("9, 17: neither the order within a batch nor any clock changes what a run does", async () => {
  await using made = await oneOfEverything(import.meta.url);
  const { start } = made;
  const reference = await start.restore();
  await reference.syncAll();
  const wanted = await reference.end();
  const reversed = await start.restore({ batchExecution: "reversed" });
  await reversed.syncAll();
  assertEquals(await reversed.end(), wanted);
  for (const skew of [-YEARS, YEARS]) {
    const world = await start.restore();
    if (skew > 0) world.simulator.advance(skew);
    const shift = `interval '1 ms' * ${skew}`;
    await world.pool.query(`
      begin;
      set local session_replication_role = replica;
      update public.clients set updated_at = updated_at + ${shift}, created_at = created_at + ${shift};
      update public.partners set updated_at = updated_at + ${shift};
      update public.integration_crosswalk set updated_at = updated_at + ${shift};
      update public.shadow_snapshots set taken_at = taken_at + ${shift};
      commit`);
    const answer = await world.sync({ maxRecords: 1000 }, { now: () => Date.now() + skew });
    assertEquals([answer.status, answer.done], [200, true]);
    assertEquals(await world.end(), wanted, `${skew} ms`);
  }
});
