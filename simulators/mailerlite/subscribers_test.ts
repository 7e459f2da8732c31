import { assert, assertEquals, assertThrows } from "@std/assert";
import type { JsonObject } from "./json.ts";
import { TestApi } from "./test_api.ts";

const EMAIL = "ada@example.com";

function names(row: JsonObject): unknown[] {
  return (row["groups"] as JsonObject[]).map((group) => group["name"]);
}

Deno.test("an upsert answers 201 for a new address and 200 for a known one", async () => {
  const api = new TestApi();
  const first = await api.call("POST", "subscribers", { email: EMAIL, fields: { name: "Ada" } });
  const second = await api.call("POST", "subscribers", { email: EMAIL, fields: { city: "Ulm" } });
  assertEquals([first.status, second.status], [201, 200]);
  const { fields } = second.body["data"] as JsonObject;
  assertEquals([(fields as JsonObject)["name"], (fields as JsonObject)["city"]], ["Ada", "Ulm"]);
});

Deno.test("addresses are lower-cased and found in any case (mailerlite-python, subscribers-unassign)", async () => {
  const api = new TestApi();
  const row = await api.data("POST", "subscribers", { email: "MNMnxYoVFs@Email.com " });
  assertEquals(row["email"], "mnmnxyovfs@email.com");
  assertEquals((await api.data("GET", "subscribers/MNMNXYOVFS@email.com"))["id"], row["id"]);
});

Deno.test("an upsert that changes nothing leaves updated_at alone, a group moves it", async () => {
  const api = new TestApi();
  const group = await api.group("VIP");
  const row = await api.data("POST", "subscribers", { email: EMAIL, fields: { name: "Ada" } });
  api.simulator.advance(90_000);
  const same = await api.data("POST", "subscribers", { email: EMAIL, fields: { name: "Ada" } });
  assertEquals(same["updated_at"], row["updated_at"]);
  await api.call("POST", `subscribers/${row["id"]}/groups/${group}`);
  assertEquals(
    (await api.data("GET", `subscribers/${EMAIL}`))["updated_at"],
    "2024-08-13 09:51:21",
  );
  api.simulator.advance(5000);
  await api.call("DELETE", `subscribers/${row["id"]}/groups/${group}`);
  assertEquals(
    (await api.data("GET", `subscribers/${EMAIL}`))["updated_at"],
    "2024-08-13 09:51:26",
  );
});

Deno.test("POST adds groups, PUT replaces them, PUT without groups leaves them", async () => {
  const api = new TestApi();
  const [a, b] = [await api.group("A"), await api.group("B")];
  const id = await api.subscriber(EMAIL, { groups: [a] });
  assertEquals(names(await api.data("POST", "subscribers", { email: EMAIL, groups: [b] })), [
    "A",
    "B",
  ]);
  assertEquals(names(await api.data("PUT", `subscribers/${id}`, { fields: { name: "Ada" } })), [
    "A",
    "B",
  ]);
  assertEquals(names(await api.data("PUT", `subscribers/${id}`, { groups: [b] })), ["B"]);
  assertEquals(names(await api.data("PUT", `subscribers/${id}`, { groups: [] })), []);
});

Deno.test("PUT changes the address under the same id and clears a field with null", async () => {
  const api = new TestApi();
  const id = await api.subscriber(EMAIL, { fields: { name: "Ada" } });
  const row = await api.data("PUT", `subscribers/${id}`, {
    email: "Lovelace@example.com",
    fields: { name: null },
  });
  assertEquals([row["id"], row["email"], (row["fields"] as JsonObject)["name"]], [
    id,
    "lovelace@example.com",
    null,
  ]);
  assertEquals((await api.call("GET", `subscribers/${EMAIL}`)).status, 404);
  // mailerlite-nodejs tapes, PUT: fields.email is dropped.
  const kept = await api.data("PUT", `subscribers/${id}`, { fields: { email: "x@example.com" } });
  assertEquals(kept["email"], "lovelace@example.com");
});

Deno.test("an upsert of an unsubscribed address is refused with the subscriber's id (mailerlite-nodejs, issue 37)", async () => {
  const api = new TestApi();
  const id = await api.subscriber(EMAIL, { status: "unsubscribed" });
  const { status, body } = await api.call("POST", "subscribers", {
    email: EMAIL,
    fields: { name: "Ada" },
  });
  assertEquals([status, body["subscriber"]], [422, id]);
  assertEquals(body["errors"], {
    email: ["This subscriber is unsubscribed and cannot be imported"],
  });
});

Deno.test("a deleted address comes back under its id with 200 (mailerlite-python, subscribers-forget)", async () => {
  const api = new TestApi();
  const row = await api.data("POST", "subscribers", { email: EMAIL });
  const path = `subscribers/${row["id"]}`;
  assertEquals((await api.call("DELETE", path)).status, 204);
  assertEquals((await api.call("DELETE", path)).status, 404);
  assertEquals(await api.emails("subscribers"), []);
  assertEquals((await api.call("GET", "subscribers?limit=0")).text, '{"total":0}');
  api.simulator.advance(60_000);
  const again = await api.call("POST", "subscribers", { email: EMAIL });
  const revived = again.body["data"] as JsonObject;
  assertEquals([again.status, revived["id"], revived["created_at"]], [
    200,
    row["id"],
    row["created_at"],
  ]);
  assertEquals(revived["updated_at"], "2024-08-13 09:50:51");
  assertEquals(api.simulator.history().map((entry) => entry.kind), [
    "subscriber.create",
    "subscriber.delete",
    "subscriber.revive",
  ]);
});

Deno.test("a forgotten subscriber is erased after 30 days", async () => {
  const api = new TestApi();
  const id = await api.subscriber(EMAIL);
  const { data } = (await api.call("POST", `subscribers/${id}/forget`)).body;
  const row = data as JsonObject;
  assertEquals([row["deleted_at"], row["forget_at"]], [
    "2024-08-13 09:49:51",
    "2024-09-12 09:49:51",
  ]);
  assertEquals(api.simulator.counts().deleted, 1);
  api.simulator.advance(30 * 86_400_000);
  assertEquals(api.simulator.counts().deleted, 0);
  assertEquals((await api.call("POST", "subscribers", { email: EMAIL })).status, 201);
});

Deno.test("a list is walked once, newest first, forwards and back", async () => {
  const api = new TestApi();
  api.simulator.seed({
    subscribers: Array.from({ length: 7 }, (_, n) => ({ email: `p${n}@example.com` })),
  });
  const seen: string[] = [];
  let query = "";
  let last: JsonObject = {};
  do {
    const { body } = await api.call("GET", `subscribers?limit=3${query}`);
    seen.push(...(body["data"] as JsonObject[]).map((row) => String(row["email"])));
    last = body["meta"] as JsonObject;
    query = `&cursor=${last["next_cursor"]}`;
  } while (last["next_cursor"] !== null);
  assertEquals(seen, [6, 5, 4, 3, 2, 1, 0].map((n) => `p${n}@example.com`));
  const back = await api.emails(`subscribers?limit=3&cursor=${last["prev_cursor"]}`);
  assertEquals(back, ["p3@example.com", "p2@example.com", "p1@example.com"]);
});

Deno.test("a row created or deleted during a walk shifts no page", async () => {
  const api = new TestApi();
  api.simulator.seed({
    subscribers: Array.from({ length: 6 }, (_, n) => ({ email: `p${n}@example.com` })),
  });
  const { body } = await api.call("GET", "subscribers?limit=3");
  const cursor = (body["meta"] as JsonObject)["next_cursor"];
  await api.subscriber("new@example.com");
  await api.call("DELETE", "subscribers/p3@example.com");
  await api.call("DELETE", "subscribers/p1@example.com");
  assertEquals(await api.emails(`subscribers?limit=3&cursor=${cursor}`), [
    "p2@example.com",
    "p0@example.com",
  ]);
});

Deno.test("lists filter by status, group and import; nobody came through a form", async () => {
  const api = new TestApi();
  api.simulator.seed({
    subscribers: [{ email: "a@example.com", groups: ["VIP"] }, {
      email: "b@example.com",
      status: "junk",
      groups: ["VIP"],
    }],
  });
  const [vip] = (await api.call("GET", "groups")).body["data"] as JsonObject[];
  const id = vip?.["id"];
  assertEquals(await api.emails("subscribers?filter[status]=junk"), ["b@example.com"]);
  assertEquals(await api.emails("subscribers?filter%5Bstatus%5D=active"), ["a@example.com"]);
  assertEquals(await api.emails(`subscribers?filter[group]=${id}`), [
    "b@example.com",
    "a@example.com",
  ]);
  assertEquals(await api.emails("subscribers?filter[form]=1"), []);
  assertEquals(await api.emails(`groups/${id}/subscribers`), ["a@example.com"]);
  const { body } = await api.call("POST", `groups/${id}/import-subscribers`, {
    subscribers: [{ email: "c@example.com" }],
  });
  api.simulator.advance(1000);
  const importId = String(body["import_progress_url"]).split("/").at(-1);
  assertEquals(await api.emails(`subscribers?filter[import]=${importId}`), ["c@example.com"]);
});

Deno.test("bad input is refused by its path, several at once", async () => {
  const api = new TestApi();
  const body = {
    email: "nobody",
    status: "gone",
    groups: [{ id: 1 }, "7"],
    subscribed_at: "yesterday",
  };
  const { status, body: answer } = await api.call("POST", "subscribers", body);
  assertEquals(status, 422);
  assertEquals(Object.keys(answer["errors"] as JsonObject), [
    "email",
    "status",
    "groups.0",
    "groups.1",
    "subscribed_at",
  ]);
  assertEquals(answer["message"], "The email must be a valid email address. (and 4 more errors)");
  assertEquals((await api.call("POST", "subscribers", {})).body["errors"], {
    email: ["The email field is required."],
  });
});

Deno.test("an unsubscribe is stamped and shows in the activity log", async () => {
  const api = new TestApi();
  const id = await api.subscriber(EMAIL);
  const row = await api.data("PUT", `subscribers/${id}`, { status: "unsubscribed" });
  assertEquals([row["status"], row["unsubscribed_at"]], ["unsubscribed", "2024-08-13 09:49:51"]);
  const log = (await api.call("GET", `subscribers/${id}/activity-log`))
    .body["data"] as JsonObject[];
  assertEquals(log.map((entry) => entry["log_name"]), ["unsubscribed"]);
});

Deno.test("unicode and slashes are written as PHP writes them and read back whole", async () => {
  const api = new TestApi();
  const read = await api.call("POST", "subscribers", {
    email: EMAIL,
    fields: { name: 'Zoë "/" 🦄\n', city: "Łódź" },
  });
  assert(read.text.includes('"Zo\\u00eb \\"\\/\\" \\ud83e\\udd84\\n"'));
  const { fields } = read.body["data"] as JsonObject;
  assertEquals([(fields as JsonObject)["name"], (fields as JsonObject)["city"]], [
    'Zoë "/" 🦄\n',
    "Łódź",
  ]);
});

Deno.test("seeds come in any order of dates and ids, and a doubled id is refused", async () => {
  const api = new TestApi();
  const day = (n: number) => ({ email: `d${n}@example.com`, created_at: `2023-01-0${n} 00:00:00` });
  api.simulator.seed({ subscribers: [day(2), day(3), day(1)] });
  assertEquals(await api.emails("subscribers"), [3, 2, 1].map((n) => `d${n}@example.com`));
  const twice = ["a", "b"].map((name) => ({
    id: "90000000000000001",
    email: `${name}@example.com`,
  }));
  assertThrows(
    () => api.simulator.seed({ subscribers: twice }),
    TypeError,
    "id 90000000000000001 is taken twice",
  );
});
