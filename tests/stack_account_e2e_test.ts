/** What the local stack keeps of the simulator's account between two starts. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { isAlive } from "../scripts/stack/child_process.ts";
import { SimulatorError, type SimulatorProcess } from "../scripts/stack/simulator.ts";
import { type Stack, startStack } from "../scripts/stack/stack.ts";
import { ControlClient } from "../simulators/mailerlite/control_client.ts";
import type { JsonObject } from "../simulators/mailerlite/json.ts";
import { testDatabase } from "./lib/database.ts";
import { until } from "./lib/until.ts";

function simulatorOf(stack: Stack): SimulatorProcess {
  assert(stack.simulator !== undefined);
  return stack.simulator;
}

async function people(stack: Stack): Promise<JsonObject[]> {
  return await Array.fromAsync(new ControlClient(simulatorOf(stack).url).readAll());
}

async function add(stack: Stack, email: string): Promise<void> {
  const response = await fetch(`${stack.mailerliteUrl}/subscribers`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${simulatorOf(stack).token}`,
      "content-type": "application/json",
    },
    body: JSON.stringify({ email, fields: { name: "Ann" } }),
  });
  await response.body?.cancel();
  assertEquals(response.status, 201);
}

Deno.test("people of the simulator are there again when the stack is started again", async () => {
  await using database = await testDatabase(import.meta.url);
  const dataFolder = await Deno.makeTempDir();
  const file = `${dataFolder}/mailerlite.ndjson`;
  const start = () => startStack({ databaseUrl: database.url, dataFolder });
  try {
    let before: JsonObject[];
    {
      await using stack = await start();
      await add(stack, "ann@example.com");
      before = await people(stack);
      assertEquals(before.length, 1);
    }
    {
      await using stack = await start();
      assertEquals(await people(stack), before);
      await add(stack, "bea@example.com");
      // Without waiting for the end: somebody may kill the whole session.
      await until(
        "the change is written",
        async () => (await Deno.readTextFile(file)).includes("bea@example.com") || undefined,
      );
      before = await people(stack);
      const { pid } = simulatorOf(stack);
      Deno.kill(pid, "SIGKILL");
      await until("the simulator is gone", async () => !(await isAlive(pid)) || undefined);
    }
    {
      await using stack = await start();
      assertEquals(await people(stack), before);
    }
    await Deno.truncate(file, 200);
    const error = await assertRejects(start, SimulatorError);
    assertStringIncludes(error.message, file);
    assertStringIncludes(error.message, "--reset");
    assert(!error.message.includes("example.com"));
  } finally {
    await Deno.remove(dataFolder, { recursive: true });
  }
});
