import { assertEquals } from "@std/assert";
import { isJsonObject, type Json, type JsonObject } from "./json.ts";
import { RECORDED, RECORDED_TEXTS, type Shape } from "./recorded_shapes.ts";
import { TestApi } from "./test_api.ts";

const TYPES: Readonly<Record<string, (value: Json) => boolean>> = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  boolean: (value) => typeof value === "boolean",
  id: (value) =>
    typeof value === "string" && /^\d{16,19}$/.test(value) && BigInt(value) > 2n ** 53n,
  date: (value) => typeof value === "string" && /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(value),
  iso: (value) =>
    typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000000Z$/.test(value),
};

/** Names every place where a value is not of the shape. */
function misfits(value: Json, shape: Shape, at: string): string[] {
  if (typeof shape === "string") {
    const optional = shape.endsWith("?");
    const fits = TYPES[shape.replace("?", "")];
    return fits !== undefined && (fits(value) || (optional && value === null))
      ? []
      : [`${at}: not a ${shape}`];
  }
  if (Array.isArray(shape)) {
    if (!Array.isArray(value)) return [`${at}: not a list`];
    return value.flatMap((item, index) => misfits(item, shape[0], `${at}[${index}]`));
  }
  if (!isJsonObject(value)) return [`${at}: not an object`];
  const wanted = Object.keys(shape).join();
  const found = Object.keys(value).join();
  if (wanted !== found) return [`${at}: keys ${found}, recorded ${wanted}`];
  const inner = shape as { readonly [key: string]: Shape };
  return Object.entries(value).flatMap(([key, item]) =>
    misfits(item, inner[key] ?? "missing", `${at}.${key}`)
  );
}

async function furnished(): Promise<{ api: TestApi; fill: (text: string) => string }> {
  const api = new TestApi();
  const gid = await api.group("Members");
  const empty = await api.group("Empty");
  const sid = await api.subscriber("member@example.com", { groups: [gid] });
  await api.call("POST", "webhooks", {
    url: "https://example.com/a",
    events: ["subscriber.updated"],
  });
  const started = await api.call("POST", `groups/${gid}/import-subscribers`, {
    subscribers: [{ email: "i@example.com" }],
  });
  const iid = String(started.body["import_progress_url"]).split("/").at(-1) ?? "";
  api.simulator.advance(2000);
  const ids: Record<string, string> = { sid, gid, iid, empty };
  return { api, fill: (text) => text.replace(/\{(sid|gid|iid)\}/g, (_, name) => ids[name] ?? "") };
}

for (const { source, request: [method, path, body], status, shape } of RECORDED) {
  Deno.test(`shape of ${method} ${path}: ${source}`, async () => {
    const { api, fill } = await furnished();
    const read = await api.call(method, fill(path), body);
    assertEquals(read.status, status);
    assertEquals(misfits(read.body, shape, "body"), []);
    // A list without rows would fit any shape.
    const { data } = read.body;
    if (Array.isArray(data)) assertEquals(data.length > 0, true);
  });
}

for (const { source, request: [method, path, body], status, text } of RECORDED_TEXTS) {
  Deno.test(`text of ${method} ${path}: ${source}`, async () => {
    const api = new TestApi();
    const gid = await api.group("Empty");
    const fill = (template: string) => template.replace("{gid}", gid);
    const read = await api.call(method, fill(path), body);
    assertEquals(read.status, status);
    assertEquals(read.text, fill(text));
  });
}

Deno.test("401: MailerLite docs, Getting started; mailerlite-python cassettes, groups-import-subscribers", async () => {
  const api = new TestApi();
  for (const path of ["subscribers", "groups/1/subscribers/import"]) {
    const { status, text, headers } = await api.call("GET", path, undefined, "wrong");
    assertEquals([status, text], [401, '{"message":"Unauthenticated."}']);
    assertEquals([headers.get("x-ratelimit-limit"), headers.get("x-locale")], [null, null]);
  }
  assertEquals((await api.call("GET", "fields")).headers.get("x-ratelimit-remaining"), "119");
});

Deno.test("headers of 200, 204 and 404: mailerlite-python cassettes, groups-delete (2025-09-19)", async () => {
  const api = new TestApi();
  const pick = (headers: Headers) =>
    ["content-type", "x-locale", "x-ratelimit-limit", "cache-control"].map((name) =>
      headers.get(name)
    );
  const gid = await api.group("Members");
  const found = await api.call("GET", `groups/${gid}`);
  assertEquals(pick(found.headers), ["application/json", "en", "120", "no-cache, private"]);
  assertEquals(found.headers.get("date"), "Tue, 13 Aug 2024 09:49:51 GMT");
  const gone = await api.call("DELETE", `groups/${gid}`);
  assertEquals([gone.status, gone.text], [204, ""]);
  assertEquals(pick(gone.headers), [null, "en", "120", "no-cache, private"]);
  assertEquals(pick((await api.call("DELETE", `groups/${gid}`)).headers), [
    "application/json",
    null,
    "120",
    "no-cache, private",
  ]);
});

Deno.test("cursor and next link, word for word: mailerlite-nodejs tapes, subscribers/test-GET-2", async () => {
  const api = new TestApi();
  const ids = ["75005710539163012", "75005710539163011"];
  api.simulator.seed({ subscribers: ids.map((id) => ({ id, email: `${id}@example.com` })) });
  const { body } = await api.call("GET", "subscribers?filter[status]=active&limit=1");
  const cursor = "eyJpZCI6NzUwMDU3MTA1MzkxNjMwMTIsIl9wb2ludHNUb05leHRJdGVtcyI6dHJ1ZX0";
  assertEquals((body["meta"] as JsonObject)["next_cursor"], cursor);
  const next = `https://connect.mailerlite.com/api/subscribers?cursor=${cursor}`;
  assertEquals((body["links"] as JsonObject)["next"], next);
});

Deno.test("page links of a long list: mailerlite-java fixtures, SubscribersTest_TestGetSubscriberImports", async () => {
  const api = new TestApi({ limits: { enabled: false, perMinute: 120, importsPerMinute: 5 } });
  const gid = await api.group("Members");
  for (let n = 0; n < 114; n++) {
    await api.call("POST", `groups/${gid}/import-subscribers`, {
      subscribers: [{ email: "a@example.com" }],
    });
  }
  const { body } = await api.call("GET", "subscribers/import");
  const meta = body["meta"] as JsonObject;
  const url = (page: number) =>
    `https://connect.mailerlite.com/api/subscribers/import?page=${page}`;
  assertEquals(body["links"], { first: url(1), last: url(8), prev: null, next: url(2) });
  assertEquals([meta["last_page"], meta["per_page"], meta["to"], meta["total"]], [8, 15, 15, 114]);
  const labels = (meta["links"] as JsonObject[]).map((link) => link["label"]);
  assertEquals(labels, [
    "&laquo; Previous",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "Next &raquo;",
  ]);
});
