import { assertEquals } from "@std/assert";
import { statusOf } from "./_test_util.ts";
import type { BackfillStatus } from "./sync_status.ts";
import { SILENT_MS, watchBackfill } from "./watch_backfill.ts";

function watch(statusAt: (now: number) => BackfillStatus) {
  let now = 0;
  const seen: BackfillStatus[] = [];
  const end = watchBackfill({
    read: () => Promise.resolve(statusAt(now)),
    sleep: (ms) => {
      now += ms;
      return Promise.resolve();
    },
    now: () => now,
    onStatus: (status) => void seen.push(status),
    everyMs: 1_000,
  });
  return { end, seen };
}

Deno.test("watchBackfill() shows every status and stops at the first that is not running", async () => {
  for (const outcome of ["completed", "failed", "paused"] as const) {
    const last = statusOf({ status: outcome });
    const { end, seen } = watch((now) => now < 3_000 ? statusOf() : last);
    assertEquals(await end, { outcome, status: last });
    assertEquals(seen.length, 4);
  }
});

Deno.test("watchBackfill() waits for as long as something moves", async () => {
  const last = statusOf({ status: "completed" });
  const { end } = watch((now) =>
    now > 10 * SILENT_MS
      ? last
      : statusOf({ lastUpdatedAt: String(Math.floor(now / (SILENT_MS - 1_000))) })
  );
  assertEquals((await end).outcome, "completed");
});

Deno.test("watchBackfill() tells when nothing has moved for longer than a lease lasts", async () => {
  const { end } = watch((now) => statusOf({ lastUpdatedAt: now < 50_000 ? "early" : "late" }));
  const { outcome, ...rest } = await end;
  assertEquals(outcome, "silent");
  assertEquals("silentMs" in rest && rest.silentMs, SILENT_MS + 1_000);
});
