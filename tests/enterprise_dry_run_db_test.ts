/** A dry run and a shown plan: they say what the next run does, and do nothing of it. */
import { assert, assertEquals } from "@std/assert";
import {
  address,
  changedConfig,
  clientId,
  equalPeople,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

const CONFIG = changedConfig({ onLocalDelete: "delete", onRemoteMissing: "delete" });

/** Something of everything that a run can do or leave. */
async function busyWorld(): Promise<TwoWayWorld> {
  const world = await twoWayWorld(import.meta.url, equalPeople(14), { config: CONFIG });
  await world.editClient(1, { first_name: "Bea", city: "Bergen" });
  world.editSubscriber(2, { fields: { city: "Rome", phone: "+1 555 0199" }, groups: ["VIP"] });
  await world.editClient(3, { email: "ours@example.com", last_name: "Moe" });
  world.editSubscriber(3, { email: "theirs@example.com" });
  world.editSubscriber(4, { status: "unsubscribed" });
  await world.editClient(5, { marketing_status: "unsubscribed" });
  await world.deleteClient(6);
  world.removeSubscriber(7);
  await world.deleteClient(8);
  world.editSubscriber(8, { fields: { city: "Rome" } });
  await world.addClient(20);
  world.addSubscriber(21);
  await world.addClient(22, { marketing_status: "none" });
  await world.addClient(23, { email: address(9) });
  await world.editClient(10, { phone: "+1 555 0111" });
  world.editSubscriber(10, { fields: { country: "Sweden" } });
  await world.addClient(24, { city: "Bergen" });
  world.addSubscriber(24);
  return world;
}

const COUNTS = [
  "processed",
  "unchanged",
  "changed",
  "conflicted",
  "excluded",
  "failed",
  "skipped",
  "updates",
  "updated",
  "conflicts",
  "createdLocal",
  "createdRemote",
  "guarded_deletes",
  "guarded_unsubscribes",
  "guarded_blanks",
  "guarded_updates",
];

async function counts(world: TwoWayWorld): Promise<Record<string, number>> {
  const counters = await world.counters();
  return Object.fromEntries(COUNTS.map((name) => [name, counters[name] ?? 0]));
}

Deno.test("a dry run counts what the run after it does, and writes nothing anywhere", async () => {
  await using world = await busyWorld();
  const before = await world.everything();
  world.takeRemoteWrites();
  const dry = await world.sync({ dryRun: true });
  const promised = await counts(world);
  assertEquals(await world.everything(), before);
  assertEquals(world.takeRemoteWrites(), []);
  for (const table of ["sync_stage", "sync_seen", "sync_work", "sync_intents"]) {
    assertEquals(await world.pool.query(`select 1 from public.${table}`), [], table);
  }
  const real = await world.sync();
  assertEquals(await counts(world), promised);
  const told = (answer: typeof dry) => [
    answer.recordsProcessed,
    answer.updatesApplied,
    answer.conflictsDetected,
    answer.errors,
    answer.skipped,
    answer.done,
    answer.stopReason,
  ];
  assertEquals(told(dry), told(real));
  assertEquals([real.recordsProcessed, real.conflictsDetected], [19, 2]);
  assert(real.updatesApplied > 8);
  const after = await world.sync({ dryRun: true });
  assertEquals([after.updatesApplied, after.conflictsDetected, after.errors], [0, 2, 0]);
});

Deno.test("a dry run of a first link counts what the run after it does", async () => {
  await using world = await twoWayWorld(
    import.meta.url,
    [
      {},
      { client: { city: null }, subscriber: { fields: { name: "Cleo", phone: "" } } },
      { client: { marketing_status: "unsubscribed" } },
      { subscriber: null },
      { client: null },
    ],
    { backfill: false },
  );
  const before = await world.everything();
  const dry = await world.sync({ dryRun: true });
  const promised = await counts(world);
  assertEquals([await world.everything(), dry.errors], [before, 0]);
  await world.sync();
  assertEquals(await counts(world), promised);
});

Deno.test("a dry run does not tell a record for gone that is there by its id", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4), { config: CONFIG });
  const listWithout = async (request: Request): Promise<Response> => {
    const response = await world.simulator.handle(request);
    if (!request.url.includes("/subscribers?")) return response;
    const body = await response.json() as { data: { email: string }[] };
    const data = body.data.filter(({ email }) => email !== address(1));
    return Response.json({ ...body, data }, { headers: response.headers });
  };
  const fetch = (input: RequestInfo | URL, init?: RequestInit) =>
    listWithout(new Request(input, init));
  const dry = await world.sync({ dryRun: true }, { fetch });
  assertEquals([dry.updatesApplied, dry.errors, dry.done], [0, 0, true]);
  assertEquals((await counts(world))["guarded_deletes"], 0);
});

Deno.test("a plan shows fields, sides and rules of each record, and no value", async () => {
  await using world = await busyWorld();
  const before = await world.everything();
  const answer = await world.sync({ plan: true, maxRecords: 1000 });
  assertEquals([answer.status, answer.done], [200, true]);
  assertEquals(await world.everything(), before);
  const plan = answer.plan ?? [];
  const shown = (n: number) => plan.find(({ aId }) => aId === clientId(n));
  assertEquals(shown(1), {
    aId: clientId(1),
    bId: world.subscriber(1)?.id,
    found: "pair",
    do: "merge",
    operations: [
      { field: "firstName", side: "remote", rule: "edit" },
      { field: "city", side: "remote", rule: "edit" },
    ],
    conflicts: [],
    kept: [],
  });
  assertEquals(shown(2)?.["operations"], [
    { field: "phone", side: "supabase", rule: "edit" },
    { field: "city", side: "supabase", rule: "edit" },
    { field: "groups", side: "supabase", rule: "set_merge" },
  ]);
  assertEquals(shown(3)?.["conflicts"], [{ field: "email", reason: "both_changed" }]);
  assertEquals(shown(4)?.["operations"], [
    { field: "consent", side: "supabase", rule: "consent_lowered" },
  ]);
  assertEquals([shown(6)?.["do"], shown(6)?.["gone"]], ["delete", "local"]);
  assertEquals([shown(7)?.["do"], shown(7)?.["gone"]], ["delete", "remote"]);
  assertEquals(shown(8)?.["do"], "conflict");
  assertEquals(shown(20)?.["do"], "create_remote");
  assertEquals([shown(22)?.["do"], shown(22)?.["reason"]], ["leave", "consent"]);
  assertEquals([shown(23)?.["do"], shown(23)?.["reason"]], ["leave", "duplicate_key"]);
  assertEquals(shown(24)?.["found"], "match");
  assertEquals(plan.filter((record) => record["do"] === "create_local").length, 1);
  const text = JSON.stringify(answer);
  const values = ["Bea", "Bergen", "Rome", "Moe", "+1 555", "example.com", "Oslo", "Ann", "Sweden"];
  for (const value of values) assert(!text.includes(value), value);
  const lines = JSON.stringify(world.harness.log);
  for (const value of values) assert(!lines.includes(value), value);
});

Deno.test("a dry run and a plan stand beside a real run that is not done", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(6));
  for (const n of [1, 4]) await world.editClient(n, { first_name: "Bea" });
  const first = await world.sync({ maxRecords: 3 });
  assertEquals([first.done, first.stopReason, first.updatesApplied], [false, "record_limit", 1]);
  const dry = await world.sync({ dryRun: true });
  assertEquals([dry.done, dry.updatesApplied], [true, 1]);
  assert(dry.runId !== first.runId);
  const shown = await world.sync({ plan: true });
  assertEquals(shown.plan?.map(({ aId }) => aId), [clientId(4)]);
  const rest = await world.sync({ cursor: first.nextCursor });
  assertEquals([rest.runId, rest.done, rest.updatesApplied], [first.runId, true, 1]);
});

Deno.test("a dry run leaves the figures that dashboards show as they are", async () => {
  await using world = await busyWorld();
  const status = async () =>
    await world.pool.query(`select value from public.sync_state where key = 'sync_status'`);
  const before = await status();
  await world.sync({ dryRun: true });
  await world.sync({ plan: true });
  assertEquals(await status(), before);
});
