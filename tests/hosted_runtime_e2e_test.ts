/** What runs on the hosted platform also runs under the Deno that the platform is compatible with. */
import { assert, assertEquals } from "@std/assert";
import { createClient } from "@supabase/supabase-js";
import { functionCheck, functionsByConfig, isUnitTest } from "../scripts/ok.ts";
import { loadClients } from "../scripts/sample/load_clients.ts";
import { samplePeople } from "../scripts/sample/sample_people.ts";
import { startStack } from "../scripts/stack/stack.ts";
import { readCounts } from "../scripts/test.ts";
import { openDatabase } from "../shared/store/database.ts";
import { ControlClient } from "../simulators/mailerlite/control_client.ts";
import { testDatabase } from "./lib/database.ts";
import { HOSTED_DENO_VERSION, runHostedDeno } from "./lib/hosted_deno.ts";
import { importGraph, reachable, sourceFiles } from "./lib/import_graph.ts";
import { PRODUCT } from "./lib/import_rules.ts";

const repository = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

async function sharedFiles(): Promise<string[]> {
  return (await sourceFiles(repository, ["shared"])).sort();
}

async function functionNames(): Promise<string[]> {
  const files = await sourceFiles(repository, ["supabase/functions"]);
  return files.flatMap((path) => /^supabase\/functions\/([^/]+)\/index\.ts$/.exec(path)?.[1] ?? [])
    .sort();
}

Deno.test("the older Deno is the one that is meant", async () => {
  const { text } = await runHostedDeno(["--version"], repository);
  assertEquals(/^deno (\S+)/.exec(text)?.[1], HOSTED_DENO_VERSION);
});

Deno.test("every function type checks under the older Deno with its own deno.json", async () => {
  const groups = await functionsByConfig();
  assertEquals(groups.flat().sort(), await functionNames());
  assert(groups.flat().includes("backfill-sync"));
  for (const names of groups) {
    const { success, text } = await runHostedDeno(["check", ...functionCheck(names)], repository);
    assert(success, `${names.join(", ")}: ${text}`);
  }
});

Deno.test("what no function reaches of shared/ type checks under the older Deno too", async () => {
  const graph = await importGraph(repository, PRODUCT);
  const reached = new Set(
    (await functionNames()).flatMap((name) => [
      ...reachable(graph, `supabase/functions/${name}/index.ts`),
    ]),
  );
  const rest = (await sharedFiles()).filter((path) =>
    !reached.has(path) && !path.endsWith("_test.ts")
  );
  assert(reached.size > 50 && rest.length > 0);
  const { success, text } = await runHostedDeno(["check", "--no-lock", ...rest], repository);
  assert(success, text);
});

Deno.test("the unit tests of shared/ pass under the older Deno", async () => {
  const files = (await sharedFiles()).filter(isUnitTest);
  const { success, text } = await runHostedDeno(
    // Types are the other tests' matter; the right to run programs and to read the environment is
    // what a unit test must not need.
    [
      "test",
      "--no-lock",
      "--no-check",
      "--no-prompt",
      "--allow-read",
      "--allow-net=127.0.0.1",
      ...files,
    ],
    repository,
  );
  assert(success, text.slice(-4_000));
  const { passed = 0, failed } = readCounts(text) ?? {};
  assertEquals(failed, 0);
  assert(passed > files.length, `only ${passed} tests of ${files.length} files ran`);
});

Deno.test("the functions do their work under the older Deno", async () => {
  const people = samplePeople({
    pairs: 240,
    sharedAddresses: 2,
    onlyLocal: 3,
    onlyRemote: 4,
    drift: 5,
  });
  await using database = await testDatabase(import.meta.url);
  await using pool = openDatabase({ url: database.url, name: "test", max: 1 });
  await loadClients(pool, people);
  await using stack = await startStack({
    databaseUrl: database.url,
    simulator: ["--no-limits"],
    deno: HOSTED_DENO_VERSION,
  });
  const simulator = new ControlClient(stack.simulator?.url ?? "");
  await simulator.seed({
    groups: people.groups,
    fields: people.fields,
    subscribers: [...people.subscribers()],
  });
  const admin = createClient(stack.url, stack.keys.secret["default"] ?? "", {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { data, error } = await admin.functions.invoke("backfill-sync", { body: { wait: true } });
  assertEquals(error, null, await stack.functions.log("backfill-sync"));
  assertEquals([data.ok, data.status, data.errors], [true, "completed", 0]);
  assertEquals(
    [data.counters.linked, data.counters.shadowsCreated, data.counters.drift],
    [240, 240, 5],
  );

  const [edited] = await pool.query<{ id: string; email: string }>(
    `update public.clients set first_name = 'Edited'
     where id = (
       select cw.a_id from public.integration_crosswalk cw
       join public.shadow_snapshots s on s.crosswalk_id = cw.id
       where s.a = s.b order by cw.id limit 1)
     returning id, email`,
  );
  const twoWay = await admin.functions.invoke("enterprise-sync", { body: { maxRecords: 10_000 } });
  assertEquals(twoWay.error, null, await stack.functions.log("enterprise-sync"));
  assertEquals([twoWay.data.done, twoWay.data.errors], [true, 0]);
  assert(twoWay.data.updatesApplied >= 1);
  const named = await admin.functions.invoke("smart-sync", { body: { emails: [edited?.email] } });
  assertEquals(named.error, null, await stack.functions.log("smart-sync"));
  assertEquals(named.data.out[0].reason, "no changes detected");
});
