import { assertEquals } from "@std/assert";
import type { JsonObject } from "./json.ts";
import { TestApi } from "./test_api.ts";

async function column(api: TestApi, path: string, key: string): Promise<unknown[]> {
  return ((await api.call("GET", path)).body["data"] as JsonObject[]).map((row) => row[key]);
}

Deno.test("groups are listed by name without case and punctuation, filtered and paged", async () => {
  const api = new TestApi();
  for (const name of ["beta", "[Alpha]", "Gamma"]) await api.group(name);
  assertEquals(await column(api, "groups", "name"), ["[Alpha]", "beta", "Gamma"]);
  assertEquals(await column(api, "groups?sort=-name", "name"), ["Gamma", "beta", "[Alpha]"]);
  assertEquals(await column(api, "groups?filter[name]=AMM", "name"), ["Gamma"]);
  assertEquals(await column(api, "groups?limit=2&page=2", "name"), ["Gamma"]);
});

Deno.test("a group is renamed and removed, and its members show it at once", async () => {
  const api = new TestApi();
  const id = await api.group("Old");
  await api.subscriber("a@example.com", { groups: [id] });
  assertEquals((await api.data("PUT", `groups/${id}`, { name: "New" }))["name"], "New");
  const groups = async () =>
    (await api.data("GET", "subscribers/a@example.com"))["groups"] as JsonObject[];
  assertEquals((await groups()).map((group) => group["name"]), ["New"]);
  assertEquals((await api.call("DELETE", `groups/${id}`)).status, 204);
  assertEquals(await groups(), []);
  assertEquals((await api.call("PUT", `groups/${id}`, { name: "x" })).status, 404);
});

Deno.test("a group's name is required and at most 255 letters long", async () => {
  const api = new TestApi();
  for (const body of [{}, { name: " " }, { name: "x".repeat(256) }]) {
    const { status, body: answer } = await api.call("POST", "groups", body);
    assertEquals([status, Object.keys(answer["errors"] as JsonObject)], [422, ["name"]]);
  }
});

Deno.test("assign answers 422 for what is no id and 404 for what is not there", async () => {
  const api = new TestApi();
  const sid = await api.subscriber("a@example.com");
  assertEquals((await api.call("POST", `subscribers/${sid}/groups/vip`)).body["errors"], {
    id: ["The id must be a number."],
  });
  assertEquals((await api.call("POST", `subscribers/${sid}/groups/77`)).status, 404);
  assertEquals((await api.call("DELETE", `subscribers/${sid}/groups/77`)).body["message"], "");
});

Deno.test("members are counted by status, in step with every way to change one", async () => {
  const api = new TestApi({ switches: { groupCounters: "immediate" } });
  const gid = await api.group("VIP");
  const id = await api.subscriber("a@example.com", { groups: [gid] });
  await api.subscriber("b@example.com", { groups: [gid] });
  const counts = async () => {
    const group = await api.data("GET", `groups/${gid}`);
    return [group["active_count"], group["unsubscribed_count"]];
  };
  assertEquals(await counts(), [2, 0]);
  await api.call("PUT", `subscribers/${id}`, { status: "unsubscribed" });
  assertEquals(await counts(), [1, 1]);
  await api.call("DELETE", `subscribers/${id}`);
  assertEquals(await counts(), [1, 0]);
  await api.call("PUT", "subscribers/b@example.com", { groups: [] });
  assertEquals(await counts(), [0, 0]);
});

Deno.test("a field's key is made from its name once and survives a rename (mailerlite-nodejs tapes, fields)", async () => {
  const api = new TestApi();
  const field = await api.data("POST", "fields", {
    name: "Test field nodejs 348710",
    type: "text",
  });
  assertEquals(field["key"], "test_field_nodejs_348710");
  const renamed = await api.data("PUT", `fields/${field["id"]}`, { name: "Other" });
  assertEquals([renamed["name"], renamed["key"]], ["Other", "test_field_nodejs_348710"]);
});

Deno.test("built-in fields have their recorded ids and order (mailerlite-python cassettes, fields-list)", async () => {
  const api = new TestApi();
  assertEquals(await column(api, "fields", "key"), [
    "city",
    "company",
    "country",
    "last_name",
    "name",
    "phone",
    "state",
    "z_i_p",
  ]);
  assertEquals(await column(api, "fields", "id"), ["5", "3", "4", "2", "1", "6", "7", "8"]);
});

Deno.test("every row shows a new field as null and loses a removed one", async () => {
  const api = new TestApi();
  await api.subscriber("a@example.com");
  const keys = async () => {
    const { fields } = await api.data("GET", "subscribers/a@example.com");
    return Object.keys(fields as JsonObject).at(-1);
  };
  const { id } = await api.data("POST", "fields", { name: "Score", type: "number" });
  assertEquals(await keys(), "score");
  assertEquals((await api.call("DELETE", `fields/${id}`)).status, 204);
  assertEquals(await keys(), "z_i_p");
  assertEquals((await api.call("DELETE", "fields/1")).status, 422);
});

Deno.test("values are checked by the field's type", async () => {
  const api = new TestApi();
  await api.call("POST", "fields", { name: "Score", type: "number" });
  await api.call("POST", "fields", { name: "Born", type: "date" });
  const wrong = await api.call("POST", "subscribers", {
    email: "a@example.com",
    fields: { score: "ten", born: "soon" },
  });
  assertEquals(Object.keys(wrong.body["errors"] as JsonObject), ["fields.score", "fields.born"]);
  const right = await api.data("POST", "subscribers", {
    email: "a@example.com",
    fields: { score: 10, born: "1815-12-10" },
  });
  const { score, born } = right["fields"] as JsonObject;
  assertEquals([score, born], [10, "1815-12-10"]);
});
