import { assertEquals } from "@std/assert";
import { type FieldOutcome, oneChange, type SideChange, withinRun } from "./field_outcome.ts";

const LOCAL: SideChange = { side: "local", before: "x", after: "y", rule: "edit" };
const REMOTE: SideChange = { side: "remote", before: "z", after: "y", rule: "edit" };
const BOTH: FieldOutcome = { kind: "changes", changes: [LOCAL, REMOTE] };

Deno.test("withinRun() keeps for another run what goes the other way", () => {
  assertEquals(withinRun(BOTH, "both", undefined), {
    changes: [LOCAL, REMOTE],
    conflict: null,
    kept: null,
  });
  assertEquals(withinRun(BOTH, "to_local", undefined), {
    changes: [LOCAL],
    conflict: null,
    kept: "direction",
  });
  assertEquals(withinRun(oneChange("local", "x", "y", "edit"), "to_remote", undefined), {
    changes: [],
    conflict: null,
    kept: "direction",
  });
});

Deno.test("withinRun() makes a refused write on side A a conflict whichever way the run goes", () => {
  for (const flow of ["both", "to_local", "to_remote"] as const) {
    assertEquals(withinRun(BOTH, flow, "shared_reference"), {
      changes: [],
      conflict: "shared_reference",
      kept: null,
    });
  }
  assertEquals(withinRun(oneChange("remote", "x", "y", "edit"), "both", "shared_reference"), {
    changes: [{ side: "remote", before: "x", after: "y", rule: "edit" }],
    conflict: null,
    kept: null,
  });
});

Deno.test("withinRun() keeps a first fill that side A has no record for, and no edit", () => {
  for (const flow of ["both", "to_local", "to_remote"] as const) {
    assertEquals(withinRun(oneChange("local", null, "y", "first_fill"), flow, "no_reference"), {
      changes: [],
      conflict: null,
      kept: "no_reference",
    });
    assertEquals(withinRun(oneChange("local", null, "y", "edit"), flow, "no_reference"), {
      changes: [],
      conflict: "no_reference",
      kept: null,
    });
  }
  assertEquals(withinRun(oneChange("local", null, "y", "first_fill"), "both", "shared_reference"), {
    changes: [],
    conflict: "shared_reference",
    kept: null,
  });
});

Deno.test("withinRun() keeps a key that the remote cannot take yet, and makes one it never can a conflict", () => {
  const [local, remote] = [
    oneChange("local", "x", "y", "edit"),
    oneChange("remote", "x", "y", "edit"),
  ];
  const conflict = { changes: [], conflict: "key_cycle", kept: null } as const;
  assertEquals(withinRun(remote, "both", undefined, "key_cycle"), conflict);
  assertEquals(withinRun(BOTH, "to_remote", undefined, "key_cycle"), conflict);
  const waits = withinRun(BOTH, "both", undefined, "key_waits");
  assertEquals([waits.conflict, waits.kept], [null, "key_waits"]);
  assertEquals(waits.changes.map(({ side }) => side), ["local"]);
  for (const refusal of ["key_cycle", "key_waits"] as const) {
    assertEquals(withinRun(local, "both", undefined, refusal), withinRun(local, "both", undefined));
    assertEquals(withinRun(BOTH, "to_local", undefined, refusal).kept, "direction");
  }
});

Deno.test("withinRun() passes on what is no change", () => {
  assertEquals(withinRun({ kind: "nothing" }, "both", "no_reference"), {
    changes: [],
    conflict: null,
    kept: null,
  });
  assertEquals(withinRun({ kind: "conflict", reason: "first_link" }, "to_local", undefined), {
    changes: [],
    conflict: "first_link",
    kept: null,
  });
  assertEquals(withinRun({ kind: "kept", reason: "one_way" }, "both", "no_reference"), {
    changes: [],
    conflict: null,
    kept: "one_way",
  });
});
