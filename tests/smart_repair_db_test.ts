/** What smart-sync finds wrong about named records in repair mode, and mends. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Step, watched } from "./lib/mortal.ts";
import {
  address,
  clientId,
  equalPeople,
  type SmartAnswer,
  type TwoWayWorld,
  twoWayWorld,
} from "./lib/two_way_world.ts";

function said({ out }: SmartAnswer): unknown[] {
  return out.map(({ changed, reason, error }) => changed ?? reason ?? { error });
}

async function repair(world: TwoWayWorld, ...emails: string[]): Promise<SmartAnswer> {
  const answer = await world.smart({ emails, repair: true });
  assertEquals(answer.status, 200, answer.message);
  return answer;
}

function repairs({ out }: SmartAnswer): unknown[] {
  return out.map(({ repairs }) => repairs);
}

/** A link as it should not be: it points at another record of side B. */
async function pointAt(world: TwoWayWorld, n: number, bId: string): Promise<void> {
  await world.pool.query(`update public.integration_crosswalk set b_id = $2 where a_id = $1`, [
    clientId(n),
    bId,
  ]);
}

async function findings(world: TwoWayWorld, runId: string | null) {
  return await world.pool.query(
    `select kind, a_ids, b_ids from public.sync_findings where run_id = $1 order by id`,
    [runId],
  );
}

Deno.test("records in order are told to be, each with its own list of findings", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { first_name: "Bea" });
  const answer = await repair(world, address(1), address(2), "stranger@example.org");
  assertEquals(said(answer), [true, "no changes detected", "unknown on both sides"]);
  assertEquals(repairs(answer), [[], [], []]);
  const plain = await world.smart({ emails: [address(1)] });
  assertEquals(plain.out[0]?.repairs, undefined);
});

Deno.test("a missing shadow is made anew, and what differs is settled by the rules of a first link", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await world.editClient(1, { first_name: "Bea", city: null });
  await world.pool.query(
    `delete from public.shadow_snapshots where crosswalk_id in (
       select id from public.integration_crosswalk where a_id = any ($1))`,
    [[clientId(1), clientId(2)]],
  );
  const answer = await repair(world, ...[1, 2, 3].map(address));
  assertEquals(repairs(answer), [["shadow_missing"], ["shadow_missing"], []]);
  assertEquals(said(answer), [true, "no changes detected", "no changes detected"]);
  assertEquals((await world.pool.query(`select 1 from public.shadow_snapshots`)).length, 3);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  assertEquals((await world.client(1))?.city, "Oslo");
  assertEquals(repairs(await repair(world, address(1), address(2))), [[], []]);
});

Deno.test("a link to a record that is gone is given to the one with the same address", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  await pointAt(world, 1, "999999999");
  await world.editClient(1, { first_name: "Bea" });
  const answer = await repair(world, address(1));
  assertEquals(said(answer), [true]);
  assertEquals(repairs(answer), [["remote_vanished", "relinked"]]);
  const bId = world.subscriber(1)?.id ?? "";
  assertEquals(answer.out[0]?.b_id, bId);
  const links = await world.links();
  assertEquals(links.filter(({ a_id }) => a_id === clientId(1)), [
    { a_id: clientId(1), b_id: bId, link_state: "linked" },
  ]);
  assertEquals(world.subscriber(1)?.fields["name"], "Bea");
  assertEquals((await world.pool.query(`select 1 from public.clients`)).length, 3);
  const lines = (await world.log(1)).filter(({ field }) => field === null);
  assertEquals(lines.map(({ action, b_id }) => [action, b_id]).sort(), [
    ["link", bId],
    ["unlink", "999999999"],
  ]);
  assertEquals(repairs(await repair(world, address(1))), [[]]);
});

Deno.test("a link to a record that is gone stays as it is where nobody, or somebody's partner, has the address", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(3));
  world.removeSubscriber(1);
  // The address of client 2 belongs to the partner of client 3 by now.
  await pointAt(world, 2, "999999999");
  world.editSubscriber(3, { email: "three-b@example.com" });
  const before = await world.links();
  world.takeRemoteWrites();
  await world.pool.query(`update public.clients set email = 'three-b@example.com' where id = $1`, [
    clientId(2),
  ]);
  const answer = await repair(world, address(1), "three-b@example.com");
  assertEquals(
    answer.out[0]?.reason,
    "gone from the remote; the next full run decides what becomes of it",
  );
  assertEquals(repairs(answer)[0], ["remote_vanished"]);
  assertEquals(repairs(answer)[1], ["remote_vanished", "shared_link"]);
  assertEquals(await world.links(), before);
  assertEquals(world.takeRemoteWrites(), []);
});

Deno.test("without repair a link to a record that is gone is left alone", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await pointAt(world, 1, "999999999");
  const before = await world.links();
  const answer = await world.smart({ emails: [address(1)] });
  assertEquals(said(answer), [
    "gone from the remote; the next full run decides what becomes of it",
  ]);
  assertEquals(await world.links(), before);
});

Deno.test("two links for one address are reported and not guessed", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(4));
  await world.editClient(2, { email: address(1) });
  await world.editClient(1, { first_name: "Bea" });
  const before = await world.everything();
  const answer = await repair(world, address(1), address(3));
  assertEquals(said(answer), [
    "quarantined: two clients share this address",
    "no changes detected",
  ]);
  assertEquals(repairs(answer), [["shared_link"], []]);
  assertEquals(await findings(world, answer.runId), [{
    kind: "duplicate_key",
    a_ids: [clientId(1), clientId(2)],
    b_ids: [world.subscriber(1)?.id, world.subscriber(2)?.id].sort(),
  }]);
  const shadows = await world.pool.query<{ n: number }>(
    `select count(*)::integer as n from public.sync_log`,
  );
  assertEquals(shadows, [{ n: 0 }]);
  assert(before !== null);
  assertEquals(world.subscriber(1)?.fields["name"], "Ann");
});

Deno.test("a write that was sent and never confirmed is looked into first", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.addClient(3);
  // Killed between the answer of the remote and the commit.
  let dead = false;
  const commits = ({ inTransaction, what }: Step) =>
    inTransaction && what.includes("set_config('sync.writer'");
  await world.smart(
    { emails: [address(3)] },
    watched(world.harness, {
      before(step) {
        dead ||= commits(step);
        if (dead) throw new Error("killed");
      },
    }),
  );
  assert(dead);
  const made = world.subscriber(3)?.id;
  assert(made !== undefined);
  assertEquals((await world.links()).length, 2);
  // Meanwhile the client has got another address: by it nobody would be found.
  await world.editClient(3, { email: "three@example.com" });
  await world.pool.query(
    `update public.sync_runs set heartbeat_at = now() - interval '1 hour' where status = 'running'`,
  );
  await world.clearQueue();
  await world.smart();
  const dry = await world.smart({
    emails: ["three@example.com", address(1)],
    repair: true,
    dryRun: true,
  });
  assertEquals(repairs(dry), [["intent_left_over"], []]);
  assertEquals((await world.pool.query(`select 1 from public.sync_intents`)).length, 1);
  const answer = await repair(world, "three@example.com", address(1));
  // What was sent is the base, so the address is an edit of one side.
  assertEquals(said(answer), [true, "no changes detected"]);
  assertEquals(repairs(answer), [["intent_left_over"], []]);
  assertEquals(world.subscriberAt("three@example.com")?.id, made);
  assertEquals(await world.linkState(3), "linked");
  assertEquals(world.simulator.counts().subscribers, 3);
  assertEquals(await world.pool.query(`select 1 from public.sync_intents`), []);
});

Deno.test("sides that differ although nobody edited them are brought together, and the log has what was overwritten", async () => {
  await using world = await twoWayWorld(import.meta.url, [
    { client: { first_name: "Bea", phone: null }, subscriber: { fields: { city: "Rome" } } },
    {},
  ]);
  // As a backfill leaves it: both sides as they stood, and no edit since.
  const answer = await repair(world, address(1), address(2));
  assertEquals(said(answer), [true, "no changes detected"]);
  assertEquals(repairs(answer), [["drift"], []]);
  const client = await world.client(1);
  const fields = world.subscriber(1)?.fields;
  assertEquals([client?.city, client?.phone, fields?.["name"]], ["Rome", "+1 555 0100", "Bea"]);
  const lines = (await world.log(1)).map(({ side, field, before, after, applied }) => ({
    side,
    field,
    before,
    after,
    applied,
  }));
  assertEquals(lines.toSorted((one, other) => String(one.field) < String(other.field) ? -1 : 1), [
    { side: "a", field: "city", before: "Oslo", after: "Rome", applied: true },
    { side: "b", field: "firstName", before: "Ann", after: "Bea", applied: true },
    { side: "a", field: "phone", before: null, after: "+1 555 0100", applied: true },
  ]);
  assertEquals(repairs(await repair(world, address(1))), [[]]);
});

Deno.test("a dry run finds the same and mends nothing", async () => {
  await using world = await twoWayWorld(import.meta.url, [
    { client: { first_name: "Bea" } },
    {},
    {},
    {},
  ]);
  await pointAt(world, 2, "999999999");
  await world.pool.query(
    `delete from public.shadow_snapshots where crosswalk_id =
       (select id from public.integration_crosswalk where a_id = $1)`,
    [clientId(3)],
  );
  await world.clearQueue();
  const emails = [1, 2, 3, 4].map(address);
  const before = await world.everything();
  const dry = await world.smart({ emails, repair: true, dryRun: true });
  assertEquals(await world.everything(), before);
  const real = await repair(world, ...emails);
  assertEquals([said(dry), repairs(dry)], [said(real), repairs(real)]);
  assertEquals(repairs(real), [["drift"], ["remote_vanished", "relinked"], ["shadow_missing"], []]);
});

Deno.test("a shadow cannot be without its link: the database deletes it with it, and refuses one alone", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.pool.query(
    `delete from public.integration_crosswalk where a_id = $1`,
    [clientId(1)],
  );
  const shadows = await world.pool.query(`select crosswalk_id from public.shadow_snapshots`);
  assertEquals(shadows.length, 1);
  await assertRejects(() =>
    world.pool.query(
      `insert into public.shadow_snapshots (crosswalk_id, a, b, a_token, b_token)
       values (0, '{}', '{}', '', '')`,
    )
  );
  // Who lost both is found by address and linked anew.
  const { out } = await world.smart({ emails: [address(1)], repair: true });
  assertEquals(out.map(({ changed }) => changed), [true]);
  assertEquals((await world.pool.query(`select 1 from public.shadow_snapshots`)).length, 2);
});
