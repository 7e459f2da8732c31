/** backfill-sync as apps, dashboards and strangers call it: supabase-js, the gateway, a process of its own. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { createClient } from "@supabase/supabase-js";
import { importJWK, type JWTPayload, SignJWT } from "jose";
import { samplePeople } from "../scripts/sample/sample_people.ts";
import { keysIn } from "../scripts/stack/keys.ts";
import { backfillSync } from "../shared/http/backfill_sync.ts";
import config from "../sync.config.ts";
import {
  type BackfillStack,
  backfillStack,
  type Client,
  ended,
  invoke,
  readStatus,
} from "./lib/backfill_stack.ts";
import { type EndState, endState, forgetRuns } from "./lib/end_state.ts";
import { functionHarness, functionRequest } from "./lib/function_harness.ts";
import { holdRunsAt } from "./lib/hold.ts";

const SIZE = { pairs: 3_000, sharedAddresses: 5, onlyLocal: 7, onlyRemote: 9, drift: 30 };
const people = samplePeople(SIZE);
const PASSWORD = "correct horse";

const STATUS_KEYS = [
  "completedAt",
  "currentBatch",
  "errors",
  "lastUpdatedAt",
  "paused",
  "phase",
  "shadowsCreated",
  "startedAt",
  "status",
  "totalBatches",
];

async function signIn(world: BackfillStack, email: string): Promise<Client> {
  const client = world.client(world.stack.keys.publishable);
  const { error } = await client.auth.signInWithPassword({ email, password: PASSWORD });
  assertEquals(error, null);
  return client;
}

async function runs(world: BackfillStack): Promise<unknown[]> {
  return await world.pool.query(
    `select status, requested_by from public.sync_runs order by started_at`,
  );
}

let reference: EndState | undefined;

/** The state after a run in one process, without gateway and sockets. */
async function undisturbed(): Promise<EndState> {
  return reference ??= await runInProcess();
}

async function runInProcess(): Promise<EndState> {
  await using harness = await functionHarness(import.meta.url, { people });
  const answer = await backfillSync(config, harness.runtime())(
    functionRequest("backfill-sync", { wait: true }),
  );
  assertEquals((await answer.json()).status, "completed");
  return await endState(harness.pool);
}

Deno.test("backfill-sync behind the gateway", async (t) => {
  await using world = await backfillStack(import.meta.url, { people });
  const { stack, admin } = world;
  const { publishable, secret } = stack.keys;
  const ids: Record<string, string> = {};
  for (const role of ["operator", "viewer", "nobody"]) {
    ids[role] = await stack.createUser({
      email: `${role}@example.com`,
      password: PASSWORD,
      ...(role === "nobody" ? {} : { app_metadata: { sync_role: role } }),
    });
  }
  const operator = await signIn(world, "operator@example.com");
  const viewer = await signIn(world, "viewer@example.com");
  const nobody = await signIn(world, "nobody@example.com");
  const anybody = world.client(publishable);

  await t.step("who has no credentials, or wrong ones, gets 401 and starts nothing", async () => {
    const forOthers = await tokens(world, ids["operator"] ?? "");
    const strangers = {
      "publishable key": anybody,
      "wrong secret key": world.client("sb_secret_0000000000000000000000"),
      "publishable key as a token": world.client(publishable, publishable),
      "expired token, signed as the Auth API signs": world.client(publishable, forOthers.expired),
      "expired token, signed as the platform signs": world.client(
        publishable,
        forOthers.expiredEs256,
      ),
      "token signed with another key": world.client(publishable, forOthers.otherKey),
      "token without a signature": world.client(publishable, forOthers.unsigned),
    };
    for (const [who, client] of Object.entries(strangers)) {
      for (const action of ["start", "status"]) {
        const { status, body } = await invoke(client, { action });
        assertEquals([status, body.code], [401, "unauthorized"], `${who}: ${action}`);
        assertEquals(Object.keys(body).sort(), ["code", "details", "hint", "message"]);
      }
    }
    const bare = await fetch(`${stack.url}/functions/v1/backfill-sync`, {
      method: "POST",
      body: "{}",
    });
    assertEquals([bare.status, (await bare.json()).code], [401, "unauthorized"]);
    assertEquals(await runs(world), []);
    // The same token before its end is let in, so the end alone is what is wrong with the others.
    for (const good of [forOthers.good, forOthers.goodEs256]) {
      const { status, body } = await invoke(world.client(publishable, good), { action: "status" });
      assertEquals([status, body.code], [404, "no_run"]);
    }
  });

  await t.step("a user may do what the role allows, and nothing else", async () => {
    for (const action of ["start", "pause", "resume"]) {
      const { status, body } = await invoke(viewer, { action });
      assertEquals([status, body.code], [403, "forbidden"], action);
      assertMatch(body.hint, /operator/);
    }
    for (const action of ["start", "status"]) {
      const { status, body } = await invoke(nobody, { action });
      assertEquals([status, body.code], [403, "forbidden"], action);
      assertMatch(body.hint, /sync_role/);
    }
    assertEquals((await invoke(viewer, { action: "status" })).status, 404);
    assertEquals(await runs(world), []);
  });

  await t.step("a secret key starts a run, and everybody concerned can watch it", async () => {
    await using hold = await holdRunsAt(world.database, "new.current_batch = 3");
    const { status, body } = await invoke(admin, { autoContinue: true });
    assertEquals(status, 202);
    assertEquals(Object.keys(body).sort(), ["message", "ok", "runId", "status", "totalBatches"]);
    assertEquals([body.ok, body.status], [true, "running"]);
    await hold.reached();

    const progress = await readStatus(admin);
    assertEquals(Object.keys(progress).sort(), STATUS_KEYS);
    const { currentBatch, totalBatches, shadowsCreated, errors, paused, completedAt } = progress;
    assertEquals([progress["status"], currentBatch, totalBatches], ["running", 2, 6]);
    assertEquals([shadowsCreated, errors, paused, completedAt], [1_000, 0, false, null]);
    assertEquals(await readStatus(viewer), progress);
    assertEquals(await readStatus(operator), progress);
    // Row security hides the rows from one user, the missing grant the table from the other.
    const hidden = await nobody.from("sync_state").select("key");
    assertEquals([hidden.error, hidden.data], [null, []]);
    assertEquals((await anybody.from("sync_state").select("key")).error?.code, "42501");

    const shown = await invoke(viewer, { action: "status" });
    assertEquals([shown.status, shown.body.runId, shown.body.currentBatch], [200, body.runId, 2]);

    await hold.release();
    const done = await ended(admin);
    assertEquals(Object.keys(done).sort(), STATUS_KEYS);
    assertEquals([done["status"], done["currentBatch"], done["totalBatches"]], ["completed", 6, 6]);
    assertEquals([done["shadowsCreated"], done["errors"]], [SIZE.pairs, 0]);
    assert(typeof done["completedAt"] === "string");
    assertEquals(await endState(world.pool), await undisturbed());
  });

  await t.step("another secret key and an operator start runs in their own names", async () => {
    const cron = await invoke(world.client(secret["cron"] ?? ""), { wait: true });
    assertEquals([cron.status, cron.body.ok, cron.body.status], [200, true, "completed"]);
    const renewed = await invoke(operator, { wait: true, staleAfterDays: 0 });
    assertEquals([renewed.status, renewed.body.counters.shadowsRefreshed], [200, SIZE.pairs]);
    assertEquals(await runs(world), [
      { status: "completed", requested_by: "secret:default" },
      { status: "completed", requested_by: "secret:cron" },
      { status: "completed", requested_by: `user:${ids["operator"]}` },
    ]);
  });

  await t.step("of two callers at once one starts and the other is told its run", async () => {
    await forgetRuns(world.pool);
    await using hold = await holdRunsAt(world.database, "new.counters ? 'remoteListed'");
    const both = await Promise.all([invoke(admin, {}), invoke(operator, {})]);
    assertEquals(both.map(({ status }) => status).sort(), [202, 409]);
    const started = both.find(({ status }) => status === 202);
    const refused = both.find(({ status }) => status === 409);
    assertEquals(refused?.body.code, "already_running");
    assertEquals(refused?.body.details.runId, started?.body.runId);
    await hold.release();
    assertEquals((await ended(admin))["shadowsCreated"], SIZE.pairs);
  });

  await t.step("a browser may send every header that supabase-js sends", async () => {
    const sent = new Set<string>();
    const spying = createClient(stack.url, publishable, {
      auth: { persistSession: false, autoRefreshToken: false },
      global: {
        fetch: (input, init) => {
          const request = new Request(input, init);
          for (const name of request.headers.keys()) sent.add(name);
          return fetch(request);
        },
      },
    });
    const { response } = await spying.functions.invoke("backfill-sync", { body: {} });
    assert(sent.has("apikey") && sent.has("content-type"));
    // Without this one a browser hides the refusal from the app.
    assertEquals(response?.headers.get("access-control-allow-origin"), "*");

    const preflight = await fetch(`${stack.url}/functions/v1/backfill-sync`, {
      method: "OPTIONS",
      headers: {
        origin: "https://app.example.com",
        "access-control-request-method": "POST",
        "access-control-request-headers": [...sent].join(","),
      },
    });
    await preflight.body?.cancel();
    assertEquals(preflight.status, 204);
    assertEquals(preflight.headers.get("access-control-allow-origin"), "*");
    assertMatch(preflight.headers.get("access-control-allow-methods") ?? "", /\bPOST\b/);
    const allowed = (preflight.headers.get("access-control-allow-headers") ?? "").split(/,\s*/);
    assertEquals([...sent].filter((name) => !allowed.includes(name)), []);
  });
});

Deno.test("slices follow each other through the gateway until the run is done", async () => {
  await using world = await backfillStack(import.meta.url, {
    people,
    functionEnv: { SYNC_MAX_DURATION_MS: "1000" },
  });
  // Four pages: no slice can hold more than two of them.
  await world.simulator.setFaults([
    { method: "GET", path: "/subscribers", effect: { kind: "latency", ms: 600 } },
  ]);
  const { status, body } = await invoke(world.admin, { autoContinue: true });
  assertEquals([status, body.ok], [202, true]);
  const done = await ended(world.admin);
  assertEquals([done["status"], done["shadowsCreated"]], ["completed", SIZE.pairs]);
  const shown = await invoke(world.admin, { action: "status" });
  assertEquals(shown.body.runId, body.runId);
  assert(shown.body.slices > 1, `${shown.body.slices} slices`);
  assertEquals(await runs(world), [{ status: "completed", requested_by: "secret:default" }]);
  assertEquals(await endState(world.pool), await undisturbed());
});

/** Tokens of one user, good and bad, made with the keys of the stack. */
async function tokens(world: BackfillStack, userId: string) {
  const keys = await keysIn(`${world.dataFolder}/keys.json`);
  const shared = new TextEncoder().encode(keys.jwtSecret);
  const signing = await importJWK(keys.signingKey, "ES256");
  const claims: JWTPayload = {
    sub: userId,
    role: "authenticated",
    aud: "authenticated",
    app_metadata: { sync_role: "operator" },
  };
  const signed = (alg: "HS256" | "ES256", end: string, key = alg === "HS256" ? shared : signing) =>
    new SignJWT(claims).setProtectedHeader({ alg, kid: "local-stack", typ: "JWT" })
      .setIssuedAt().setExpirationTime(end).sign(key);
  const text = (value: unknown) =>
    btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const other = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, [
    "sign",
    "verify",
  ]);
  return {
    good: await signed("HS256", "1h"),
    goodEs256: await signed("ES256", "1h"),
    expired: await signed("HS256", "-1m"),
    expiredEs256: await signed("ES256", "-1m"),
    otherKey: await signed("ES256", "1h", other.privateKey),
    unsigned: `${text({ alg: "none", typ: "JWT" })}.${text({ ...claims, exp: 4_102_444_800 })}.`,
  };
}
