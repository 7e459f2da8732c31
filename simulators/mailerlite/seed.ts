import type { AccountGroup } from "./account_group.ts";
import type { World } from "./call.ts";
import { parseRestDate } from "./dates.ts";
import { statusIndex } from "./subscriber_change.ts";
import { readFieldValue } from "./subscriber_input.ts";
import type {
  ControlChange,
  Seed,
  SeedField,
  SeedGroup,
  SeedResult,
  SeedSubscriber,
} from "./types.ts";
import { rowJson, type SubscriberRow } from "./subscriber_row.ts";
import type { SubscriberInput } from "./subscriber_input.ts";

/** 2022-01-01 00:00:00 UTC; seeds without a date follow it second by second. */
const FIRST_SEED = 1_640_995_200;

/** Fills an account. Seeds fire no webhooks, count as no requests and leave no history. */
export class Seeder {
  #world: World;
  #count = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /**
   * Adds groups, fields and subscribers.
   *
   * @throws {TypeError} names the seed by its position (never by its address) and what is wrong with it.
   */
  seed(seed: Seed): SeedResult {
    const first = this.#world.store.rows.length;
    const groups = (seed.groups ?? []).map((group) => this.#group(group));
    const fields = (seed.fields ?? []).map((field) => this.#field(field));
    try {
      for (const subscriber of seed.subscribers ?? []) this.#subscriber(subscriber);
    } finally {
      this.#world.store.sort();
    }
    this.#world.store.groups.settle(Number.POSITIVE_INFINITY);
    this.#warm(first);
    return {
      subscribers: seed.subscribers?.length ?? 0,
      groups: Object.fromEntries(groups.map((group) => [group.name, group.id])),
      fields: Object.fromEntries(fields.map((field) => [field.name, field.key])),
    };
  }

  /** Writes the seeded rows once, so that the first page of a measured run costs no more than the others. */
  #warm(first: number): void {
    const { rows } = this.#world.store;
    const format = this.#world.store.format();
    if (!format.keep) return;
    for (let index = first; index < rows.length; index++) {
      const row = rows[index];
      if (row !== undefined) rowJson(row, format);
    }
  }

  #group(seed: SeedGroup): AccountGroup {
    const { store } = this.#world;
    const { name, id } = typeof seed === "string" ? { name: seed, id: undefined } : seed;
    const known = id === undefined ? store.groups.byName(name) : store.groups.byId(id);
    if (known !== undefined) return known;
    this.#world.recorder.seeded();
    if (id !== undefined) store.ids.observe(id);
    return store.groups.add(id ?? store.ids.at(FIRST_SEED * 1000), name, FIRST_SEED);
  }

  #field(seed: SeedField) {
    const { fields } = this.#world.store;
    const { name, key, type } = typeof seed === "string"
      ? { name: seed, key: undefined, type: undefined }
      : seed;
    const known = key === undefined
      ? fields.active().find((field) => field.name === name)
      : fields.byKey(key);
    if (known !== undefined) return known;
    this.#world.recorder.seeded();
    return fields.add(name, type ?? "text", key);
  }

  #subscriber(seed: SeedSubscriber): void {
    const { store } = this.#world;
    const position = this.#count++;
    const email = seed.email.trim().toLowerCase();
    if (store.byEmail(email) !== undefined) {
      throw new TypeError(
        `Cannot seed subscriber ${position}: its address is taken, every address must be unique`,
      );
    }
    const created = this.#seconds(seed.created_at, position) ?? FIRST_SEED + position;
    const id = seed.id ?? store.ids.at(created * 1000);
    if (seed.id !== undefined) store.ids.observe(id);
    const status = seed.status ?? "active";
    const row = store.append(id, email, created, statusIndex(status));
    this.#fill(row, seed, created, position);
    this.#setFields(row, seed.fields ?? {});
    if (seed.groups !== undefined && seed.groups.length > 0) {
      store.setMembership(row, this.findGroups(seed.groups));
    }
    this.#setDeleted(row, seed, position);
    this.#world.recorder.seeded();
  }

  #fill(row: SubscriberRow, seed: SeedSubscriber, created: number, position: number): void {
    const stamp = (text: string | null | undefined, fallback: number | null): number | null =>
      text === null ? null : this.#seconds(text, position) ?? fallback;
    row.source = seed.source ?? "api";
    row.sent = seed.sent ?? 0;
    row.opens = seed.opens_count ?? 0;
    row.clicks = seed.clicks_count ?? 0;
    row.openRate = seed.open_rate ?? 0;
    row.clickRate = seed.click_rate ?? 0;
    row.ip = seed.ip_address ?? null;
    row.optinIp = seed.optin_ip ?? null;
    row.subscribedAt = stamp(seed.subscribed_at, seed.status === "unconfirmed" ? null : created);
    row.unsubscribedAt = stamp(
      seed.unsubscribed_at,
      seed.status === "unsubscribed" ? created : null,
    );
    row.optedInAt = stamp(seed.opted_in_at, null);
    row.updatedAt = this.#seconds(seed.updated_at, position) ?? created;
  }

  #setDeleted(row: SubscriberRow, seed: SeedSubscriber, position: number): void {
    row.forgetAt = this.#seconds(seed.forget_at, position) ?? null;
    const deletedAt = this.#seconds(seed.deleted_at, position) ?? row.forgetAt;
    if (deletedAt !== null) this.#world.store.setDeleted(row, deletedAt);
    if (row.forgetAt !== null) this.#world.journal.eraseLater(row.id, row.forgetAt);
  }

  #setFields(row: SubscriberRow, values: NonNullable<SeedSubscriber["fields"]>): void {
    for (const [key, value] of Object.entries(values)) {
      const field = this.#world.store.fields.byKey(key) ??
        this.#world.store.fields.add(key, "text", key);
      const read = readFieldValue(field, value, this.#world.switches);
      if ("error" in read) {
        throw new TypeError(`Cannot seed field "${key}" of subscriber ${row.id}: ${read.error}`);
      }
      while (row.values.length <= field.column) row.values.push(null);
      row.values[field.column] = read.value;
    }
  }

  /** Groups by id or name; a name the account lacks becomes a group. */
  findGroups(keys: readonly string[]): AccountGroup[] {
    return [...new Set(keys.map((key) => this.#world.store.groups.byId(key) ?? this.#group(key)))];
  }

  /** A dashboard edit as an input for the row. */
  toInput(change: ControlChange): SubscriberInput {
    const input: SubscriberInput = { values: new Map(), resubscribe: false };
    if (change.email !== undefined) input.email = change.email.trim().toLowerCase();
    if (change.status !== undefined) input.status = statusIndex(change.status);
    if (change.groups !== undefined) input.groups = this.findGroups(change.groups);
    for (const [key, value] of Object.entries(change.fields ?? {})) {
      const field = this.#world.store.fields.byKey(key);
      if (field === undefined) {
        throw new TypeError(`Cannot change field "${key}": the account has no such field`);
      }
      const read = readFieldValue(field, value, this.#world.switches);
      if ("error" in read) throw new TypeError(`Cannot change field "${key}": ${read.error}`);
      input.values.set(field, read.value);
    }
    return input;
  }

  #seconds(text: string | null | undefined, position: number): number | undefined {
    if (text === undefined || text === null) return undefined;
    const seconds = parseRestDate(text);
    if (seconds === undefined) {
      throw new TypeError(
        `Cannot seed subscriber ${position}: "${text}" is not of the form YYYY-MM-DD HH:MM:SS`,
      );
    }
    return seconds;
  }
}
