import { assertEquals, assertRejects } from "@std/assert";
import { RemoteError } from "../remote_error.ts";
import { json, type Script, subscriber, testContext } from "./_test_util.ts";
import { MailerLiteClient } from "./client.ts";
import { decodeCursor, encodeCursor, type ListState } from "./cursor.ts";
import { listSubscribers } from "./list.ts";

const START: ListState = {
  size: null,
  status: null,
  after: null,
  unseen: [],
  pages: 0,
  mark: null,
};

function page(ids: number[], next: string | null, perPage: unknown = 1000) {
  return json({
    data: ids.map((id) => subscriber(String(id))),
    links: { next: "https://mailerlite.test/api/subscribers?cursor=wrong" },
    meta: { path: "x", per_page: perPage, next_cursor: next, prev_cursor: null },
  });
}

function setUp(script: Script) {
  const context = testContext(script);
  return { context, client: new MailerLiteClient(context) };
}

async function walk(
  client: MailerLiteClient,
  state: Partial<ListState> = {},
): Promise<string[][]> {
  const pages: string[][] = [];
  let cursor: string | null = encodeCursor({ ...START, ...state });
  while (cursor !== null) {
    const { records, next } = await listSubscribers(client, cursor);
    pages.push(records.map(({ id }) => id));
    cursor = next;
  }
  return pages;
}

const codeOf = async (work: Promise<unknown>) =>
  (await assertRejects(() => work, RemoteError)).code;

Deno.test("listSubscribers() sends every parameter with every page", async () => {
  const pages = [page([5, 4], "c1"), page([3], "c2"), page([], null)];
  const { context, client } = setUp((_, number) => pages[number - 1] ?? new Error("too many"));
  assertEquals(await walk(client), [["5", "4"], ["3"], []]);
  assertEquals(context.sent.map(({ url }) => Object.fromEntries(url.searchParams)), [
    { include: "groups", limit: "1000" },
    { include: "groups", limit: "1000", cursor: "c1" },
    { include: "groups", limit: "1000", cursor: "c2" },
  ]);
});

Deno.test("listSubscribers() goes on with the page size that the server gives", async () => {
  for (const perPage of [100, "100"]) {
    const pages = [page([5], "c1", perPage), page([4], null, perPage)];
    const { context, client } = setUp((_, number) => pages[number - 1] ?? new Error("too many"));
    await walk(client);
    assertEquals(
      context.sent.map(({ url }) => url.searchParams.get("limit")),
      ["1000", "100"],
    );
  }
});

Deno.test("listSubscribers() asks for a hundred where a thousand is refused", async () => {
  for (const status of [400, 422]) {
    const { context, client } = setUp(({ url }) => {
      if (Number(url.searchParams.get("limit")) > 100) return json({}, status);
      return url.searchParams.has("cursor") ? page([1], null, 100) : page([2], "c1", 100);
    });
    assertEquals(await walk(client), [["2"], ["1"]]);
    assertEquals(
      context.sent.map(({ url }) => url.searchParams.get("limit")),
      ["1000", "100", "100"],
    );
  }
});

Deno.test("listSubscribers() lists by itself each status of which nobody came up", async () => {
  const { context, client } = setUp(({ url }) => {
    switch (url.searchParams.get("filter[status]")) {
      case "unsubscribed":
        return url.searchParams.has("cursor") ? page([6], null) : page([7], "c1");
      case "junk":
        return page([8], null);
      default:
        return page([9, 3], null);
    }
  });
  const unseen: ListState["unseen"] = [
    ["unsubscribed", "7"],
    ["bounced", "3"],
    ["junk", "8"],
  ];
  assertEquals(await walk(client, { unseen }), [["9", "3"], ["7"], ["6"], ["8"]]);
  assertEquals(context.sent.length, 4);
});

Deno.test("listSubscribers() needs no further request where everybody came up", async () => {
  const pages = [page([9, 8], "c1"), page([7], null)];
  const { context, client } = setUp((_, number) => pages[number - 1] ?? new Error("too many"));
  await walk(client, { unseen: [["bounced", "7"], ["junk", "9"]] });
  assertEquals(context.sent.length, 2);
});

Deno.test("listSubscribers() takes an unreadable row for seen, and the rest of its page for good", async () => {
  const { client } = setUp(() =>
    json({
      data: [
        subscriber("3", { status: "unheard of" }),
        null,
        subscriber("2"),
        subscriber("1", { deleted_at: "2026-01-01 00:00:00" }),
      ],
      meta: { per_page: 1000, next_cursor: null },
    })
  );
  const unseen: ListState["unseen"] = [["junk", "3"]];
  const start = encodeCursor({ ...START, unseen });
  const seen = await listSubscribers(client, start);
  assertEquals(seen.records.map(({ id }) => id), ["2"]);
  assertEquals(seen.unreadable.map(({ id }) => id), ["3", null]);
  assertEquals(seen.next, null);
});

Deno.test("listSubscribers() takes no envelope for the end that does not say so", async () => {
  const bodies = [
    { data: [] },
    { data: [], meta: { per_page: 1000 } },
    { data: [], meta: { per_page: 1000, next_cursor: "" } },
    { data: [], meta: { per_page: 0, next_cursor: null } },
    { data: [], meta: { per_page: "many", next_cursor: null } },
    { data: null, meta: { per_page: 1000, next_cursor: null } },
    { data: {}, meta: { per_page: 1000, next_cursor: null } },
    { message: "maintenance" },
    [],
  ];
  for (const body of bodies) {
    const { client } = setUp(() => json(body));
    const code = await codeOf(listSubscribers(client, encodeCursor(START)));
    assertEquals(code, "remote_invalid_answer");
  }
});

Deno.test("listSubscribers() tells a cursor the server refuses from one that is damaged", async () => {
  for (const status of [400, 422]) {
    const { client } = setUp(() => json({}, status));
    const state = { ...START, size: 1000, after: "c9", pages: 9 };
    assertEquals(
      await codeOf(listSubscribers(client, encodeCursor(state))),
      "cursor_refused",
    );
  }
  const { context, client } = setUp(() => page([], null));
  assertEquals(await codeOf(listSubscribers(client, "xyz")), "invalid_cursor");
  assertEquals(context.sent.length, 0);
});

Deno.test("listSubscribers() notices a list that goes round, however long the way", async () => {
  for (const [tail, circle] of [[0, 1], [0, 2], [3, 4], [10, 7]] as const) {
    const { context, client } = setUp(({ url }) => {
      const at = Number(url.searchParams.get("cursor")?.slice(1) ?? 0);
      const next = at + 1 < tail + circle ? at + 1 : tail;
      return page([at + 1], `c${next}`);
    });
    assertEquals(await codeOf(walk(client)), "cursor_loop");
    const bound = 3 * (tail + circle) + 3;
    assertEquals(context.sent.length <= bound, true, `${tail} ${circle}`);
  }
});

Deno.test("the place of a list remembers one server cursor only, however many pages", async () => {
  const { client } = setUp((_, number) =>
    page([10_000 - number], number === 500 ? null : `c${number}`)
  );
  let cursor: string | null = encodeCursor(START);
  let longest = 0;
  while (cursor !== null) {
    cursor = (await listSubscribers(client, cursor)).next;
    longest = Math.max(longest, cursor?.length ?? 0);
  }
  assertEquals(longest < 300, true);
});

Deno.test("a list can be taken up at any of its places", async () => {
  const script: Script = ({ url }) => {
    const at = Number(url.searchParams.get("cursor") ?? 5);
    return page([at], at === 1 ? null : String(at - 1));
  };
  const { client } = setUp(script);
  const whole = await walk(client);
  let cursor: string | null = encodeCursor(START);
  const places: string[] = [];
  while (cursor !== null) {
    places.push(cursor);
    cursor = (await listSubscribers(client, cursor)).next;
  }
  for (const [index, place] of places.entries()) {
    const rest = await walk(setUp(script).client, decodeCursor(place));
    assertEquals(rest, whole.slice(index));
  }
});
