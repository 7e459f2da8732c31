/** How enterprise-sync stops itself before it makes too many dangerous changes. */
import { assert, assertEquals, assertGreater } from "@std/assert";
import type { PairRules } from "../shared/merge/pair.ts";
import { watched } from "./lib/mortal.ts";
import {
  changedConfig,
  clientId,
  type EnterpriseAnswer,
  equalPeople,
  type PairChanges,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

type Kind = keyof PairRules["limits"];

const PEOPLE = 12;
const DANGEROUS = [1, 2, 3, 4];

/** Limits that a fourth record of the kind breaks, and no number of another kind. */
function limitsOf(kind: Kind): PairRules["limits"] {
  const none = { percent: 100, floor: 1000 };
  const all = { deletes: none, unsubscribes: none, blanks: none, updates: none };
  return { ...all, [kind]: { percent: 10, floor: 3 } };
}

interface Danger {
  readonly kind: Kind;
  readonly name: string;
  readonly policies?: PairChanges;
  /** Makes one record one of those that are counted. */
  readonly endanger: (world: TwoWayWorld, n: number) => Promise<void> | void;
}

const DANGERS: readonly Danger[] = [
  {
    kind: "deletes",
    name: "subscribers to be deleted",
    policies: { onLocalDelete: "delete" },
    endanger: (world, n) => world.deleteClient(n),
  },
  {
    kind: "deletes",
    name: "clients to be deleted",
    policies: { onRemoteMissing: "delete" },
    endanger: (world, n) => world.removeSubscriber(n),
  },
  {
    kind: "deletes",
    name: "links to be given up",
    policies: { onRemoteMissing: "mark" },
    endanger: (world, n) => world.removeSubscriber(n),
  },
  {
    kind: "unsubscribes",
    name: "subscribers to be unsubscribed",
    endanger: (world, n) => world.editClient(n, { marketing_status: "unsubscribed" }),
  },
  {
    kind: "unsubscribes",
    name: "clients to be unsubscribed",
    endanger: (world, n) => world.editSubscriber(n, { status: "unsubscribed" }),
  },
  {
    kind: "unsubscribes",
    name: "subscribers to be unsubscribed by policy",
    policies: { onLocalDelete: "unsubscribe" },
    endanger: (world, n) => world.deleteClient(n),
  },
  {
    kind: "blanks",
    name: "blanked fields of clients",
    endanger: (world, n) => world.editSubscriber(n, { fields: { city: "" } }),
  },
  {
    kind: "blanks",
    name: "blanked fields of subscribers",
    endanger: (world, n) => world.editClient(n, { city: null }),
  },
  {
    kind: "updates",
    name: "updated subscribers",
    endanger: (world, n) => world.editClient(n, { first_name: "Bea" }),
  },
  {
    kind: "updates",
    name: "updated clients",
    endanger: (world, n) => world.editSubscriber(n, { fields: { city: "Rome" } }),
  },
];

function assertStopped(answer: EnterpriseAnswer & { readonly status: number }, kind: Kind): void {
  assertEquals([answer.status, answer.stopReason, answer.done, answer.nextCursor], [
    200,
    "guard",
    false,
    null,
  ]);
  assertEquals([answer.updatesApplied, answer.recordsProcessed], [0, 0]);
  assertEquals(
    answer.message,
    `Cannot go on: 4 ${kind} were planned for ${PEOPLE} linked records, and the limit is 3`,
  );
}

for (const { kind, name, policies, endanger } of DANGERS) {
  Deno.test(`a limit on ${kind} stops the run with nothing written: ${name}`, async () => {
    await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE), {
      config: changedConfig({ ...policies, limits: limitsOf(kind) }),
    });
    for (const n of DANGEROUS) await endanger(world, n);
    // A harmless edit waits with the others.
    await world.editClient(9, { marketing_status: "subscribed", groups: ["VIP"] });
    if (kind === "updates") await world.editClient(9, { groups: ["Clients"] });
    const before = await world.everything();
    for (const body of [{ dryRun: true }, { plan: true }, {}]) {
      assertStopped(await world.sync(body), kind);
      const [finding, ...others] = await world.findings();
      assertEquals([finding?.kind, finding?.fields, others], ["guard", [kind], []]);
      assertEquals(finding?.a_ids, DANGEROUS.map(clientId));
      assertEquals(finding?.b_ids.length, DANGEROUS.length);
      assertEquals(await world.everything(), before);
    }
  });

  Deno.test(`as many ${kind} as the limit says are let through: ${name}`, async () => {
    await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE), {
      config: changedConfig({ ...policies, limits: limitsOf(kind) }),
    });
    for (const n of DANGEROUS.slice(1)) await endanger(world, n);
    const answer = await world.sync();
    assertEquals([answer.stopReason, answer.done, answer.errors], ["complete", true, 0]);
    assertEquals((await world.counters())["changed"], 3);
  });
}

Deno.test("a share of many records is more than the floor", async () => {
  const limits = { ...limitsOf("updates"), updates: { percent: 50, floor: 3 } };
  await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE), {
    config: changedConfig({ limits }),
  });
  for (const n of [1, 2, 3, 4, 5, 6]) await world.editClient(n, { first_name: "Bea" });
  const answer = await world.sync();
  assertEquals([answer.stopReason, answer.updatesApplied], ["complete", 6]);
});

Deno.test("an override lets exactly that run through, and is logged with its reason", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE), {
    config: changedConfig({ onLocalDelete: "delete", limits: limitsOf("deletes") }),
  });
  for (const n of DANGEROUS) await world.deleteClient(n);
  const other = await world.sync({
    override: { guards: ["updates", "blanks"], reason: "another" },
  });
  assertStopped(other, "deletes");
  const override = { guards: ["deletes"], reason: "the four left the company" };
  const dry = await world.sync({ dryRun: true, override });
  assertEquals([dry.stopReason, dry.updatesApplied], ["complete", 4]);
  assertEquals(world.simulator.counts().subscribers, PEOPLE);
  const answer = await world.sync({ override });
  assertEquals([answer.stopReason, answer.updatesApplied, answer.done], ["complete", 4, true]);
  assertEquals(world.simulator.counts().subscribers, PEOPLE - 4);
  const lines = await world.pool.query<{ run_id: string; after: unknown; rule: string }>(
    `select run_id, after, rule from public.sync_log where action = 'allow' order by id`,
  );
  assertEquals(lines.at(-1), {
    run_id: answer.runId,
    after: { ...override, by: "secret:default" },
    rule: "override",
  });
  assertEquals(lines.length, 2);
  for (const n of [5, 6, 7, 8]) await world.deleteClient(n);
  const next = await world.sync();
  assertEquals([next.stopReason, next.updatesApplied], ["guard", 0]);
  assertEquals(world.simulator.counts().subscribers, PEOPLE - 4);
});

Deno.test("a run that was stopped frees the way for the next, which looks at everything anew", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE), {
    config: changedConfig({ limits: limitsOf("unsubscribes") }),
  });
  for (const n of DANGEROUS) world.editSubscriber(n, { status: "unsubscribed" });
  const stopped = await world.sync();
  assertStopped(stopped, "unsubscribes");
  world.editSubscriber(1, { status: "active" });
  const answer = await world.sync();
  assert(answer.runId !== stopped.runId);
  assertEquals([answer.stopReason, answer.updatesApplied], ["complete", 3]);
  assertEquals((await world.client(1))?.marketing_status, "subscribed");
});

Deno.test("what a guard tells of counts every record there is, not those it had seen", async () => {
  const many = 620;
  await using world = await twoWayWorld(import.meta.url, equalPeople(many), {
    config: changedConfig({
      limits: { ...limitsOf("updates"), updates: { percent: 1, floor: 3 } },
    }),
  });
  await world.pool.query(`update public.clients set first_name = 'Bea'`);
  const answer = await world.sync();
  assertEquals(
    answer.message,
    `Cannot go on: ${many} updates were planned for ${many} linked records, and the limit is 6`,
  );
  const [finding] = await world.findings();
  assertEquals(finding?.a_ids.length, many);
});

Deno.test("what a guard tells of is the same however many calls the planning took: the first thousand, and their number", async () => {
  const many = 1_100;
  await using world = await twoWayWorld(import.meta.url, equalPeople(many), {
    config: changedConfig({
      limits: { ...limitsOf("updates"), updates: { percent: 1, floor: 3 } },
    }),
  });
  await world.pool.query(`update public.clients set first_name = 'Bea'`);
  let now = 0;
  const slow = watched(world.harness, {
    after({ what }) {
      if (what.startsWith("with fence")) now += 1_000;
    },
  });
  let calls = 0;
  let answer: EnterpriseAnswer;
  do {
    answer = await world.sync({ maxDurationMs: 1_000 }, { ...slow, monotonic: () => now });
    calls++;
  } while (answer.stopReason === "time_limit");
  assertGreater(calls, 3);
  assertEquals(
    answer.message,
    `Cannot go on: ${many} updates were planned for ${many} linked records, and the limit is 11`,
  );
  const [finding, ...others] = await world.findings();
  assertEquals(others, []);
  const aIds = finding?.a_ids ?? [];
  assertEquals([aIds[0], aIds[999], aIds.length], [clientId(1), clientId(1000), 1000]);
  assertEquals(new Set(finding?.b_ids).size, 1000);
});

/** A run that is cut off before it has planned anything, over more deletes than the limit lets through. */
async function cutOff(world: TwoWayWorld): Promise<EnterpriseAnswer> {
  for (const n of DANGEROUS) await world.deleteClient(n);
  const ending = new AbortController();
  const answer = await world.sync({}, {
    shutdown: ending.signal,
    fetch: async (input, init) => {
      ending.abort();
      return await world.simulator.handle(new Request(input, init));
    },
  });
  assertEquals([answer.done, answer.recordsProcessed], [false, 0]);
  return answer;
}

async function allowed(world: TwoWayWorld): Promise<unknown[]> {
  return await world.pool.query(
    `select run_id, after from public.sync_log where action = 'allow' order by id`,
  );
}

for (const how of ["its cursor", "none"]) {
  Deno.test(`an override that comes with a later call of a run counts from then on, and is logged: with ${how}`, async () => {
    await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE), {
      config: changedConfig({ onLocalDelete: "delete", limits: limitsOf("deletes") }),
    });
    const { runId, nextCursor } = await cutOff(world);
    const override = { guards: ["updates", "deletes"], reason: "the four left the company" };
    const cursor = how === "none" ? {} : { cursor: nextCursor };
    const answer = await world.sync({ ...cursor, override, maxRecords: 2 });
    assertEquals([answer.runId, answer.stopReason], [runId, "record_limit"]);
    // What the run may already is not allowed a second time.
    const last = await world.sync({ override: { ...override, guards: ["deletes", "blanks"] } });
    assertEquals([last.runId, last.stopReason], [runId, "complete"]);
    assertEquals(world.simulator.counts().subscribers, PEOPLE - 4);
    const by = "secret:default";
    assertEquals(await allowed(world), [
      { run_id: runId, after: { ...override, by } },
      { run_id: runId, after: { ...override, guards: ["blanks"], by } },
    ]);
    for (const n of [5, 6, 7, 8]) await world.deleteClient(n);
    assertEquals((await world.sync()).stopReason, "guard");
  });
}

Deno.test("a run that nobody has allowed anything is stopped, whoever called it before", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE), {
    config: changedConfig({ onLocalDelete: "delete", limits: limitsOf("deletes") }),
  });
  const { runId } = await cutOff(world);
  const answer = await world.sync({ override: { guards: ["updates"], reason: "another" } });
  assertStopped(answer, "deletes");
  assertEquals(answer.runId, runId);
});

Deno.test("what a look at how things stand was allowed is not allowed to the next one", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE), {
    config: changedConfig({ onLocalDelete: "delete", limits: limitsOf("deletes") }),
  });
  for (const n of DANGEROUS) await world.deleteClient(n);
  const override = { guards: ["deletes"], reason: "what if" };
  const first = await world.sync({ dryRun: true, override, maxRecords: 1 });
  assertEquals(first.stopReason, "record_limit");
  const goingOn = await world.sync({ dryRun: true, maxRecords: 1, cursor: first.nextCursor });
  assertEquals(goingOn.stopReason, "record_limit");
  const again = await world.sync({ dryRun: true, maxRecords: 1 });
  assertEquals([again.runId, again.stopReason], [first.runId, "guard"]);
  assertEquals(await allowed(world), []);
});

Deno.test("a look at how things stand does not count what an earlier look had counted", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE), {
    config: changedConfig({ onLocalDelete: "delete", limits: limitsOf("deletes") }),
  });
  for (const n of [1, 2, 3]) await world.deleteClient(n);
  for (let look = 0; look < 3; look++) {
    const answer = await world.sync({ dryRun: true, maxRecords: 2 });
    assertEquals([answer.stopReason, answer.updatesApplied], ["record_limit", 2]);
  }
});

Deno.test("what a run did before it began anew counts before it goes on", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE), {
    config: changedConfig({ onRemoteMissing: "mark", limits: limitsOf("deletes") }),
  });
  for (const n of [1, 2]) world.removeSubscriber(n);
  const first = await world.sync({ maxRecords: PEOPLE - 1 });
  assertEquals([first.stopReason, first.updatesApplied], ["record_limit", 0]);
  assertEquals([await world.linkState(1), await world.linkState(2)], ["b_missing", "b_missing"]);
  for (const n of [3, 4]) world.removeSubscriber(n);
  const tomorrow = Date.now() + 25 * 60 * 60_000;
  const second = await world.sync({ maxRecords: 1 }, { now: () => tomorrow });
  assertEquals([second.runId, second.stopReason], [first.runId, "guard"]);
  assertEquals([await world.linkState(3), await world.linkState(4)], ["linked", "linked"]);
});

Deno.test("what was edited between two calls of a run counts with what the first has done", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(PEOPLE), {
    config: changedConfig({ limits: limitsOf("unsubscribes") }),
  });
  for (const n of [1, 2, 3]) await world.editClient(n, { marketing_status: "unsubscribed" });
  for (const n of [4, 5]) await world.editClient(n, { city: "Rome" });
  const first = await world.sync({ maxRecords: 3 });
  assertEquals([first.stopReason, first.updatesApplied], ["record_limit", 3]);
  await world.editClient(4, { marketing_status: "unsubscribed" });
  world.takeRemoteWrites();
  const second = await world.sync();
  assertEquals([second.runId, second.stopReason], [first.runId, "guard"]);
  assertEquals(world.takeRemoteWrites(), []);
});
