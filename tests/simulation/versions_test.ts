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

Deno.test("what was kept apart is over once the sides have agreed", () => {
  const versions = apart();
  const old = current(versions, "b");
  versions.edit("a", "a", PHONE, "2", 1, null);
  const now = current(versions, "a");
  assertEquals(versions.isSettled("b", old, now), true);
  versions.copy("a", "a", PHONE, "1", "b", 2);
  versions.agree("a", "b", PHONE);
  assertEquals(versions.isSettled("b", old, now), false);
});

/** An edit of side A over "1", on which both sides had agreed, and what the sync made of it at side B. */
function written(): { readonly versions: Versions; readonly now: Version } {
  const versions = new Versions();
  versions.begin("a", "a", new Map([[PHONE, "1"]]), 0);
  versions.begin("b", "b", new Map([[PHONE, "1"]]), 0);
  for (const side of ["a", "b"] as const) versions.confirm(side, side, PHONE, "1");
  versions.edit("a", "a", PHONE, "2", 1, null);
  versions.copy("b", "b", PHONE, "2", "a", 2);
  return { versions, now: current(versions, "a") };
}

function isTakenBack(versions: Versions, now: Version): boolean {
  return versions.isTakenBack("b", "b", current(versions, "b"), now);
}

Deno.test("what was taken back before anybody heard of it looks as if it had never arrived", () => {
  const { versions, now } = written();
  versions.edit("b", "b", PHONE, "1", 3, null);
  assertEquals(isTakenBack(versions, now), true);
  versions.edit("a", "a", PHONE, "3", 4, null);
  assertEquals(isTakenBack(versions, current(versions, "a")), true, "also where it was edited on");
});

Deno.test("what was taken back after the sync had heard of it is an edit", () => {
  const { versions, now } = written();
  versions.confirm("b", "b", PHONE, "2");
  versions.edit("b", "b", PHONE, "1", 3, null);
  assertEquals(isTakenBack(versions, now), false);
});

Deno.test("another value in the place of what was written is an edit", () => {
  const { versions, now } = written();
  versions.edit("b", "b", PHONE, "4", 3, null);
  assertEquals(isTakenBack(versions, now), false);
});

Deno.test("what came back after the sync had heard of something else is an edit", () => {
  const { versions, now } = written();
  versions.edit("b", "b", PHONE, "4", 3, null);
  versions.confirm("b", "b", PHONE, "4");
  versions.edit("b", "b", PHONE, "1", 4, null);
  assertEquals(isTakenBack(versions, now), false);
});

Deno.test("what came back is an edit where the sync had never heard of it", () => {
  const versions = new Versions();
  versions.begin("a", "a", new Map([[PHONE, "1"]]), 0);
  versions.begin("b", "b", new Map([[PHONE, "1"]]), 0);
  for (const side of ["a", "b"] as const) versions.confirm(side, side, PHONE, "1");
  versions.edit("a", "a", PHONE, "2", 1, null);
  versions.edit("b", "b", PHONE, "5", 2, null);
  versions.copy("b", "b", PHONE, "2", "a", 3);
  versions.edit("b", "b", PHONE, "5", 4, null);
  assertEquals(isTakenBack(versions, current(versions, "a")), false);
});

const LINK = { id: 7, isBased: true };

function isAsLinked(versions: Versions): boolean {
  return versions.isAsLinked("a", current(versions, "a"), "b");
}

/** A client whose phone took these values before it was linked to a subscriber with another, and these since. */
function linked(before: readonly (string | null)[], since: readonly (string | null)[]): Versions {
  const versions = new Versions();
  const [first = null, ...others] = before;
  versions.begin("a", "a", new Map([[PHONE, first]]), 0);
  versions.begin("b", "b", new Map([[PHONE, "9"]]), 0);
  for (const value of others) versions.edit("a", "a", PHONE, value, 1, null);
  for (const value of since) versions.edit("a", "a", PHONE, value, 2, { ...LINK, partner: "b" });
  return versions;
}

Deno.test("a blank that was put back as it stood when the records were linked is no edit", () => {
  assertEquals(isAsLinked(linked([null], ["1", null])), true);
  assertEquals(isAsLinked(linked([null, "1", null], ["2", null])), true);
});

Deno.test("a blank in the place of what stood when the records were linked is an edit", () => {
  assertEquals(isAsLinked(linked(["1"], [null])), false);
  assertEquals(isAsLinked(linked([null, "1"], [null])), false);
  assertEquals(isAsLinked(linked([null, "1"], ["2", null])), false);
});

Deno.test("a blank in the place of what the sides agreed on is an edit", () => {
  const versions = linked([null], []);
  versions.copy("a", "a", PHONE, "9", "b", 2);
  versions.edit("a", "a", PHONE, null, 3, { ...LINK, partner: "b" });
  assertEquals(isAsLinked(versions), false);
});

Deno.test("a blank that was accepted beside the other side's value is an edit once it comes back", () => {
  const versions = linked([null], []);
  versions.settle("a", "b", PHONE, null, "9");
  for (const value of ["1", null]) {
    versions.edit("a", "a", PHONE, value, 3, { ...LINK, partner: "b" });
  }
  assertEquals(isAsLinked(versions), false);
});

/** A blank that both sides hold, filled at side A; at side B filled and emptied again. */
function isBack(heard: boolean): boolean {
  const versions = new Versions();
  for (const side of ["a", "b"] as const) {
    versions.begin(side, side, new Map([[PHONE, null]]), 0);
    versions.confirm(side, side, PHONE, null);
  }
  versions.share("a", "b");
  versions.confirm("b", "b", PHONE, null);
  versions.edit("a", "a", PHONE, "2", 1, null);
  versions.edit("b", "b", PHONE, "1", 2, null);
  if (heard) versions.confirm("b", "b", PHONE, "1");
  versions.edit("b", "b", PHONE, null, 3, null);
  return versions.isBack("b", "b", current(versions, "b"), current(versions, "a"));
}

Deno.test("a value that came back before the sync had heard of another is no edit", () => {
  assertEquals(isBack(false), true);
});

Deno.test("a value that came back after the sync had heard of another is an edit", () => {
  assertEquals(isBack(true), false);
});
