import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { PrintSet } from "./print_set.ts";

function viewOf(values: readonly bigint[]): DataView {
  const view = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((value, index) => view.setBigInt64(8 * index, value));
  return view;
}

function bytes(values: readonly bigint[]): Uint8Array {
  const { buffer } = viewOf([0n, ...values, 0n]);
  // Among others, as a driver hands them over.
  return new Uint8Array(buffer, 8, 8 * values.length);
}

function setOf(chunks: readonly Uint8Array[]): PrintSet {
  const set = new PrintSet();
  for (const chunk of chunks) set.add(chunk);
  return set;
}

function has(set: PrintSet, value: bigint): boolean {
  const view = viewOf([value]);
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

Deno.test("PrintSet of none holds none", () => {
  assertEquals([has(new PrintSet(), 0n), has(new PrintSet(), 1n)], [false, false]);
});

for (const expected of [0, -1, 7, 20_000, 50_000]) {
  Deno.test(`PrintSet grows with what it holds, where ${expected} are expected`, () =>
    grow(expected));
}

function grow(expected: number): void {
  using set = new PrintSet(expected);
  const spread = (n: number) => BigInt.asIntN(64, BigInt(n) * 0x9e3779b97f4a7c15n);
  for (let n = 0; n < 20_000; n += 500) {
    set.add(bytes(Array.from({ length: 500 }, (_, k) => spread(n + k + 1))));
  }
  for (let n = 1; n <= 20_000; n++) assert(has(set, spread(n)));
  for (let n = 20_001; n <= 21_000; n++) assert(!has(set, spread(n)));
}
