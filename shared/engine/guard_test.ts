import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { pairRules } from "../../tests/lib/merge_rules.ts";
import { trippedGuard } from "../merge/guard_kinds.ts";
import { guardCounters, mayTrip } from "./guard.ts";

const rules = pairRules({}, {
  limits: {
    deletes: { percent: 5, floor: 20 },
    unsubscribes: { percent: 10, floor: 50 },
    blanks: { percent: 2, floor: 20 },
    updates: { percent: 50, floor: 100 },
  },
});

Deno.test("mayTrip() goes by the strictest limit", () => {
  assertEquals([mayTrip(rules, 0, 20, {}), mayTrip(rules, 0, 21, {})], [false, true]);
  assertEquals([mayTrip(rules, 24_222, 484, {}), mayTrip(rules, 24_222, 485, {})], [
    false,
    true,
  ]);
  assertEquals(mayTrip(rules, 24_222, Number.POSITIVE_INFINITY, {}), true);
});

Deno.test("no limit is broken by records of which mayTrip() says so, whatever becomes of each", () => {
  const few = fc.nat({ max: 400 });
  const kinds = fc.record({ deletes: few, unsubscribes: few, blanks: few, updates: few });
  fc.assert(
    fc.property(few, kinds, kinds, fc.nat({ max: 10_000 }), (records, done, left, linked) => {
      fc.pre(!mayTrip(rules, linked, records, guardCounters(done)));
      const counts = {
        deletes: done.deletes + Math.min(left.deletes, records),
        unsubscribes: done.unsubscribes + Math.min(left.unsubscribes, records),
        blanks: done.blanks + Math.min(left.blanks, records),
        updates: done.updates + Math.min(left.updates, records),
      };
      assertEquals(trippedGuard(counts, linked, rules.limits, new Set()), null);
    }),
  );
});
