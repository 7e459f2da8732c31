/**
 * An account as lines of JSON: a head, and then the lines a seed takes.
 *
 * @module
 */
import type { World } from "./call.ts";
import { restDate } from "./dates.ts";
import { liveGroups } from "./store.ts";
import type { SubscriberRow } from "./subscriber_row.ts";
import { type FieldValue, type SeedLine, type SeedSubscriber, STATUSES } from "./types.ts";

/** The first line: how to tell a whole file from a part of one, and what no other line shows. */
export interface AccountHead {
  readonly account: 1;
  /** How many lines follow. */
  readonly lines: number;
  /** How many ids were made for the past; the next has to be another. */
  readonly pastIds: number;
}

/** Whether a line's value is the head of an account this program can read. */
export function isAccountHead(value: unknown): value is AccountHead {
  if (typeof value !== "object" || value === null) return false;
  return Reflect.get(value, "account") === 1 && Number.isInteger(Reflect.get(value, "lines")) &&
    Number.isInteger(Reflect.get(value, "pastIds"));
}

function stamp(seconds: number | null): string | null {
  return seconds === null ? null : restDate(seconds);
}

function toSeed(world: World, row: SubscriberRow): SeedSubscriber {
  const fields: Record<string, FieldValue> = {};
  for (const { key, column } of world.store.fields.active()) {
    const value = row.values[column];
    if (value !== null && value !== undefined) fields[key] = value;
  }
  return {
    email: row.email,
    id: row.id,
    status: STATUSES[row.status] ?? "active",
    source: row.source,
    fields,
    groups: liveGroups(row.membership).map(({ id }) => id),
    sent: row.sent,
    opens_count: row.opens,
    clicks_count: row.clicks,
    open_rate: row.openRate,
    click_rate: row.clickRate,
    ip_address: row.ip,
    subscribed_at: stamp(row.subscribedAt),
    unsubscribed_at: stamp(row.unsubscribedAt),
    created_at: restDate(row.createdAt),
    updated_at: restDate(row.updatedAt),
    opted_in_at: stamp(row.optedInAt),
    optin_ip: row.optinIp,
    ...(row.deletedAt === null ? {} : { deleted_at: restDate(row.deletedAt) }),
    ...(row.forgetAt === null ? {} : { forget_at: restDate(row.forgetAt) }),
  };
}

/**
 * The lines of an account: groups, custom fields and subscribers, deleted ones too. Not a
 * deleted one whose address is another's by now, which nothing could bring back.
 */
export function* accountLines(world: World): Generator<string> {
  const { store } = world;
  const rows = store.rows.filter((row) =>
    row.deletedAt === null || store.byEmail(row.email) === row
  );
  const groups = store.groups.all();
  const fields = store.fields.active().filter((field) => !field.isDefault);
  const head: AccountHead = {
    account: 1,
    lines: groups.length + fields.length + rows.length,
    pastIds: store.ids.pastIds,
  };
  yield JSON.stringify(head);
  for (const { id, name } of groups) yield line({ group: { id, name } });
  for (const { name, key, type } of fields) yield line({ field: { name, key, type } });
  for (const row of rows) yield line(toSeed(world, row));
}

function line(entry: SeedLine): string {
  return JSON.stringify(entry);
}
