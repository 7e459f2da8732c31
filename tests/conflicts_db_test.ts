/** Decisions about conflicts: what they store and log, what is refused, and what two people at once see. */
import { assertEquals, assertFalse } from "@std/assert";
import type { Json } from "../shared/merge/json.ts";
import { type TestDatabase, testDatabase } from "./lib/database.ts";
import {
  begin,
  call,
  type Caller,
  claimsOf,
  type ConflictInput,
  conflictRow,
  insertConflict,
  OPEN,
  OPERATOR,
  operator,
  refusal,
  reopen,
  resolve,
} from "./lib/decisions.ts";
import { until } from "./lib/until.ts";

const OTHER_OPERATOR = "22222222-2222-4222-8222-222222222222";

async function logRows(database: TestDatabase): Promise<unknown[]> {
  const { rows } = await database.pool.query(
    `select run_id, pair, a_id = md5('ann')::uuid as a, b_id, crosswalk_id is not null as linked,
       side, action, field, before, after, rule, applied
     from public.sync_log order by id`,
  );
  return rows;
}

function logged(side: "a" | "b", action: string): unknown {
  return {
    run_id: null,
    pair: "people",
    a: true,
    b_id: "7",
    linked: true,
    side,
    action,
    field: "city",
    before: null,
    after: null,
    rule: "decision",
    applied: false,
  };
}

/** Waits until some backend of the database waits for a lock. */
async function untilOneWaits(database: TestDatabase): Promise<void> {
  await until("a statement waits for a lock", async () => {
    const { rowCount } = await database.pool.query(
      `select 1 from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rowCount === 1 ? true : undefined;
  });
}

Deno.test("an operator decides for a side or a value, and the log tells which side will change", async () => {
  await using database = await testDatabase(import.meta.url);
  const cases = [
    { choice: "local", value: undefined, side: "b" },
    { choice: "remote", value: undefined, side: "a" },
    { choice: "value", value: "Trondheim", side: "a" },
  ] as const;
  for (const [i, { choice, value, side }] of cases.entries()) {
    const id = await insertConflict(database);
    assertEquals(await resolve(database, id, choice, value), { id, status: "resolved" });
    assertEquals(await conflictRow(database, id), {
      status: "resolved",
      choice,
      value: value ?? null,
      by: `user:${OPERATOR}`,
      closed: true,
      applied: false,
    });
    assertEquals((await logRows(database)).slice(i), [logged(side, "resolve")]);
  }
});

Deno.test("what no field can take is refused, without a value in the message", async () => {
  await using database = await testDatabase(import.meta.url);
  const text = await insertConflict(database);
  const flag = await insertConflict(database, { field: "member", a: true, b: false });
  const list = await insertConflict(database, { field: "groups", a: ["Oslo-in-a"], b: [] });
  const blank = await insertConflict(database, { field: "name", a: null, b: null });
  const long = "Bergen".repeat(1_700);
  const cases: [id: number, choice: string | null, value: Json | undefined, why: string][] = [
    [text, "both", undefined, "the choice must be local, remote or value"],
    [text, "", "Bergen", "the choice must be local, remote or value"],
    [text, null, undefined, "the choice must be local, remote or value"],
    [text, "value", undefined, "the choice value takes a value, and there is none"],
    [text, "value", null, "the choice value takes a value, and there is none"],
    [text, "local", "Bergen", "the choice local takes no value, and there is one"],
    [text, "remote", "", "the choice remote takes no value, and there is one"],
    [text, "value", long, "the value has 10200 characters, and 10000 is the most"],
    [list, "value", [long], "the value has 10204 characters, and 10000 is the most"],
    [
      text,
      "value",
      { city: "Bergen" },
      "the value must be text, a number or a boolean, not a JSON object",
    ],
    [text, "value", ["Bergen"], "the value must be text, a number or a boolean, not a JSON array"],
    [blank, "value", [], "the value must be text, a number or a boolean, not a JSON array"],
    [list, "value", "Bergen", "the value must be a list of texts, as the sides are"],
    [list, "value", { city: "Bergen" }, "the value must be a list of texts, as the sides are"],
    [list, "value", ["Bergen", 7], "the value must be a list of texts, as the sides are"],
    [list, "value", [["Bergen"]], "the value must be a list of texts, as the sides are"],
    [list, "value", [null], "the value must be a list of texts, as the sides are"],
    [
      flag,
      "value",
      "Bergen",
      "the value must be true or false, as the sides are, not a JSON string",
    ],
    [flag, "value", 1, "the value must be true or false, as the sides are, not a JSON number"],
    [flag, "value", {}, "the value must be true or false, as the sides are, not a JSON object"],
  ];
  for (const [id, choice, value, why] of cases) {
    const [code, message] = await refusal(resolve(database, id, choice, value));
    assertEquals([code, message], ["22023", `Cannot resolve conflict ${id}: ${why}`]);
    assertFalse(/Oslo|Bergen/.test(message));
  }
  for (const id of [text, flag, list, blank]) assertEquals(await conflictRow(database, id), OPEN);
  assertEquals(await logRows(database), []);
});

Deno.test("a conflict that is unknown or not open is refused", async () => {
  await using database = await testDatabase(import.meta.url);
  const superseded = await insertConflict(database, { status: "superseded" });
  const resolved = await insertConflict(database);
  await resolve(database, resolved, "local");
  const before = await logRows(database);
  assertEquals(await refusal(resolve(database, 999, "local")), [
    "PT404",
    "Cannot resolve conflict 999: there is no such conflict",
  ]);
  assertEquals(await refusal(resolve(database, superseded, "local")), [
    "PT409",
    `Cannot resolve conflict ${superseded}: it is not open, it is superseded`,
  ]);
  assertEquals(await refusal(resolve(database, resolved, "remote")), [
    "PT409",
    `Cannot resolve conflict ${resolved}: it is not open, it is resolved`,
  ]);
  assertEquals(await refusal(reopen(database, 999)), [
    "PT404",
    "Cannot reopen conflict 999: there is no such conflict",
  ]);
  assertEquals(await refusal(reopen(database, superseded)), [
    "PT409",
    `Cannot reopen conflict ${superseded}: it is not resolved, it is superseded`,
  ]);
  assertEquals(await logRows(database), before);
});

Deno.test("a value is kept as it was given, and a number as its digits", async () => {
  await using database = await testDatabase(import.meta.url);
  const sides = { text: {}, blank: { a: null, b: null }, flag: { a: true, b: null } } as const;
  const list: ConflictInput = { a: null, b: ["VIP"] };
  const cases: [input: ConflictInput, json: string, stored: Json][] = [
    [sides.text, '"x"', "x"],
    [sides.text, '""', ""],
    [sides.text, "7", "7"],
    [sides.text, "12345678901234567890.10", "12345678901234567890.10"],
    [sides.blank, "true", true],
    [sides.blank, JSON.stringify("x".repeat(10_000)), "x".repeat(10_000)],
    [sides.flag, "false", false],
    [sides.flag, '""', ""],
    [list, '["Clients", "VIP"]', ["Clients", "VIP"]],
    [list, "[]", []],
  ];
  for (const [input, json, stored] of cases) {
    const id = await insertConflict(database, input);
    await call(database, operator, "public.resolve_sync_conflict($1, 'value', $2)", id, json);
    const { rows } = await database.pool.query(
      "select resolved_value as value from public.sync_conflicts where id = $1",
      [id],
    );
    assertEquals(rows, [{ value: stored }]);
  }
  // A number that a few characters make enormous.
  const id = await insertConflict(database);
  const huge = call(
    database,
    operator,
    "public.resolve_sync_conflict($1, 'value', '1e100000')",
    id,
  );
  assertEquals((await refusal(huge))[0], "22023");
});

Deno.test("a list, true or false sent as a text is read as what it says, where the sides are no texts", async () => {
  await using database = await testDatabase(import.meta.url);
  const list: ConflictInput = { a: null, b: ["VIP"] };
  const flag: ConflictInput = { a: true, b: null };
  const cases: [input: ConflictInput, sent: string, stored: Json][] = [
    [list, '["Clients","VIP"]', ["Clients", "VIP"]],
    [list, "[]", []],
    [flag, "false", false],
    [flag, "true", true],
    // Of a text nothing else is made.
    [{}, "true", "true"],
    [{}, '["VIP"]', '["VIP"]'],
    [{ a: null, b: null }, "[]", "[]"],
  ];
  for (const [input, sent, stored] of cases) {
    const id = await insertConflict(database, input);
    await resolve(database, id, "value", sent);
    const { rows } = await database.pool.query(
      "select resolved_value as value from public.sync_conflicts where id = $1",
      [id],
    );
    assertEquals(rows, [{ value: stored }]);
  }
  const refused = [[list, "[Oslo"], [list, '[["Oslo"]]'], [flag, "yes"]] as const;
  for (const [index, [input, sent]] of refused.entries()) {
    // They stay open, and of a field there is one open conflict.
    const id = await insertConflict(database, { ...input, field: `city_${index}` });
    const [code, message] = await refusal(resolve(database, id, "value", sent));
    assertEquals([code, message.includes("Oslo")], ["22023", false]);
  }
  // The function behind it is nobody's to call.
  const [code] = await refusal(
    call(database, operator, "sync_private.decide_conflict(1, 'local', null)"),
  );
  assertEquals(code, "42501");
});

Deno.test("of two operators at once the second is told that the conflict is not open", async () => {
  await using database = await testDatabase(import.meta.url);
  const other: Caller = {
    role: "authenticated",
    claims: claimsOf("operator", OTHER_OPERATOR),
  };
  for (const [how, winner] of [["commit", OPERATOR], ["rollback", OTHER_OPERATOR]] as const) {
    const id = await insertConflict(database);
    const decisions = (await logRows(database)).length;
    await using first = await begin(database, operator);
    await using second = await begin(database, other);
    await first.call("public.resolve_sync_conflict($1, 'local')", id);
    const late = second.call("public.resolve_sync_conflict($1, 'remote')", id);
    const outcome = how === "commit" ? refusal(late) : late;
    await untilOneWaits(database);
    await first.end(how);
    assertEquals(
      await outcome,
      how === "commit"
        ? ["PT409", `Cannot resolve conflict ${id}: it is not open, it is resolved`]
        : { id, status: "resolved" },
    );
    await second.end(how === "commit" ? "rollback" : "commit");
    const { rows } = await database.pool.query(
      "select resolved_by as by from public.sync_conflicts where id = $1",
      [id],
    );
    assertEquals(rows, [{ by: `user:${winner}` }]);
    assertEquals((await logRows(database)).length, decisions + 1);
  }
});

Deno.test("a decision is taken back as long as no run has carried it out", async () => {
  await using database = await testDatabase(import.meta.url);
  const id = await insertConflict(database);
  assertEquals(await refusal(reopen(database, id)), [
    "PT409",
    `Cannot reopen conflict ${id}: it is not resolved, it is open`,
  ]);
  await resolve(database, id, "local");
  assertEquals(await reopen(database, id), { id, status: "open" });
  assertEquals(await conflictRow(database, id), OPEN);
  await resolve(database, id, "value", "Trondheim");
  assertEquals(await logRows(database), [
    logged("b", "resolve"),
    logged("b", "reopen"),
    logged("a", "resolve"),
  ]);

  // The run that carries it out is at it.
  const run = await database.connect();
  try {
    await run.query("begin");
    await run.query("update public.sync_conflicts set applied_at = now() where id = $1", [id]);
    const late = refusal(reopen(database, id));
    await untilOneWaits(database);
    await run.query("commit");
    assertEquals(await late, [
      "PT409",
      `Cannot reopen conflict ${id}: its decision has been carried out`,
    ]);
  } finally {
    await run.end();
  }
  assertEquals((await logRows(database)).length, 3);
});

Deno.test("a decision is not taken back while another conflict is open on the same field", async () => {
  await using database = await testDatabase(import.meta.url);
  const first = await insertConflict(database);
  await resolve(database, first, "local");
  const decided = await conflictRow(database, first);
  const second = await insertConflict(database);
  assertEquals(await refusal(reopen(database, first)), [
    "PT409",
    `Cannot reopen conflict ${first}: another conflict is open for the same record and field`,
  ]);
  assertEquals(await conflictRow(database, first), decided);
  assertEquals((await logRows(database)).length, 1);
  await resolve(database, second, "remote");
  assertEquals(await reopen(database, first), { id: first, status: "open" });
});

Deno.test("a conflict without a link can be decided", async () => {
  await using database = await testDatabase(import.meta.url);
  const id = await insertConflict(database);
  await database.pool.query("update public.sync_conflicts set crosswalk_id = null");
  await resolve(database, id, "remote");
  const { rows } = await database.pool.query(
    "select side, crosswalk_id, a_id from public.sync_log",
  );
  assertEquals(rows, [{ side: "a", crosswalk_id: null, a_id: null }]);
});
