import { assert, assertEquals } from "@std/assert";
import { type Version, Versions } from "./versions.ts";

const PHONE = "phone";

function current(versions: Versions, side: "a" | "b"): Version {
  const version = versions.current(side, side, PHONE);
  assert(version !== undefined);
  return version;
}

/** A client without a phone and a subscriber with one, which a one-way field keeps apart. */
function apart(): Versions {
  const versions = new Versions();
  versions.begin("a", "a", new Map([[PHONE, null]]), 0);
  versions.begin("b", "b", new Map([[PHONE, "1"]]), 0);
  versions.settle("a", "b", PHONE, null, "1");
  return versions;
}

Deno.test("an edit of what was kept apart knows the other side, and so does the one after it", () => {
  const versions = apart();
  const old = current(versions, "b");
  for (const [at, value] of ["2", "3"].entries()) {
    versions.edit("a", "a", PHONE, value, at + 1, null);
    assertEquals(versions.isSettled("b", old, current(versions, "a")), true);
  }
});

Deno.test("an edit of the other side since is not part of what was kept apart", () => {
  const versions = apart();
  versions.edit("b", "b", PHONE, "4", 1, null);
  versions.edit("a", "a", PHONE, "2", 2, null);
  assertEquals(versions.isSettled("b", current(versions, "b"), current(versions, "a")), false);
});

Deno.test("what was kept apart is told from either side", () => {
  const versions = apart();
  const old = current(versions, "a");
  versions.edit("b", "b", PHONE, "4", 1, null);
  assertEquals(versions.isSettled("a", old, current(versions, "b")), true);
  assertEquals(versions.isSettled("b", old, current(versions, "b")), false);
});
