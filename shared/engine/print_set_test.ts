import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { PrintSet } from "./print_set.ts";

function bytes(values: readonly bigint[]): Uint8Array {
  const result = new Uint8Array(8 * values.length);
  const view = new DataView(result.buffer);
  values.forEach((value, index) => view.setBigInt64(8 * index, value));
  return result;
}

function setOf(chunks: readonly Uint8Array[]): PrintSet {
  const set = new PrintSet();
  for (const chunk of chunks) set.add(chunk);
  return set;
}

function has(set: PrintSet, value: bigint): boolean {
  const view = new DataView(bytes([value]).buffer);
  return set.has({ high: view.getInt32(0), low: view.getInt32(4) });
}

Deno.test("PrintSet holds what it was given, from all chunks, and nothing else", () => {
  // Small numbers and large ones, so that many meet in the same place.
  const value = fc.oneof(
    fc.bigInt({ min: -8n, max: 8n }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.integer({ min: -4, max: 4 }).map((high) => BigInt(high) << 32n),
  );
  fc.assert(fc.property(fc.array(fc.array(value)), fc.array(value), (chunks, others) => {
    using set = setOf(chunks.map(bytes));
    const known = new Set(chunks.flat().filter((print) => print !== 0n));
    for (const print of [...chunks.flat(), ...others]) {
      assertEquals(has(set, print), known.has(print));
    }
  }));
});

Deno.test("PrintSet reads bytes that begin anywhere in their buffer", () => {
  const padded = new Uint8Array([9, 9, 9, ...bytes([5n, -5n])]);
  using set = setOf([padded.subarray(3)]);
  assertEquals([has(set, 5n), has(set, -5n), has(set, 9n)], [true, true, false]);
});

Deno.test("PrintSet of none holds none", () => {
  assertEquals([has(new PrintSet(), 0n), has(new PrintSet(), 1n)], [false, false]);
});

Deno.test("PrintSet grows with what it holds", () => {
  using set = new PrintSet();
  const spread = (n: number) => BigInt.asIntN(64, BigInt(n) * 0x9e3779b97f4a7c15n);
  for (let n = 0; n < 20_000; n += 500) {
    set.add(bytes(Array.from({ length: 500 }, (_, k) => spread(n + k + 1))));
  }
  for (let n = 1; n <= 20_000; n++) assert(has(set, spread(n)));
  for (let n = 20_001; n <= 21_000; n++) assert(!has(set, spread(n)));
});
