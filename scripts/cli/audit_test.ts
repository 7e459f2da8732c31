import { assert, assertEquals, assertFalse } from "@std/assert";
import { createHash } from "node:crypto";
import { requirePair } from "../../shared/engine/config.ts";
import type { Doc } from "../../shared/merge/json.ts";
import config from "../../sync.config.ts";
import { audit, type AuditDeps, type AuditReport, hasDrift } from "./audit.ts";
import type { LinkRow } from "./audit_links.ts";
import { auditJson, describeAudit } from "./audit_report.ts";

const pair = requirePair(config);

function local(email: string, changes: Doc = {}): Doc {
  return {
    email,
    first_name: "Ann",
    city: "Oslo",
    marketing_status: "subscribed",
    groups: ["Clients"],
    partner_id: null,
    ...changes,
  };
}

function remote(email: string, changes: Doc = {}): Doc {
  return {
    email,
    "fields.name": "Ann",
    "fields.city": "Oslo",
    status: "subscribed",
    groups: ["Clients"],
    ...changes,
  };
}

/** Both sides in memory; what a second look finds may differ from the first. */
interface Sides {
  readonly local: Record<string, Doc>;
  readonly remote: Record<string, Doc | "unreadable">;
  readonly links: readonly (readonly [a: string, b: string, state?: string])[];
  readonly localLater?: Record<string, Doc>;
  readonly remoteLater?: Record<string, Doc>;
  readonly linksLater?: readonly LinkRow[];
  readonly conflicts?: ReadonlyMap<number, readonly string[]>;
  readonly suppressed?: readonly string[];
}

function depsOf(sides: Sides): AuditDeps {
  const living = sides.links.flatMap(([a, b, state = "linked"], index) =>
    state === "linked" ? [{ id: index + 1, a_id: a, b_id: b, link_state: state }] : []
  );
  const lost = sides.links.flatMap(([a, b, state]) => state === undefined ? [] : [{ a, b, state }]);
  const suppressed = new Set(sides.suppressed ?? []);
  return {
    pair,
    links: {
      ids: living.map(({ id }) => id),
      aIds: living.map(({ a_id }) => a_id),
      bIds: living.map(({ b_id }) => b_id),
      placeOfA: new Map(living.map(({ a_id }, place) => [a_id, place])),
      placeOfB: new Map(living.map(({ b_id }, place) => [b_id, place])),
      lostA: new Map(lost.map(({ a, state }) => [a, state])),
      lostB: new Map(lost.map(({ b, state }) => [b, state])),
    },
    local: {
      readPage: (after) =>
        Promise.resolve(
          Object.entries(sides.local).filter(([id]) => after === null || id > after).slice(0, 2)
            .map(([id, doc]) => ({ id, doc })),
        ),
      readByIds: (ids) => {
        const now = { ...sides.local, ...sides.localLater };
        return Promise.resolve(
          ids.flatMap((id) => now[id] === undefined ? [] : [{ id, doc: now[id] }]),
        );
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    remote: {
      async *list() {
        for (const [id, doc] of Object.entries(sides.remote)) {
          yield doc === "unreadable"
            ? { records: [], unreadable: [id] }
            : { records: [{ id, doc }], unreadable: [] };
        }
        await Promise.resolve();
      },
      get: (ids) => {
        const now = { ...sides.remote, ...sides.remoteLater };
        return Promise.resolve(
          new Map(ids.map((id) => {
            const doc = now[id];
            return [id, doc === undefined ? null : doc === "unreadable" ? doc : { id, doc }];
          })),
        );
      },
    },
    readConflicts: () => {
      const fields = sides.conflicts ?? new Map<number, string[]>();
      return Promise.resolve({ open: [...fields.values()].flat().length, fields });
    },
    readLiving: (column, values) =>
      Promise.resolve(
        (sides.linksLater ?? living).filter((row) => values.includes(row[column])),
      ),
    readSuppressed: (digests) =>
      Promise.resolve(new Set(digests.filter((digest) => suppressed.has(digest)))),
  };
}

async function audited(sides: Sides): Promise<AuditReport> {
  return await audit(depsOf(sides));
}

Deno.test("an audit of equal sides finds nothing", async () => {
  const report = await audited({
    // Written in another form, and the same.
    local: { a1: local(" ANN@x.org "), a2: local("ben@x.org", { city: "" }) },
    remote: { b1: remote("ann@x.org"), b2: remote("ben@x.org", { "fields.city": null }) },
    links: [["a1", "b1"], ["a2", "b2"]],
  });
  assertEquals([report.equal, report.findings, hasDrift(report)], [2, [], false]);
  assert(describeAudit(report, 50, new Map()).startsWith("Both sides agree"));
});

Deno.test("an audit tells for each linked pair which fields differ, and which of them wait for a person", async () => {
  const report = await audited({
    local: { a1: local("ann@x.org", { city: "Rome" }), a2: local("ben@x.org") },
    remote: {
      b1: remote("ann@x.org", { "fields.name": "Bo" }),
      b2: remote("ben@x.org", { groups: ["Clients", "VIP", "Other"] }),
    },
    links: [["a1", "b1"], ["a2", "b2"]],
    conflicts: new Map([[1, ["city"]]]),
  });
  assertEquals(report.findings, [
    {
      aId: "a1",
      bId: "b1",
      what: "different",
      fields: ["firstName", "city"],
      inConflict: ["city"],
    },
    { aId: "a2", bId: "b2", what: "different", fields: ["groups"], inConflict: [] },
  ]);
  assert(hasDrift(report));
});

Deno.test("an audit looks a second time before it tells, as people edit meanwhile", async () => {
  const report = await audited({
    local: {
      a1: local("ann@x.org", { city: "Rome" }),
      a2: local("ben@x.org"),
      a3: local("c@x.org"),
    },
    remote: { b1: remote("ann@x.org"), b3: remote("c@x.org", { "fields.city": "Bonn" }) },
    links: [["a1", "b1"], ["a2", "b2"], ["a3", "b3"]],
    remoteLater: { b1: remote("ann@x.org", { "fields.city": "Rome" }), b2: remote("ben@x.org") },
    // The third was unlinked meanwhile.
    linksLater: [
      { id: 1, a_id: "a1", b_id: "b1", link_state: "linked" },
      { id: 2, a_id: "a2", b_id: "b2", link_state: "linked" },
    ],
  });
  assertEquals(report.findings, []);
});

Deno.test("an audit tells which side of a link is gone or cannot be read", async () => {
  const report = await audited({
    local: { a2: local("b@x.org"), a4: local("d@x.org"), a5: local("e@x.org", { city: [] }) },
    remote: { b1: remote("a@x.org"), b4: "unreadable", b5: remote("e@x.org") },
    links: [["a1", "b1"], ["a2", "b2"], ["a3", "b3"], ["a4", "b4"], ["a5", "b5"]],
  });
  assertEquals(report.findings.map(({ aId, what }) => [aId, what]), [
    ["a1", "local_missing"],
    ["a2", "remote_missing"],
    ["a3", "both_missing"],
    ["a4", "unreadable"],
    ["a5", "unreadable"],
  ]);
});

Deno.test("differences that the sync leaves for good are counted and are no drift", async () => {
  const report = await audited({
    local: {
      a1: local("a@x.org", { marketing_status: "none" }),
      a2: local("b@x.org", { marketing_status: "bounced" }),
      a3: local("c@x.org"),
      a4: local("d@x.org", { city: "Rome", marketing_status: "pending" }),
    },
    remote: {
      b1: remote("a@x.org"),
      b2: remote("b@x.org", { status: "unsubscribed" }),
      b3: remote("c@x.org", { "fields.partner_name": "Pat" }),
      b4: remote("d@x.org"),
    },
    links: [["a1", "b1"], ["a2", "b2"], ["a3", "b3"], ["a4", "b4"]],
  });
  assertEquals([...report.accepted], [
    ["consent consent_never_raised", 1],
    ["consent consent_both_forbid", 1],
    ["partnerName no_reference", 1],
  ]);
  assertEquals(report.findings.map(({ aId, fields }) => [aId, fields]), [["a4", ["city"]]]);
});

Deno.test("a consent that one side forbids and a value that side A could hold are drift", async () => {
  const report = await audited({
    local: {
      a1: local("a@x.org", { marketing_status: "unsubscribed" }),
      a2: local("b@x.org", { partner_id: "p", "partner.name": "Kim" }),
    },
    remote: { b1: remote("a@x.org"), b2: remote("b@x.org", { "fields.partner_name": "Pat" }) },
    links: [["a1", "b1"], ["a2", "b2"]],
  });
  assertEquals(report.findings.map(({ fields }) => fields), [["consent"], ["partnerName"]]);
});

Deno.test("an audit tells why a record has no link, or that it should have one", async () => {
  const left = createHash("sha256").update("clients:left@x.org").digest("hex");
  const report = await audited({
    local: {
      a1: local("new@x.org"),
      a2: local("asked@x.org", { marketing_status: "none" }),
      a3: local(""),
      a4: local("left@x.org"),
      a5: local("same@x.org"),
      a6: local("same@x.org"),
      a7: local("linked@x.org"),
      a8: local("match@x.org", { marketing_status: "none" }),
      a9: local("lost@x.org"),
    },
    remote: {
      b1: remote("linked@x.org"),
      b2: remote("match@x.org"),
      b3: remote("same@x.org"),
      b4: remote("only@x.org"),
      b5: remote("away@x.org"),
    },
    links: [["gone", "b1"], ["a9", "x", "b_missing"], ["y", "b5", "unlinked"]],
    suppressed: [left],
  });
  const reasons = (records: readonly { id: string; reason: string | null }[]) =>
    Object.fromEntries(records.map(({ id, reason }) => [id, reason]));
  assertEquals(reasons(report.looseLocal), {
    a1: null,
    a2: "consent",
    a3: "no_key",
    a4: "suppressed",
    a5: "duplicate_key",
    a6: "duplicate_key",
    a7: "key_taken",
    a8: null,
    a9: "b_missing",
  });
  assertEquals(reasons(report.looseRemote), {
    b2: null,
    b3: "duplicate_key",
    b4: null,
    b5: "unlinked",
  });
});

Deno.test("records left out by a rule are no drift, and a record that should be linked is", async () => {
  const without = { remote: {}, links: [] };
  const excluded = await audited({
    ...without,
    local: { a1: local("a@x.org", { marketing_status: "none" }) },
  });
  assertFalse(hasDrift(excluded));
  assert(hasDrift(await audited({ ...without, local: { a1: local("a@x.org") } })));
  const meanwhile = await audited({
    ...without,
    local: { a1: local("a@x.org") },
    linksLater: [{ id: 1, a_id: "a1", b_id: "b1", link_state: "linked" }],
  });
  assertFalse(hasDrift(meanwhile));
});

Deno.test("a record that comes up twice in the list is counted once", async () => {
  const deps = depsOf({
    local: { a1: local("a@x.org") },
    remote: { b1: remote("a@x.org"), b2: remote("b@x.org") },
    links: [["a1", "b1"]],
  });
  const { list } = deps.remote;
  const twice = {
    ...deps.remote,
    async *list() {
      yield* list();
      yield* list();
    },
  };
  const report = await audit({ ...deps, remote: twice });
  assertEquals([report.remote, report.equal], [2, 1]);
  assertEquals(report.looseRemote, [{ id: "b2", reason: null }]);
});

Deno.test("a report holds ids and fields, and addresses only where they are given", async () => {
  const report = await audited({
    local: { a1: local("ann@x.org", { city: "Rome" }), a2: local("ben@x.org") },
    remote: { b1: remote("ann@x.org") },
    links: [["a1", "b1"]],
  });
  for (const text of [describeAudit(report, 50, new Map()), auditJson(report, 50, new Map())]) {
    assertFalse(/@|Rome|Oslo/.test(text));
    assert(text.includes("a1") && text.includes("city") && text.includes("a2"));
  }
  const addresses = new Map([["a:a1", "ann@x.org"]]);
  assert(describeAudit(report, 50, addresses).includes("ann@x.org"));
  assertEquals(JSON.parse(auditJson(report, 50, addresses)).findings[0].address, "ann@x.org");
  assertEquals(JSON.parse(auditJson(report, 0, addresses)).findings, []);
});
