import { assert, assertEquals } from "@std/assert";
import type { JsonObject } from "./json.ts";
import type { SwitchCases } from "./switch_cases.ts";
import type { TestApi } from "./test_api.ts";

const GONE = "gone@example.com";

async function perPage(api: TestApi, limit: number): Promise<unknown> {
  const { status, body } = await api.call("GET", `subscribers?limit=${limit}`);
  return status === 200 ? (body["meta"] as JsonObject)["per_page"] : status;
}

async function errorKeys(
  api: TestApi,
  method: string,
  path: string,
  body: unknown,
): Promise<string[]> {
  const read = await api.call(method, path, body);
  assertEquals(read.status, 422);
  return Object.keys(read.body["errors"] as JsonObject);
}

/** A subscriber with a status that only lowers. */
function lowered(api: TestApi, status: "unsubscribed" | "bounced" = "unsubscribed"): void {
  api.simulator.seed({ subscribers: [{ email: GONE, status, fields: { name: "Old" } }] });
}

async function statusOf(api: TestApi): Promise<unknown> {
  return (await api.data("GET", `subscribers/${GONE}`))["status"];
}

async function deleted(api: TestApi, rest: JsonObject = {}): Promise<string> {
  const id = await api.subscriber(GONE, rest);
  assertEquals((await api.call("DELETE", `subscribers/${id}`)).status, 204);
  return id;
}

async function storedName(api: TestApi, name: string): Promise<unknown> {
  const { fields } = await api.data("POST", "subscribers", { email: GONE, fields: { name } });
  return (fields as JsonObject)["name"];
}

function twoStatuses(api: TestApi): void {
  api.simulator.seed({
    subscribers: [{ email: "a@example.com" }, { email: GONE, status: "unsubscribed" }],
  });
}

/** Cases of the switches on reading and writing subscribers. */
export const subscriberCases = {
  subscribersPageMax: {
    clamp_1000: async (api) =>
      assertEquals([await perPage(api, 1000), await perPage(api, 5000)], [1000, 1000]),
    clamp_100: async (api) =>
      assertEquals([await perPage(api, 100), await perPage(api, 1000)], [100, 100]),
    reject_above_1000: async (api) =>
      assertEquals([await perPage(api, 1000), await perPage(api, 1001)], [1000, 422]),
    reject_above_100: async (api) =>
      assertEquals([await perPage(api, 100), await perPage(api, 101)], [100, 422]),
  },
  defaultStatusFilter: {
    all: async (api) => {
      twoStatuses(api);
      assertEquals(await api.emails("subscribers"), [GONE, "a@example.com"]);
    },
    active: async (api) => {
      twoStatuses(api);
      assertEquals(await api.emails("subscribers"), ["a@example.com"]);
      assertEquals(await api.emails("subscribers?filter[status]=unsubscribed"), [GONE]);
    },
  },
  countHonoursFilter: {
    yes: async (api) => {
      twoStatuses(api);
      assertEquals(
        (await api.call("GET", "subscribers?limit=0&filter[status]=active")).text,
        '{"total":1}',
      );
    },
    no: async (api) => {
      twoStatuses(api);
      assertEquals(
        (await api.call("GET", "subscribers?limit=0&filter[status]=active")).text,
        '{"total":2}',
      );
    },
  },
  nonsenseCursor: {
    first_page: async (api) => {
      await api.subscriber("a@example.com");
      assertEquals(await api.emails("subscribers?cursor=1"), ["a@example.com"]);
    },
    empty_page: async (api) => {
      await api.subscriber("a@example.com");
      assertEquals(await api.emails("subscribers?cursor=1"), []);
    },
  },
  disallowedFilter: {
    reject_400: async (api) => {
      const { status, body } = await api.call("GET", "subscribers?filter[email]=a");
      assertEquals(status, 400);
      assertEquals(
        body["message"],
        "Requested filter(s) `email` are not allowed. Allowed filter(s) are " +
          "`group, automation, status, form, site, page, import, post`.",
      );
    },
    reject_422: async (api) =>
      assertEquals((await api.call("GET", "subscribers?filter[email]=a")).status, 422),
  },
  putActiveOnLowered: {
    reject_422: async (api) => {
      lowered(api);
      assertEquals(await errorKeys(api, "PUT", `subscribers/${GONE}`, { status: "active" }), [
        "status",
      ]);
      assertEquals(await statusOf(api), "unsubscribed");
    },
    ignore_200: async (api) => {
      lowered(api);
      const row = await api.data("PUT", `subscribers/${GONE}`, {
        status: "active",
        fields: { name: "New" },
      });
      assertEquals([row["status"], (row["fields"] as JsonObject)["name"]], ["unsubscribed", "New"]);
    },
  },
  putFieldsOnUnsubscribed: {
    allow: async (api) => {
      lowered(api);
      const { fields } = await api.data("PUT", `subscribers/${GONE}`, { fields: { name: "New" } });
      assertEquals((fields as JsonObject)["name"], "New");
    },
    reject_422: async (api) => {
      lowered(api);
      assertEquals(
        await errorKeys(api, "PUT", `subscribers/${GONE}`, { fields: { name: "New" } }),
        ["email"],
      );
    },
  },
  resubscribeUnsubscribed: {
    reactivate: async (api) => {
      lowered(api);
      const row = await api.data("POST", "subscribers", { email: GONE, resubscribe: true });
      assertEquals([row["status"], row["unsubscribed_at"]], ["active", null]);
    },
    reject_422: async (api) => {
      lowered(api);
      assertEquals(
        await errorKeys(api, "POST", "subscribers", { email: GONE, resubscribe: true }),
        ["email"],
      );
    },
  },
  resubscribeBouncedOrJunk: {
    reject_422: async (api) => {
      lowered(api, "bounced");
      assertEquals(
        await errorKeys(api, "POST", "subscribers", { email: GONE, resubscribe: true }),
        ["email"],
      );
    },
    reactivate: async (api) => {
      lowered(api, "bounced");
      assertEquals(
        (await api.data("POST", "subscribers", { email: GONE, resubscribe: true }))["status"],
        "active",
      );
    },
  },
  upsertBouncedOrJunk: {
    reject_422: async (api) => {
      lowered(api, "bounced");
      assertEquals(await errorKeys(api, "POST", "subscribers", { email: GONE }), ["email"]);
    },
    accept_200: async (api) => {
      lowered(api, "bounced");
      const row = await api.data("POST", "subscribers", {
        email: GONE,
        status: "active",
        fields: { name: "New" },
      });
      assertEquals([row["status"], (row["fields"] as JsonObject)["name"]], ["bounced", "New"]);
    },
  },
  reviveUnsubscribed: {
    reject_422: async (api) => {
      await deleted(api, { status: "unsubscribed" });
      assertEquals(await errorKeys(api, "POST", "subscribers", { email: GONE }), ["email"]);
    },
    active: async (api) => {
      await deleted(api, { status: "unsubscribed" });
      assertEquals((await api.data("POST", "subscribers", { email: GONE }))["status"], "active");
    },
  },
  postAfterForget: {
    revive: async (api) => {
      const id = await api.subscriber(GONE);
      await api.call("POST", `subscribers/${id}/forget`);
      assertEquals(await api.subscriber(GONE), id);
      api.simulator.advance(31 * 86_400_000);
      assertEquals(await statusOf(api), "active");
    },
    new_id: async (api) => {
      const id = await api.subscriber(GONE);
      await api.call("POST", `subscribers/${id}/forget`);
      const again = await api.call("POST", "subscribers", { email: GONE });
      assertEquals(again.status, 201);
      assert((again.body["data"] as JsonObject)["id"] !== id);
    },
  },
  getAfterDelete: {
    not_found: async (api) =>
      assertEquals((await api.call("GET", `subscribers/${await deleted(api)}`)).status, 404),
    found: async (api) => {
      const { deleted_at } = await api.data("GET", `subscribers/${await deleted(api)}`);
      assertEquals(typeof deleted_at, "string");
      assertEquals(await api.emails("subscribers"), []);
    },
  },
  deleteKeepsFieldValues: {
    yes: async (api) => {
      await deleted(api, { fields: { name: "Old" } });
      const { fields } = await api.data("POST", "subscribers", { email: GONE });
      assertEquals((fields as JsonObject)["name"], "Old");
    },
    no: async (api) => {
      await deleted(api, { fields: { name: "Old" } });
      const { fields } = await api.data("POST", "subscribers", {
        email: GONE,
        fields: { city: "Ulm" },
      });
      assertEquals([(fields as JsonObject)["name"], (fields as JsonObject)["city"]], [null, "Ulm"]);
    },
  },
  deleteEmptiesGroups: {
    yes: async (api) => {
      await deleted(api, { groups: [await api.group("VIP")] });
      assertEquals((await api.data("POST", "subscribers", { email: GONE }))["groups"], []);
    },
    no: async (api) => {
      await deleted(api, { groups: [await api.group("VIP")] });
      const groups =
        (await api.data("POST", "subscribers", { email: GONE }))["groups"] as JsonObject[];
      assertEquals(groups.map((group) => group["name"]), ["VIP"]);
    },
  },
  putByEmail: {
    accept: async (api) => {
      await api.subscriber(GONE);
      assertEquals((await api.call("PUT", `subscribers/${GONE}`, {})).status, 200);
      assertEquals((await api.call("DELETE", `subscribers/${GONE}`)).status, 204);
    },
    not_found: async (api) => {
      await api.subscriber(GONE);
      assertEquals((await api.call("PUT", `subscribers/${GONE}`, {})).status, 404);
      assertEquals((await api.call("GET", `subscribers/${GONE}`)).status, 200);
    },
  },
  emailCollision: {
    reject_422: async (api) => {
      const id = await api.subscriber("a@example.com");
      await api.subscriber("b@example.com");
      assertEquals(await errorKeys(api, "PUT", `subscribers/${id}`, { email: "B@example.com" }), [
        "email",
      ]);
    },
    ignore_200: async (api) => {
      const id = await api.subscriber("a@example.com");
      await api.subscriber("b@example.com");
      assertEquals(
        (await api.data("PUT", `subscribers/${id}`, { email: "b@example.com" }))["email"],
        "a@example.com",
      );
    },
  },
  unknownFields: {
    drop: async (api) => {
      const { status, body } = await api.call("POST", "subscribers", {
        email: GONE,
        fields: { shoe: "44" },
      });
      assertEquals(status, 201);
      assert(!Object.hasOwn((body["data"] as JsonObject)["fields"] as JsonObject, "shoe"));
    },
    reject_422: async (api) =>
      assertEquals(
        await errorKeys(api, "POST", "subscribers", { email: GONE, fields: { shoe: "44" } }),
        ["fields.shoe"],
      ),
  },
  emptyString: {
    null: async (api) => assertEquals(await storedName(api, ""), null),
    keep: async (api) => assertEquals(await storedName(api, ""), ""),
  },
  trimValues: {
    no: async (api) => assertEquals(await storedName(api, " Ada "), " Ada "),
    yes: async (api) => assertEquals(await storedName(api, " Ada "), "Ada"),
  },
  numberType: {
    number: async (api) => assertEquals(await storedNumber(api), 42.5),
    string: async (api) => assertEquals(await storedNumber(api), "42.5"),
  },
  doubleOptIn: {
    off: async (api) =>
      assertEquals((await api.data("POST", "subscribers", { email: GONE }))["status"], "active"),
    on: async (api) => {
      const row = await api.data("POST", "subscribers", { email: GONE });
      assertEquals([row["status"], row["subscribed_at"]], ["unconfirmed", null]);
      // A status that is sent confirms silently (Pipedream, issue 15899).
      assertEquals(
        (await api.data("POST", "subscribers", { email: GONE, status: "active" }))["status"],
        "active",
      );
    },
  },
} satisfies Partial<SwitchCases>;

async function storedNumber(api: TestApi): Promise<unknown> {
  const key = String((await api.data("POST", "fields", { name: "Score", type: "number" }))["key"]);
  const { fields } = await api.data("POST", "subscribers", {
    email: GONE,
    fields: { [key]: "42.5" },
  });
  return (fields as JsonObject)[key];
}
