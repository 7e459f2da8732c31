import type { AccountGroup } from "./account_group.ts";
import type { World } from "./call.ts";
import { eventRowJson, type SubscriberRow } from "./subscriber_row.ts";
import type { SubscriberInput } from "./subscriber_input.ts";
import { liveGroups } from "./store.ts";
import { type Status, STATUSES, type Via } from "./types.ts";

/** How a status stands in a row. */
export function statusIndex(status: Status): number {
  return STATUSES.indexOf(status);
}

const UNSUBSCRIBED = statusIndex("unsubscribed");

/** What a status change fires (MailerLite docs, Webhooks); unconfirmed fires nothing. */
const STATUS_EVENTS: Readonly<Record<Status, string | undefined>> = {
  active: "subscriber.active",
  unsubscribed: "subscriber.unsubscribed",
  unconfirmed: undefined,
  bounced: "subscriber.bounced",
  junk: "subscriber.spam_reported",
};

/** Fires an event about a subscriber at every webhook that listens. */
export function fire(world: World, event: string, row: SubscriberRow, group?: AccountGroup): void {
  if (!world.webhooks.listening(event)) return;
  const open = eventRowJson(row, world.store.format());
  world.webhooks.emit(
    event,
    open,
    group === undefined ? undefined : { id: group.id, name: group.name },
  );
}

/** How an input is laid over a row. */
export interface ChangeOptions {
  readonly via: Via;
  /** PUT replaces the membership, POST adds to it (MailerLite docs, Subscribers). */
  readonly groups: "add" | "replace";
  /** A new row announces itself by another event. */
  readonly quiet?: boolean;
}

/**
 * Lays an input over a row and fires what it changed. A change that changes
 * nothing leaves `updated_at` alone (mailerlite-ruby fixtures, subscribers/create).
 */
export function applyInput(
  world: World,
  row: SubscriberRow,
  input: SubscriberInput,
  options: ChangeOptions,
): boolean {
  const fieldsChanged = applyValues(row, input);
  const emailChanged = input.email !== undefined && input.email !== row.email;
  if (emailChanged && input.email !== undefined) world.store.setEmail(row, input.email);
  const statusChanged = applyStatus(world, row, input);
  const stampsChanged = applyStamps(row, input);
  const membershipChanged = input.groups !== undefined &&
    applyGroups(world, row, input.groups, options);
  const changed = fieldsChanged || emailChanged || statusChanged || stampsChanged ||
    membershipChanged;
  if (!changed) return false;
  row.updatedAt = world.store.nowSeconds();
  row.head = null;
  if (options.quiet) return true;
  const emailFires = emailChanged && world.switches.updatedFiresOnEmailChange === "yes";
  if (fieldsChanged || emailFires) fire(world, "subscriber.updated", row);
  const statusEvent = STATUS_EVENTS[STATUSES[row.status] ?? "active"];
  if (statusChanged && statusEvent !== undefined) fire(world, statusEvent, row);
  return true;
}

function applyValues(row: SubscriberRow, input: SubscriberInput): boolean {
  let changed = false;
  for (const [field, value] of input.values) {
    if ((row.values[field.column] ?? null) === value) continue;
    while (row.values.length <= field.column) row.values.push(null);
    row.values[field.column] = value;
    changed = true;
  }
  return changed;
}

function applyStatus(world: World, row: SubscriberRow, input: SubscriberInput): boolean {
  if (input.status === undefined || input.status === row.status) return false;
  const was = row.status;
  world.store.setStatus(row, input.status);
  const now = world.store.nowSeconds();
  if (row.status === UNSUBSCRIBED) {
    row.unsubscribedAt = now;
    world.journal.log("unsubscribed", row.id, now);
  } else if (was === UNSUBSCRIBED) row.unsubscribedAt = null;
  if (STATUSES[row.status] === "active") row.subscribedAt ??= now;
  return true;
}

function applyStamps(row: SubscriberRow, input: SubscriberInput): boolean {
  let changed = false;
  const put = <K extends "ip" | "optinIp" | "subscribedAt" | "unsubscribedAt" | "optedInAt">(
    key: K,
    value: SubscriberRow[K] | undefined,
  ): void => {
    if (value === undefined || value === row[key]) return;
    row[key] = value;
    changed = true;
  };
  put("ip", input.ip);
  put("optinIp", input.optinIp);
  put("subscribedAt", input.subscribedAt);
  put("unsubscribedAt", input.unsubscribedAt);
  put("optedInAt", input.optedInAt);
  return changed;
}

/**
 * Changes a membership, moves `updated_at` (mailerlite-java, assign and
 * unassign) and fires an event for each group joined or left.
 */
export function applyGroups(
  world: World,
  row: SubscriberRow,
  groups: readonly AccountGroup[],
  options: ChangeOptions,
): boolean {
  const before = liveGroups(row.membership);
  const after = options.groups === "replace"
    ? groups
    : [...before, ...groups.filter((group) => !before.includes(group))];
  const joined = after.filter((group) => !before.includes(group));
  const left = before.filter((group) => !after.includes(group));
  if (joined.length === 0 && left.length === 0) return false;
  world.store.setMembership(row, after);
  row.updatedAt = world.store.nowSeconds();
  row.head = null;
  const at = world.nowMs();
  for (const group of joined) {
    world.recorder.write(at, "subscriber.join_group", row.id, options.via, group.id);
    fire(world, "subscriber.added_to_group", row, group);
  }
  for (const group of left) {
    world.recorder.write(at, "subscriber.leave_group", row.id, options.via, group.id);
    fire(world, "subscriber.removed_from_group", row, group);
  }
  return true;
}
