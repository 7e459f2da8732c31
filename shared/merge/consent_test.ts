import { assert, assertFalse } from "@std/assert";
import { CONSENT_STATUSES, isConsentStatus } from "./consent.ts";

Deno.test("isConsentStatus() knows its own words and no vendor's", () => {
  for (const status of CONSENT_STATUSES) assert(isConsentStatus(status));
  for (const other of ["active", "junk", "Subscribed", "", null, undefined, 1, "toString"]) {
    assertFalse(isConsentStatus(other));
  }
});
