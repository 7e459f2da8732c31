import { assert, assertEquals } from "@std/assert";
import { compareIds, IdFactory } from "./ids.ts";

/** Recorded ids with the `created_at` beside them: mailerlite-nodejs tapes, mailerlite-python cassettes. */
const RECORDED: readonly (readonly [id: string, createdAt: string])[] = [
  ["81888307764528758", "2023-03-06T09:26:15Z"],
  ["75005710539163012", "2022-12-20T10:10:19Z"],
  ["139791118149617373", "2024-12-04T12:26:39Z"],
  ["165968862226941797", "2025-09-19T11:10:41Z"],
  ["165971156405323676", "2025-09-19T11:47:09Z"],
];

Deno.test("recorded ids encode their created_at, and made ones do alike", () => {
  for (const [recorded, createdAt] of RECORDED) {
    const made = new IdFactory().next(Date.parse(createdAt));
    const second = (id: string) => Number(((BigInt(id) >> 20n) + 1_600_000_000_000n) / 1000n);
    assertEquals(second(recorded), Date.parse(createdAt) / 1000);
    assertEquals(second(made), second(recorded));
  }
});

Deno.test("ids rise, never repeat and stay above 2^53, whatever the clock", () => {
  const factory = new IdFactory();
  const ids = [5, 5, 0, 1_700_000_000_000, 1_600_000_000_000, 1_700_000_000_000].map((ms) =>
    factory.next(ms)
  );
  const sorted = ids.toSorted(compareIds);
  assertEquals(ids, sorted);
  assertEquals(new Set(ids).size, ids.length);
  assert(ids.every((id) => BigInt(id) > 2n ** 53n));
});

Deno.test("ids of the past do not block later ones, and observed ids are not made again", () => {
  const factory = new IdFactory();
  assert(compareIds(factory.at(1_700_000_000_000), factory.at(1_650_000_000_000)) > 0);
  factory.observe("999999999999999999");
  assertEquals(factory.next(1_700_000_000_000), "1000000000000000000");
});

Deno.test("ids are ordered by value, not by letters", () => {
  assert(compareIds("9", "10") < 0);
  assert(compareIds("75005710539163012", "139791118149617373") < 0);
  assertEquals(compareIds("12", "12"), 0);
});
