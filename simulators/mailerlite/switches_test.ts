import { assertEquals, assertThrows } from "@std/assert";
import type { SwitchCase, SwitchCases } from "./switch_cases.ts";
import { accountCases } from "./switch_cases_account.ts";
import { subscriberCases } from "./switch_cases_subscribers.ts";
import { webhookCases } from "./switch_cases_webhooks.ts";
import { checkSwitches, defaultSwitches, SWITCHES } from "./switches.ts";
import { TestApi } from "./test_api.ts";

// Complete by type: a switch or a setting without a case does not compile.
const CASES: SwitchCases = { ...subscriberCases, ...accountCases, ...webhookCases };

for (const [name, settings] of Object.entries(CASES)) {
  for (const [setting, show] of Object.entries(settings) as [string, SwitchCase][]) {
    Deno.test(`switch ${name}: ${setting}`, async () => {
      await show(
        new TestApi({ switches: checkSwitches({ [name]: setting }), extraTokens: ["second"] }),
      );
    });
  }
}

Deno.test("the default of every switch is one of its settings", () => {
  const defaults: Record<string, string> = defaultSwitches();
  for (const [name, spec] of Object.entries(SWITCHES)) {
    assertEquals(Object.keys(spec.settings).includes(defaults[name] ?? ""), true, name);
  }
});

Deno.test("an unknown switch and an unknown setting are refused by name", () => {
  assertThrows(() => checkSwitches({ noSuch: "on" }), TypeError, 'Cannot set switch "noSuch"');
  assertThrows(
    () => checkSwitches({ batchCost: "two" }),
    TypeError,
    'Cannot set switch "batchCost" to "two"',
  );
  assertThrows(() => new TestApi().simulator.setSwitches(JSON.parse('{"batchCost":1}')), TypeError);
});
