import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { fakeClient, fakeContext } from "./_test_util.ts";
import { UsageError } from "./command.ts";
import { EXIT_CODE } from "./exit_code.ts";
import { main } from "./main.ts";
import { describeEntry, readSmartSettings } from "./smart.ts";

const ENTRY = { conflicts: 0, repairs: [] };

Deno.test("readSmartSettings() refuses what is no address, and never says it", () => {
  assertEquals(readSmartSettings(["a@x.org", "--mode", "BtoA", "--repair"]).body, {
    mode: "BtoA",
    repair: true,
  });
  for (const args of [[], ["a@x.org", "--mode", "up"]]) {
    assertThrows(() => readSmartSettings(args), UsageError);
  }
  const error = assertThrows(() => readSmartSettings(["a@x.org", "zoe"]), UsageError);
  assert(error.message.includes("address 2"));
  assertFalse(error.message.includes("zoe"));
});

Deno.test("describeEntry() tells what became of a person", () => {
  const rows = [
    describeEntry({ ...ENTRY, email: "a@x.org", changed: true, conflicts: 2 }, false),
    describeEntry({ ...ENTRY, email: "a@x.org", changed: true }, true),
    describeEntry(
      { ...ENTRY, email: "a@x.org", skipped: true, reason: "no changes detected" },
      false,
    ),
    describeEntry(
      { ...ENTRY, email: "a@x.org", error: "rejected", repairs: ["shadow_missing"] },
      false,
    ),
  ];
  assertEquals(rows.map(([, ...rest]) => rest), [
    ["changed", "2 fields wait for a person"],
    ["would change", ""],
    ["left alone", "no changes detected"],
    ["failed", "rejected; repaired: shadow missing"],
  ]);
});

function answer(entry: Record<string, unknown>, more: Record<string, unknown> = {}) {
  return (body: Record<string, unknown>) => {
    const emails = body["emails"] as string[];
    const out = emails.map((email) => ({ email, ...entry }));
    return {
      ok: entry["error"] === undefined,
      out,
      runId: "r",
      quota: { used: 1, limit: 9 },
      ...more,
    };
  };
}

Deno.test("smart calls once for every hundred addresses", async () => {
  const client = fakeClient([], answer({ changed: true }));
  const emails = Array.from({ length: 130 }, (_, n) => `p${n}@x.org`);
  assertEquals(await main(["smart", ...emails], fakeContext(client)), EXIT_CODE.ok);
  assertEquals(client.calls.map(([name, { emails }]) => [name, (emails as string[]).length]), [
    ["smart-sync", 100],
    ["smart-sync", 30],
  ]);
});

Deno.test("smart exits with 1 after failures and conflicts, and with 3 where a limit held some back", async () => {
  const guard = { kind: "unsubscribes", message: "Cannot go on: 60 unsubscribes" };
  const cases = [
    [answer({ skipped: true, reason: "r" }), EXIT_CODE.ok],
    [answer({ error: "rejected" }), EXIT_CODE.failedRun],
    [answer({ changed: true, conflicts: 1 }), EXIT_CODE.failedRun],
    [answer({ skipped: true, reason: "r" }, { ok: false }), EXIT_CODE.failedRun],
    [answer({ skipped: true, reason: "r" }, { ok: false, guard }), EXIT_CODE.guarded],
  ] as const;
  for (const [call, code] of cases) {
    const context = fakeContext(fakeClient([], call));
    assertEquals(await main(["smart", "a@x.org"], context), code);
    if (code === EXIT_CODE.guarded) {
      assert(context.told.at(-1)?.includes("run --allow unsubscribes --reason"));
    }
  }
});
