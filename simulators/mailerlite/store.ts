import { FieldTable } from "./account_field.ts";
import { type AccountGroup, COUNTER_LAG_MS, GroupTable, type Membership } from "./account_group.ts";
import { compareIds, IdFactory } from "./ids.ts";
import { type RowFormat, rowFormat, SubscriberRow } from "./subscriber_row.ts";
import type { Switches } from "./switches.ts";
import { STATUSES } from "./types.ts";

/** Up to here serialised rows are kept, some 0.5 kB each; larger accounts write them anew to stay small. */
const KEEP_ROWS = 50_000;

/** What a store needs from outside. */
export interface StoreContext {
  nowMs(): number;
  readonly switches: Readonly<Switches>;
}

interface LateMembership {
  readonly before: Membership;
  readonly untilMs: number;
}

/** Everything the account holds on people: rows sorted by id, addresses, fields, groups. */
export class Store {
  readonly fields = new FieldTable();
  readonly groups = new GroupTable();
  readonly ids = new IdFactory();
  /** Rising ids, deleted rows included. Lists walk it from the end. */
  readonly rows: SubscriberRow[] = [];
  deletedCount = 0;
  readonly statusCounts: number[] = STATUSES.map(() => 0);
  #byEmail = new Map<string, SubscriberRow>();
  #late = new Map<SubscriberRow, LateMembership>();
  #format: RowFormat | undefined;
  #sorted = true;
  #context: StoreContext;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** Seconds since 1970 on the simulator's clock. */
  nowSeconds(): number {
    return Math.floor(this.#context.nowMs() / 1000);
  }

  /** How rows are written now. */
  format(): RowFormat {
    const numbersAsText = this.#context.switches.numberType === "string";
    const version = this.fields.version * 2 + (numbersAsText ? 1 : 0);
    const keep = this.rows.length <= KEEP_ROWS;
    if (this.#format?.version !== version || this.#format.keep !== keep) {
      if (!keep) { for (const row of this.rows) row.head = null; }
      this.#format = rowFormat(version, this.fields.active(), numbersAsText, keep);
    }
    return this.#format;
  }

  /** The row at or before which `id` stands: the number of rows whose id is lower. */
  indexOf(id: string): number {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const row = this.rows[middle];
      if (row !== undefined && compareIds(row.id, id) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  byId(id: string): SubscriberRow | undefined {
    const row = this.rows[this.indexOf(id)];
    return row?.id === id ? row : undefined;
  }

  /** Addresses are compared in lower case (recorded: MNMnxYoVFs@… is answered mnmnxyovfs@…). */
  byEmail(email: string): SubscriberRow | undefined {
    return this.#byEmail.get(email.trim().toLowerCase());
  }

  /** Adds a row; `status` counts from the start, groups are joined afterwards. */
  insert(id: string, email: string, createdAt: number, status: number): SubscriberRow {
    const row = new SubscriberRow(id, email, createdAt, this.groups.none);
    row.status = status;
    const last = this.rows.at(-1);
    if (last === undefined || compareIds(last.id, id) < 0) this.rows.push(row);
    else this.rows.splice(this.indexOf(id), 0, row);
    this.#byEmail.set(email, row);
    this.#count(status, 1);
    return row;
  }

  /** Adds a row without keeping the order: for seeds, followed by {@link Store.sort}. */
  append(id: string, email: string, createdAt: number, status: number): SubscriberRow {
    const row = new SubscriberRow(id, email, createdAt, this.groups.none);
    row.status = status;
    const last = this.rows.at(-1);
    if (last !== undefined && compareIds(last.id, id) >= 0) this.#sorted = false;
    this.rows.push(row);
    this.#byEmail.set(email, row);
    this.#count(status, 1);
    return row;
  }

  /**
   * Puts appended rows into their places.
   *
   * @throws {TypeError} when two rows have the same id.
   */
  sort(): void {
    if (this.#sorted) return;
    this.#sorted = true;
    this.rows.sort((a, b) => compareIds(a.id, b.id));
    const twice = this.rows.find((row, index) => row.id === this.rows[index + 1]?.id);
    if (twice !== undefined) {
      throw new TypeError(
        `Cannot sort subscribers: id ${twice.id} is taken twice, every id must be unique`,
      );
    }
  }

  /** Takes a row out for good (a forget whose 30 days are over). */
  erase(row: SubscriberRow): void {
    if (row.deletedAt === null) this.setDeleted(row, this.nowSeconds());
    this.deletedCount--;
    this.rows.splice(this.indexOf(row.id), 1);
    if (this.#byEmail.get(row.email) === row) this.#byEmail.delete(row.email);
  }

  /** Frees the address of a row that stays, for a new subscriber to take it. */
  releaseEmail(row: SubscriberRow): void {
    if (this.#byEmail.get(row.email) === row) this.#byEmail.delete(row.email);
  }

  setEmail(row: SubscriberRow, email: string): void {
    this.releaseEmail(row);
    row.email = email;
    row.head = null;
    this.#byEmail.set(email, row);
  }

  setStatus(row: SubscriberRow, status: number): void {
    if (row.status === status) return;
    if (row.deletedAt === null) {
      this.#count(row.status, -1);
      this.#count(status, 1);
      for (const group of liveGroups(row.membership)) {
        this.#countMember(group, row.status, -1);
        this.#countMember(group, status, 1);
      }
    }
    row.status = status;
    row.head = null;
  }

  setMembership(row: SubscriberRow, groups: readonly AccountGroup[]): void {
    const next = this.groups.membership(groups);
    if (next === row.membership) return;
    if (row.deletedAt === null) {
      const before = liveGroups(row.membership);
      for (const group of before) {
        if (!groups.includes(group)) this.#countMember(group, row.status, -1);
      }
      for (const group of groups) {
        if (!before.includes(group)) this.#countMember(group, row.status, 1);
      }
    }
    this.#rememberMembership(row);
    row.membership = next;
  }

  setDeleted(row: SubscriberRow, at: number | null): void {
    const change = at === null ? 1 : -1;
    if ((row.deletedAt === null) !== (at === null)) {
      this.#count(row.status, change);
      this.deletedCount -= change;
      for (const group of liveGroups(row.membership)) this.#countMember(group, row.status, change);
    }
    row.deletedAt = at;
    row.head = null;
  }

  /** The set of groups a group's list goes by: behind the truth while the list lags. */
  listedMembership(row: SubscriberRow): Membership {
    if (this.#late.size === 0) return row.membership;
    const late = this.#late.get(row);
    if (late === undefined) return row.membership;
    if (late.untilMs > this.#context.nowMs()) return late.before;
    this.#late.delete(row);
    return row.membership;
  }

  #rememberMembership(row: SubscriberRow): void {
    if (this.#context.switches.groupListLag === "none") return;
    const before = this.listedMembership(row);
    this.#late.set(row, { before, untilMs: this.#context.nowMs() + COUNTER_LAG_MS });
  }

  #count(status: number, delta: number): void {
    this.statusCounts[status] = (this.statusCounts[status] ?? 0) + delta;
  }

  #countMember(group: AccountGroup, status: number, delta: number): void {
    const lagMs = this.#context.switches.groupCounters === "lagging" ? COUNTER_LAG_MS : 0;
    this.groups.count(group, status, delta, this.#context.nowMs(), lagMs);
  }
}

/** The groups of a set that still exist. */
export function liveGroups(membership: Membership): AccountGroup[] {
  return membership.groups.filter((group) => !group.removed);
}
