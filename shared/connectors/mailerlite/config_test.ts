import { assertEquals, assertThrows } from "@std/assert";
import { MissingConfigurationError } from "../missing_configuration_error.ts";
import { readConfig } from "./config.ts";

const from = (values: Record<string, string>) => (name: string) => values[name];

Deno.test("readConfig() takes the public address where none is given", () => {
  assertEquals(readConfig(from({ MAILERLITE_API_KEY: " key\n" })), {
    apiKey: "key",
    baseUrl: "https://connect.mailerlite.com/api",
  });
});

Deno.test("readConfig() drops slashes at the end of the address", () => {
  const env = from({
    MAILERLITE_API_KEY: "key",
    MAILERLITE_API_URL: "http://127.0.0.1:9090/api//",
  });
  assertEquals(readConfig(env).baseUrl, "http://127.0.0.1:9090/api");
});

Deno.test("readConfig() names the variable that is wrong, and never its value", () => {
  const cases: [Record<string, string>, string][] = [
    [{}, "MAILERLITE_API_KEY"],
    [{ MAILERLITE_API_KEY: "  " }, "MAILERLITE_API_KEY"],
    [{ MAILERLITE_API_KEY: "se\ncret" }, "MAILERLITE_API_KEY"],
    [{ MAILERLITE_API_KEY: "sécret" }, "MAILERLITE_API_KEY"],
    [
      { MAILERLITE_API_KEY: "key", MAILERLITE_API_URL: "secret.test/api" },
      "MAILERLITE_API_URL",
    ],
    [
      { MAILERLITE_API_KEY: "key", MAILERLITE_API_URL: "https://a:secret@b" },
      "MAILERLITE_API_URL",
    ],
  ];
  for (const [values, variable] of cases) {
    const error = assertThrows(
      () => readConfig(from(values)),
      MissingConfigurationError,
      variable,
    );
    assertEquals(error.code, "missing_configuration");
    assertEquals(error.variable, variable);
    assertEquals(/s.?cret/.test(error.message), false);
  }
});
