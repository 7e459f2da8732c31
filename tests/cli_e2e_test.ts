/** The CLI against a whole project: functions in their processes, database, Data API and the simulator of the remote. */
import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { EXIT_CODE } from "../scripts/cli/exit_code.ts";
import { main } from "../scripts/cli/main.ts";
import { openSyncClient } from "../scripts/cli/sync_client.ts";
import { samplePeople } from "../scripts/sample/sample_people.ts";
import { type BackfillStack, backfillStack } from "./lib/backfill_stack.ts";

const people = samplePeople({
  pairs: 60,
  sharedAddresses: 1,
  onlyLocal: 2,
  onlyRemote: 3,
  drift: 4,
});

interface Told {
  readonly code: number;
  readonly printed: string;
  readonly told: string;
}

/** Runs a command line as `deno task sync` does, but for its process. */
async function sync(world: BackfillStack, ...args: string[]): Promise<Told> {
  const printed: string[] = [];
  const told: string[] = [];
  const secretKey = world.stack.keys.secret["default"] ?? "";
  const code = await main(args, {
    openClient: () => Promise.resolve(openSyncClient({ url: world.stack.url, secretKey })),
    print: (line) => void printed.push(line),
    tell: (line) => void told.push(line),
    progress: { write: () => {}, columns: () => undefined, now: () => performance.now() },
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  });
  return { code, printed: printed.join("\n"), told: told.join("\n") };
}

async function syncJson(world: BackfillStack, ...args: string[]) {
  const { code, printed } = await sync(world, ...args, "--json");
  return { code, json: JSON.parse(printed) };
}

/** Sets variables for as long as it lives. */
function environment(values: Record<string, string>): Disposable {
  const before = Object.keys(values).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(values)) Deno.env.set(name, value);
  return {
    [Symbol.dispose]() {
      for (const [name, value] of before) {
        if (value === undefined) Deno.env.delete(name);
        else Deno.env.set(name, value);
      }
    },
  };
}

interface Client {
  readonly id: string;
  readonly email: string;
  readonly city: string | null;
  readonly first_name: string | null;
  readonly groups: readonly string[];
}

/** Linked clients who may be written to, whose address is plainly written, in a fixed order. */
async function linkedClients(world: BackfillStack): Promise<Client[]> {
  return await world.pool.query<Client>(
    `select c.id, c.email, c.city, c.first_name, c.groups from public.clients c
     join public.integration_crosswalk cw on cw.a_id = c.id and cw.link_state = 'linked'
     where c.marketing_status = 'subscribed' and c.email ~ '^person\\.[0-9]+@example\\.org$'
     order by c.id`,
  );
}

async function cities(world: BackfillStack): Promise<Record<string, string | null>> {
  const rows = await world.pool.query<Client>(`select id, city from public.clients`);
  return Object.fromEntries(rows.map(({ id, city }) => [id, city]));
}

async function remoteField(world: BackfillStack, email: string, field: string): Promise<unknown> {
  for await (const row of world.simulator.readAll()) {
    if (row["email"] === email) return (row["fields"] as Record<string, unknown>)[field];
  }
  return undefined;
}

Deno.test("the CLI brings two sides together, tells of them, and takes back", async (t) => {
  await using world = await backfillStack(import.meta.url, { people });
  using _env = environment({
    MAILERLITE_API_KEY: world.stack.simulator?.token ?? "",
    MAILERLITE_API_URL: world.stack.mailerliteUrl,
    SYNC_DB_URL: "",
    SUPABASE_DB_URL: "",
  });
  assertEquals((await sync(world, "backfill", "--wait")).code, EXIT_CODE.ok);
  const clients = await linkedClients(world);
  const [ann, ben, cat] = clients;
  assert(ann !== undefined && ben !== undefined && cat !== undefined && clients.length > 30);

  await t.step(
    "verify finds what differs and what is not linked, and shows no address",
    async () => {
      const { code, json } = await syncJson(world, "verify");
      assertEquals(code, EXIT_CODE.failedRun);
      assertEquals(json.counts.findings, { different: 4 });
      assertEquals(json.counts.fields, { city: 4 });
      assertEquals(json.counts.looseRemote.not_linked, 3);
      assertEquals(json.counts.looseLocal.duplicate_key, 2);
      const shown = await sync(world, "verify");
      assertEquals(shown.code, EXIT_CODE.failedRun);
      assertFalse(shown.printed.includes("@"));
      assertStringIncludes((await sync(world, "verify", "--show")).printed, "@example.org");
    },
  );

  await t.step("run --plan tells what would be done and writes nothing", async () => {
    const before = await cities(world);
    const planned = await sync(world, "run", "--plan");
    assertStringIncludes(planned.printed, "set city at supabase");
    assertEquals(await cities(world), before);
    const { json } = await syncJson(world, "run", "--plan");
    assert(json.plan.some((entry: { do: string }) => entry.do === "create_local"));
  });

  await t.step("run goes on until everything is in sync, and verify agrees", async () => {
    const limited = await sync(world, "run", "--max", "10");
    assertEquals(limited.code, EXIT_CODE.ok, limited.told);
    assertStringIncludes(limited.told, "The same command goes on with it");
    const whole = await sync(world, "run");
    assertEquals(whole.code, EXIT_CODE.ok, whole.told);
    assertMatch(whole.printed, /records looked at +\d+/);
    const verified = await syncJson(world, "verify");
    assertEquals(verified.code, EXIT_CODE.ok, JSON.stringify(verified.json));
    assertEquals(verified.json.equal, true);
    assertEquals(verified.json.counts.looseLocal.duplicate_key, 2);
  });

  await t.step("verify over a connection to the database finds the same", async () => {
    const overApi = await syncJson(world, "verify");
    using _db = environment({ SYNC_DB_URL: world.database.url });
    assertEquals(await syncJson(world, "verify"), overApi);
  });

  await t.step("a field that both sides edited is shown, decided and carried out", async () => {
    await world.pool.query(`update public.clients set email = $2 where id = $1`, [
      ann.id,
      "ann.local@example.org",
    ]);
    await world.simulator.change(ann.email, { email: "ann.remote@example.org" });
    const found = await sync(world, "run");
    assertEquals(found.code, EXIT_CODE.failedRun);
    assertStringIncludes(found.told, "deno task sync conflicts list");
    const { json } = await syncJson(world, "conflicts", "list");
    assertEquals(json.total, 1);
    assertEquals([json.conflicts[0].field, json.conflicts[0].link.a_id], ["email", ann.id]);
    assertFalse(JSON.stringify(json).includes("@"));
    const id = String(json.conflicts[0].id);
    assertStringIncludes((await sync(world, "conflicts", "show", id)).printed, "ann.remote@");
    const why = await sync(world, "why", "ann.local@example.org");
    assertEquals(why.code, EXIT_CODE.failedRun);
    assertStringIncludes(why.printed, "In conflict: a person has to decide about email");
    assertEquals((await syncJson(world, "verify")).json.findings[0].inConflict, ["email"]);

    assertEquals((await sync(world, "conflicts", "resolve", id, "local")).code, EXIT_CODE.ok);
    assertEquals((await sync(world, "conflicts", "reopen", id)).code, EXIT_CODE.ok);
    const preview = await sync(
      world,
      ...["conflicts", "resolve", "--all", "--field", "email", "--choose", "remote"],
    );
    assertStringIncludes(preview.told, "Nothing was decided yet");
    assertEquals((await syncJson(world, "conflicts", "list")).json.total, 1);
    const all = [
      "conflicts",
      "resolve",
      "--all",
      "--field",
      "email",
      "--choose",
      "remote",
      "--apply",
    ];
    assertEquals((await sync(world, ...all)).code, EXIT_CODE.ok);
    const refused = await sync(world, "conflicts", "resolve", id, "local");
    assertEquals(refused.code, EXIT_CODE.couldNotLook);
    assertStringIncludes(refused.told, "it is not open, it is resolved");
    const done = await sync(world, "run");
    assertEquals(done.code, EXIT_CODE.ok, done.told);
    const rows = await world.pool.query<Client>(`select email from public.clients where id = $1`, [
      ann.id,
    ]);
    assertEquals(rows[0]?.email, "ann.remote@example.org");
  });

  await t.step(
    "smart syncs who is named, and why tells what was changed and by which rule",
    async () => {
      await world.pool.query(`update public.clients set first_name = 'Renamed' where id = $1`, [
        ben.id,
      ]);
      const waiting = await syncJson(world, "why", ben.email);
      assertEquals([waiting.code, waiting.json.state], [EXIT_CODE.failedRun, "waiting"]);
      const dry = await sync(world, "smart", ben.email, "--dry-run");
      assertMatch(dry.printed, /would change/);
      const done = await sync(world, "smart", ben.email, "nobody@example.org");
      assertEquals(done.code, EXIT_CODE.ok, done.told);
      assertMatch(done.printed, /changed[\s\S]*left alone +unknown on both sides/);
      assertEquals(await remoteField(world, ben.email, "name"), "Renamed");
      const why = await sync(world, "why", ` ${ben.email.toUpperCase()}`);
      assertEquals(why.code, EXIT_CODE.ok, why.printed);
      assertMatch(why.printed, /^In sync: both sides agree/);
      assertMatch(why.printed, /remote +firstName: .* -> Renamed +edited on the other side/);
    },
  );

  await t.step("why tells who is left out, quarantined or unknown", async () => {
    const shared = await world.pool.query<Client>(
      `select email from public.clients c where not exists (
         select 1 from public.integration_crosswalk cw where cw.a_id = c.id)
       and 1 < (select count(*) from public.clients o
         where lower(btrim(o.email)) = lower(btrim(c.email))) limit 1`,
    );
    await world.pool.query(
      `insert into public.clients (email, marketing_status) values ('never.asked@example.org', 'none')`,
    );
    const cases = [
      [shared[0]?.email ?? "", "quarantined", EXIT_CODE.failedRun],
      ["never.asked@example.org", "excluded", EXIT_CODE.ok],
      ["nobody@example.org", "unknown", EXIT_CODE.failedRun],
    ] as const;
    for (const [email, state, code] of cases) {
      const told = await syncJson(world, "why", email);
      assertEquals([told.json.state, told.code], [state, code], state);
    }
  });

  const some = clients.slice(3, 28);
  const before = await cities(world);
  let allowed: Awaited<ReturnType<typeof syncJson>> | undefined;
  await t.step(
    "a limit stops a run with code 3, tells what it would have done and how to allow it",
    async () => {
      for (const { email } of some) await world.simulator.change(email, { fields: { city: "" } });
      const stopped = await sync(world, "run");
      assertEquals(stopped.code, EXIT_CODE.guarded);
      assertStringIncludes(stopped.told, "25 blanks were planned");
      assertMatch(stopped.told, /set city at supabase \(edit\) +25/);
      assertStringIncludes(stopped.told, "deno task sync run --allow blanks --reason");
      assertEquals(await cities(world), before);

      allowed = await syncJson(world, "run", "--allow", "blanks", "--reason", "a test");
      assertEquals(allowed.code, EXIT_CODE.ok);
      assertEquals((await cities(world))[some[0]?.id ?? ""], null);
    },
  );

  await t.step("undo shows what it would give back, and writes it when asked to", async () => {
    const run = String(allowed?.json.runId);
    await world.pool.query(`update public.clients set city = 'Elsewhere' where id = $1`, [
      some[0]?.id,
    ]);
    const preview = await sync(world, "undo", run);
    assertEquals(preview.code, EXIT_CODE.ok);
    assertMatch(preview.printed, /can be put back +24/);
    assertMatch(preview.printed, /edited since: left alone +1/);
    assertStringIncludes(preview.told, `deno task sync undo ${run} --apply`);
    assertEquals((await cities(world))[some[1]?.id ?? ""], null);

    const done = await sync(world, "undo", run, "--apply");
    assertEquals(done.code, EXIT_CODE.ok, done.told);
    assertMatch(done.printed, /put back +24/);
    const back = { ...before, [some[0]?.id ?? ""]: "Elsewhere" };
    assertEquals(await cities(world), back);
    const again = await sync(world, "undo", run, "--apply");
    assertMatch(again.printed, /is as it was before +24/);

    assertEquals((await sync(world, "run")).code, EXIT_CODE.ok);
    const last = some.at(-1);
    assertEquals(await remoteField(world, last?.email ?? "", "city"), before[last?.id ?? ""]);
    const verified = await syncJson(world, "verify");
    assertEquals(verified.code, EXIT_CODE.ok, JSON.stringify(verified.json));
    const why = await sync(world, "why", last?.email ?? "");
    assertStringIncludes(why.printed, "put back by an operator");
  });

  await t.step("undo of what was written at the remote puts both sides back", async () => {
    await world.pool.query(`update public.clients set first_name = 'Wrong' where id = $1`, [
      cat.id,
    ]);
    const { json } = await syncJson(world, "run");
    assertEquals(await remoteField(world, cat.email, "name"), "Wrong");
    assertEquals((await sync(world, "undo", json.runId, "--apply")).code, EXIT_CODE.ok);
    assertEquals((await sync(world, "run")).code, EXIT_CODE.ok);
    assertEquals(await remoteField(world, cat.email, "name"), cat.first_name);
  });

  await t.step(
    "verify tells who is gone from a side, and could not look when the remote is shut",
    async () => {
      await world.simulator.remove(cat.email);
      const { code, json } = await syncJson(world, "verify");
      assertEquals(code, EXIT_CODE.failedRun);
      assertEquals(json.findings.map((one: { aId: string; what: string }) => [one.aId, one.what]), [
        [cat.id, "remote_missing"],
      ]);
      using _key = environment({ MAILERLITE_API_KEY: "wrong" });
      const shut = await sync(world, "verify");
      assertEquals(shut.code, EXIT_CODE.couldNotLook);
      assertFalse(shut.told.includes("wrong"));
    },
  );

  await t.step("deno task sync runs as a program and passes its exit code on", async () => {
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        new URL("../scripts/sync.ts", import.meta.url).pathname,
        "why",
        ben.email,
      ],
      env: {
        SUPABASE_URL: world.stack.url,
        SUPABASE_SECRET_KEY: world.stack.keys.secret["default"] ?? "",
      },
    }).output();
    assertEquals(code, EXIT_CODE.ok);
    assertMatch(new TextDecoder().decode(stdout), /^In sync/);
  });
});
