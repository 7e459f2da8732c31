/** The local stack as `deno task start` runs it: an edit of either side arrives on the other by itself. */
import { assert, assertEquals } from "@std/assert";
import { createClient } from "@supabase/supabase-js";
import { fillAccount } from "../scripts/stack/fill_account.ts";
import { startStack } from "../scripts/stack/stack.ts";
import type { Database as Schema } from "../shared/store/database.types.ts";
import { ControlClient } from "../simulators/mailerlite/control_client.ts";
import config from "../sync.config.ts";
import { testDatabase } from "./lib/database.ts";
import { until } from "./lib/until.ts";

/** What somebody who edits and looks across is ready to wait for. */
const SOON_MS = 2_000;

Deno.test("with the stack live", async (t) => {
  await using database = await testDatabase(import.meta.url);
  await using stack = await startStack({
    databaseUrl: database.url,
    simulator: ["--no-limits"],
    live: true,
  });
  const simulator = new ControlClient(stack.simulator?.url ?? "");
  await fillAccount(stack.simulator?.url ?? "", config);
  const admin = createClient<Schema>(stack.url, stack.keys.secret["default"] ?? "", {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  // The first start of a process takes what a hosted function's does not.
  for (const name of ["smart-sync", "sync-webhook"]) await stack.functions.start(name);
  const nameAtRemote = async () => {
    for await (const { fields } of simulator.readAll()) {
      return fields !== null && typeof fields === "object" ? Reflect.get(fields, "name") : null;
    }
  };
  const timed = async (what: string, look: () => Promise<true | undefined>) => {
    const start = performance.now();
    await until(what, look);
    const took = performance.now() - start;
    assert(took < SOON_MS, `${what} after ${Math.round(took)} ms`);
  };

  await t.step("a new client is a subscriber, and then an edit of it", async () => {
    const { error } = await admin.from("clients").insert({
      email: "ann@example.com",
      first_name: "Ann",
      city: "Oslo",
      marketing_status: "subscribed",
    });
    assertEquals(error, null);
    await timed(
      "the client is at the remote",
      async () => await nameAtRemote() === "Ann" ? true : undefined,
    );
    const edit = await admin.from("clients").update({ first_name: "Bea" })
      .eq("email", "ann@example.com");
    assertEquals(edit.error, null);
    await timed(
      "the edit is at the remote",
      async () => await nameAtRemote() === "Bea" ? true : undefined,
    );
  });

  await t.step("an edit at the remote is in Postgres", async () => {
    await simulator.change("ann@example.com", { fields: { city: "Rome" } });
    await timed("the edit is in Postgres", async () => {
      const { data } = await admin.from("clients").select("city").single();
      return data?.city === "Rome" ? true : undefined;
    });
  });

  await t.step(
    "nothing is left in the queue, and both edits stand",
    async () => {
      await until("the queue is empty", async () => {
        const { count } = await admin.from("sync_queue").select("*", {
          count: "exact",
          head: true,
        });
        return count === 0 ? true : undefined;
      });
      const { data } = await admin.from("clients").select("first_name, city").single();
      assertEquals(data, { first_name: "Bea", city: "Rome" });
    },
  );
});
