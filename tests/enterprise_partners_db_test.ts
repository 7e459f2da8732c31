/** What enterprise-sync does about values that several people share: those of their partner. */
import { assertEquals } from "@std/assert";
import { clientId, equalPeople, type TwoWayWorld, twoWayWorld } from "./lib/two_way_world.ts";

const ACME = { name: "Acme", email: "hello@acme.example", company: "Acme Ltd" };
const ACME_FIELDS = {
  partner_name: "Acme",
  partner_email: "hello@acme.example",
  partner_company: "Acme Ltd",
};

/** People of whom the first so many belong to one partner, in agreement. */
async function sharedWorld(
  sharers: number,
  others = 1,
): Promise<{ world: TwoWayWorld; partner: string }> {
  const world = await twoWayWorld(
    import.meta.url,
    [
      ...Array.from({ length: sharers }, () => ({ subscriber: { fields: ACME_FIELDS } })),
      ...equalPeople(others),
    ],
    { backfill: false },
  );
  const partner = await world.addPartner(ACME);
  for (let n = 1; n <= sharers; n++) await world.editClient(n, { partner_id: partner });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.conflictsDetected], [0, 0]);
  world.takeRemoteWrites();
  return { world, partner };
}

function partnerFields(world: TwoWayWorld, n: number): unknown[] {
  const fields = world.subscriber(n)?.fields ?? {};
  return [fields["partner_name"], fields["partner_email"], fields["partner_company"]];
}

Deno.test("an edit of a partner reaches the subscribers of all its clients", async () => {
  const shared = await sharedWorld(3);
  await using world = shared.world;
  await world.pool.query(
    `update public.partners set name = 'Acme Nord', company = 'Acme AS' where id = $1`,
    [shared.partner],
  );
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.conflictsDetected], [3, 0]);
  for (const n of [1, 2, 3]) {
    assertEquals(partnerFields(world, n), ["Acme Nord", ACME.email, "Acme AS"]);
  }
  assertEquals(partnerFields(world, 4), [null, null, null]);
  assertEquals((await world.sync()).updatesApplied, 0);
});

Deno.test("a client that changes its partner takes the new one's values along", async () => {
  const shared = await sharedWorld(1);
  await using world = shared.world;
  const other = await world.addPartner({ name: "Bolt", email: "hi@bolt.example", company: null });
  await world.editClient(1, { partner_id: other });
  await world.editClient(2, { partner_id: other });
  const answer = await world.sync();
  assertEquals(answer.updatesApplied, 2);
  assertEquals(partnerFields(world, 1).slice(0, 2), ["Bolt", "hi@bolt.example"]);
  // That the new partner has no company would blank the field, which nobody has allowed.
  assertEquals((await world.conflicts()).map(({ field, reason }) => [field, reason]), [
    ["partnerCompany", "blank_not_allowed"],
  ]);
  assertEquals(partnerFields(world, 2), ["Bolt", "hi@bolt.example", null]);
  assertEquals(await world.partner(shared.partner), ACME);
});

Deno.test("a remote edit of a partner that one client has changes the partner", async () => {
  const shared = await sharedWorld(1);
  await using world = shared.world;
  world.editSubscriber(1, { fields: { partner_name: "Acme Sud" } });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.conflictsDetected], [1, 0]);
  assertEquals(await world.partner(shared.partner), { ...ACME, name: "Acme Sud" });
  const [line] = (await world.log(1)).filter(({ field }) => field === "partnerName");
  assertEquals(
    [line?.side, line?.before, line?.after, line?.rule, line?.run_id],
    ["a", "Acme", "Acme Sud", "edit", answer.runId],
  );
  assertEquals((await world.sync()).updatesApplied, 0);
});

Deno.test("a remote edit of a partner that several clients share is a conflict", async () => {
  const shared = await sharedWorld(3);
  await using world = shared.world;
  world.editSubscriber(1, { fields: { partner_name: "Acme Sud", city: "Rome" } });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.conflictsDetected], [1, 1]);
  assertEquals(await world.partner(shared.partner), ACME);
  assertEquals((await world.client(1))?.city, "Rome");
  assertEquals((await world.conflicts()).map(({ field, reason }) => [field, reason]), [
    ["partnerName", "shared_reference"],
  ]);
  await world.decide(1, "partnerName", "local");
  assertEquals((await world.sync()).updatesApplied, 1);
  assertEquals(partnerFields(world, 1), [ACME.name, ACME.email, ACME.company]);
  assertEquals(await world.conflicts(), []);
});

Deno.test("a person can decide that a remote edit stands for all who share the partner", async () => {
  const shared = await sharedWorld(3);
  await using world = shared.world;
  world.editSubscriber(2, { fields: { partner_name: "Acme Sud" } });
  await world.sync();
  await world.decide(2, "partnerName", "remote");
  await world.syncAll();
  await world.sync();
  assertEquals(await world.partner(shared.partner), { ...ACME, name: "Acme Sud" });
  for (const n of [1, 2, 3]) assertEquals(partnerFields(world, n)[0], "Acme Sud");
  assertEquals(await world.conflicts(), []);
  const [row] = await world.conflictsOf(2, "partnerName");
  assertEquals([row?.status, row?.applied], ["resolved", true]);
  assertEquals((await world.sync()).updatesApplied, 0);
});

Deno.test("what all who share a partner agree on is written to it once", async () => {
  const shared = await sharedWorld(3);
  await using world = shared.world;
  await world.pool.query(
    `create table public.partner_writes (id uuid);
     alter table public.partner_writes enable row level security;
     create function public.note_partner_write() returns trigger language plpgsql as
       $$ begin insert into public.partner_writes values (new.id); return new; end $$;
     create trigger note_partner_write after update on public.partners
       for each row execute function public.note_partner_write();`,
  );
  for (const n of [1, 2]) world.editSubscriber(n, { fields: { partner_name: "Acme Sud" } });
  const some = await world.sync();
  assertEquals([some.updatesApplied, some.conflictsDetected], [0, 2]);
  world.editSubscriber(3, { fields: { partner_name: "Acme Sud" } });
  const all = await world.sync();
  assertEquals([all.conflictsDetected, all.errors], [0, 0]);
  assertEquals(await world.partner(shared.partner), { ...ACME, name: "Acme Sud" });
  assertEquals((await world.pool.query(`select id from public.partner_writes`)).length, 1);
  assertEquals(await world.conflicts(), []);
  const quiet = await world.sync();
  assertEquals([quiet.updatesApplied, quiet.conflictsDetected], [0, 0]);
});

Deno.test("what the remote always said of a partner that nobody has here is kept, an edit is a conflict", async () => {
  await using world = await twoWayWorld(
    import.meta.url,
    [{ subscriber: { fields: ACME_FIELDS } }, {}, {
      client: null,
      subscriber: { fields: ACME_FIELDS },
    }],
    { backfill: false },
  );
  const first = await world.sync({ plan: true });
  const [shown] = first.plan?.filter(({ aId }) => aId === clientId(1)) ?? [];
  assertEquals(shown?.["kept"], [
    { field: "partnerName", reason: "no_reference" },
    { field: "partnerEmail", reason: "no_reference" },
    { field: "partnerCompany", reason: "no_reference" },
  ]);
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.conflictsDetected], [1, 0]);
  for (let run = 0; run < 2; run++) {
    const quiet = await world.sync();
    assertEquals([quiet.updatesApplied, quiet.conflictsDetected], [0, 0]);
  }
  const settled = await world.pool.query<{ settled: string[] }>(
    `select s.settled from public.shadow_snapshots s where cardinality(s.settled) > 0`,
  );
  assertEquals(settled.map(({ settled }) => settled), [
    ["partnerName", "partnerEmail", "partnerCompany"],
    ["partnerName", "partnerEmail", "partnerCompany"],
  ]);
  assertEquals(partnerFields(world, 1), [ACME.name, ACME.email, ACME.company]);
  world.editSubscriber(1, { fields: { partner_name: "Acme Sud" } });
  const edited = await world.sync();
  assertEquals([edited.updatesApplied, edited.conflictsDetected], [0, 1]);
  assertEquals((await world.conflicts()).map(({ field, reason }) => [field, reason]), [
    ["partnerName", "no_reference"],
  ]);
  // Given a partner, the client says what it is called.
  const partner = await world.addPartner({ ...ACME, name: "Acme Sud" });
  await world.editClient(1, { partner_id: partner });
  const given = await world.sync();
  assertEquals([given.conflictsDetected, await world.conflicts()], [0, []]);
});

Deno.test("a first link fills a partner's blanks only where all who share it say the same", async () => {
  const company = (name: string) => ({ subscriber: { fields: { partner_company: name } } });
  await using world = await twoWayWorld(
    import.meta.url,
    [
      company("Acme Ltd"),
      company("Bolt Ltd"),
      company("Bolt AS"),
      company("Cargo"),
      company("Cargo"),
    ],
    { backfill: false },
  );
  const blank = { name: "A partner", email: null, company: null };
  const [one, split, same] = [
    await world.addPartner(blank),
    await world.addPartner(blank),
    await world.addPartner(blank),
  ];
  for (const [n, partner_id] of [[1, one], [2, split], [3, split], [4, same], [5, same]] as const) {
    await world.editClient(n, { partner_id });
  }
  const answer = await world.sync();
  assertEquals([answer.errors, answer.done], [0, true]);
  assertEquals((await world.partner(one))?.["company"], "Acme Ltd");
  assertEquals((await world.partner(split))?.["company"], null);
  assertEquals((await world.partner(same))?.["company"], "Cargo");
  assertEquals((await world.conflicts()).map(({ field, reason }) => [field, reason]), [
    ["partnerCompany", "shared_reference"],
    ["partnerCompany", "shared_reference"],
  ]);
});

Deno.test("a client without a partner and a subscriber without one have nothing to agree on", async () => {
  await using world = await twoWayWorld(import.meta.url, equalPeople(2));
  await world.editClient(1, { first_name: "Bea" });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.conflictsDetected], [1, 0]);
  assertEquals(await world.pool.query(`select 1 from public.partners`), []);
});

Deno.test("two edits of one partner on both sides go by the field's winner", async () => {
  const shared = await sharedWorld(1);
  await using world = shared.world;
  await world.pool.query(`update public.partners set name = 'Acme Nord' where id = $1`, [
    shared.partner,
  ]);
  world.editSubscriber(1, {
    fields: { partner_name: "Acme Sud", partner_email: "sud@acme.example" },
  });
  const answer = await world.sync();
  assertEquals([answer.updatesApplied, answer.conflictsDetected], [2, 0]);
  assertEquals(partnerFields(world, 1)[0], "Acme Nord");
  assertEquals(await world.partner(shared.partner), {
    ...ACME,
    name: "Acme Nord",
    email: "sud@acme.example",
  });
});
