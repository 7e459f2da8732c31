/** How a person stops the two-way run and lets it go on. */
import { assertEquals, assertMatch } from "@std/assert";
import { equalPeople, type TwoWayWorld, twoWayWorld } from "./lib/two_way_world.ts";

const TO_LOCAL = "mailerlite-to-supabase";

async function worldUnderWay(meta: string, body = {}): Promise<[TwoWayWorld, string]> {
  const world = await twoWayWorld(meta, equalPeople(6));
  for (const n of [1, 2, 3]) world.editSubscriber(n, { fields: { city: "Rome" } });
  const { runId, stopReason } = await world.sync({ ...body, maxRecords: 2 });
  assertEquals(stopReason, "record_limit");
  return [world, runId];
}

Deno.test("a run that a person paused is left alone until a person resumes it", async () => {
  const [world, runId] = await worldUnderWay(import.meta.url);
  await using _ = world;
  const paused = await world.sync({ action: "pause" });
  assertEquals([paused.status, paused.runId, paused.message], [202, runId, "Paused"]);
  world.simulator.resetRequests();
  const refused = await world.sync({ maxRecords: 2 });
  assertEquals([refused.status, refused.code], [409, "run_paused"]);
  assertEquals(refused.details, { runId });
  assertMatch(refused.hint ?? "", /"action": "resume".*deno task sync resume enterprise-sync/);
  assertEquals(world.simulator.requests(), {});
  const resumed = await world.sync({ action: "resume", maxRecords: 2 });
  assertEquals([resumed.status, resumed.runId, resumed.recordsProcessed], [200, runId, 2]);
  // Resumed, it is a run like any other.
  const last = await world.sync();
  assertEquals([last.runId, last.done, last.recordsProcessed], [runId, true, 2]);
});

Deno.test("a run that is paused while it is at work stops after the batch at hand", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(6));
  await world.editClient(1, { city: "Bergen" });
  const answer = await world.sync({}, {
    fetch: async (input, init) => {
      const request = new Request(input, init);
      if (request.url.includes("/subscribers?")) {
        const { status, message } = await world.sync({ action: "pause" });
        assertEquals([status, message], [202, "Pausing after the batch at hand"]);
      }
      return await world.simulator.handle(request);
    },
  });
  assertEquals([answer.status, answer.done, answer.updatesApplied], [200, false, 0]);
  assertEquals(answer.stopReason, "paused");
  assertEquals((await world.sync()).code, "run_paused");
  const resumed = await world.sync({ action: "resume" });
  assertEquals([resumed.done, resumed.updatesApplied], [true, 1]);
});

Deno.test("a pause is of the direction that is named, and of none where nothing is under way", async () => {
  const [world, runId] = await worldUnderWay(import.meta.url, { direction: TO_LOCAL });
  await using _ = world;
  for (const action of ["pause", "resume"]) {
    const none = await world.sync({ action });
    assertEquals([none.status, none.code], [404, "no_run"]);
  }
  const paused = await world.sync({ action: "pause", direction: TO_LOCAL });
  assertEquals([paused.status, paused.runId], [202, runId]);
  assertEquals((await world.sync({ maxRecords: 1 })).status, 200);
  assertEquals((await world.sync({ direction: TO_LOCAL })).code, "run_paused");
});
