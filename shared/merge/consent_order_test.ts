import { assertEquals } from "@std/assert";
import { CONSENT_STATUSES } from "./consent.ts";
import { isForbidding, isStricter, mayBeCreated } from "./consent_order.ts";

Deno.test("isForbidding() is true of three words and of nothing else", () => {
  assertEquals(CONSENT_STATUSES.filter(isForbidding), ["unsubscribed", "bounced", "complained"]);
  for (const other of [null, undefined, "", "junk", 1, []]) {
    assertEquals(isForbidding(other), false);
  }
});

Deno.test("isStricter() puts a bounce under an unsubscription, and that under a complaint", () => {
  const order = ["bounced", "unsubscribed", "complained"] as const;
  for (const [i, one] of order.entries()) {
    for (const [j, other] of order.entries()) assertEquals(isStricter(one, other), i > j);
  }
});

Deno.test("mayBeCreated() lets only those be created who allow it or were asked", () => {
  assertEquals(CONSENT_STATUSES.filter(mayBeCreated), ["subscribed", "pending"]);
  for (const other of [null, undefined, "active"]) assertEquals(mayBeCreated(other), false);
});
