import { assertEquals, assertFalse } from "@std/assert";
import { MissingConfigurationError } from "../connectors/missing_configuration_error.ts";
import { RemoteError } from "../connectors/remote_error.ts";
import { RateWaitError } from "../limits/rate_wait_error.ts";
import { ConfigurationError } from "./configuration_error.ts";
import { describeError } from "./describe_error.ts";
import { RemoteEmptyError } from "./remote_empty_error.ts";

function databaseError(code: string): Error {
  return Object.assign(new Error("duplicate key: Key (email)=(ann@example.org) already exists"), {
    severity: "ERROR",
    code,
    detail: "ann@example.org",
  });
}

Deno.test("describeError() tells which runs can go on where they stopped", () => {
  const cases: [unknown, string, boolean][] = [
    [new RateWaitError("acme", 5_000), "rate_limited", true],
    [
      new RemoteError("retryable", "remote_unavailable", "Cannot list: 503", 503),
      "remote_unavailable",
      true,
    ],
    [
      new RemoteError("unknown_outcome", "remote_timeout", "Cannot write: no answer"),
      "remote_timeout",
      true,
    ],
    [
      new RemoteError("auth", "remote_unauthorized", "Cannot list: 401", 401),
      "remote_unauthorized",
      false,
    ],
    [
      new RemoteError("rejected", "remote_rejected", "Cannot list: 422", 422),
      "remote_rejected",
      false,
    ],
    [
      new ConfigurationError([{ path: "a.b", message: "is not there" }]),
      "invalid_configuration",
      false,
    ],
    [new MissingConfigurationError("ACME_KEY", "a token"), "missing_configuration", false],
    [new RemoteEmptyError(7), "remote_empty", false],
    [databaseError("57P01"), "database_error", true],
    [Object.assign(new Error("connect"), { code: "ECONNREFUSED" }), "database_error", true],
    [new RangeError("Cannot handle ann@example.org"), "internal_error", false],
    ["ann@example.org", "internal_error", false],
    [undefined, "internal_error", false],
  ];
  for (const [thrown, code, resumable] of cases) {
    const outcome = describeError(thrown);
    assertEquals([outcome.error.code, outcome.resumable], [code, resumable]);
    assertFalse(JSON.stringify(outcome).includes("ann@example.org"));
  }
});

Deno.test("describeError() keeps the paths of a wrong configuration", () => {
  const { error } = describeError(
    new ConfigurationError([{ path: "a.b", message: "is not there" }]),
  );
  assertEquals(error.details, [{ path: "a.b", message: "is not there" }]);
});
