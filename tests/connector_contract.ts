/**
 * The cases every connector has to pass, whatever it connects to. A connector's
 * own test makes worlds for them: a remote of a known content behind the
 * connector, whose faults and clock the cases command.
 *
 * @module
 */
import { faultCases } from "./connector_contract_faults.ts";
import { readingCases } from "./connector_contract_reading.ts";
import type { MakeWorld, Subject } from "./connector_contract_world.ts";
import { writingCases } from "./connector_contract_writing.ts";

const CASES = [...readingCases, ...writingCases, ...faultCases];

/**
 * Registers every case as a test of its own.
 *
 * @param about The subjects to try; default all.
 */
export function testConnectorContract(
  name: string,
  make: MakeWorld,
  about: readonly Subject[] = ["list", "read", "write"],
): void {
  for (const each of CASES) {
    if (!about.includes(each.about)) continue;
    Deno.test(`${name}: ${each.name}`, () => each.run(make));
  }
}
