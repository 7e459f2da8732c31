import { phpJson } from "./php_json.ts";
import { restDate } from "./dates.ts";
import { STATUSES } from "./types.ts";

/** How long a counter may stay behind, ms (mailerlite-java: 0 at the assign, 1 five seconds later). */
export const COUNTER_LAG_MS = 5000;

/** A group of the account with its members counted by status. */
export interface AccountGroup {
  readonly id: string;
  readonly createdAt: number;
  name: string;
  removed: boolean;
  /** True member counts, by index in {@link STATUSES}. */
  readonly members: number[];
  /** Member counts as the API shows them. */
  readonly shown: number[];
}

/** One set of groups; subscribers in the same groups share one, which keeps 250,000 rows small. */
export interface Membership {
  readonly groups: readonly AccountGroup[];
  json: string;
  jsonVersion: number;
}

interface PendingCount {
  readonly dueMs: number;
  readonly group: AccountGroup;
  readonly status: number;
  readonly delta: number;
}

/** The groups of an account. */
export class GroupTable {
  readonly none: Membership = { groups: [], json: "[]", jsonVersion: Number.POSITIVE_INFINITY };
  #byId = new Map<string, AccountGroup>();
  #sets = new Map<string, Membership>();
  #pending: PendingCount[] = [];
  /** Rises whenever any serialised group changes. */
  #version = 0;

  get size(): number {
    return this.#byId.size;
  }

  all(): AccountGroup[] {
    return [...this.#byId.values()];
  }

  byId(id: string): AccountGroup | undefined {
    return this.#byId.get(id);
  }

  byName(name: string): AccountGroup | undefined {
    for (const group of this.#byId.values()) if (group.name === name) return group;
    return undefined;
  }

  add(id: string, name: string, createdAt: number): AccountGroup {
    const group: AccountGroup = {
      id,
      name,
      createdAt,
      removed: false,
      members: STATUSES.map(() => 0),
      shown: STATUSES.map(() => 0),
    };
    this.#byId.set(id, group);
    return group;
  }

  rename(group: AccountGroup, name: string): void {
    group.name = name;
    this.#version++;
  }

  /** Forgets the group; memberships drop it when they are next read. */
  remove(group: AccountGroup): void {
    group.removed = true;
    this.#byId.delete(group.id);
    this.#version++;
  }

  /** The shared set of these groups, in the order they were joined. */
  membership(groups: readonly AccountGroup[]): Membership {
    if (groups.length === 0) return this.none;
    const key = groups.map((group) => group.id).join();
    let set = this.#sets.get(key);
    if (set === undefined) {
      set = { groups: [...groups], json: "", jsonVersion: -1 };
      this.#sets.set(key, set);
    }
    return set;
  }

  /** Counts a member in or out; the API shows it `lagMs` later. */
  count(group: AccountGroup, status: number, delta: number, nowMs: number, lagMs: number): void {
    group.members[status] = (group.members[status] ?? 0) + delta;
    if (lagMs > 0) this.#pending.push({ dueMs: nowMs + lagMs, group, status, delta });
    else this.#show(group, status, delta);
  }

  /** Lets counters catch up with what is older than their lag. */
  settle(nowMs: number): void {
    if (this.#pending.length === 0) return;
    const due = this.#pending.filter((entry) => entry.dueMs <= nowMs);
    if (due.length === 0) return;
    this.#pending = this.#pending.filter((entry) => entry.dueMs > nowMs);
    for (const entry of due) this.#show(entry.group, entry.status, entry.delta);
  }

  /** The `groups` array of a subscriber, serialised once for all that share it. */
  membershipJson(set: Membership): string {
    if (set.jsonVersion < this.#version) {
      set.json = `[${set.groups.filter((group) => !group.removed).map(groupJson).join(",")}]`;
      set.jsonVersion = this.#version;
    }
    return set.json;
  }

  #show(group: AccountGroup, status: number, delta: number): void {
    group.shown[status] = (group.shown[status] ?? 0) + delta;
    this.#version++;
  }
}

/**
 * A group as the API writes it (mailerlite-python cassettes, groups-list). The
 * simulator sends no mail, so what counts mail is 0.
 */
export function groupJson(group: AccountGroup): string {
  const [active = 0, unsubscribed = 0, unconfirmed = 0, bounced = 0, junk = 0] = group.shown;
  return `{"id":"${group.id}","name":${
    phpJson(group.name)
  },"active_count":${active},"sent_count":0,` +
    `"opens_count":0,"open_rate":{"float":0,"string":"0%"},"clicks_count":0,"click_rate":{"float":0,"string":"0%"},` +
    `"unsubscribed_count":${unsubscribed},"unconfirmed_count":${unconfirmed},"bounced_count":${bounced},` +
    `"junk_count":${junk},"created_at":"${restDate(group.createdAt)}"}`;
}
