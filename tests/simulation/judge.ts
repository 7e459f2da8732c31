import { isForbidding } from "../../shared/merge/consent_order.ts";
import type { Json } from "../../shared/merge/json.ts";
import type { FieldRule } from "../../shared/merge/pair.ts";
import { sameJson } from "../../shared/merge/same_json.ts";
import {
  type Copied,
  hadSeen,
  isAncestor,
  ruleOfSlot,
  type Side,
  type Version,
} from "./versions.ts";
import type { Worker } from "./worker.ts";
import type { World } from "./world.ts";

/** Whose edit stands where nobody saw the other's. */
function winnerOf(rule: FieldRule | undefined): Side | null {
  if (rule?.kind !== "value") return null;
  if (rule.flow === "to_remote" || rule.flow === "both" && rule.wins === "local") return "a";
  return rule.flow === "to_local" || rule.wins === "remote" ? "b" : null;
}

/** How much somebody allows: mail, a question, nothing. */
export function permission(status: Json | undefined): number {
  if (status === "subscribed" || status === "active") return 2;
  return status === "pending" || status === "unconfirmed" || status === "none" ? 1 : 0;
}

/** A write of the sync over a value that stood there. */
export interface Overwrite extends Copied {
  readonly side: Side;
  readonly record: string;
  readonly slot: string;
  /** The record of the other side. */
  readonly partner: string | null;
  /** Null where nobody can tell, as for a write of the database's own. */
  readonly worker: Worker | undefined;
  /** Until when the worker can have known what stood there; null where it was compared while writing. */
  readonly readAt: number | null;
}

/** Whether a name that the sync puts back was removed by who had before them what both sides had agreed on. */
function isAgreedAway(world: World, { side, record, old }: Overwrite, now: Version): boolean {
  const { versions } = world;
  return old.by === "user" && old.link !== null && old.link === world.linkOf(side, record)?.id &&
    isAncestor(now, old, true) && versions.isConfirmed(now.side, now.record, now) &&
    old.seen.some((seen) =>
      seen.value === true && versions.isConfirmed(old.side, old.record, seen)
    );
}

/** Judges a write of the sync: what it overwrote was seen by whoever wrote the new value, or the policy says so. */
export function judge(world: World, write: Overwrite): void {
  const { side, record, slot, partner, old, now, readAt } = write;
  const rule = ruleOfSlot(world.rules, slot);
  const other = partner === null ? "nobody" : world.name(side === "a" ? "b" : "a", partner);
  const what = `${world.name(side, record)}.${slot} (with ${other})`;
  if (slot.startsWith("partner")) return;
  if (rule?.kind === "consent") return;
  if (now === null) {
    world.violate("nothing is invented: what is written stood on the other side", what);
    return;
  }
  if (!world.versions.decided(side, record, now.value, old)) {
    if (rule?.kind === "value" && !rule.mayBlank && now.value === null) {
      world.violate("nothing is emptied that may not be", what);
    }
    const isAgainst = rule?.kind === "value" &&
      rule.flow === (side === "a" ? "to_remote" : "to_local");
    if (isAgainst) world.violate("dry runs and the other direction write nothing", what);
  }
  if (isAncestor(old, now, true)) return;
  // A name stays where it was added and removed at once, but not where who removed it had seen it agreed on.
  if (rule?.kind === "set" && now.value === true && !isAgreedAway(world, write, now)) return;
  // Agreed on while somebody edited: what they saw had been read on both sides, and was alike.
  const wasAgreed = now.seen.some((seen) =>
    sameJson(seen.value, old.value) && world.versions.isConfirmed(now.side, now.record, seen)
  );
  if (rule?.kind === "set" && wasAgreed && world.versions.isConfirmed(side, record, old)) return;
  const winner = winnerOf(rule);
  // A copy that the sync made and knows nothing of, as it was cut off: nobody can
  // tell whether who edited it had it before them.
  const isKnown = world.versions.isConfirmed(side, record, now);
  const saw = hadSeen(old, now) && (isKnown || old.side !== side);
  if (now.by !== "operator" && winner === now.side && !saw) return;
  if (world.versions.isBack(side, record, old, now)) return;
  // What a one-way field kept apart was accepted. Once it flows both ways, the next edit travels.
  if (world.onceOneWay.has(slot) && world.versions.isSettled(side, old, now)) return;
  // Nor can anybody tell a write that was taken back from one that never arrived.
  if (world.versions.isTakenBack(side, record, old, now)) return;
  // What stood there before the sides were linked, or linked anew, was never agreed
  // on: a blank is filled, and an edit of the other side stands.
  const link = world.linkOf(side, record);
  const isOfLink = link !== null && link.partner === partner &&
    (old.side === side ? old.link === link.id : old.record === partner);
  if (!isOfLink && (old.value === null || winner !== null)) return;
  // So is one that was put back as it stood when they were linked: the base and both sides are as then.
  const isFill = old.value === null && old.side === side && partner !== null;
  if (isFill && world.versions.isAsLinked(side, old, partner)) return;
  const moved = world.versions.current(side, record, "email");
  if (readAt !== null && Math.max(old.at, moved?.side === side ? moved.at : 0) >= readAt) {
    world.reach("a record changed between confirmation and write");
    world.versions.forgive(side, record, write, world.step);
    return;
  }
  world.violate(
    "no lost update: an edit gives way only to who saw it, to the policy or to a decision",
    `${what}: version ${old.id} (${old.by} on ${old.side} at ${old.at}) gave way to version ${now.id} ` +
      `(${now.by} on ${now.side} at ${now.at})`,
  );
}

/** Judges a change of what somebody allows. */
export function judgeConsent(
  world: World,
  side: Side,
  record: string,
  before: Json | undefined,
  after: Json | undefined,
): void {
  if (permission(after) <= permission(before) && !(isForbidding(before) && !isForbidding(after))) {
    return;
  }
  world.violate("consent only ever falls by the sync", world.name(side, record));
}
