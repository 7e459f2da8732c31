/** What enterprise-sync does about records that are gone, or only seem to be. */
import { assertEquals, assertMatch } from "@std/assert";
import { address, changedConfig, equalPeople, twoWayWorld } from "./lib/two_way_world.ts";

Deno.test("by default a record that is gone is told of, and its partner is left as it is", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(6), {
    config: changedConfig({ onLocalDelete: "mark", onRemoteMissing: "mark" }),
  });
  await world.deleteClient(1);
  world.removeSubscriber(2);
  await world.deleteClient(3);
  world.removeSubscriber(3);
  world.takeRemoteWrites();
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.errors, answer.done], [0, 0, true]);
  assertEquals(world.takeRemoteWrites(), []);
  assertEquals(world.subscriber(1)?.status, "active");
  assertEquals((await world.client(2))?.marketing_status, "subscribed");
  assertEquals(await Promise.all([1, 2, 3, 4].map((n) => world.linkState(n))), [
    "a_missing",
    "b_missing",
    "unlinked",
    "linked",
  ]);
  const [line] = await world.log(1);
  assertEquals([line?.action, line?.rule, line?.run_id], ["mark", "local_deleted", answer.runId]);
  await world.assertQuiet();
  assertEquals(world.subscriber(2), undefined);
  assertEquals(await world.client(1), undefined);
});

Deno.test("each policy for a deleted client does what it says to the subscriber", async () => {
  const results = {
    mark: ["active", "a_missing"],
    unlink: ["active", "unlinked"],
    unsubscribe: ["unsubscribed", "a_missing"],
    delete: [undefined, "unlinked"],
  } as const;
  for (const policy of ["mark", "unlink", "unsubscribe", "delete"] as const) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
      config: changedConfig({ onLocalDelete: policy }),
    });
    await world.deleteClient(1);
    const answer = await world.sync();
    const writes = policy === "unsubscribe" || policy === "delete" ? 1 : 0;
    assertEquals([answer.updatesApplied, answer.errors, answer.done], [writes, 0, true], policy);
    const left = [world.subscriber(1)?.status, await world.linkState(1)];
    assertEquals(left, [...results[policy]], policy);
    await world.assertQuiet();
    assertEquals((await world.clientsWithAddress(1)).length, 0, policy);
    assertEquals([world.subscriber(1)?.status, await world.linkState(1)], left, policy);
  }
});

Deno.test("each policy for a deleted subscriber does what it says to the client", async () => {
  const results = {
    mark: ["subscribed", "b_missing"],
    unlink: ["subscribed", "unlinked"],
    delete: [undefined, "unlinked"],
  } as const;
  for (const policy of ["mark", "unlink", "delete"] as const) {
    await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
      config: changedConfig({ onRemoteMissing: policy }),
    });
    world.removeSubscriber(1);
    const answer = await world.sync();
    const writes = policy === "delete" ? 1 : 0;
    assertEquals([answer.updatesApplied, answer.errors, answer.done], [writes, 0, true], policy);
    const left = [(await world.client(1))?.marketing_status, await world.linkState(1)];
    assertEquals(left, [...results[policy]], policy);
    await world.assertQuiet();
    assertEquals(world.subscriber(1), undefined, policy);
  }
});

Deno.test("an unsubscription by policy is logged as what it is, and holds for who comes back", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
    config: changedConfig({ onLocalDelete: "unsubscribe" }),
  });
  await world.deleteClient(1);
  const answer = await world.sync();
  const [line] = (await world.log(1)).filter(({ field }) => field === "consent");
  assertEquals(
    [line?.side, line?.action, line?.before, line?.after, line?.rule, line?.run_id],
    ["b", "update", "subscribed", "unsubscribed", "local_deleted", answer.runId],
  );
  await world.addClient(11, { email: address(1) });
  await world.sync();
  const [back] = await world.clientsWithAddress(1);
  assertEquals(back?.marketing_status, "unsubscribed");
  assertEquals(world.subscriber(1)?.status, "unsubscribed");
});

Deno.test("what was edited on the other side is not deleted but waits for a person", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(6), {
    config: changedConfig({ onLocalDelete: "delete", onRemoteMissing: "delete" }),
  });
  for (const n of [1, 2]) {
    await world.deleteClient(n);
    world.editSubscriber(n, { fields: { city: "Rome" } });
  }
  for (const n of [3, 4]) {
    world.removeSubscriber(n);
    await world.editClient(n, { city: "Bergen" });
  }
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.conflictsDetected], [0, 4]);
  assertEquals((await world.conflicts()).map(({ reason }) => reason), [
    ...Array.from({ length: 4 }, () => "deleted_but_edited"),
  ]);
  await world.sync();
  assertEquals((await world.conflicts()).length, 4);
  // For who says that the deleting side is right, and for who says that it is not.
  await world.decide(1, "(record)", "local");
  await world.decide(2, "(record)", "remote");
  await world.decide(3, "(record)", "remote");
  await world.decide(4, "(record)", "local");
  const decided = await world.sync();
  assertEquals([decided.updatesApplied, decided.conflictsDetected], [2, 0]);
  assertEquals([world.subscriber(1), await world.client(3)], [undefined, undefined]);
  assertEquals([world.subscriber(2)?.status, (await world.client(4))?.city], ["active", "Bergen"]);
  assertEquals(await world.conflicts(), []);
  await world.assertQuiet();
});

Deno.test("a decision to delete what has been edited again since is not carried out", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
    config: changedConfig({ onLocalDelete: "delete" }),
  });
  await world.deleteClient(1);
  world.editSubscriber(1, { fields: { city: "Rome" } });
  await world.sync();
  await world.decide(1, "(record)", "local");
  world.editSubscriber(1, { fields: { city: "Milan" } });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.conflictsDetected], [0, 1]);
  assertEquals(world.subscriber(1)?.fields["city"], "Milan");
  const rows = await world.conflictsOf(1, "(record)");
  assertEquals(rows.map(({ status, applied }) => [status, applied]), [
    ["superseded", false],
    ["open", false],
  ]);
});

Deno.test("a value is no decision about a whole record, and its conflict is open again", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
    config: changedConfig({ onLocalDelete: "delete" }),
  });
  await world.deleteClient(1);
  world.editSubscriber(1, { fields: { city: "Rome" } });
  await world.sync();
  await world.decide(1, "(record)", "value", "yes");
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.conflictsDetected], [0, 1]);
  const rows = await world.conflictsOf(1, "(record)");
  assertEquals(rows.map(({ status }) => status), ["superseded", "open"]);
});

Deno.test("an empty list of the remote stops the run, and nothing is written", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
    config: changedConfig({ onRemoteMissing: "delete" }),
  });
  const before = await world.links();
  for (const n of [1, 2, 3]) world.removeSubscriber(n);
  world.takeRemoteWrites();
  const answer = await world.sync();
  assertEquals([answer.status, answer.details?.["reason"]], [502, "remote_empty"]);
  assertEquals(await world.links(), before);
  assertEquals(world.takeRemoteWrites(), []);
  assertEquals((await world.pool.query(`select 1 from public.clients`)).length, 3);
  assertEquals(await world.pool.query(`select 1 from public.sync_log`), []);
});

Deno.test("an empty table stops the run, nothing is written, and the remote is not blamed", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
    config: changedConfig({ onLocalDelete: "delete" }),
  });
  const before = await world.links();
  world.takeRemoteWrites();
  await world.pool.query(`delete from public.clients`);
  const answer = await world.sync();
  assertEquals([answer.status, answer.code], [409, "local_empty"]);
  assertMatch(answer.message, /it is empty although 3 records of it are linked/);
  assertMatch(answer.hint ?? "", /local\.table/);
  assertEquals(answer.details, { runId: answer.details?.["runId"], reason: "local_empty" });
  assertEquals(await world.links(), before);
  assertEquals(world.takeRemoteWrites(), []);
  assertEquals(await world.pool.query(`select 1 from public.sync_log`), []);
});

Deno.test("a page that fails in the middle proves nobody's absence, and the list is finished later", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(150), {
    config: changedConfig({ onRemoteMissing: "delete" }),
    simulator: { switches: { subscribersPageMax: "clamp_100" } },
  });
  world.removeSubscriber(1);
  world.simulator.setFaults([{
    method: "GET",
    path: "subscribers\\?.*cursor",
    effect: { kind: "html", status: 502 },
  }]);
  const answer = await world.sync();
  assertEquals([answer.status, answer.details?.["reason"]], [502, "remote_unavailable"]);
  assertEquals((await world.links()).filter(({ link_state }) => link_state !== "linked"), []);
  assertEquals((await world.pool.query(`select 1 from public.clients`)).length, 150);
  world.simulator.setFaults([]);
  const rest = await world.sync();
  assertEquals([rest.updatesApplied, rest.recordsProcessed, rest.done], [1, 150, true]);
  assertEquals((await world.pool.query(`select 1 from public.clients`)).length, 149);
});

Deno.test("a record that the list left out and that is there by its id is not gone", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3), {
    config: changedConfig({ onRemoteMissing: "delete" }),
  });
  await world.editClient(1, { first_name: "Bea" });
  const { handle } = world.simulator;
  const leaveOut = async (request: Request): Promise<Response> => {
    const response = await handle.call(world.simulator, request);
    if (!request.url.includes("/subscribers?")) return response;
    const body = await response.json() as { data: { email: string }[] };
    const data = body.data.filter(({ email }) => email !== address(1) && email !== address(2));
    return Response.json({ ...body, data }, { headers: response.headers });
  };
  const fetch = (input: RequestInfo | URL, init?: RequestInit) =>
    leaveOut(new Request(input, init));
  const answer = await world.sync({}, { fetch });
  assertEquals([answer.updatesApplied, answer.errors, answer.done], [1, 0, true]);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  assertEquals((await world.links()).map(({ link_state }) => link_state), [
    "linked",
    "linked",
    "linked",
  ]);
  assertEquals((await world.client(2))?.marketing_status, "subscribed");
  await world.assertQuiet();
});

Deno.test("a list with a record that does not tell its id proves nobody's absence at the remote", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4), {
    config: changedConfig({ onRemoteMissing: "delete", onLocalDelete: "delete" }),
  });
  world.removeSubscriber(1);
  await world.deleteClient(2);
  const { handle } = world.simulator;
  const withoutId = async (request: Request): Promise<Response> => {
    const response = await handle.call(world.simulator, request);
    if (!request.url.includes("/subscribers?")) return response;
    const body = await response.json() as { data: { id: string | null; email: string }[] };
    for (const row of body.data) if (row.email === address(3)) row.id = null;
    return Response.json(body, { headers: response.headers });
  };
  const fetch = (input: RequestInfo | URL, init?: RequestInit) =>
    withoutId(new Request(input, init));
  const answer = await world.sync({}, { fetch });
  assertEquals([answer.updatesApplied, answer.done], [1, true]);
  assertEquals([world.subscriber(2), await world.linkState(2)], [undefined, "unlinked"]);
  assertEquals([await world.linkState(1), await world.linkState(3)], ["linked", "linked"]);
  await world.sync();
  assertEquals([await world.client(1), await world.linkState(1)], [undefined, "unlinked"]);
  assertEquals(await world.linkState(3), "linked");
  await world.assertQuiet();
});

Deno.test("what is gone from one side stays unknown to a run that goes the other way", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4), {
    config: changedConfig({ onLocalDelete: "delete", onRemoteMissing: "delete" }),
  });
  await world.deleteClient(1);
  world.removeSubscriber(2);
  const inward = await world.sync({ direction: "mailerlite-to-supabase" });
  assertEquals([inward.updatesApplied, world.subscriber(1)?.status], [1, "active"]);
  assertEquals([await world.client(2), await world.linkState(1)], [undefined, "linked"]);
  const outward = await world.sync({ direction: "supabase-to-mailerlite" });
  assertEquals([outward.updatesApplied, world.subscriber(1)], [1, undefined]);
  await world.assertQuiet();
});

Deno.test("a page that breaks behind its records proves that none of them is there", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(240), {
    config: changedConfig({ onRemoteMissing: "delete" }),
    simulator: { switches: { subscribersPageMax: "clamp_100" } },
  });
  // From now on the pages are known, and stored several at a time.
  await world.sync();
  const { handle } = world.simulator;
  let pages = 0;
  let emails: readonly string[] = [];
  const brokenAt = (page: number) => async (input: RequestInfo | URL, init?: RequestInit) => {
    const request = new Request(input, init);
    const response = await handle.call(world.simulator, request);
    if (!request.url.includes("/subscribers?") || ++pages !== page) return response;
    const { data } = await response.json() as { data: { email: string }[] };
    emails = data.map(({ email }) => email);
    return Response.json({ data, links: {}, meta: {} }, { headers: response.headers });
  };
  const first = await world.sync({}, { fetch: brokenAt(2) });
  assertEquals([first.status, first.code], [502, "remote_error"]);
  const lost =
    Array.from({ length: 240 }, (_, n) => n + 1).findLast((n) => emails.includes(address(n))) ?? 0;
  world.removeSubscriber(lost);
  const second = await world.sync();
  assertEquals([second.done, second.updatesApplied], [true, 1]);
  assertEquals(await world.client(lost), undefined);
});
