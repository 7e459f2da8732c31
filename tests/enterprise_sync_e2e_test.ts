/** enterprise-sync and smart-sync as apps call them: supabase-js, the gateway, processes of their own. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { samplePeople } from "../scripts/sample/sample_people.ts";
import { type BackfillStack, backfillStack, type Client, invoke } from "./lib/backfill_stack.ts";
import { until } from "./lib/until.ts";

const SIZE = { pairs: 620, sharedAddresses: 3, onlyLocal: 4, onlyRemote: 5, drift: 6 };
const people = samplePeople(SIZE);
const PASSWORD = "correct horse";
const NAME = "enterprise-sync";

/** What the functions answer, as far as the steps look at it. */
interface Body {
  readonly code: string;
  readonly hint: string;
  readonly message: string;
  readonly recordsProcessed: number;
  readonly updatesApplied: number;
  readonly errors: number;
  readonly done: boolean;
  readonly nextCursor: string | null;
  readonly runId: string;
  readonly stopReason: string;
  readonly quota: { readonly requests: number };
  readonly plan: readonly Record<string, unknown>[];
  readonly ok: boolean;
  readonly count: number;
  readonly out: readonly Record<string, unknown>[];
  readonly details: { readonly fields: readonly { readonly path: string }[] };
}

async function call(
  client: Client,
  body: Record<string, unknown> = {},
  name = NAME,
): Promise<{ readonly status: number; readonly body: Body }> {
  const { status, body: json } = await invoke(client, body, name);
  return { status, body: json as unknown as Body };
}

async function signIn(world: BackfillStack, role: string): Promise<Client> {
  const email = `${role}@example.com`;
  await world.stack.createUser({
    email,
    password: PASSWORD,
    ...(role === "nobody" ? {} : { app_metadata: { sync_role: role } }),
  });
  const client = world.client(world.stack.keys.publishable);
  const { error } = await client.auth.signInWithPassword({ email, password: PASSWORD });
  assertEquals(error, null);
  return client;
}

/** Some linked clients, with their subscribers' ids. */
async function linked(
  world: BackfillStack,
  count: number,
): Promise<{ a_id: string; b_id: string; email: string }[]> {
  return await world.pool.query(
    `select cw.a_id, cw.b_id, s.b ->> 'email' as email
     from public.integration_crosswalk cw
     join public.shadow_snapshots s on s.crosswalk_id = cw.id
     where s.a = s.b and s.b ->> 'consent' = 'subscribed'
     order by cw.id limit $1`,
    [count],
  );
}

async function subscriber(world: BackfillStack, id: string): Promise<Record<string, unknown>> {
  for await (const row of world.simulator.readAll()) {
    if (row["id"] === id) return row["fields"] as Record<string, unknown>;
  }
  throw new Error("Cannot find the subscriber: nobody has this id");
}

async function syncAll(client: Client, body: Record<string, unknown> = {}): Promise<Body[]> {
  const answers: Body[] = [];
  let cursor: string | null = null;
  do {
    const request: Record<string, unknown> = cursor === null ? body : { ...body, cursor };
    const { status, body: answer } = await call(client, request);
    assertEquals(status, 200, answer.message);
    answers.push(answer);
    cursor = answer.nextCursor;
  } while (cursor !== null);
  return answers;
}

Deno.test("enterprise-sync and smart-sync behind the gateway", async (t) => {
  await using world = await backfillStack(import.meta.url, { people });
  const { admin, simulator } = world;
  const backfilled = await invoke(admin, { wait: true });
  assertEquals(backfilled.status, 200);
  const operator = await signIn(world, "operator");
  const viewer = await signIn(world, "viewer");
  const nobody = await signIn(world, "nobody");
  const anybody = world.client(world.stack.keys.publishable);

  await t.step("who may not, gets 401 or 403, and nothing is started", async () => {
    for (const name of [NAME, "smart-sync"]) {
      assertEquals((await call(anybody, {}, name)).status, 401);
      assertEquals((await call(nobody, {}, name)).status, 403);
      const refused = await call(viewer, {}, name);
      assertEquals([refused.status, refused.body.code], [403, "forbidden"]);
    }
    const rows = await world.pool.query(
      `select 1 from public.sync_runs where function <> 'backfill-sync'`,
    );
    assertEquals(rows, []);
  });

  await t.step("a request that is wrong is refused with the path of each wrong field", async () => {
    const cases: [Record<string, unknown>, string][] = [
      [{ direction: "sideways" }, "direction"],
      [{ maxRecords: 0 }, "maxRecords"],
      [{ maxRecords: 100_001 }, "maxRecords"],
      [{ maxRecords: "300" }, "maxRecords"],
      [{ maxDurationMs: 999 }, "maxDurationMs"],
      [{ dryRun: "yes" }, "dryRun"],
      [{ surprise: true }, "(body)"],
    ];
    for (const [body, path] of cases) {
      const { status, body: answer } = await call(operator, body);
      assertEquals([status, answer.code], [400, "invalid_request"]);
      assertEquals(answer.details.fields.map((field) => field.path), [path]);
    }
    const damaged = await call(operator, { cursor: "AAAA" });
    assertEquals([damaged.status, damaged.body.code], [400, "invalid_cursor"]);
  });

  await t.step(
    "a viewer may look at the plan, which writes nothing and tells no value",
    async () => {
      const [one] = await linked(world, 1);
      assert(one !== undefined);
      await world.pool.query(`update public.clients set first_name = 'Canary' where id = $1`, [
        one.a_id,
      ]);
      await simulator.resetHistory();
      const { status, body } = await call(viewer, { plan: true, maxRecords: 100_000 });
      assertEquals([status, body.done, body.stopReason], [200, true, "complete"]);
      const plan = body.plan.find(({ aId }) => aId === one.a_id);
      assertEquals(plan?.["operations"], [{ field: "firstName", side: "remote", rule: "edit" }]);
      assertEquals(JSON.stringify(body).includes("Canary"), false);
      assertEquals(await simulator.history(), []);
    },
  );

  await t.step(
    "edits of both sides arrive, call by call, and the pass costs its pages once",
    async () => {
      const [, left, right] = await linked(world, 3);
      assert(left !== undefined && right !== undefined);
      await world.pool.query(`update public.clients set last_name = 'Nord' where id = $1`, [
        left.a_id,
      ]);
      await simulator.change(right.b_id, { fields: { city: "Rome" } });
      await simulator.resetRequests();
      const answers = await syncAll(operator, { maxRecords: 200 });
      assert(answers.length >= 4);
      for (const answer of answers.slice(0, -1)) {
        assertEquals([answer.stopReason, answer.recordsProcessed], ["record_limit", 200]);
      }
      assertEquals(answers.at(-1)?.stopReason, "complete");
      assertEquals((await subscriber(world, left.b_id))["last_name"], "Nord");
      const [row] = await world.pool.query<{ city: string }>(
        `select city from public.clients where id = $1`,
        [right.a_id],
      );
      assertEquals(row?.city, "Rome");
      assertEquals((await simulator.requests()).byRoute["GET /subscribers"], 1);
      const [again] = await syncAll(operator, { maxRecords: 100_000 });
      assertEquals([again?.updatesApplied, again?.errors, again?.done], [0, 0, true]);
    },
  );

  await t.step("the dashboards' status tells of it, to those who may read it", async () => {
    const { data, error } = await viewer.from("sync_state").select("value").eq("key", "sync_status")
      .single();
    assertEquals(error, null);
    const status = data?.value as Record<string, Record<string, unknown>>;
    assertEquals(status["fullSync"]?.["status"], "completed");
    assert(Number(status["fullSync"]?.["totalProcessed"]) >= SIZE.pairs);
    assert(Number(status["statistics"]?.["updatesApplied"]) >= 2);
    assertMatch(String(status["lastSync"]?.["timestamp"]), /^\d{4}-/);
  });

  await t.step("a killed process loses nothing: the next call goes on where it was", async () => {
    const some = await linked(world, 40);
    await world.pool.query(
      `update public.clients set company = 'Killed' where id = any ($1::uuid[])`,
      [some.map(({ a_id }) => a_id)],
    );
    // The write takes its time at the remote, and takes effect.
    await simulator.setFaults([{
      method: "POST",
      path: "/batch",
      after: 2,
      times: 1,
      effect: { kind: "latency", ms: 2_000 },
    }]);
    const victim = call(operator, { maxRecords: 100_000 });
    await until("the worker has written down what it is about to send", async () => {
      const rows = await world.pool.query(`select 1 from public.sync_intents`);
      return rows.length > 0 ? true : undefined;
    });
    await world.stack.functions.kill(NAME);
    await victim.catch(() => {});
    await world.stack.functions.restart(NAME);
    await simulator.setFaults([]);
    const busy = await call(operator, {});
    assertEquals([busy.status, busy.body.code], [409, "already_running"]);
    await world.pool.query(
      `update public.sync_runs set heartbeat_at = now() - interval '2 minutes'
       where status = 'running'`,
    );
    await syncAll(operator, { maxRecords: 100_000 });
    for (const { b_id } of some.slice(0, 3)) {
      assertEquals((await subscriber(world, b_id))["company"], "Killed");
    }
    assertEquals(await world.pool.query(`select 1 from public.sync_intents`), []);
    const [calm] = await syncAll(operator, { maxRecords: 100_000 });
    assertEquals(calm?.updatesApplied, 0);
  });

  await t.step("smart-sync syncs who is named, in the order asked", async () => {
    const [one, two] = await linked(world, 2);
    assert(one !== undefined && two !== undefined);
    await world.pool.query(`update public.clients set company = 'Smart' where id = $1`, [
      one.a_id,
    ]);
    await simulator.resetRequests();
    const { status, body } = await call(admin, {
      emails: [two.email, one.email.toUpperCase(), "stranger@example.org"],
    }, "smart-sync");
    assertEquals([status, body.ok, body.count], [200, true, 3]);
    const said = body.out.map(({ changed, reason }) => changed ?? reason);
    assertEquals(said, ["no changes detected", true, "unknown on both sides"]);
    assertEquals((await subscriber(world, one.b_id))["company"], "Smart");
    // One to read by id, one to look the stranger up, one to write.
    assertEquals((await simulator.requests()).byRoute, {
      "POST /batch": 1,
      "GET /subscribers/{id}": 1,
      "PUT /subscribers/{id}": 1,
    });
  });
});
