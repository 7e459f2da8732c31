import { assert, assertEquals } from "@std/assert";
import { describeLogLine, explainPerson } from "./explain_person.ts";
import type { PersonFacts } from "./person_facts.ts";

const LINK = {
  id: 1,
  a_id: "a1",
  b_id: "b1",
  link_state: "linked",
  shadow: { crosswalk_id: 1, taken_at: "2026-01-01", settled: [] },
};

function looked(entry: Record<string, unknown>): PersonFacts["live"] {
  return { kind: "looked", entry: { conflicts: 0, repairs: [], ...entry } };
}

function facts(changes: Partial<PersonFacts> = {}): PersonFacts {
  return {
    clients: ["a1"],
    links: [LINK],
    conflicts: [],
    failures: [],
    queue: [],
    findings: [],
    suppressed: null,
    live: looked({ skipped: true, reason: "no changes detected" }),
    log: [],
    ...changes,
  };
}

const CONFLICT = { id: 7, field: "email", reason: "both_changed", status: "open" };
const QUEUED = {
  side: "a",
  reason: "edited",
  attempts: 2,
  enqueued_at: "2026-01-01",
  not_before: "2026-01-02",
};
const FAILURE = { code: "invalid_email", runs: 1, last_failed_at: "2026-01-01" };

Deno.test("explainPerson() names the state: what blocks the sync comes before what it would do", () => {
  const cases: [Partial<PersonFacts>, string][] = [
    [{}, "in_sync"],
    [{ live: looked({ changed: true }) }, "waiting"],
    [{ live: looked({ changed: true }), links: [] }, "waiting"],
    [{ conflicts: [CONFLICT], live: looked({ changed: true }) }, "conflicted"],
    [
      { conflicts: [{ ...CONFLICT, status: "resolved" }], live: looked({ changed: true }) },
      "waiting",
    ],
    [{ failures: [FAILURE] }, "failing"],
    [{ failures: [{ ...FAILURE, runs: 3 }] }, "dead_letter"],
    [{ live: looked({ error: "unreadable_record" }) }, "failing"],
    [{ clients: ["a1", "a2"], links: [] }, "quarantined"],
    [
      { links: [], live: looked({ reason: "quarantined: two clients share this address" }) },
      "quarantined",
    ],
    [{ links: [], live: looked({ reason: "not created: this person left before" }) }, "excluded"],
    [{ links: [], live: looked({ reason: "kept apart by a person" }) }, "unlinked"],
    [{ live: looked({ reason: "gone from the remote" }) }, "waiting"],
    [{ clients: [], links: [], live: looked({ reason: "unknown on both sides" }) }, "unknown"],
  ];
  for (const [changes, state] of cases) assertEquals(explainPerson(facts(changes)).state, state);
});

Deno.test("explainPerson() tells what was known last where the sides cannot be looked at", () => {
  const live = {
    kind: "not_looked",
    why: "Cannot run: the circuit is open (circuit_open)",
  } as const;
  const known = explainPerson(facts({ live }));
  assertEquals(known.state, "in_sync");
  assert(known.headline.includes("as far as is known"));
  assert(known.details.some((line) => line.includes("circuit_open")));
  assertEquals(explainPerson(facts({ live, queue: [QUEUED] })).state, "waiting");
  assertEquals(explainPerson(facts({ live, links: [] })).state, "unlinked");
  assertEquals(explainPerson(facts({ live, links: [], clients: [] })).state, "unknown");
});

Deno.test("explainPerson() lists every fact, with the command that shows a conflict", () => {
  const { details } = explainPerson(facts({
    conflicts: [CONFLICT],
    failures: [FAILURE],
    queue: [QUEUED],
    suppressed: "unsubscribed",
    findings: [{ id: 1, kind: "key_taken", found_at: "2026-01-01" }],
    links: [{ ...LINK, shadow: { ...LINK.shadow, settled: ["city"] } }],
  }));
  const text = details.join("\n");
  for (
    const words of [
      "in supabase: a1",
      "at the remote: b1, linked, last agreed 2026-01-01",
      "though they differ: city",
      "deno task sync conflicts show 7",
      "failed in 1 run, last 2026-01-01: invalid_email",
      "in the queue (supabase: edited), due 2026-01-02, tried 2 times",
      "a run found: key taken",
      "left before (unsubscribed)",
    ]
  ) assert(text.includes(words), words);
});

Deno.test("describeLogLine() tells when, where, from what to what, and by which rule", () => {
  const line = {
    id: 1,
    created_at: "2026-01-02T03:04:05.678+00:00",
    side: "b",
    action: "update",
    field: "city",
    before: null,
    after: "Oslo",
    rule: "wins_local",
    applied: true,
  };
  assertEquals(describeLogLine(line), [
    "2026-01-02 03:04:05",
    "remote",
    "city: (empty) -> Oslo",
    "both sides were edited, and supabase wins",
  ]);
  assertEquals(
    describeLogLine({ ...line, applied: false, rule: "edit" })[2],
    "city: (empty) -> Oslo (not done)",
  );
  assertEquals(
    describeLogLine({ ...line, field: null, action: "create", rule: "new" })[2],
    "create",
  );
  assertEquals(describeLogLine({ ...line, rule: "something_else" })[3], "something else");
});
