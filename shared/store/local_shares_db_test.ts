import { assert, assertEquals } from "@std/assert";
import { testDatabase } from "../../tests/lib/database.ts";
import { openDatabase } from "./database.ts";
import { readReferenceShares } from "./local_shares.ts";
import { LocalTable } from "./local_table.ts";

function uuid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
}

Deno.test("readReferenceShares() tells what records refer to and how many share it", async () => {
  await using database = await testDatabase(import.meta.url);
  await using pool = openDatabase({ url: database.url, name: "local-shares-test" });
  await pool.query(`
    create table public.agents (code text primary key, name text);
    alter table public.clients add column agent_id text references public.agents (code);
    insert into public.agents values ('a''x', 'Ann');
    insert into public.partners (id, name) values ('${uuid(100)}', 'One'), ('${uuid(101)}', 'Two');
    insert into public.clients (id, partner_id, agent_id) values
      ('${uuid(1)}', '${uuid(100)}', 'a''x'), ('${uuid(2)}', '${uuid(100)}', null),
      ('${uuid(3)}', '${uuid(100)}', null), ('${uuid(4)}', '${uuid(101)}', 'a''x'),
      ('${uuid(5)}', null, null)`);
  const share = async (paths: string[], ids: number[]) => {
    const name = { schema: "public", table: "clients", id: "id" };
    const opened = await LocalTable.open(pool, name, paths);
    assert("table" in opened);
    return Object.fromEntries(
      await readReferenceShares(pool, opened.table, ids.map((n) => uuid(n))),
    );
  };
  assertEquals(
    await share(["email", "partner.name", "partner.email", "agent.name"], [1, 4, 5, 9]),
    {
      [uuid(1)]: {
        partner: { refId: uuid(100), sharers: 3 },
        agent: { refId: "a'x", sharers: 2 },
      },
      [uuid(4)]: {
        partner: { refId: uuid(101), sharers: 1 },
        agent: { refId: "a'x", sharers: 2 },
      },
      [uuid(5)]: { partner: { refId: null, sharers: 0 }, agent: { refId: null, sharers: 0 } },
    },
  );
  assertEquals(await share(["email"], [1]), { [uuid(1)]: {} });
  assertEquals(await share(["partner.name"], []), {});
});
