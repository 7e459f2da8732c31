import { assertEquals } from "@std/assert";
import { testDatabase } from "../../tests/lib/database.ts";
import { until } from "../../tests/lib/until.ts";
import { listenForWork } from "./wake_listener.ts";

const ADD = `insert into public.clients (email) values (gen_random_uuid() || '@example.com')`;

Deno.test("what comes during a call makes one more, however much it is", async () => {
  await using database = await testDatabase(import.meta.url);
  const gates: PromiseWithResolvers<void>[] = [];
  const call = () => {
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    return gate.promise;
  };
  await using _ = await listenForWork({ databaseUrl: database.url, call });
  assertEquals(gates.length, 0);
  await database.pool.query(ADD);
  await until("the first call is made", () => Promise.resolve(gates[0]));
  for (let n = 0; n < 5; n++) await database.pool.query(ADD);
  // All of them have been told of by the time that this connection is.
  const client = await database.connect();
  const told = new Promise((resolve) => client.once("notification", resolve));
  await client.query("listen sync_wake");
  await database.pool.query("select pg_notify('sync_wake', 'last')");
  await told;
  await client.end();
  assertEquals(gates.length, 1);
  gates[0]?.reject(new Error("The function failed"));
  await until("the second call is made", () => Promise.resolve(gates[1]));
  gates[1]?.resolve();
  await database.pool.query(ADD);
  await until("the third call is made", () => Promise.resolve(gates[2]));
  gates[2]?.resolve();
});

Deno.test("an edit that is not told of, being the second in its second, is found when that is over", async () => {
  await using database = await testDatabase(import.meta.url);
  let calls = 0;
  const call = () => {
    calls++;
    return Promise.resolve();
  };
  await using _ = await listenForWork({ databaseUrl: database.url, call, againMs: 50 });
  await database.pool.query("select pg_notify('sync_wake', '')");
  await until(
    "the call for the edit that was told of",
    () => Promise.resolve(calls > 0 ? true : undefined),
  );
  // Nobody is told of a row that is put in by hand.
  await database.pool.query(
    `insert into public.sync_queue (pair, side, record_id, reason) values ('p', 'a', '1', 'edited')`,
  );
  await until("the other edit is called for", () => Promise.resolve(calls > 1 ? true : undefined));
});

Deno.test("records that are due already, and those that become due, are called for without an edit", async () => {
  await using database = await testDatabase(import.meta.url);
  await database.pool.query(ADD);
  let calls = 0;
  const call = () => {
    calls++;
    return Promise.resolve();
  };
  {
    await using _ = await listenForWork({ databaseUrl: database.url, call });
    assertEquals(calls, 1);
  }
  await database.pool.query(`update public.sync_queue set not_before = now() + interval '1 hour'`);
  await using _ = await listenForWork({ databaseUrl: database.url, call, everyMs: 10 });
  assertEquals(calls, 1);
  await database.pool.query(`update public.sync_queue set not_before = now()`);
  await until("the record is called for", () => Promise.resolve(calls > 1 ? true : undefined));
});

Deno.test("the end waits for no call", async () => {
  await using database = await testDatabase(import.meta.url);
  await database.pool.query(ADD);
  const aborted = Promise.withResolvers<void>();
  const listener = await listenForWork({
    databaseUrl: database.url,
    call: (signal) =>
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => {
          aborted.resolve();
          reject(signal.reason);
        })
      ),
  });
  await listener[Symbol.asyncDispose]();
  await aborted.promise;
});
