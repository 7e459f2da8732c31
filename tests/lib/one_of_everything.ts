/**
 * Forty people, among whom everything has happened that can happen between two
 * runs.
 *
 * @module
 */
import { mailerlite } from "../../shared/connectors/mailerlite/mod.ts";
import { consent, defineSync, pair, set } from "../../shared/engine/config.ts";
import { TwoWayMoment } from "./two_way_state.ts";
import {
  address,
  clientId,
  type PersonSpec,
  type TwoWayWorld,
  twoWayWorld,
} from "./two_way_world.ts";

/** As the example's, with limits so low that every run has to plan ahead, and a delete that writes. */
export const CONFIG = defineSync({
  clients: pair({
    local: { table: "clients", id: "id", naturalKey: "email" },
    remote: mailerlite.subscribers({ managedGroups: ["Clients", "VIP"] }),
    fields: {
      email: { local: "email", remote: "email", wins: "manual" },
      firstName: { local: "first_name", remote: "fields.name", wins: "local" },
      lastName: { local: "last_name", remote: "fields.last_name", wins: "local" },
      company: { local: "company", remote: "fields.company", wins: "local" },
      phone: { local: "phone", remote: "fields.phone", wins: "remote" },
      city: { local: "city", remote: "fields.city", wins: "remote", mayBlank: true },
      country: { local: "country", remote: "fields.country", wins: "remote" },
      partnerName: { local: "partner.name", remote: "fields.partner_name", wins: "local" },
      partnerEmail: { local: "partner.email", remote: "fields.partner_email", wins: "local" },
      partnerCompany: { local: "partner.company", remote: "fields.partner_company", wins: "local" },
      consent: consent({ local: "marketing_status", remote: "status" }),
      groups: set({ local: "groups", remote: "groups" }),
    },
    onNewRemote: "create",
    onNewLocal: "create",
    onLocalDelete: "unsubscribe",
    onRemoteMissing: "mark",
    limits: {
      deletes: { percent: 50, floor: 5 },
      unsubscribes: { percent: 50, floor: 5 },
      blanks: { percent: 50, floor: 5 },
      updates: { percent: 100, floor: 5 },
    },
  }),
});

const PARTNERS = [1, 2, 3].map((n) => `00000000-0000-4000-9000-${String(n).padStart(12, "0")}`);

const withPartner = (n: number): PersonSpec => ({
  client: { partner_id: PARTNERS[n - 1] },
  subscriber: { fields: { partner_name: `Partner ${n}` } },
});

/** By number less one; who is not here is equal on both sides. */
const people: PersonSpec[] = Array.from({ length: 36 }, () => ({}));
people[13] = withPartner(1);
people[14] = withPartner(2);
people[15] = withPartner(3);
people[16] = withPartner(3);
people[22] = { client: null, subscriber: null };
people[23] = { client: null, subscriber: null };
people[24] = { client: null, subscriber: null };
people[25] = { client: null, subscriber: null };
people[26] = { client: null, subscriber: null };
// Was deleted at the remote before anybody was paired.
people[27] = { client: null };
people[28] = { client: null, subscriber: null };

/** A world at the moment before a run. */
export interface OneOfEverything extends AsyncDisposable {
  readonly start: TwoWayMoment;
}

async function edit(world: TwoWayWorld): Promise<void> {
  await world.editClient(1, { first_name: "Bea" });
  world.editSubscriber(2, { fields: { city: "Rome" } });
  await world.editClient(3, { first_name: "Bea" });
  world.editSubscriber(3, { fields: { city: null, phone: "+2" } });
  await world.editClient(4, { email: "four-a@example.com", first_name: "Dee" });
  world.editSubscriber(4, { email: "four-b@example.com" });
  await world.editClient(5, { last_name: null });
  await world.editClient(6, { groups: ["Clients", "VIP", "Unmanaged"] });
  world.editSubscriber(7, { groups: ["VIP", "Newsletter"] });
  await world.editClient(8, { groups: ["Clients", "VIP"] });
  world.editSubscriber(8, { groups: [] });
  await world.editClient(9, { marketing_status: "unsubscribed" });
  world.editSubscriber(10, { status: "bounced" });
  await world.editClient(10, { first_name: "Bea" });
  world.editSubscriber(11, { status: "unsubscribed" });
  await world.editClient(11, { first_name: "Bea" });
  await world.editClient(12, { email: "twelve@example.com" });
  world.editSubscriber(13, { email: "thirteen@example.com" });
  await world.pool.query(`update public.partners set company = 'Acme' where id = $1`, [
    PARTNERS[0],
  ]);
  world.editSubscriber(15, { fields: { partner_name: "Partner of one" } });
  world.editSubscriber(16, { fields: { partner_name: "Partner of two" } });
  await world.deleteClient(18);
  await world.editClient(19, { marketing_status: "unsubscribed" });
  await world.deleteClient(20);
  await world.editClient(21, { email: "twenty-one@nowhere" });
  await world.editClient(22, { email: address(30) });
  await world.addClient(23, { groups: ["VIP"], first_name: "New" });
  await world.addClient(24, { marketing_status: "unsubscribed" });
  world.addSubscriber(25, { groups: ["VIP"] });
  world.addSubscriber(26, { status: "unsubscribed" });
  await world.addClient(27, { city: null, groups: ["VIP"] });
  world.addSubscriber(27, { fields: { country: "Norge" } });
  await world.addClient(28);
  await world.addClient(29);
  await world.addClientAs(clientId(129), 29);
}

/** Makes the world, with everything done to it and no run yet. */
export async function oneOfEverything(meta: string): Promise<OneOfEverything> {
  const world = await twoWayWorld(meta, [], { config: CONFIG, backfill: false });
  for (const [index, id] of PARTNERS.entries()) {
    await world.pool.query(`insert into public.partners (id, name) values ($1, $2)`, [
      id,
      `Partner ${index + 1}`,
    ]);
  }
  for (const [index, { client, subscriber }] of people.entries()) {
    if (client !== null) await world.addClient(index + 1, client);
    if (subscriber !== null) world.addSubscriber(index + 1, subscriber);
  }
  await world.backfill();
  await edit(world);
  const deletions = [19, 20, 28].map(address);
  const start = await TwoWayMoment.keep(world, deletions);
  return { start, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}
