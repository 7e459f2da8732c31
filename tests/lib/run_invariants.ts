/**
 * What must hold after every run of enterprise-sync, whatever happened to it.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { TwoWayWorld } from "./two_way_world.ts";

const CLASSES = ["unchanged", "changed", "conflicted", "excluded", "failed", "skipped"];

/**
 * Every record of the newest run's walk is in exactly one class.
 *
 * @returns How many there were.
 */
export async function assertConserved(world: TwoWayWorld, where = ""): Promise<number> {
  const { processed = 0, ...counters } = await world.counters();
  const sum = CLASSES.reduce((total, name) => total + (counters[name] ?? 0), 0);
  assertEquals(processed, sum, where);
  return processed;
}

/** A further run finds nothing to do, and nothing waits for an answer. */
export async function assertQuiet(world: TwoWayWorld): Promise<void> {
  world.takeRemoteWrites();
  const again = await world.sync();
  assertEquals([again.updatesApplied, again.errors, again.skipped], [0, 0, 0]);
  assertEquals(world.takeRemoteWrites(), []);
  assertEquals(await world.pool.query(`select operation from public.sync_intents`), []);
}
