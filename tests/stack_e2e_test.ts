/** The local stack with functions of the test's own: keys, users, forged tokens, dying processes. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createClient, FunctionsHttpError, type SupabaseClient } from "@supabase/supabase-js";
import { startStack } from "../scripts/stack/stack.ts";
import { testDatabase } from "./lib/database.ts";

const withoutSession = { auth: { persistSession: false, autoRefreshToken: false } };

const config = JSON.stringify({
  imports: {
    "@supabase/server": "npm:@supabase/server@1.8.1",
    "@supabase/supabase-js": "npm:@supabase/supabase-js@2.119.0",
    "pg": "npm:pg@8.23.1",
  },
});

const echo = `
import { verifyAuth } from "@supabase/server/core";
import pg from "pg";
let requests = 0;
export default {
  async fetch(request: Request): Promise<Response> {
    requests++;
    const { data, error } = await verifyAuth(request, { auth: ["user", "secret:*"] });
    if (error !== null) return Response.json({ code: error.code }, { status: error.status });
    const input = await request.json();
    if (input.exit) Deno.exit(3);
    if (input.work) for (const end = Date.now() + input.work; Date.now() < end;);
    if (input.again) {
      const keys = JSON.parse(Deno.env.get("SUPABASE_SECRET_KEYS") ?? "{}");
      const answer = await fetch(Deno.env.get("SUPABASE_URL") + "/functions/v1/echo", {
        method: "POST", headers: { apikey: keys.cron }, body: "{}",
      });
      return Response.json({ again: await answer.json() });
    }
    const client = new pg.Client({ connectionString: Deno.env.get("SUPABASE_DB_URL") });
    await client.connect();
    const { rows } = await client.query("select current_user as name");
    await client.end();
    return Response.json({
      requests,
      deno: Deno.version.deno,
      path: new URL(request.url).pathname,
      mode: data.authMode,
      key: data.keyName ?? null,
      role: data.jwtClaims?.app_metadata?.sync_role ?? null,
      database: rows[0].name,
      env: Object.keys(Deno.env.toObject()).filter((name) => /SUPABASE|MAILERLITE|SYNC/.test(name)).sort(),
    });
  },
};`;

async function echoFolder(): Promise<string> {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/echo`);
  await Deno.writeTextFile(`${folder}/echo/deno.json`, config);
  await Deno.writeTextFile(`${folder}/echo/index.ts`, echo);
  await Deno.mkdir(`${folder}/broken`);
  await Deno.writeTextFile(`${folder}/broken/deno.json`, config);
  await Deno.writeTextFile(`${folder}/broken/index.ts`, 'throw new Error("no luck today");');
  return folder;
}

/** The answer of `echo`, or the status and body of a refusal. */
async function invoke(
  client: SupabaseClient,
  name: string,
  body: Record<string, unknown> = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const { data, error } = await client.functions.invoke(name, { body });
  if (error === null) return { status: 200, body: data };
  if (!(error instanceof FunctionsHttpError)) throw error;
  const response: Response = error.context;
  return { status: response.status, body: await response.json() };
}

function withToken(url: string, key: string, token: string): SupabaseClient {
  return createClient(url, key, {
    ...withoutSession,
    global: { headers: { Authorization: `Bearer ${token}` } },
  });
}

Deno.test("the local stack", async (t) => {
  const functionsFolder = await echoFolder();
  await using database = await testDatabase(import.meta.url);
  await using stack = await startStack({
    databaseUrl: database.url,
    functionsFolder,
    simulator: false,
    mailerliteUrl: "http://127.0.0.1:9/api",
    functionEnv: { MAILERLITE_API_KEY: "key of the test" },
  });
  const { publishable, secret } = stack.keys;
  const admin = createClient(stack.url, secret["default"] ?? "", withoutSession);
  const anybody = createClient(stack.url, publishable, withoutSession);
  await stack.createUser({
    email: "operator@example.com",
    password: "correct horse",
    app_metadata: { sync_role: "operator" },
  });
  await stack.createUser({ email: "nobody@example.com", password: "correct horse" });

  await t.step("a secret key, by any of its names, reaches the function", async () => {
    const { status, body } = await invoke(admin, "echo");
    assertEquals(status, 200);
    assertEquals([body["mode"], body["key"], body["path"]], ["secret", "default", "/echo"]);
    assertEquals(body["database"], "postgres");
    assertEquals(body["env"], [
      "MAILERLITE_API_KEY",
      "MAILERLITE_API_URL",
      "SUPABASE_DB_URL",
      "SUPABASE_FUNCTION_SLUG",
      "SUPABASE_JWKS",
      "SUPABASE_PUBLISHABLE_KEYS",
      "SUPABASE_SECRET_KEYS",
      "SUPABASE_URL",
    ]);
    const cron = createClient(stack.url, secret["cron"] ?? "", withoutSession);
    assertEquals((await invoke(cron, "echo")).body["key"], "cron");
  });

  await t.step("a signed-in user arrives with the claims of app_metadata", async () => {
    const user = createClient(stack.url, publishable, withoutSession);
    const credentials = { email: "operator@example.com", password: "correct horse" };
    assertEquals((await user.auth.signInWithPassword(credentials)).error, null);
    const { status, body } = await invoke(user, "echo");
    assertEquals([status, body["mode"], body["role"]], [200, "user", "operator"]);
    // supabase-js and the Auth API agree on who that is.
    assertEquals((await user.auth.getUser()).data.user?.app_metadata["sync_role"], "operator");
  });

  await t.step("a user without a role arrives without one", async () => {
    const user = createClient(stack.url, publishable, withoutSession);
    await user.auth.signInWithPassword({ email: "nobody@example.com", password: "correct horse" });
    const { status, body } = await invoke(user, "echo");
    assertEquals([status, body["mode"], body["role"]], [200, "user", null]);
  });

  await t.step("the publishable key, no key and a wrong key are refused", async () => {
    assertEquals((await invoke(anybody, "echo")).status, 401);
    const wrong = createClient(stack.url, "sb_secret_0000000000000000000000", withoutSession);
    assertEquals((await invoke(wrong, "echo")).status, 401);
    const bare = await fetch(`${stack.url}/functions/v1/echo`, { method: "POST", body: "{}" });
    assertEquals(bare.status, 401);
    await bare.body?.cancel();
  });

  await t.step(
    "forged tokens are refused: wrong secret, no signature, changed claims",
    async () => {
      const { data } = await anybody.auth.signInWithPassword({
        email: "nobody@example.com",
        password: "correct horse",
      });
      await anybody.auth.signOut({ scope: "local" });
      const token = data.session?.access_token ?? "";
      const [header = "", payload = "", signature = ""] = token.split(".");
      const claims = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
      const raised = encode({ ...claims, app_metadata: { sync_role: "operator" } });
      for (
        const forged of [
          `${header}.${raised}.${signature}`,
          `${encode({ alg: "none", typ: "JWT" })}.${raised}.`,
          await signedWith("a secret that is not the project's own", header, raised),
          await signedWith("", header, raised),
          `${encode({ alg: "ES256", kid: "local-stack", typ: "JWT" })}.${raised}.${signature}`,
        ]
      ) {
        const answer = await invoke(withToken(stack.url, publishable, forged), "echo");
        assertEquals(answer.status, 401, `accepted ${forged.slice(0, 20)}…`);
      }
      assertEquals((await invoke(withToken(stack.url, publishable, token), "echo")).status, 200);
    },
  );

  await t.step("a function calls itself through the origin", async () => {
    const { body } = await invoke(admin, "echo", { again: true });
    assertEquals((body["again"] as Record<string, unknown>)["key"], "cron");
  });

  await t.step("a killed process is replaced on the next request", async () => {
    const before = (await invoke(admin, "echo")).body["requests"];
    assert(Number(before) > 1);
    await stack.functions.kill("echo");
    assertEquals((await invoke(admin, "echo")).body["requests"], 1);
    await stack.functions.restart("echo");
    assertEquals((await invoke(admin, "echo")).body["requests"], 1);
  });

  await t.step("a process that dies under a request answers 503, and is replaced", async () => {
    const answer = await invoke(admin, "echo", { exit: true });
    assertEquals([answer.status, answer.body["code"]], [503, "function_died"]);
    assertEquals((await invoke(admin, "echo")).body["requests"], 1);
  });

  await t.step("a function that cannot start answers 503 with the reason in its log", async () => {
    const answer = await invoke(admin, "broken");
    assertEquals([answer.status, answer.body["code"]], [503, "BOOT_ERROR"]);
    assertStringIncludes(await stack.functions.log("broken"), "no luck today");
  });

  await t.step("stats count the CPU time and the peak memory of the process", async () => {
    await stack.functions.restart("echo");
    const before = await stack.functions.stats("echo");
    await invoke(admin, "echo", { work: 300 });
    const after = await stack.functions.stats("echo");
    assert(after.cpuMs - before.cpuMs >= 100, `${after.cpuMs - before.cpuMs} ms of CPU`);
    assert(after.peakRssBytes > 20_000_000);
  });

  await t.step("an unknown function is 404, and the folder's own are listed", async () => {
    const answer = await invoke(admin, "nothing-here");
    assertEquals([answer.status, answer.body["code"]], [404, "not_found"]);
    assertEquals((await fetch(`${stack.url}/functions/v1/..%2Fecho`)).status, 404);
    assertEquals(await stack.functions.names(), ["broken", "echo"]);
  });

  await t.step(
    "the secret key reads every table, the publishable key none of the sync's",
    async () => {
      const all = await admin.from("sync_state").select("key");
      assertEquals(all.error, null);
      const { rows } = await database.pool.query("select key from public.sync_state");
      assertEquals(all.data?.length, rows.length);
      const some = await anybody.from("sync_state").select("key");
      assertEquals(some.data ?? [], []);
    },
  );

  await t.step("privileges stay as the migrations set them", async () => {
    const { rows } = await database.pool.query(
      `select distinct grantee from information_schema.role_table_grants
       where table_schema = 'public' and grantee = 'anon'`,
    );
    assertEquals(rows, []);
  });
});

function encode(value: unknown): string {
  return btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function signedWith(secret: string, header: string, payload: string): Promise<string> {
  const key = await crypto.subtle.importKey(
    "raw",
    new TextEncoder().encode(secret || "\\0"),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const data = new TextEncoder().encode(`${header}.${payload}`);
  const bytes = new Uint8Array(await crypto.subtle.sign("HMAC", key, data));
  const signature = btoa(String.fromCharCode(...bytes));
  return `${header}.${payload}.${
    signature.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
  }`;
}

Deno.test("a function starts with the versions its imports come to now, whatever a stack before it found", async () => {
  const functionsFolder = await echoFolder();
  const dataFolder = await Deno.makeTempDir();
  const lock = `${dataFolder}/locks/echo.lock`;
  await using database = await testDatabase(import.meta.url);
  await Deno.mkdir(`${dataFolder}/locks`);
  const older = { version: "5", specifiers: { "npm:pg@8.23.1": "8.0.0" } };
  for (const text of [JSON.stringify(older), JSON.stringify({ version: "99" }), "{"]) {
    await Deno.writeTextFile(lock, text);
    await using stack = await startStack({
      databaseUrl: database.url,
      dataFolder,
      functionsFolder,
      simulator: false,
      mailerliteUrl: "http://127.0.0.1:9/api",
    });
    const admin = createClient(stack.url, stack.keys.secret["default"] ?? "", withoutSession);
    assertEquals((await invoke(admin, "echo")).status, 200);
    assertStringIncludes(await Deno.readTextFile(lock), '"pg@8.23.1"');
  }
});
