/** Who may decide a conflict, and by which way: through the functions alone. */
import { assert, assertEquals } from "@std/assert";
import { SignJWT } from "jose";
import { openLite } from "../scripts/stack/lite.ts";
import { testDatabase } from "./lib/database.ts";
import {
  call,
  type Caller,
  claimsOf,
  conflictRow,
  insertConflict,
  OPEN,
  OPERATOR,
  refusal,
  reopen,
  resolve,
} from "./lib/decisions.ts";

const service: Caller = { role: "service_role", claims: { role: "service_role" } };

Deno.test("the service role and the owner of the database decide as the service", async () => {
  await using database = await testDatabase(import.meta.url);
  const owner = { role: "none" };
  for (const caller of [service, owner]) {
    const id = await insertConflict(database);
    assertEquals(await resolve(database, id, "local", undefined, caller), {
      id,
      status: "resolved",
    });
    const { rows } = await database.pool.query(
      "select resolved_by as by from public.sync_conflicts where id = $1",
      [id],
    );
    assertEquals(rows, [{ by: "service" }]);
    assertEquals(await reopen(database, id, caller), { id, status: "open" });
    assertEquals(await conflictRow(database, id), OPEN);
    await resolve(database, id, "remote", undefined, caller);
  }
});

Deno.test("nobody but an operator and the service decides", async () => {
  await using database = await testDatabase(import.meta.url);
  const id = await insertConflict(database);
  const decided = await insertConflict(database, { field: "name" });
  await resolve(database, decided, "local");
  const denied = (what: string) =>
    `Cannot ${what}: this takes an access token whose app_metadata.sync_role is operator`;
  const user = (claims: unknown) => ({ role: "authenticated", claims });
  const strangers: Caller[] = [
    user(claimsOf("viewer")),
    user(claimsOf("Operator")),
    user({ role: "authenticated", sub: OPERATOR }),
    user({}),
    // What a user can write about themselves raises nobody.
    user({ sub: OPERATOR, sync_role: "operator", user_metadata: { sync_role: "operator" } }),
    // A claim is not the role the statement runs with.
    user({ role: "service_role", sub: OPERATOR }),
  ];
  for (const caller of strangers) {
    assertEquals(await refusal(resolve(database, id, "local", undefined, caller)), [
      "42501",
      denied(`resolve conflict ${id}`),
    ]);
    assertEquals(await refusal(reopen(database, decided, caller)), [
      "42501",
      denied(`reopen conflict ${decided}`),
    ]);
    // Who may not decide is not told either which conflicts there are.
    assertEquals((await refusal(resolve(database, 999, "nonsense", {}, caller)))[0], "42501");
  }
  assertEquals(
    await refusal(resolve(database, id, "local", undefined, user(claimsOf("operator", null)))),
    ["42501", `Cannot resolve conflict ${id}: the access token names no user`],
  );
  const anon = { role: "anon", claims: claimsOf("operator") };
  assertEquals(await refusal(resolve(database, id, "local", undefined, anon)), [
    "42501",
    "permission denied for function resolve_sync_conflict",
  ]);
  assertEquals(await refusal(reopen(database, decided, anon)), [
    "42501",
    "permission denied for function reopen_sync_conflict",
  ]);
  assertEquals(await conflictRow(database, id), OPEN);
  const { rows } = await database.pool.query("select count(*)::integer as n from public.sync_log");
  assertEquals(rows, [{ n: 1 }]);
});

Deno.test("a role that inherits from authenticated does not pass for the service", async () => {
  await using database = await testDatabase(import.meta.url);
  const id = await insertConflict(database);
  // Roles belong to the whole server: this one is rolled back.
  for (const [syncRole, wanted] of [["viewer", "42501"], ["operator", `user:${OPERATOR}`]]) {
    const client = await database.connect();
    try {
      await client.query("begin");
      await client.query("create role app_manager in role authenticated");
      await client.query("grant usage on schema public to app_manager");
      await client.query(
        "select set_config('request.jwt.claims', $1, true), set_config('role', 'app_manager', true)",
        [JSON.stringify(claimsOf(syncRole ?? ""))],
      );
      const statement = client.query("select public.resolve_sync_conflict($1, 'local')", [id]);
      if (syncRole === "viewer") {
        assertEquals((await refusal(statement))[0], wanted);
      } else {
        await statement;
        await client.query("set local role none");
        const { rows } = await client.query(
          "select resolved_by as by from public.sync_conflicts where id = $1",
          [id],
        );
        assertEquals(rows, [{ by: wanted }]);
      }
      await client.query("rollback");
    } finally {
      await client.end();
    }
  }
});

Deno.test("an operator decides through the functions alone", async () => {
  await using database = await testDatabase(import.meta.url);
  const id = await insertConflict(database);
  const denied = [
    "update public.sync_conflicts set status = 'superseded', resolved_at = now()",
    "insert into public.sync_conflicts (pair, record_key, field, reason) values ('p', '1', 'f', 'r')",
    "delete from public.sync_conflicts",
    "insert into public.sync_log (pair, side, action, rule, applied) values ('p', 'a', 'x', 'r', true)",
    `select sync_private.log_decision(${id}, 'resolve')`,
    "select sync_private.decider('do')",
    "create function sync_private.mine() returns int language sql as 'select 1'",
  ];
  for (const sql of denied) {
    const client = await database.connect();
    try {
      await client.query("select set_config('request.jwt.claims', $1, false)", [
        JSON.stringify(claimsOf("operator")),
      ]);
      await client.query("set role authenticated");
      assertEquals((await refusal(client.query(sql)))[0], "42501", sql);
    } finally {
      await client.end();
    }
  }
  // Called past the API, the functions behind it look for themselves.
  const viewer: Caller = { role: "authenticated", claims: claimsOf("viewer") };
  for (
    const sql of [
      "sync_private.resolve_conflict($1, 'local', null)",
      "sync_private.reopen_conflict($1)",
    ]
  ) {
    assertEquals((await refusal(call(database, viewer, sql, id)))[0], "42501");
  }
  assertEquals(await conflictRow(database, id), OPEN);
});

Deno.test("what runs with the owner's rights is private and has an empty search path", async () => {
  await using database = await testDatabase(import.meta.url);
  const { rows } = await database.pool.query<{ text: string }>(
    `select format('%s %s %s %s', proname, array_to_string(proconfig, ','), prosecdef,
         array(select r.name from unnest(array['anon', 'authenticated', 'service_role']) r (name)
           where has_function_privilege(r.name, p.oid, 'execute'))) as text
     from pg_proc p where pronamespace = 'sync_private'::regnamespace order by 1`,
  );
  const functions = rows.map(({ text }) => text);
  for (const text of functions) assert(/^\w+ search_path="" [ft] /.test(text), text);
  assertEquals(functions.filter((text) => !text.endsWith(" f {}")), [
    'decide_conflict search_path="" t {}',
    'in_words search_path="" f {authenticated,service_role}',
    'instant search_path="" f {authenticated,service_role}',
    'may_look search_path="" f {authenticated,service_role}',
    'note_edit search_path="" t {}',
    'note_reference_edit search_path="" t {}',
    'open_conflicts search_path="" t {authenticated,service_role}',
    'reopen_conflict search_path="" t {authenticated,service_role}',
    'resolve_conflict search_path="" t {authenticated,service_role}',
    'schedules search_path="" t {authenticated,service_role}',
  ]);
  const schema = await database.pool.query(
    `select has_schema_privilege('anon', 'sync_private', 'usage') as anon,
       has_schema_privilege('authenticated', 'sync_private', 'create') as creates`,
  );
  assertEquals(schema.rows, [{ anon: false, creates: false }]);
});

Deno.test("the Data API takes decisions by name, with and without a value", async () => {
  await using database = await testDatabase(import.meta.url);
  const jwtSecret = "a secret of this test, long enough for HS256";
  await using api = await openLite({
    databaseUrl: database.url,
    jwtSecret,
    publishableKey: "sb_publishable_test",
    secretKeys: ["sb_secret_test"],
  });
  const now = Math.floor(Date.now() / 1000);
  const token = await new SignJWT({
    role: "authenticated",
    app_metadata: { sync_role: "operator" },
  })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(OPERATOR).setAudience("authenticated").setIssuedAt(now).setExpirationTime(
      now + 60,
    )
    .sign(new TextEncoder().encode(jwtSecret));
  const rpc = async (name: string, body: unknown, key: string, bearer?: string) => {
    const response = await api.fetch(
      new Request(`http://localhost/rest/v1/rpc/${name}`, {
        method: "POST",
        headers: {
          apikey: key,
          "content-type": "application/json",
          ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
        },
        body: JSON.stringify(body),
      }),
    );
    assertEquals(response.status, 200);
    return await response.json();
  };
  const id = await insertConflict(database);
  assertEquals(
    await rpc("resolve_sync_conflict", { id, choice: "local" }, "sb_publishable_test", token),
    { id, status: "resolved" },
  );
  assertEquals(await rpc("reopen_sync_conflict", { id }, "sb_publishable_test", token), {
    id,
    status: "open",
  });
  const decision = { id, choice: "value", value: "Trondheim" };
  assertEquals(await rpc("resolve_sync_conflict", decision, "sb_secret_test"), {
    id,
    status: "resolved",
  });
  assertEquals(await conflictRow(database, id), {
    status: "resolved",
    choice: "value",
    value: "Trondheim",
    by: "service",
    closed: true,
    applied: false,
  });
});
