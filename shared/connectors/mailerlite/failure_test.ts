import { assertEquals } from "@std/assert";
import { failureOf, isPassing } from "./failure.ts";
import { rejectionCode } from "./rejection.ts";

const refused = (status: number, body: unknown = null) =>
  ({ kind: "refused", status, retryAfterMs: null, body }) as const;

Deno.test("failureOf() repeats what may be repeated after any passing trouble", () => {
  for (const status of [408, 425, 429, 500, 502, 503, 504, 520]) {
    const { error, again } = failureOf(true, "GET /x", refused(status));
    assertEquals([error.kind, again], ["retryable", true], String(status));
  }
  for (const code of ["remote_timeout", "remote_unreachable"] as const) {
    const { error, again } = failureOf(true, "GET /x", { kind: "lost", code });
    assertEquals([error.kind, again], ["retryable", true], code);
  }
});

Deno.test("failureOf() calls everything else unknown unless it was turned away for certain", () => {
  for (const status of [408, 500, 502, 503, 504]) {
    const { error, again } = failureOf(false, "POST /x", refused(status));
    assertEquals([error.kind, again], ["unknown_outcome", false]);
  }
  for (const status of [425, 429]) {
    const { error, again } = failureOf(false, "POST /x", refused(status));
    assertEquals([error.kind, again], ["retryable", true]);
  }
  const garbled = { kind: "garbled", status: 200 } as const;
  assertEquals(
    failureOf(false, "POST /x", garbled).error.kind,
    "unknown_outcome",
  );
});

Deno.test("failureOf() repeats nothing when the caller stopped", () => {
  const aborted = { kind: "lost", code: "aborted" } as const;
  assertEquals(failureOf(true, "GET /x", aborted).again, false);
  assertEquals(
    failureOf(false, "POST /x", aborted).error.kind,
    "unknown_outcome",
  );
});

Deno.test("failureOf() names credentials, absence and refusal apart", () => {
  const seen = [401, 403, 404, 405, 409, 413, 422].map((status) => {
    const { error, again } = failureOf(true, "GET /x", refused(status));
    assertEquals(again, false);
    return [status, error.kind, error.code];
  });
  assertEquals(seen, [
    [401, "auth", "remote_unauthorized"],
    [403, "auth", "remote_forbidden"],
    [404, "rejected", "remote_not_found"],
    [405, "rejected", "remote_rejected"],
    [409, "rejected", "remote_rejected"],
    [413, "rejected", "remote_rejected"],
    [422, "rejected", "remote_rejected"],
  ]);
});

Deno.test("isPassing() takes 4xx for lasting but for 408, 425 and 429", () => {
  assertEquals([400, 401, 404, 422].map(isPassing), Array(4).fill(false));
  assertEquals([408, 425, 429, 500, 599].map(isPassing), Array(5).fill(true));
});

Deno.test("rejectionCode() comes from the keys of the errors alone", () => {
  const body = (errors: unknown) => ({ message: "a@b.test is bad", errors });
  assertEquals(rejectionCode(body({ email: ["x"] })), "rejected_email");
  assertEquals(rejectionCode(body({ "groups.0": ["x"] })), "rejected_groups");
  assertEquals(
    rejectionCode(body({ "fields.city": ["x"], zip: ["y"] })),
    "rejected_fields.city",
  );
});

Deno.test("rejectionCode() lets no value through that stands where a key should", () => {
  assertEquals(
    rejectionCode({ errors: { "ann@example.test": ["x"] } }),
    "remote_rejected",
  );
  for (const body of [null, undefined, "text", [], { errors: [] }, {}]) {
    assertEquals(rejectionCode(body), "remote_rejected");
  }
});
