import { assert, assertEquals, assertRejects } from "@std/assert";
import { z } from "zod";
import { readAllRows, readRows, readRowsOf } from "./read_rows.ts";
import type { RowQuery } from "./row_query.ts";
import { LookError } from "./sync_client.ts";

const ROW = z.object({ id: z.number() });
const QUERY = { table: "t", columns: "id" };

Deno.test("readAllRows() goes on until a page is empty, however short the pages are", async () => {
  const asked: RowQuery[] = [];
  const pages = [[{ id: 1 }, { id: 2 }], [{ id: 7 }], []];
  const select = (query: RowQuery) => {
    asked.push(query);
    return Promise.resolve(pages[asked.length - 1] ?? []);
  };
  const found: number[] = [];
  for await (const page of readAllRows({ select }, QUERY, ROW, "id", ({ id }) => id)) {
    found.push(...page.map(({ id }) => id));
  }
  assertEquals(found, [1, 2, 7]);
  assertEquals(asked.map(({ where }) => where), [[], [["id", "gt", 2]], [["id", "gt", 7]]]);
});

Deno.test("readRowsOf() asks for a hundred values at a time, and for nothing where there are none", async () => {
  const sizes: number[] = [];
  const select = ({ where = [] }: RowQuery) => {
    const [, , values] = where.at(-1) ?? [];
    sizes.push(Array.isArray(values) ? values.length : 0);
    return Promise.resolve([{ id: 1 }]);
  };
  const ids = Array.from({ length: 201 }, (_, n) => n);
  assertEquals((await readRowsOf({ select }, QUERY, ROW, "id", ids)).length, 3);
  assertEquals(sizes, [100, 100, 1]);
  await readRowsOf({ select }, QUERY, ROW, "id", []);
  assertEquals(sizes.length, 3);
});

Deno.test("readRows() refuses a row of another form, and quotes no value of it", async () => {
  const select = () => Promise.resolve([{ id: "secret" }]);
  const error = await assertRejects(() => readRows({ select }, QUERY, ROW), LookError);
  assert(error.message.includes("'id'") && !error.message.includes("secret"));
});
