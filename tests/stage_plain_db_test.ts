/**
 * What the database stages by itself must be, to the letter, what the long way
 * through the canonical definition stages: over values made to trip it.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { SUBSCRIBERS } from "../shared/connectors/mailerlite/spec.ts";
import { decodeSubscriber } from "../shared/connectors/mailerlite/subscriber.ts";
import { mailerlite } from "../shared/connectors/mailerlite/mod.ts";
import { consent, defineSync, pair, requirePair, set } from "../shared/engine/config.ts";
import { stageText } from "../shared/engine/stage_text.ts";
import type { Json } from "../shared/merge/json.ts";
import { stagePage } from "../shared/store/backfill_store.ts";
import { type DatabasePool, openDatabase } from "../shared/store/database.ts";
import { isDataError } from "../shared/store/is_data_error.ts";
import { LeaseLostError } from "../shared/store/lease_lost_error.ts";
import { LocalTable } from "../shared/store/local_table.ts";
import type { Run } from "../shared/store/run.ts";
import { acquireRun } from "../shared/store/runs.ts";
import {
  plainLocalSql,
  plainRemoteSql,
  stagePlainLocal,
  stagePlainRemote,
} from "../shared/store/stage_plain.ts";
import { testDatabase } from "./lib/database.ts";

const { rules } = requirePair(defineSync({
  people: pair({
    local: { table: "people", id: "id", naturalKey: "mail" },
    remote: mailerlite.subscribers({ managedGroups: ["Clients", "V'I\"P", "Zoë"] }),
    fields: {
      mail: { local: "mail", remote: "email" },
      city: { local: "city", remote: "fields.city" },
      odd: { local: "odd_column", remote: 'fields.it\'s "odd"' },
      age: { local: "age", remote: "fields.age", type: "number" },
      born: { local: "born", remote: "fields.born", type: "date" },
      member: { local: "member", remote: "fields.member", type: "boolean" },
      consent: consent({ local: "allowed", remote: "status" }),
      groups: set({ local: "tags", remote: "groups" }),
    },
  }),
}));

const REMOTE_SQL = plainRemoteSql(rules, SUBSCRIBERS.projection);

const words = fc.oneof(
  fc.constantFrom(
    "Oslo",
    "Zürich",
    "Zu\u0308rich",
    " Oslo",
    "Oslo\u00a0",
    "\u2003",
    "",
    "\ufb01n",
    "Ω",
  ),
  fc.constantFrom(
    "a b",
    "A@X.ORG",
    "ann@x.org",
    "ann @x.org",
    "ß@x.org",
    "{x}@[1]",
    "İ",
    "\u1e9b\u0323",
  ),
  fc.constantFrom(
    "\ufeffx",
    "x\u0085",
    "\u0001",
    "tab\tin",
    "line\n",
    "😀",
    "e\u0301\u0301",
    "\u180e",
  ),
  fc.string({ unit: "grapheme", maxLength: 8 }),
  fc.string({ unit: "binary", maxLength: 6 }).filter((t) => t.isWellFormed() && !t.includes("\0")),
);
// What trim() takes off, what it does not, what joins with a letter, and what none of either is.
const outer = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom("", " ", "   ") },
  fc.constantFrom("\t", "\n", "\r", "\v", "\f", " \t ", "\u001c", "\u001f", "\u007f", "\u0085"),
  fc.constantFrom("\u00a0", "\u1680", "\u2000", "\u2001", " \u2028", "\u2029 ", "\u202f", "\u205f"),
  fc.constantFrom("\u3000", "\ufeff", "\u180e", "\u200b", "\u200d", "\u2060", "\u0301", " \u0338"),
);
const texts = fc.oneof(
  words,
  fc.tuple(outer, words, outer).map((parts) => parts.join("")),
  fc.tuple(outer, outer).map((parts) => parts.join("")),
);
// Whose lower case depends on who makes it: capital sharp s, dotted I and dotless i, the signs of
// the Kelvin and of the Ohm, a sigma at the end of a word, letters in two parts, a digraph.
const letters = fc.constantFrom(
  ..."azAZ09.@+_'`{|}~!\u007f \u00a0\u0301ßẞİıiIK\u212aΩ\u2126ΣσςÄäÆǅÅ\u212b",
);
const values: fc.Arbitrary<Json> = fc.oneof(
  { weight: 6, arbitrary: texts },
  { weight: 2, arbitrary: fc.constant(null) },
  fc.constantFrom<Json>(7, 7.5, -0, true, false, "5.00", "2026-01-31", "2026-02-31T00:00:00Z"),
  fc.constantFrom<Json>([], ["x"], {}, { name: "x" }),
);
/** Odd now and then: were every field odd, no record would be plain. */
const mostly = <T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 12, arbitrary: usual }, { weight: 2, arbitrary: odd });
const addresses = fc.nat(99).map((n) => `p${n}+X@Mail.example`);
const asTyped = fc.oneof(
  addresses.map((address) => address.toUpperCase()),
  fc.tuple(outer, addresses, outer).map((parts) => parts.join("")),
  fc.tuple(letters, addresses, letters).map((parts) => parts.join("")),
  fc.string({ unit: letters, maxLength: 8 }),
);
const keys = fc.oneof(
  { weight: 3, arbitrary: addresses.map((address): Json => address.toLowerCase()) },
  asTyped,
);
const nothing = fc.constant<Json>(null);
const names = fc.constantFrom("Clients", "V'I\"P", "Zoë", "Zoe\u0308", "Other");
const groups: fc.Arbitrary<Json> = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.array(names.map((name): Json => ({ name, id: "1" })), { maxLength: 4 }),
  },
  fc.constantFrom<Json>(null, {}, "VIP", [null], ["Clients"], [{ name: 7 }], [{}], [{
    name: "Clients",
  }, {}]),
);
const statuses = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.constantFrom<Json>("active", "unsubscribed", "unconfirmed", "bounced", "junk"),
  },
  fc.constantFrom<Json>("subscribed", "none", "", null, 1, "constructor"),
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 12 });
const subscriber = fc.record({
  id: fc.oneof(
    { weight: 30, arbitrary: fc.nat(40).map(String) },
    fc.constantFrom<Json>("x1", "", 7, null),
  ),
  email: mostly(keys, fc.oneof(texts, fc.constantFrom<Json>(null, 5, {}))),
  status: statuses,
  fields: fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        city: mostly(texts, values),
        'it\'s "odd"': maybe(mostly(nothing, values)),
        age: mostly(nothing, values),
        born: mostly(nothing, values),
        member: mostly(fc.constantFrom<Json>(null, true, false), values),
        unmapped: texts,
      }),
    },
    fc.constantFrom<Json>(null, [], "x"),
  ),
  groups: maybe(groups),
  deleted_at: fc.oneof(
    { weight: 9, arbitrary: fc.constant(undefined) },
    fc.constantFrom<Json>(null, "2026-01-01"),
  ),
});

async function open() {
  const database = await testDatabase(import.meta.url);
  const pool = openDatabase({ url: database.url, name: "stage-plain-test" });
  return {
    pool,
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

async function newRun(pool: DatabasePool, name: string): Promise<Run> {
  const acquired = await acquireRun(pool, {
    functionName: name,
    pair: "people",
    mode: "start",
    force: true,
    staleMs: 90_000,
    params: { staleAfterDays: 30 },
    requestedBy: "secret:default",
  });
  assert(acquired.outcome === "acquired");
  return acquired.run;
}

async function stageTheLongWay(pool: DatabasePool, run: Run, side: "a" | "b", text: string) {
  await stagePage(pool, run, {
    side,
    records: text,
    unreadable: [],
    seen: 0,
    requests: 0,
    cursor: {},
    phase: "Reading",
  });
}

async function takeStage(pool: DatabasePool, run: Run) {
  return await pool.query(
    `with taken as (delete from public.sync_stage where run_id = $1 returning *)
     select record_id, natural_key, doc, token from taken order by record_id collate "C"`,
    [run.id],
  );
}

function longWay(rows: readonly unknown[]) {
  const records = rows.flatMap((row) => {
    const decoded = decodeSubscriber(row);
    return decoded.kind === "record" ? [decoded.record] : [];
  });
  return stageText(records, "remote", rules).text;
}

Deno.test("stagePlainRemote() and what it leaves come to what the long way stages", async () => {
  await using db = await open();
  const fast = await newRun(db.pool, "fast");
  const slow = await newRun(db.pool, "slow");
  let staged = 0;
  let left = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(subscriber, { minLength: 1, maxLength: 60 }), async (rows) => {
      // One row an id: with two, which one stands is a matter of order.
      const unique = [...new Map(rows.map((row) => [JSON.stringify(row.id), row])).values()];
      const answer = new TextEncoder().encode(JSON.stringify({ meta: { n: 1 }, data: unique }));
      const read = await stagePlainRemote(db.pool, fast, REMOTE_SQL, answer, ["3", "99"]);
      await stageTheLongWay(db.pool, fast, "b", longWay(read.rows));
      await stageTheLongWay(db.pool, slow, "b", longWay(JSON.parse(JSON.stringify(unique))));
      assertEquals(await takeStage(db.pool, fast), await takeStage(db.pool, slow));
      assertEquals(read.staged + read.rows.length, unique.length);
      assertEquals(read.envelope, { meta: { n: 1 } });
      assertEquals(read.watched, unique.some(({ id }) => id === "3") ? ["3"] : []);
      staged += read.staged;
      left += read.rows.length;
    }),
    { numRuns: 150 },
  );
  // Both ways were taken, or the property says nothing.
  assert(staged > 100 && left > 100, `${staged} staged, ${left} left`);
});

Deno.test("stagePlainLocal() and what it leaves come to what the long way stages", async () => {
  await using db = await open();
  await db.pool.query(`create table public.people (
    id uuid primary key default gen_random_uuid(), mail text, city text, odd_column varchar(50),
    age numeric, born date, member boolean, allowed text, tags text[])`);
  const fast = await newRun(db.pool, "fast");
  const slow = await newRun(db.pool, "slow");
  const person = fc.record({
    mail: mostly<Json>(keys, fc.option(texts)),
    city: fc.option(texts),
    odd_column: mostly<Json>(nothing, texts),
    age: mostly<Json>(nothing, fc.constantFrom("1", "1.50", "-0", "12345678901234567890.12")),
    born: mostly<Json>(nothing, fc.constantFrom("2026-01-31", "1969-12-31")),
    member: fc.option(fc.boolean()),
    allowed: fc.oneof(
      { weight: 30, arbitrary: fc.constantFrom("subscribed", "none", "pending", "bounced") },
      fc.constantFrom("active", "", null),
    ),
    tags: fc.option(fc.array(names, { maxLength: 4 }), { freq: 9 }),
  });
  let staged = 0;
  let left = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(person, { minLength: 1, maxLength: 60 }), async (people) => {
      await db.pool.query(`truncate public.people`);
      await db.pool.query(
        `insert into public.people (mail, city, odd_column, age, born, member, allowed, tags)
         select mail, city, odd_column, age, born, member, allowed, tags
         from jsonb_populate_recordset(null::public.people, $1)`,
        [JSON.stringify(people)],
      );
      const paths = Object.values(rules.fields).map(({ local }) => local);
      const opened = await LocalTable.open(
        db.pool,
        { schema: "public", table: "people", id: "id" },
        paths,
      );
      assert("table" in opened);
      const sql = plainLocalSql(rules, opened.table);
      const read = await stagePlainLocal(db.pool, fast, sql, null, 100);
      await stageTheLongWay(db.pool, fast, "a", stageText(read.rest, "local", rules).text);
      const all = await opened.table.readPage(db.pool, null, 100);
      await stageTheLongWay(db.pool, slow, "a", stageText(all, "local", rules).text);
      assertEquals(await takeStage(db.pool, fast), await takeStage(db.pool, slow));
      assertEquals([read.staged + read.rest.length, read.last], [
        all.length,
        all.at(-1)?.id ?? null,
      ]);
      staged += read.staged;
      left += read.rest.length;
    }),
    { numRuns: 150 },
  );
  assert(staged > 100 && left > 100, `${staged} staged, ${left} left`);
});

Deno.test("a page that PostgreSQL cannot read is a data error, and a lost lease is none", async () => {
  await using db = await open();
  const run = await newRun(db.pool, "fast");
  const read = (text: string, as = run) =>
    stagePlainRemote(db.pool, as, REMOTE_SQL, new TextEncoder().encode(text), []);
  const row = {
    id: "1",
    email: "a@x.org",
    status: "active",
    fields: { city: "nul\0" },
    groups: [],
  };
  for (
    const broken of [
      JSON.stringify({ data: [row] }),
      JSON.stringify({ data: [{ ...row, fields: { city: "half \ud83d" } }] }),
      '{"data":[{"id":"1"',
      '{"data":{}}',
    ]
  ) {
    const error = await assertRejects(() => read(broken));
    assert(isDataError(error), String(Reflect.get(error, "code")));
  }
  await assertRejects(
    () => read('{"data":[]}', { ...run, fencing: run.fencing - 1 }),
    LeaseLostError,
  );
  assertEquals(await takeStage(db.pool, run), []);
});
