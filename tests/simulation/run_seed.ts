import { Dice } from "./dice.ts";
import { Program } from "./program.ts";
import type { SimulatedDatabase } from "./simulated_database.ts";
import { World } from "./world.ts";

/** Lives one seed from beginning to end. */
export async function runSeed(seed: number, database: SimulatedDatabase): Promise<World> {
  await database.reset();
  const world = new World(seed, database);
  const program = new Program(world);
  const ids = new Dice(seed + 1_000_000);
  const own = Object.getOwnPropertyDescriptor(crypto, "randomUUID");
  Object.defineProperty(crypto, "randomUUID", {
    configurable: true,
    value: () => ids.uuid(),
  });
  try {
    await program.storm();
    await program.calm();
  } catch (error) {
    world.violate(
      "liveness: everything comes to an end once nothing fails",
      error instanceof Error ? `${error.stack}` : "something was thrown",
    );
    await program.abandon();
  } finally {
    if (own === undefined) Reflect.deleteProperty(crypto, "randomUUID");
    else Object.defineProperty(crypto, "randomUUID", own);
  }
  return world;
}
