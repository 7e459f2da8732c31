import { assertEquals } from "@std/assert";
import { CONSENT_STATUSES, type ConsentStatus } from "./consent.ts";
import { isForbidding } from "./consent_order.ts";
import type { FieldBase } from "./field_base.ts";
import { mergeConsent } from "./merge_consent.ts";

function merged(base: FieldBase | null, a: ConsentStatus, b: ConsentStatus): string {
  const outcome = mergeConsent(base, a, b);
  if (outcome.kind === "nothing") return "same";
  if (outcome.kind !== "changes") return `${outcome.kind} ${outcome.reason}`;
  const [change] = outcome.changes;
  assertEquals([outcome.changes.length, change?.rule], [1, "consent_lowered"]);
  assertEquals(change?.before, change?.side === "local" ? a : b);
  return `${change?.side} ${change?.after}`;
}

// Rows are what side A says, columns what the remote says, on a first link.
const TABLE: Record<ConsentStatus, Record<ConsentStatus, string>> = (() => {
  const raised = "kept consent_never_raised";
  const both = "kept consent_both_forbid";
  const tell = "remote unsubscribed";
  const lower = {
    unsubscribed: "local unsubscribed",
    bounced: "local bounced",
    complained: "local complained",
  };
  const told = { subscribed: tell, pending: tell, none: tell };
  return {
    subscribed: { subscribed: "same", pending: raised, none: raised, ...lower },
    pending: { subscribed: raised, pending: "same", none: raised, ...lower },
    none: { subscribed: raised, pending: raised, none: "same", ...lower },
    unsubscribed: {
      ...told,
      unsubscribed: "same",
      bounced: both,
      complained: lower.complained,
    },
    bounced: {
      ...told,
      bounced: "same",
      unsubscribed: lower.unsubscribed,
      complained: lower.complained,
    },
    complained: { ...told, complained: "same", unsubscribed: both, bounced: both },
  };
})();

Deno.test("mergeConsent() lowers on either side and raises on none, for every pair of words", () => {
  for (const a of CONSENT_STATUSES) {
    for (const b of CONSENT_STATUSES) assertEquals(merged(null, a, b), TABLE[a][b], `${a} ${b}`);
  }
});

Deno.test("mergeConsent() lets what forbids win over any base", () => {
  for (const a of CONSENT_STATUSES) {
    for (const b of CONSENT_STATUSES) {
      // Where both forbid, the base tells what is news: see below.
      if (isForbidding(a) && isForbidding(b)) continue;
      for (const oldA of CONSENT_STATUSES) {
        for (const settled of [true, false]) {
          for (const oldB of [oldA, a, b]) {
            const base = { a: oldA, b: oldB, settled };
            assertEquals(merged(base, a, b), TABLE[a][b], `${a} ${b} on ${oldA} ${oldB}`);
          }
        }
      }
    }
  }
});

Deno.test("mergeConsent() takes over a stricter word only when the remote came to it since", () => {
  const settled = { a: "bounced", b: "unsubscribed", settled: true };
  assertEquals(merged(settled, "bounced", "unsubscribed"), "kept consent_both_forbid");
  assertEquals(merged(settled, "bounced", "complained"), "local complained");
  const agreed = { a: "unsubscribed", b: "unsubscribed", settled: false };
  assertEquals(merged(agreed, "bounced", "unsubscribed"), "kept consent_both_forbid");
  // Nothing was agreed on yet: a run of the other direction has only noted it.
  const noted = { a: "bounced", b: "complained", settled: false };
  assertEquals(merged(noted, "bounced", "complained"), "local complained");
});

Deno.test("mergeConsent() lowers again a person that was raised on one side only", () => {
  const base = { a: "unsubscribed", b: "unsubscribed", settled: false };
  assertEquals(merged(base, "subscribed", "unsubscribed"), "local unsubscribed");
  assertEquals(merged(base, "unsubscribed", "subscribed"), "remote unsubscribed");
});
