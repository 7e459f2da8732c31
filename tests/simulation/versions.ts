/**
 * The ledger: every value that ever stood on a side, who put it there and what
 * they could see when they did.
 *
 * @module
 */
import type { Json } from "../../shared/merge/json.ts";
import type { CanonicalRecord, FieldRule, PairRules } from "../../shared/merge/pair.ts";
import { sameJson } from "../../shared/merge/same_json.ts";
import type { LivingLink } from "./world.ts";

/** Side A or side B. */
export type Side = "a" | "b";

/** A value of one slot of one record: of a field, or one name of a set. */
export interface Version {
  readonly id: number;
  readonly side: Side;
  readonly record: string;
  readonly slot: string;
  readonly value: Json;
  /** `start`: the record came into being with it. */
  readonly by: "start" | "user" | "operator";
  /** When, in steps of the simulation. */
  readonly at: number;
  /** What its author saw in its place. */
  readonly seen: readonly Version[];
  /** What stood on the other side then, where it was the same. */
  readonly same: readonly Version[];
  /** The link its record had then, if the sides had agreed on anything. */
  readonly link: number | null;
}

/** The other side of a pair. */
export function otherSide(side: Side): Side {
  return side === "a" ? "b" : "a";
}

/** What was seen, directly or not, by who made a version, the version among it. */
function ancestorsOf(version: Version, same: boolean): Version[] {
  const found = new Set<Version>();
  const left = [version];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    left.push(...next.seen, ...same ? next.same : []);
  }
  return [...found];
}

/**
 * Whether `older` was seen, directly or not, by who made `newer`.
 *
 * @param same Whether an equal value of the other side counts as seen.
 */
export function isAncestor(older: Version, newer: Version, same: boolean): boolean {
  return ancestorsOf(newer, same).some((version) =>
    version === older ||
    // A text is made up once only, so who saw it elsewhere has seen it.
    same && typeof version.value === "string" && version.value === older.value
  );
}

/** Whether whoever made a version had another one before them, on their side or as an equal value of the other. */
export function hadSeen(newer: Version, older: Version): boolean {
  return ancestorsOf(newer, older.by === "start").includes(older);
}

/** The slots of a record: a value and a consent are one each, a set is one a name. */
export function slotsOf(rules: PairRules, record: CanonicalRecord): Map<string, Json> {
  const slots = new Map<string, Json>();
  for (const [field, rule] of Object.entries(rules.fields)) {
    const value = record[field] ?? null;
    if (rule.kind !== "set") slots.set(field, value);
    else {
      for (const name of rule.managed) {
        slots.set(`${field}/${name}`, Array.isArray(value) && value.includes(name));
      }
    }
  }
  return slots;
}

/** The rule of a slot. */
export function ruleOfSlot(rules: PairRules, slot: string): FieldRule | undefined {
  return rules.fields[slot.split("/")[0] ?? ""];
}

/** How a change by the sync came about. */
export interface Copied {
  readonly old: Version;
  /** null where nobody ever put this value on either side. */
  readonly now: Version | null;
}

/** All versions of a simulation. */
export class Versions {
  #next = 0;
  /** By side, record and slot, oldest first: what stood there, the sync's copies among them. */
  readonly #history = new Map<string, Version[]>();
  readonly #operators: Version[] = [];
  readonly #confirmed = new Set<string>();
  /** Of side A and side B. */
  readonly #settled = new Set<string>();

  #key(side: Side, record: string, slot: string): string {
    return `${side}:${record}:${slot}`;
  }

  /** What stood in a slot, oldest first. */
  history(side: Side, record: string, slot: string): readonly Version[] {
    return this.#history.get(this.#key(side, record, slot)) ?? [];
  }

  /** The sync has written down that a value stood on a side. */
  confirm(side: Side, record: string, slot: string, value: Json): boolean {
    const stood = this.history(side, record, slot).filter((each) => sameJson(each.value, value));
    for (const { id } of stood) this.#confirmed.add(`${side}:${record}:${id}`);
    return stood.length > 0;
  }

  isConfirmed(side: Side, record: string, { id }: Version): boolean {
    return this.#confirmed.has(`${side}:${record}:${id}`);
  }

  /** The sync has written down that two values stand apart and are to stay so until somebody edits one. */
  settle(aId: string, bId: string, slot: string, a: Json, b: Json): void {
    const theirs = this.history("b", bId, slot).filter(({ value }) => sameJson(value, b));
    for (const own of this.history("a", aId, slot)) {
      if (!sameJson(own.value, a)) continue;
      for (const other of theirs) this.#settled.add(`${own.id}:${other.id}`);
    }
  }

  /** The sync has written down that two records agree on a slot: what it kept apart there is over. */
  agree(aId: string, bId: string, slot: string): void {
    const theirs = this.history("b", bId, slot);
    for (const own of this.history("a", aId, slot)) {
      for (const other of theirs) this.#settled.delete(`${own.id}:${other.id}`);
    }
  }

  /** Whether who made `now` had before them what the sync keeps apart from `old`, of this side. */
  isSettled(side: Side, old: Version, now: Version): boolean {
    return ancestorsOf(now, false).some(({ id }) =>
      this.#settled.has(side === "a" ? `${old.id}:${id}` : `${id}:${old.id}`)
    );
  }

  current(side: Side, record: string, slot: string): Version | undefined {
    return this.history(side, record, slot).at(-1);
  }

  /**
   * Whether a value that stood in a slot was given up for another, and came back before
   * the sync had heard of any other, so that for who made `now` nothing has happened.
   */
  isBack(side: Side, record: string, old: Version, now: Version): boolean {
    if (isAncestor(now, old, false)) return false;
    const list = this.history(side, record, old.slot);
    const earlier = list.slice(0, Math.max(list.lastIndexOf(old), 0));
    const place = earlier.findLastIndex((version) =>
      sameJson(version.value, old.value) &&
      [version, ...version.same].some((each) => isAncestor(each, now, true))
    );
    return place >= 0 &&
      earlier.slice(place).every((since) =>
        sameJson(since.value, old.value) || !this.isConfirmed(side, record, since)
      );
  }

  /**
   * Whether somebody put back what had stood in a slot before the sync wrote over it
   * and never heard so: that, or what the value it writes now was made of.
   */
  isTakenBack(side: Side, record: string, old: Version, now: Version): boolean {
    const list = this.history(side, record, old.slot);
    const earlier = list.slice(0, Math.max(list.lastIndexOf(old), 0));
    const place = earlier.findLastIndex((written) =>
      isAncestor(written, now, false) && !this.isConfirmed(side, record, written)
    );
    const before = earlier[place - 1];
    // What the sync has heard of since is its base, and so is not what came back.
    return before !== undefined && sameJson(before.value, old.value) &&
      this.isConfirmed(side, record, before) &&
      earlier.slice(place).every((since) =>
        sameJson(since.value, old.value) || !this.isConfirmed(side, record, since)
      );
  }

  /**
   * Whether somebody put back what had stood in a slot when its record was linked,
   * while nothing that stood on either side since was ever agreed on: to who knows
   * both sides as they were linked, nothing has happened.
   */
  isAsLinked(side: Side, old: Version, partner: string): boolean {
    if (old.link === null) return false;
    const stood = this.history(side, old.record, old.slot);
    const list = stood.slice(0, stood.lastIndexOf(old) + 1);
    const place = list.findLastIndex(({ link }) => link !== old.link);
    const theirs = this.history(otherSide(side), partner, old.slot);
    const isAgreed = (own: Version, other: Version) =>
      sameJson(own.value, other.value) ||
      this.#settled.has(side === "a" ? `${own.id}:${other.id}` : `${other.id}:${own.id}`);
    return sameJson(list[place]?.value, old.value) &&
      list.slice(place).every((own) =>
        own.same.length === 0 && !theirs.some((other) => isAgreed(own, other))
      );
  }

  #put(version: Version, side = version.side, record = version.record): void {
    const key = this.#key(side, record, version.slot);
    const list = this.#history.get(key);
    if (list === undefined) this.#history.set(key, [version]);
    else if (list.at(-1) !== version) list.push(version);
  }

  /** A record comes into being, or comes back. */
  begin(
    side: Side,
    record: string,
    slots: ReadonlyMap<string, Json>,
    at: number,
    partner: string | null = null,
  ): void {
    for (const [slot, value] of slots) {
      const own = this.current(side, record, slot);
      if (own !== undefined && sameJson(own.value, value)) continue;
      const id = ++this.#next;
      const saw = this.#saw(side, record, slot, partner);
      this.#put({ id, side, record, slot, value, by: "start", at, ...saw, link: null });
    }
  }

  /** Two records were the same from the beginning, where they are equal. */
  share(aId: string, bId: string): void {
    for (const [key, list] of this.#history) {
      const prefix = this.#key("a", aId, "");
      const [version] = list;
      if (!key.startsWith(prefix) || version === undefined) continue;
      const other = this.current("b", bId, version.slot);
      if (other === undefined || !sameJson(other.value, version.value)) continue;
      this.#put({ ...version, id: ++this.#next, side: "b", record: bId, same: [version] });
    }
  }

  /** What somebody sees who edits a slot: what stands there, and the other side where it is the same. */
  #saw(
    side: Side,
    record: string,
    slot: string,
    partner: string | null,
  ): { readonly seen: readonly Version[]; readonly same: readonly Version[] } {
    const own = this.current(side, record, slot);
    const other = partner === null ? undefined : this.current(otherSide(side), partner, slot);
    const isSame = other !== undefined && sameJson(own?.value, other.value);
    return { seen: own === undefined ? [] : [own], same: isSame ? [other] : [] };
  }

  /** What was overwritten without anybody having been able to see it goes on as if it had been seen. */
  forgive(side: Side, record: string, { old, now }: Copied, at: number): void {
    if (now === null) return;
    const seen = [old, now];
    this.#put({ ...now, id: ++this.#next, side, record, by: "operator", at, seen, same: [] });
  }

  /**
   * Somebody edits a slot of a record. Where the other side holds the same, they
   * have seen that too.
   *
   * @param link The record of the other side, and what links them; null where nothing does.
   */
  edit(
    side: Side,
    record: string,
    slot: string,
    value: Json,
    at: number,
    link: LivingLink | null,
  ): void {
    const id = ++this.#next;
    const saw = this.#saw(side, record, slot, link?.partner ?? null);
    this.#put({
      id,
      side,
      record,
      slot,
      value,
      by: "user",
      at,
      ...saw,
      link: link?.isBased ? link.id : null,
    });
  }

  /** An operator decides what shall stand on both sides, having seen what stood there. */
  decide(seen: readonly Version[], slot: string, value: Json, at: number): void {
    const [first] = seen;
    if (first === undefined) return;
    const { side, record } = first;
    this.#operators.push({
      id: ++this.#next,
      side,
      record,
      slot,
      value,
      by: "operator",
      at,
      seen,
      same: [],
      link: null,
    });
  }

  /**
   * The sync writes a value over another one.
   *
   * @param partner The record of the other side.
   */
  copy(
    side: Side,
    record: string,
    slot: string,
    value: Json,
    partner: string | null,
    at: number,
  ): Copied | null {
    const old = this.current(side, record, slot);
    if (old === undefined || sameJson(old.value, value)) return null;
    const now = this.#source(side, record, slot, value, partner, old);
    if (now === null) this.begin(side, record, new Map([[slot, value]]), at);
    else this.#put(now, side, record);
    return { old, now };
  }

  /** The sync makes a record of another. */
  copyAll(
    side: Side,
    record: string,
    slots: ReadonlyMap<string, Json>,
    partner: string | null,
    at: number,
  ): string[] {
    const invented: string[] = [];
    for (const [slot, value] of slots) {
      const from = partner === null
        ? null
        : this.#find(this.history(otherSide(side), partner, slot), value);
      if (from !== null) this.#put(from, side, record);
      else {
        if (value !== null && value !== false) invented.push(slot);
        this.begin(side, record, new Map([[slot, value]]), at);
      }
    }
    return invented;
  }

  #find(list: readonly Version[], value: Json): Version | null {
    return list.findLast((version) => sameJson(version.value, value)) ?? null;
  }

  /** What an operator decided that may have put a value in the place of another. */
  decided(side: Side, record: string, value: Json, old: Version): Version | undefined {
    return this.#operators.findLast((version) =>
      version.slot === old.slot && sameJson(version.value, value) &&
      version.seen.some((seen) =>
        // Also where somebody edited on since: then it gives way to the decision unseen.
        this.history(side, record, old.slot).includes(seen) || isAncestor(old, seen, true)
      )
    );
  }

  #source(
    side: Side,
    record: string,
    slot: string,
    value: Json,
    partner: string | null,
    old: Version,
  ): Version | null {
    const decided = this.decided(side, record, value, old);
    const theirs = partner === null
      ? null
      : this.#find(this.history(otherSide(side), partner, slot), value);
    if (decided !== undefined && (theirs === null || !isAncestor(old, theirs, true))) {
      return decided;
    }
    return theirs ?? this.#find(this.history(side, record, slot), value);
  }
}
