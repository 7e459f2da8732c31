import { assertEquals } from "@std/assert";
import { readConflict } from "./conflict_rows.ts";
import { fakeClient } from "./_test_util.ts";

Deno.test("readConflict() reads a conflict of a link that has lost its record of side B to somebody else", async () => {
  const row = {
    id: 7,
    pair: "clients",
    record_key: "cw:1",
    field: "city",
    base: null,
    a: "Oslo",
    b: "Rome",
    reason: "both_changed",
    status: "superseded",
    choice: null,
    resolved_value: null,
    resolved_by: "sync",
    created_at: "2026-01-01",
    resolved_at: "2026-01-02",
    applied_at: null,
    link: { a_id: "a1", b_id: null },
  };
  const client = { ...fakeClient([]), select: () => Promise.resolve([row]) };
  assertEquals((await readConflict(client, 7))?.link, { a_id: "a1", b_id: null });
});
