import { assertEquals, assertRejects } from "@std/assert";
import { RemoteError } from "../remote_error.ts";
import { json, type Script, subscriber, testContext } from "./_test_util.ts";
import { MailerLiteClient } from "./client.ts";
import { decodeCursor } from "./cursor.ts";
import { describeAccount } from "./describe.ts";

interface Account {
  readonly groups: readonly { id: string; name: string }[];
  readonly fields: readonly string[];
  /** Ids by status. */
  readonly people: Readonly<Record<string, string>>;
  /** The largest page the lists give. */
  readonly pageMax?: number;
  /** Whether a larger page is refused instead of cut. */
  readonly strict?: boolean;
  /** Whether the status filter does nothing. */
  readonly unfiltered?: boolean;
}

function answer(account: Account, path: string): { code: number; body: unknown } {
  const url = new URL(path, "https://x.test/");
  const limit = Number(url.searchParams.get("limit"));
  const rows = {
    "/api/groups": account.groups,
    "/api/fields": account.fields.map((key, id) => ({ id: String(id), key, name: key })),
  }[url.pathname];
  if (rows === undefined) {
    const status = url.searchParams.get("filter[status]") ?? "";
    const asked = account.unfiltered === true ? "active" : status;
    const id = account.people[asked];
    const data = id === undefined ? [] : [subscriber(id, { status: asked })];
    return { code: 200, body: { data, meta: {} } };
  }
  const max = account.pageMax ?? 1000;
  if (limit > max && account.strict === true) return { code: 422, body: {} };
  const size = Math.min(limit, max);
  const page = Number(url.searchParams.get("page") ?? 1);
  return {
    code: 200,
    body: {
      data: rows.slice((page - 1) * size, page * size),
      meta: {
        current_page: page,
        last_page: Math.max(1, Math.ceil(rows.length / size)),
      },
    },
  };
}

function setUp(account: Account) {
  const script: Script = ({ body, url }) => {
    if (url.pathname !== "/api/batch") {
      const { code, body } = answer(account, url.pathname + url.search);
      return json(body, code);
    }
    const { requests } = body as { requests: { path: string }[] };
    return json({ responses: requests.map(({ path }) => answer(account, `/${path}`)) });
  };
  const context = testContext(script);
  return { context, client: new MailerLiteClient(context) };
}

const EMPTY: Account = { groups: [], fields: [], people: {} };

Deno.test("describeAccount() reads groups, fields and a probe a status in one request", async () => {
  const { context, client } = setUp({
    groups: [
      { id: "7", name: "VIP" },
      { id: "8", name: "constructor" },
      { id: "9", name: "VIP" },
    ],
    fields: ["name", "z_i_p"],
    people: { active: "1", unsubscribed: "2", junk: "3" },
  });
  const schema = await describeAccount(client);
  assertEquals(schema.fields, ["fields.name", "fields.z_i_p"]);
  assertEquals(schema.sets, {
    groups: Object.fromEntries([["VIP", ["7", "9"]], ["constructor", ["8"]]]),
  });
  assertEquals(decodeCursor(schema.start), {
    size: null,
    status: null,
    after: null,
    unseen: [["unsubscribed", "2"], ["junk", "3"]],
    pages: 0,
    mark: null,
  });
  assertEquals(context.sent.length, 1);
});

Deno.test("describeAccount() reads further pages, and smaller ones where large ones are refused", async () => {
  const groups = Array.from({ length: 250 }, (_, i) => ({
    id: String(i),
    name: `Group ${i}`,
  }));
  const fields = Array.from({ length: 230 }, (_, i) => `field_${i}`);
  for (const strict of [false, true]) {
    const { client } = setUp({ groups, fields, people: {}, pageMax: 100, strict });
    const schema = await describeAccount(client);
    assertEquals(Object.keys(schema.sets.groups ?? {}).length, 250);
    assertEquals(schema.fields.length, 230);
  }
});

Deno.test("describeAccount() of an empty account is empty", async () => {
  const schema = await describeAccount(setUp(EMPTY).client);
  assertEquals([schema.fields, schema.sets], [[], { groups: {} }]);
});

Deno.test("describeAccount() does not take an ignored filter for proof", async () => {
  const { client } = setUp({ ...EMPTY, people: { active: "1" }, unfiltered: true });
  const error = await assertRejects(() => describeAccount(client), RemoteError);
  assertEquals(error.code, "remote_invalid_answer");
});
