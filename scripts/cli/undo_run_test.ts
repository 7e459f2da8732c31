import { assertEquals, assertRejects } from "@std/assert";
import { requirePair } from "../../shared/engine/config.ts";
import config from "../../sync.config.ts";
import { fakeClient } from "./_test_util.ts";
import { DataApiError, RefusedError, type SyncClient } from "./sync_client.ts";
import type { NetChange } from "./undo_plan.ts";
import { readEndedRun, readNetChanges, undoChanges } from "./undo_run.ts";

const pair = requirePair(config);

function change(n: number): NetChange {
  const a = { before: "Oslo", after: "Bergen" };
  return { crosswalkId: n, aId: `a${n}`, bId: `b${n}`, field: "city", a, b: null };
}

/** Undoes changes of so many records, of which the database takes some. */
async function undone(count: number, codeFor: (aId: string) => string | undefined) {
  const calls: number[] = [];
  const client: SyncClient = {
    ...fakeClient([]),
    rpc: (_, args) => {
      const writes = JSON.parse(String(args["p_writes"])) as { n: number; aId: string }[];
      calls.push(writes.length);
      const code = writes.map(({ aId }) => codeFor(aId)).find((code) => code !== undefined);
      if (code !== undefined) return Promise.reject(new DataApiError("Cannot call", code));
      return Promise.resolve(writes.map(({ n }) => ({ n, outcome: "done" })));
    },
  };
  const items = await undoChanges(
    {
      client,
      pair,
      conflicts: { open: 0, fields: new Map() },
      local: {
        readPage: () => Promise.resolve([]),
        readByIds: (ids) => Promise.resolve(ids.map((id) => ({ id, doc: { city: "Bergen" } }))),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
    },
    "run",
    Array.from({ length: count }, (_, n) => change(n)),
    true,
  );
  return { calls, outcomes: items.map(({ outcome }) => outcome) };
}

Deno.test("undoChanges() writes two hundred at a time", async () => {
  const { calls, outcomes } = await undone(450, () => undefined);
  assertEquals(calls, [200, 200, 50]);
  assertEquals(outcomes.every((outcome) => outcome === "done"), true);
});

Deno.test("a value that the database refuses, or that somebody holds, keeps no other from being put back", async () => {
  const codes: Record<string, string> = { a2: "23514", a5: "55P03" };
  const { outcomes } = await undone(8, (aId) => codes[aId]);
  assertEquals(outcomes, ["done", "done", "refused", "done", "done", "locked", "done", "done"]);
});

Deno.test("undoChanges() stops at what is no fault of a value", async () => {
  await assertRejects(() => undone(2, () => "42501"), DataApiError);
});

Deno.test("readEndedRun() refuses a run that is not there or not over", async () => {
  const withRun = (status: string | null) => ({
    ...fakeClient([]),
    select: () =>
      Promise.resolve(
        status === null
          ? []
          : [{ id: "r", function: "enterprise-sync", pair: "clients", status, started_at: "" }],
      ),
  });
  for (const status of [null, "running", "waiting", "paused"]) {
    await assertRejects(() => readEndedRun(withRun(status), "r"), RefusedError);
  }
  assertEquals((await readEndedRun(withRun("failed"), "r")).status, "failed");
});

Deno.test("readNetChanges() passes over lines that name no record", async () => {
  const line = {
    crosswalk_id: 1,
    a_id: "a",
    b_id: "b",
    side: "a",
    field: "city",
    before: 1,
    after: 2,
  };
  const pages = [
    [{ ...line, id: 1 }, { ...line, id: 2, a_id: null }, { ...line, id: 3, crosswalk_id: null }],
    [],
  ];
  const client = { ...fakeClient([]), select: () => Promise.resolve(pages.shift() ?? []) };
  assertEquals((await readNetChanges(client, "r")).length, 1);
});
