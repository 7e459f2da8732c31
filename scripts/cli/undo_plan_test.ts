import { assertEquals } from "@std/assert";
import { requirePair } from "../../shared/engine/config.ts";
import type { Json } from "../../shared/merge/json.ts";
import type { PairRules } from "../../shared/merge/pair.ts";
import config from "../../sync.config.ts";
import { type LoggedChange, type NetChange, NetChanges, planUndo } from "./undo_plan.ts";

const { rules } = requirePair(config);

function logged(changes: Partial<LoggedChange>): LoggedChange {
  return {
    crosswalkId: 1,
    aId: "a1",
    bId: "b1",
    side: "a",
    field: "city",
    before: "Oslo",
    after: "Bergen",
    ...changes,
  };
}

function net(...lines: Partial<LoggedChange>[]): NetChange[] {
  const changes = new NetChanges();
  for (const line of lines) changes.add(logged(line));
  return changes.all();
}

function planned(
  line: Partial<LoggedChange> | readonly Partial<LoggedChange>[],
  doc: Record<string, Json> | undefined,
  { inConflict = [], by = rules }: { inConflict?: string[]; by?: PairRules } = {},
): unknown {
  const [change] = net(...[line].flat());
  const plan = change === undefined ? undefined : planUndo(change, doc, inConflict, by);
  return plan?.kind === "write" ? plan.write.value : plan?.reason;
}

Deno.test("NetChanges puts the writes of a run to one field together, a first value of nothing too", () => {
  assertEquals(
    net(
      { before: null, after: "Oslo" },
      { before: "Oslo", after: "Bergen" },
      { side: "b", before: "Rome", after: "Bergen" },
      { crosswalkId: 2 },
    ),
    [
      {
        crosswalkId: 1,
        aId: "a1",
        bId: "b1",
        field: "city",
        a: { before: null, after: "Bergen" },
        b: { before: "Rome", after: "Bergen" },
      },
      {
        crosswalkId: 2,
        aId: "a1",
        bId: "b1",
        field: "city",
        a: { before: "Oslo", after: "Bergen" },
        b: null,
      },
    ],
  );
});

Deno.test("planUndo() puts a value back only where side A still holds what the run left", () => {
  assertEquals(planned({}, { city: "Bergen" }), "Oslo");
  // Not written in canonical form, and the same all the same.
  assertEquals(planned({ side: "b" }, { city: " Bergen " }), "Oslo");
  assertEquals(planned({}, { city: "Rome" }), "edited_since");
  assertEquals(planned({}, { city: { not: "text" } }), "edited_since");
  assertEquals(planned({}, { city: "Oslo" }), "already");
  assertEquals(planned({}, undefined), "gone");
  assertEquals(planned({}, { city: "Bergen" }, { inConflict: ["city"] }), "in_conflict");
  assertEquals(planned({ field: "shoes" }, { city: "Bergen" }), "unmapped");
});

Deno.test("planUndo() gives back what was emptied, and never empties", () => {
  assertEquals(planned({ after: null }, { city: null }), "Oslo");
  assertEquals(planned({ before: null }, { city: "Bergen" }), "nothing_before");
  assertEquals(planned({ side: "b", before: null }, { city: "Bergen" }), "nothing_before");
});

Deno.test("planUndo() never puts consent back", () => {
  const change = { field: "consent", before: "subscribed", after: "unsubscribed" };
  assertEquals(planned(change, { marketing_status: "unsubscribed" }), "consent");
  assertEquals(planned({ ...change, side: "b" }, { marketing_status: "unsubscribed" }), "consent");
});

Deno.test("planUndo() puts names back that were taken off a list, keeps others, and takes none off", () => {
  const groups = { field: "groups", before: ["Clients", "VIP"], after: ["Clients"] };
  assertEquals(planned(groups, { groups: ["Clients", "Mine"] }), ["Clients", "Mine", "VIP"]);
  assertEquals(planned({ ...groups, side: "b" }, { groups: [] }), ["VIP"]);
  assertEquals(planned(groups, { groups: ["VIP"] }), "already");
  const added = { field: "groups", before: ["Clients"], after: ["Clients", "VIP"] };
  assertEquals(planned(added, { groups: ["Clients", "VIP"] }), "nothing_before");
});

Deno.test("planUndo() gives back side A's own value where the run wrote both", () => {
  const both = [
    { before: "Oslo", after: "Rome" },
    { side: "b", before: "Bergen", after: "Rome" },
  ] as const;
  assertEquals(planned(both, { city: "Rome" }), "Oslo");
});

Deno.test("planUndo() leaves what the remote alone was given where side A's edits do not travel", () => {
  const city = rules.fields["city"];
  if (city?.kind !== "value") throw new TypeError("The example maps no city");
  const by: PairRules = {
    ...rules,
    fields: { ...rules.fields, city: { ...city, flow: "to_local" } },
  };
  assertEquals(planned({ side: "b" }, { city: "Bergen" }, { by }), "one_way");
  assertEquals(planned({}, { city: "Bergen" }, { by }), "Oslo");
});
