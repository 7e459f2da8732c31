/**
 * Records that hand keys on to each other. The remote refuses a key as long as
 * another record has it, so who gives one up is written before who takes it, and
 * a circle cannot be written at all.
 *
 * @module
 */
import { canonicalField, UnreadableValueError } from "../merge/canonical.ts";
import type { Json } from "../merge/json.ts";
import type { RemoteRefusal } from "../merge/record_plan.ts";
import type { Database } from "../store/database.ts";
import { keyHolders } from "../store/key_store.ts";
import type { Batch } from "./batch.ts";
import type { ItemPlan } from "./plan_item.ts";

/** Holders in a row that are looked up outside a batch; a longer row is left to the remote to refuse. */
const LOOKED_UP = 20;

/** Who holds a key at the remote. */
interface Holder {
  /** The key it is about to take instead; null if it stays. */
  readonly takes: string | null;
  /** Whether it is not in the batch, and so not written with it. */
  readonly isElsewhere: boolean;
}

/** The key that a plan sets at the remote; null where it sets none. */
export function takenKey(plan: ItemPlan, keyField: string): string | null {
  if (plan.kind !== "merge") return null;
  const change = plan.plan.changes.find(({ field, side }) =>
    side === "remote" && field === keyField
  );
  return typeof change?.after === "string" ? change.after : null;
}

/** The key that a record holds at the remote; null where it is not known. */
function heldKey(plan: ItemPlan, keyField: string): Json {
  return plan.kind === "merge" ? plan.state.b[keyField] ?? null : null;
}

/** The key to which a record of side A would bring its partner; null where it can be brought to none. */
function keyOf(local: Json, { slice }: Batch): string | null {
  const { rules } = slice.deps.pair;
  const rule = rules.fields[rules.keyField];
  try {
    const key = rule === undefined ? null : canonicalField(local, rule, rules.keyField, rules);
    return typeof key === "string" ? key : null;
  } catch (error) {
    if (error instanceof UnreadableValueError) return null;
    throw error;
  }
}

/** Adds to the holders of a batch those elsewhere that its records wait for, however far that goes. */
async function addElsewhere(
  batch: Batch,
  database: Database,
  holders: Map<string, Holder>,
  taken: readonly string[],
): Promise<void> {
  const { keyField } = batch.slice.deps.pair.rules;
  let unknown = taken.filter((key) => !holders.has(key));
  for (let round = 0; unknown.length > 0 && round < LOOKED_UP; round++) {
    const found = await keyHolders(database, batch.run, batch.keyed, keyField, unknown);
    for (const key of unknown) holders.set(key, { takes: null, isElsewhere: false });
    for (const { key, local } of found) {
      const takes = keyOf(local, batch);
      holders.set(key, { takes: takes === key ? null : takes, isElsewhere: true });
    }
    unknown = [
      ...new Set(found.flatMap(({ key }) => holders.get(key)?.takes ?? [])),
    ].filter((key) => !holders.has(key));
  }
}

/** Why a key cannot be taken in this batch; null if it can, or the remote may tell why not. */
function refusalOf(
  held: Json,
  taken: string,
  holders: ReadonlyMap<string, Holder>,
): RemoteRefusal | null {
  const seen = new Set<Json>([held]);
  let waits = false;
  for (let key: string | null = taken; key !== null;) {
    if (seen.has(key)) return "key_cycle";
    seen.add(key);
    const holder: Holder | undefined = holders.get(key);
    if (holder === undefined || holder.takes === null) break;
    waits ||= holder.isElsewhere;
    key = holder.takes;
  }
  return waits ? "key_waits" : null;
}

/**
 * Finds the records whose new key is held by one that takes another in turn, where
 * that goes round in a circle or cannot be done within the batch.
 *
 * @param plans Made without regard to this.
 * @returns Why the key cannot be set at the remote, by ordinal.
 */
export async function keyRefusals(
  batch: Batch,
  database: Database,
  plans: readonly ItemPlan[],
): Promise<ReadonlyMap<number, RemoteRefusal>> {
  const { keyField } = batch.slice.deps.pair.rules;
  const refusals = new Map<number, RemoteRefusal>();
  const moves = plans.flatMap((plan) => {
    const taken = takenKey(plan, keyField);
    return taken === null
      ? []
      : [{ ordinal: plan.record.ordinal, held: heldKey(plan, keyField), taken }];
  });
  if (moves.length === 0) return refusals;
  const holders = new Map<string, Holder>();
  for (const plan of plans) {
    const held = heldKey(plan, keyField);
    if (typeof held !== "string") continue;
    holders.set(held, { takes: takenKey(plan, keyField), isElsewhere: false });
  }
  await addElsewhere(batch, database, holders, moves.map(({ taken }) => taken));
  for (const { ordinal, held, taken } of moves) {
    const refusal = refusalOf(held, taken, holders);
    // Who was named is told at once what the remote says to it.
    if (refusal === null || refusal === "key_waits" && batch.justRead) continue;
    refusals.set(ordinal, refusal);
  }
  return refusals;
}

/** Puts writes into turns: who takes a key comes in a turn after who frees it. */
export function inKeyTurns<Write extends { readonly plan: ItemPlan }>(
  writes: readonly Write[],
  keyField: string,
): Write[][] {
  const freedBy = new Map<Json, Write>();
  for (const write of writes) {
    if (takenKey(write.plan, keyField) === null) continue;
    freedBy.set(heldKey(write.plan, keyField), write);
  }
  const turns: Write[][] = [];
  const giverOf = (write: Write): Write | undefined => {
    const taken = takenKey(write.plan, keyField);
    return taken === null ? undefined : freedBy.get(taken);
  };
  for (const write of writes) {
    let turn = 0;
    // A circle is not written; should there be one, this ends all the same.
    for (let giver = giverOf(write); giver !== undefined && turn < writes.length;) {
      turn++;
      giver = giverOf(giver);
    }
    (turns[turn] ??= []).push(write);
  }
  return turns.filter((turn) => turn !== undefined);
}
