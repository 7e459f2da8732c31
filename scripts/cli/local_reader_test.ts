import { assertEquals } from "@std/assert";
import { requirePair } from "../../shared/engine/config.ts";
import config from "../../sync.config.ts";
import { dataApiReader, localColumns, localPaths, localRowOf } from "./local_reader.ts";
import type { RowQuery } from "./row_query.ts";

const PATHS = ["email", "partner.name", "partner_id", "partner.email", "groups"];

Deno.test("localColumns() reaches through foreign keys as the Data API does", () => {
  assertEquals(
    localColumns("id", PATHS),
    "id,email,partner_id,groups,partner:partner_id(name,email)",
  );
});

Deno.test("localRowOf() lays flat what was reached, and what refers to nothing is null", () => {
  const row = { id: "1", email: "a@x.org", partner_id: "p", groups: ["VIP"] };
  assertEquals(localRowOf({ ...row, partner: { name: "Pat", email: null } }, "id", PATHS).doc, {
    email: "a@x.org",
    "partner.name": "Pat",
    partner_id: "p",
    "partner.email": null,
    groups: ["VIP"],
  });
  const { doc } = localRowOf({ ...row, partner_id: null, partner: null }, "id", PATHS);
  assertEquals([doc["partner.name"], doc["partner_id"]], [null, null]);
});

Deno.test("dataApiReader() reads by keyset, and by ids a hundred at a time", async () => {
  const pair = requirePair(config);
  const asked: RowQuery[] = [];
  const reader = dataApiReader({
    select: (query) => {
      asked.push(query);
      return Promise.resolve([]);
    },
  }, pair);
  await reader.readPage(null);
  await reader.readPage("x");
  await reader.readByIds(Array.from({ length: 250 }, (_, n) => `${n}`));
  assertEquals(asked.map(({ where = [] }) => where[0]?.[1]), [undefined, "gt", "in", "in", "in"]);
  assertEquals(asked[0]?.columns, localColumns("id", localPaths(pair)));
  assertEquals(asked[0]?.order, { column: "id" });
});
