/** What enterprise-sync does about edits that meet, and about what a person decides on them. */
import { assertEquals } from "@std/assert";
import type { FieldInput } from "../shared/engine/pair.ts";
import {
  address,
  changedConfig,
  clientId,
  equalPeople,
  TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

const MANUAL = changedConfig({
  fields: {
    city: { local: "city", remote: "fields.city", wins: "manual" },
    country: { local: "country", remote: "fields.country", wins: "manual", mayBlank: true },
  },
});

/** Both sides edit the city of a person, apart. */
async function meet(world: TwoWayWorld, n: number, a = "Bergen", b = "Rome"): Promise<void> {
  await world.editClient(n, { city: a });
  world.editSubscriber(n, { fields: { city: b } });
}

async function cities(world: TwoWayWorld, n: number): Promise<[unknown, unknown]> {
  return [(await world.client(n))?.city, world.subscriber(n)?.fields["city"]];
}

Deno.test("edits of one field on both sides are one open conflict, and all else is synced", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(5), { config: MANUAL });
  await meet(world, 1);
  await world.editClient(1, { email: "ours@example.com", last_name: "Moe" });
  world.simulator.change(address(1), {
    email: "theirs@example.com",
    fields: { phone: "+1 555 0199" },
  });
  await world.editClient(2, { first_name: "Bea" });
  const answer = await world.sync();
  assertEquals([answer.conflictsDetected, answer.errors, answer.done], [2, 0, true]);
  assertEquals((await world.conflicts()).map(({ field, reason }) => [field, reason]).sort(), [
    ["city", "both_changed"],
    ["email", "both_changed"],
  ]);
  const [city] = await world.conflictsOf(1, "city");
  assertEquals([city?.base, city?.a, city?.b], [{ a: "Oslo", b: "Oslo" }, "Bergen", "Rome"]);
  const there = world.subscriberAt("theirs@example.com");
  assertEquals([there?.fields["city"], there?.fields["last_name"]], ["Rome", "Moe"]);
  const here = await world.client(1);
  assertEquals([here?.email, here?.city, here?.phone], [
    "ours@example.com",
    "Bergen",
    "+1 555 0199",
  ]);
  assertEquals(world.subscriber(2)?.fields["name"], "Bea");
  const counters = await world.counters();
  assertEquals([counters["conflicted"], counters["changed"], counters["unchanged"]], [1, 1, 3]);
});

Deno.test("a conflict that is edited again stays one row, with the new values", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2), { config: MANUAL });
  await meet(world, 1);
  await world.sync();
  await world.sync();
  const [first, ...others] = await world.conflictsOf(1, "city");
  assertEquals([first?.status, others], ["open", []]);
  await meet(world, 1, "Tromso", "Milan");
  const answer = await world.sync();
  assertEquals([answer.conflictsDetected, answer.updatesApplied], [1, 0]);
  const [again, ...more] = await world.conflictsOf(1, "city");
  assertEquals(again, first === undefined ? undefined : { ...first, a: "Tromso", b: "Milan" });
  assertEquals(more, []);
});

Deno.test("a conflict closes itself when the sides agree, and when one takes its edit back", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2), { config: MANUAL });
  await meet(world, 1);
  await meet(world, 2);
  await world.sync();
  await world.editClient(1, { city: "Rome" });
  await world.editClient(2, { city: "Oslo" });
  const answer = await world.sync();
  assertEquals([answer.conflictsDetected, answer.updatesApplied], [0, 1]);
  assertEquals(await world.conflicts(), []);
  assertEquals((await world.conflictsOf(1, "city")).map(({ status }) => status), ["superseded"]);
  assertEquals(await cities(world, 1), ["Rome", "Rome"]);
  assertEquals(await cities(world, 2), ["Rome", "Rome"]);
  const quiet = await world.sync();
  assertEquals([quiet.updatesApplied, quiet.conflictsDetected], [0, 0]);
});

Deno.test("a conflict about a blank closes itself when the blank is filled again", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2), { config: MANUAL });
  world.editSubscriber(1, { fields: { city: "" } });
  assertEquals((await world.sync()).conflictsDetected, 1);
  world.editSubscriber(1, { fields: { city: "Oslo" } });
  assertEquals((await world.sync()).conflictsDetected, 0);
  assertEquals(await world.conflicts(), []);
});

Deno.test("the side that wins stands where both were edited, and the log says so", async () => {
  const wins = (side: "local" | "remote"): FieldInput => ({
    local: "city",
    remote: "fields.city",
    wins: side,
  });
  for (const side of ["local", "remote"] as const) {
    const config = changedConfig({ fields: { city: wins(side) } });
    await using world = await twoWayWorld(import.meta.url, equalPeople(2), { config });
    await meet(world, 1);
    const answer = await world.sync();
    assertEquals([answer.conflictsDetected, answer.updatesApplied], [0, 1]);
    const stands = side === "local" ? "Bergen" : "Rome";
    assertEquals(await cities(world, 1), [stands, stands]);
    const [line] = await world.log(1);
    assertEquals([line?.rule, line?.side, line?.before, line?.after, line?.run_id], [
      `wins_${side}`,
      side === "local" ? "b" : "a",
      side === "local" ? "Rome" : "Bergen",
      stands,
      answer.runId,
    ]);
  }
});

Deno.test("what a person decides is done by the next run, and logged", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4), { config: MANUAL });
  for (const n of [1, 2, 3]) await meet(world, n);
  await world.sync();
  await world.decide(1, "city", "local");
  await world.decide(2, "city", "remote");
  await world.decide(3, "city", "value", "  Paris ");
  const answer = await world.sync();
  assertEquals([answer.conflictsDetected, answer.updatesApplied, answer.done], [0, 4, true]);
  assertEquals(await cities(world, 1), ["Bergen", "Bergen"]);
  assertEquals(await cities(world, 2), ["Rome", "Rome"]);
  assertEquals(await cities(world, 3), ["Paris", "Paris"]);
  assertEquals(await world.conflicts(), []);
  for (const n of [1, 2, 3]) {
    const [row] = await world.conflictsOf(n, "city");
    assertEquals([row?.status, row?.applied], ["resolved", true]);
  }
  const lines = (await world.log(3)).filter(({ applied }) => applied);
  assertEquals(
    lines.map((
      { side, action, field, before, after, rule, run_id },
    ) => [side, action, field, before, after, rule, run_id]).sort(),
    [
      ["a", "update", "city", "Bergen", "Paris", "decision", answer.runId],
      ["b", "update", "city", "Rome", "Paris", "decision", answer.runId],
    ],
  );
  const quiet = await world.sync();
  assertEquals([quiet.updatesApplied, quiet.conflictsDetected], [0, 0]);
});

Deno.test("a decision that no longer fits is not carried out, and its conflict is open again", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2), { config: MANUAL });
  await meet(world, 1);
  await world.sync();
  await world.decide(1, "city", "local");
  world.editSubscriber(1, { fields: { city: "Milan" } });
  const answer = await world.sync();
  assertEquals([answer.conflictsDetected, answer.updatesApplied], [1, 0]);
  assertEquals(await cities(world, 1), ["Bergen", "Milan"]);
  const rows = await world.conflictsOf(1, "city");
  assertEquals(rows.map(({ status, applied, a, b }) => [status, applied, a, b]), [
    ["superseded", false, "Bergen", "Rome"],
    ["open", false, "Bergen", "Milan"],
  ]);
  await world.decide(1, "city", "remote");
  await world.sync();
  assertEquals(await cities(world, 1), ["Milan", "Milan"]);
});

Deno.test("a decision that its field cannot hold is not carried out, and its conflict is open again", async () => {
  const config = changedConfig({
    fields: { city: { local: "city", remote: "fields.city", wins: "manual", type: "date" } },
  });
  const person = { client: { city: "2026-01-01" }, subscriber: { fields: { city: "2026-01-01" } } };
  await using world = await twoWayWorld(import.meta.url, [person, {}], { config, backfill: false });
  await world.editClient(2, { city: "2026-05-05" });
  world.editSubscriber(2, { fields: { city: "2026-05-05" } });
  await world.sync();
  await meet(world, 1, "2026-02-02", "2026-03-03");
  await world.sync();
  await world.decide(1, "city", "value", "next Tuesday");
  const answer = await world.sync();
  assertEquals([answer.conflictsDetected, answer.updatesApplied, answer.errors], [1, 0, 0]);
  assertEquals(
    (await world.conflictsOf(1, "city")).map(({ status, applied }) => [status, applied]),
    [["superseded", false], ["open", false]],
  );
  assertEquals(await cities(world, 1), ["2026-02-02", "2026-03-03"]);
});

Deno.test("an emptied field that may not be blank is a conflict, and a person can empty it", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4), { config: MANUAL });
  await world.editClient(1, { city: null });
  world.editSubscriber(2, { fields: { city: "" } });
  await world.editClient(3, { country: null });
  const answer = await world.sync();
  assertEquals([answer.conflictsDetected, answer.updatesApplied], [2, 1]);
  assertEquals((await world.conflicts()).map(({ field, reason }) => [field, reason]), [
    ["city", "blank_not_allowed"],
    ["city", "blank_not_allowed"],
  ]);
  assertEquals(await cities(world, 1), [null, "Oslo"]);
  assertEquals(await cities(world, 2), ["Oslo", null]);
  assertEquals(world.subscriber(3)?.fields["country"], null);
  await world.decide(1, "city", "local");
  await world.decide(2, "city", "value", "");
  const decided = await world.sync();
  assertEquals([decided.conflictsDetected, decided.updatesApplied], [0, 2]);
  assertEquals(await cities(world, 1), [null, null]);
  assertEquals(await cities(world, 2), [null, null]);
});

Deno.test("an emptied address is a conflict that no decision turns into a blank", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.editClient(1, { email: "" });
  await world.sync();
  assertEquals((await world.conflicts()).map(({ field, reason }) => [field, reason]), [
    ["email", "blank_not_allowed"],
  ]);
  await world.decide(1, "email", "local");
  const answer = await world.sync();
  assertEquals([answer.conflictsDetected, answer.updatesApplied], [1, 0]);
  assertEquals(world.subscriber(1)?.status, "active");
  await world.decide(1, "email", "remote");
  await world.sync();
  assertEquals((await world.client(1))?.email, address(1));
  assertEquals(await world.conflicts(), []);
});

Deno.test("what a one-way field kept apart is a conflict at the first edit after the field flows both ways", async () => {
  const configOf = (flow: "to_remote" | "both", wins: "manual" | "local") =>
    changedConfig({
      fields: {
        city: { local: "city", remote: "fields.city", wins, flow },
        phone: { local: "phone", remote: "fields.phone", wins: "local", flow },
      },
    });
  await using world = await twoWayWorld(import.meta.url, equalPeople(4), {
    config: configOf("to_remote", "manual"),
  });
  const edit = { fields: { city: "Rome", phone: "+2" } };
  for (const n of [1, 2, 3]) world.editSubscriber(n, edit);
  await world.sync();
  // The one who was edited since has a city again that both sides know.
  await world.editClient(3, { city: "Bergen", phone: "+3" });
  await world.sync();
  const open = new TwoWayWorld(world.harness, configOf("both", "manual"));
  await open.sync();
  assertEquals([await open.conflicts(), (await open.client(1))?.city], [[], "Oslo"]);
  await open.editClient(1, { city: "Kiel", phone: "+4" });
  open.editSubscriber(2, { fields: { city: "Lima" } });
  await open.editClient(3, { city: "Kiel" });
  for (let run = 0; run < 2; run++) {
    await open.sync();
    assertEquals(await cities(open, 1), ["Kiel", "Rome"]);
    assertEquals(await cities(open, 2), ["Oslo", "Lima"]);
    assertEquals(await cities(open, 3), ["Kiel", "Kiel"]);
    // Where one side wins, nobody is asked.
    assertEquals(open.subscriber(1)?.fields["phone"], "+4");
    assertEquals((await open.conflicts()).map(({ field, reason }) => [field, reason]), [
      ["city", "first_link"],
      ["city", "first_link"],
    ]);
  }
  await open.decide(1, "city", "local");
  await open.decide(2, "city", "remote");
  await open.sync();
  await open.editClient(1, { city: "Bonn" });
  await open.sync();
  assertEquals(open.subscriber(1)?.fields["city"], "Bonn");
  assertEquals([(await open.client(2))?.city, await open.conflicts()], ["Lima", []]);
  await open.assertQuiet();
});

Deno.test("a conflict and its decision wait while a run goes only one way", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2), { config: MANUAL });
  await meet(world, 1);
  await world.sync({ direction: "mailerlite-to-supabase" });
  await world.decide(1, "city", "local");
  const wrongWay = await world.sync({ direction: "mailerlite-to-supabase" });
  assertEquals([wrongWay.updatesApplied, wrongWay.conflictsDetected], [0, 0]);
  assertEquals(await cities(world, 1), ["Bergen", "Rome"]);
  const rightWay = await world.sync({ direction: "supabase-to-mailerlite" });
  assertEquals(rightWay.updatesApplied, 1);
  assertEquals(await cities(world, 1), ["Bergen", "Bergen"]);
  const [row] = await world.conflictsOf(1, "city");
  assertEquals([row?.status, row?.applied], ["resolved", true]);
});

Deno.test("a new address on both sides, apart, is a conflict that a decision ends", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { email: "ours@example.com" });
  world.simulator.change(address(1), { email: "theirs@example.com" });
  await world.editClient(2, { email: "same@example.com" });
  world.simulator.change(address(2), { email: "Same@Example.com" });
  const answer = await world.sync();
  assertEquals([answer.conflictsDetected, answer.updatesApplied], [1, 0]);
  await world.decide(1, "email", "value", "Agreed@Example.com");
  await world.sync();
  assertEquals((await world.client(1))?.email, "agreed@example.com");
  assertEquals(world.subscriberAt("agreed@example.com")?.status, "active");
  assertEquals((await world.links()).length, 3);
  assertEquals(await world.linkState(1), "linked");
  const quiet = await world.sync();
  assertEquals([quiet.updatesApplied, quiet.conflictsDetected, quiet.recordsProcessed], [0, 0, 3]);
});

Deno.test("a new address is logged with the old one, the side, the rule and the run", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.editClient(1, { email: "new1@example.com" });
  world.editSubscriber(2, { email: "new2@example.com" });
  const answer = await world.sync();
  for (const [n, side] of [[1, "b"], [2, "a"]] as const) {
    const [line, ...others] = await world.log(n);
    assertEquals(others, []);
    assertEquals(line, {
      run_id: answer.runId,
      a_id: clientId(n),
      b_id: world.subscriberAt(`new${n}@example.com`)?.id ?? "",
      side,
      action: "update",
      field: "email",
      before: address(n),
      after: `new${n}@example.com`,
      rule: "edit",
      applied: true,
    });
  }
});

Deno.test("what differs at the first link is a conflict of the new link", async () => {
  await using world = await twoWayWorld(
    import.meta.url,
    [{ client: { city: "Bergen" }, subscriber: { fields: { city: "Rome" } } }],
    { config: MANUAL, backfill: false },
  );
  const answer = await world.sync();
  assertEquals([answer.conflictsDetected, answer.updatesApplied], [1, 0]);
  const [row] = await world.conflictsOf(1, "city");
  assertEquals([row?.reason, row?.base, row?.status], ["first_link", null, "open"]);
  assertEquals((await world.links()).map(({ a_id, link_state }) => [a_id, link_state]), [
    [clientId(1), "linked"],
  ]);
  await world.decide(1, "city", "remote");
  await world.sync();
  assertEquals(await cities(world, 1), ["Rome", "Rome"]);
});
