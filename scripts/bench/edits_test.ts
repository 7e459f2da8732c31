import { assert, assertEquals, assertThrows } from "@std/assert";
import { type LinkedIds, pickEdits } from "./edits.ts";

function links(count: number): LinkedIds[] {
  return Array.from({ length: count }, (_, n) => ({ localId: `a${n}`, remoteId: `b${n}` }));
}

function numbers(ids: readonly string[]): number[] {
  return ids.map((id) => Number(id.slice(1)));
}

Deno.test("pickEdits() takes as many as asked on each side and no record on both", () => {
  for (const [count, local, remote] of [[24_238, 242, 242], [500, 64, 63], [3, 0, 3], [2, 2, 0]]) {
    const { localIds, remoteIds } = pickEdits(links(count ?? 0), {
      local: local ?? 0,
      remote: remote ?? 0,
    }, 1);
    assertEquals([localIds.length, remoteIds.length], [local, remote]);
    const all = new Set([...numbers(localIds), ...numbers(remoteIds)]);
    assertEquals(all.size, (local ?? 0) + (remote ?? 0));
  }
});

Deno.test("pickEdits() lets the sides take turns over all links", () => {
  assertEquals(pickEdits(links(8), { local: 2, remote: 2 }, 0), {
    localIds: ["a0", "a4"],
    remoteIds: ["b2", "b6"],
  });
});

Deno.test("pickEdits() takes other records every round", () => {
  const counts = { local: 242, remote: 242 };
  const seen = new Set<string>();
  for (let round = 1; round <= 20; round++) {
    const { localIds, remoteIds } = pickEdits(links(24_238), counts, round);
    for (const n of [...numbers(localIds), ...numbers(remoteIds)]) seen.add(String(n));
  }
  assert(seen.size === 20 * 484);
});

Deno.test("pickEdits() refuses to edit more records than there are", () => {
  assertThrows(() => pickEdits(links(3), { local: 2, remote: 2 }, 0), RangeError, "4 records");
});
