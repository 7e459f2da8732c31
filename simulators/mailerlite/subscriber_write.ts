import { type Answer, answer, NO_CONTENT, notFound, unprocessable } from "./answers.ts";
import type { ApiCall, World } from "./call.ts";
import { applyInput, fire, statusIndex } from "./subscriber_change.ts";
import { readSubscriberInput, type SubscriberInput } from "./subscriber_input.ts";
import { forgottenRowJson, rowJson, type SubscriberRow } from "./subscriber_row.ts";
import { STATUSES, type Via } from "./types.ts";

const ACTIVE = statusIndex("active");
const UNSUBSCRIBED = statusIndex("unsubscribed");
const UNCONFIRMED = statusIndex("unconfirmed");
const FORGET_SECONDS = 30 * 86_400;

/** `{"data": …}` of one subscriber, groups included. */
export function subscriberAnswer(world: World, status: number, row: SubscriberRow): Answer {
  const groups = world.store.groups.membershipJson(row.membership);
  return answer(status, `{"data":${rowJson(row, world.store.format(), groups)}}`);
}

function refusal(row: SubscriberRow): Answer {
  const state = STATUSES[row.status] ?? "unsubscribed";
  // The text and the extra key are reported in mailerlite-nodejs, issue 37; other states are put alike.
  return unprocessable({ email: [`This subscriber is ${state} and cannot be imported`] }, {
    subscriber: row.id,
  });
}

function lowered(row: SubscriberRow): boolean {
  return row.status !== ACTIVE && row.status !== UNCONFIRMED;
}

/** What became of one upsert; imports count by it. */
export type Upsert =
  | { kind: "created" | "revived" | "updated" | "unchanged"; row: SubscriberRow }
  | { kind: "refused"; row: SubscriberRow };

/** Creates, revives or updates by address (MailerLite docs, Subscribers). The input must hold an address. */
export function upsert(
  world: World,
  email: string,
  input: SubscriberInput,
  via: Via,
  source: string,
): Upsert {
  const row = world.store.byEmail(email);
  if (row === undefined) return { kind: "created", row: create(world, email, input, via, source) };
  if (row.deletedAt !== null) return revive(world, row, email, input, via, source);
  if (lowered(row)) return upsertLowered(world, row, input, via);
  return change(world, row, input, via);
}

function change(world: World, row: SubscriberRow, input: SubscriberInput, via: Via): Upsert {
  const changed = applyInput(world, row, input, { via, groups: "add" });
  if (changed) world.recorder.write(world.nowMs(), "subscriber.update", row.id, via);
  return { kind: changed ? "updated" : "unchanged", row };
}

function upsertLowered(world: World, row: SubscriberRow, input: SubscriberInput, via: Via): Upsert {
  const isUnsubscribed = row.status === UNSUBSCRIBED;
  const flag = isUnsubscribed
    ? world.switches.resubscribeUnsubscribed
    : world.switches.resubscribeBouncedOrJunk;
  if (input.resubscribe && flag === "reactivate") {
    return change(world, row, { ...input, status: ACTIVE }, via);
  }
  if (!isUnsubscribed && world.switches.upsertBouncedOrJunk === "accept_200") {
    return change(world, row, { ...input, status: row.status }, via);
  }
  return { kind: "refused", row };
}

function create(
  world: World,
  email: string,
  input: SubscriberInput,
  via: Via,
  source: string,
): SubscriberRow {
  const { store } = world;
  const now = store.nowSeconds();
  const status = input.status ??
    (world.switches.doubleOptIn === "on" && source === "api" ? UNCONFIRMED : ACTIVE);
  const row = store.insert(store.ids.next(world.nowMs()), email, now, status);
  row.source = source;
  // A new unconfirmed row has no subscribed_at (mailerlite-java, TestCreateSubscriber).
  row.subscribedAt = status === UNCONFIRMED ? null : now;
  row.unsubscribedAt = status === UNSUBSCRIBED ? now : null;
  world.recorder.write(world.nowMs(), "subscriber.create", row.id, via);
  announce(world, row, input, via, "subscriber.created");
  return row;
}

/** Fires the row's own event first and those of its groups after it. */
function announce(
  world: World,
  row: SubscriberRow,
  input: SubscriberInput,
  via: Via,
  event: string,
): void {
  const { groups, ...rest } = input;
  applyInput(world, row, rest, { via, groups: "add", quiet: true });
  fire(world, event, row);
  if (groups !== undefined) {
    applyInput(world, row, { values: new Map(), resubscribe: false, groups }, {
      via,
      groups: "add",
    });
  }
}

/**
 * A delete is soft: the same address comes back under its old id with 200 and
 * its old `created_at` (mailerlite-python cassettes, subscribers-forget), and
 * `updated_at` moves.
 */
function revive(
  world: World,
  row: SubscriberRow,
  email: string,
  input: SubscriberInput,
  via: Via,
  source: string,
): Upsert {
  const { store, switches } = world;
  if (row.forgetAt !== null && switches.postAfterForget === "new_id") {
    store.releaseEmail(row);
    return { kind: "created", row: create(world, email, input, via, source) };
  }
  if (lowered(row) && switches.reviveUnsubscribed === "reject_422" && !input.resubscribe) {
    return { kind: "refused", row };
  }
  if (switches.deleteEmptiesGroups === "yes") store.setMembership(row, []);
  if (switches.deleteKeepsFieldValues === "no") row.values = [];
  store.setDeleted(row, null);
  row.forgetAt = null;
  store.setStatus(row, input.status ?? ACTIVE);
  row.unsubscribedAt = row.status === UNSUBSCRIBED ? store.nowSeconds() : null;
  row.updatedAt = store.nowSeconds();
  world.recorder.write(world.nowMs(), "subscriber.revive", row.id, via);
  announce(
    world,
    row,
    input,
    via,
    switches.revivalEvent === "active" ? "subscriber.active" : "subscriber.created",
  );
  return { kind: "revived", row };
}

/** POST /subscribers. */
export function postSubscriber(world: World, call: ApiCall): Answer {
  const read = readSubscriberInput({ email: null, ...call.body }, world.store, world.switches);
  if (!read.ok) return unprocessable(read.errors);
  const { email, ...input } = read.input;
  if (email === undefined) return unprocessable({ email: ["The email field is required."] });
  const done = upsert(world, email, input, call.via, "api");
  if (done.kind === "refused") return refusal(done.row);
  return subscriberAnswer(world, done.kind === "created" ? 201 : 200, done.row);
}

/** A subscriber by id or, where the switch allows it, by address; deleted ones do not count. */
function writable(world: World, key: string): SubscriberRow | undefined {
  const byEmail = key.includes("@") && world.switches.putByEmail === "accept";
  const row = byEmail ? world.store.byEmail(key) : world.store.byId(key);
  return row?.deletedAt === null ? row : undefined;
}

/** PUT /subscribers/{id}: groups replace, fields merge, the id stays when the address changes. */
export function putSubscriber(world: World, call: ApiCall, [key = ""]: readonly string[]): Answer {
  const row = writable(world, key);
  if (row === undefined) return notFound("subscriber", key);
  const { email: sentEmail, ...body } = call.body;
  const read = readSubscriberInput(
    sentEmail ? { ...body, email: sentEmail } : body,
    world.store,
    world.switches,
  );
  if (!read.ok) return unprocessable(read.errors);
  const input = read.input;
  if (lowered(row)) {
    if (row.status === UNSUBSCRIBED && world.switches.putFieldsOnUnsubscribed === "reject_422") {
      return refusal(row);
    }
    if (input.status === ACTIVE || input.status === UNCONFIRMED) {
      if (world.switches.putActiveOnLowered === "reject_422") {
        const state = STATUSES[row.status] ?? "unsubscribed";
        return unprocessable({
          status: [`This subscriber is ${state} and cannot be re-activated`],
        });
      }
      delete input.status;
    }
  }
  const holder = input.email === undefined ? undefined : world.store.byEmail(input.email);
  if (holder !== undefined && holder !== row) {
    if (world.switches.emailCollision === "reject_422") {
      return unprocessable({ email: ["The email has already been taken."] });
    }
    delete input.email;
  }
  const changed = applyInput(world, row, input, { via: call.via, groups: "replace" });
  if (changed) world.recorder.write(world.nowMs(), "subscriber.update", row.id, call.via);
  return subscriberAnswer(world, 200, row);
}

/** DELETE /subscribers/{id}: soft. */
export function deleteSubscriber(
  world: World,
  call: ApiCall,
  [key = ""]: readonly string[],
): Answer {
  const row = writable(world, key);
  if (row === undefined) return notFound("subscriber", key);
  softDelete(world, row, call.via);
  return NO_CONTENT;
}

/** Marks a row deleted; it leaves lists, counts and the members of its groups. */
export function softDelete(world: World, row: SubscriberRow, via: Via): void {
  world.store.setDeleted(row, world.store.nowSeconds());
  world.recorder.write(world.nowMs(), "subscriber.delete", row.id, via);
  fire(world, "subscriber.deleted", row);
}

/** POST /subscribers/{id}/forget: deleted now, erased after 30 days. */
export function forgetSubscriber(
  world: World,
  call: ApiCall,
  [key = ""]: readonly string[],
): Answer {
  const row = writable(world, key);
  if (row === undefined) return notFound("subscriber", key);
  const now = world.store.nowSeconds();
  world.store.setDeleted(row, now);
  row.forgetAt = now + FORGET_SECONDS;
  world.journal.eraseLater(row.id, row.forgetAt);
  world.recorder.write(world.nowMs(), "subscriber.forget", row.id, call.via);
  fire(world, "subscriber.deleted", row);
  const groups = world.store.groups.membershipJson(row.membership);
  const text = "Subscriber data will be completely deleted and forgotten within 30 days.";
  return answer(
    200,
    `{"data":${forgottenRowJson(row, world.store.format(), groups)},"message":"${text}"}`,
  );
}
