import { assert, assertEquals } from "@std/assert";
import type { JsonObject } from "./json.ts";
import type { SwitchCases } from "./switch_cases.ts";
import { START_MS, type TestApi } from "./test_api.ts";

const EMAIL = "a@example.com";
const GET_FIELDS = { method: "GET", path: "api/fields" };
const UPSERT = { method: "POST", path: "api/subscribers", body: { email: EMAIL } };

async function remaining(api: TestApi): Promise<number> {
  return Number((await api.call("GET", "fields")).headers.get("x-ratelimit-remaining"));
}

async function batch(api: TestApi, requests: unknown[]): Promise<JsonObject[]> {
  const { status, body } = await api.call("POST", "batch", { requests });
  assertEquals(status, 200);
  return body["responses"] as JsonObject[];
}

async function exhaust(api: TestApi): Promise<Headers> {
  api.simulator.setLimits({ perMinute: 1 });
  await api.call("GET", "fields");
  api.simulator.advance(10_000);
  const { status, headers } = await api.call("GET", "fields");
  assertEquals(status, 429);
  return headers;
}

async function fourOver(api: TestApi): Promise<number> {
  api.simulator.setLimits({ perMinute: 3 });
  return (await api.call("POST", "batch", {
    requests: [GET_FIELDS, GET_FIELDS, GET_FIELDS, GET_FIELDS],
  })).status;
}

async function activeCount(api: TestApi): Promise<unknown[]> {
  const group = await api.group("VIP");
  const id = await api.subscriber(EMAIL);
  const counts = [(await api.data("POST", `subscribers/${id}/groups/${group}`))["active_count"]];
  for (const ms of [4999, 1]) {
    api.simulator.advance(ms);
    counts.push((await api.data("GET", `groups/${group}`))["active_count"]);
  }
  return counts;
}

async function listed(api: TestApi): Promise<string[]> {
  const group = await api.group("VIP");
  await api.subscriber(EMAIL, { groups: [group] });
  return await api.emails(`groups/${group}/subscribers`);
}

async function runImport(api: TestApi): Promise<JsonObject> {
  const group = await api.group("VIP");
  await api.subscriber(EMAIL, { groups: [group] });
  await api.call("POST", `groups/${group}/import-subscribers`, { subscribers: [{ email: EMAIL }] });
  api.simulator.advance(1000);
  return ((await api.call("GET", "subscribers/import")).body["data"] as JsonObject[])[0] ?? {};
}

async function importOf(api: TestApi, count: number): Promise<number> {
  const subscribers = Array.from(
    { length: count },
    (_, index) => ({ email: `p${index}@example.com` }),
  );
  return (await api.call("POST", `groups/${await api.group("VIP")}/import-subscribers`, {
    subscribers,
  })).status;
}

async function sixthImport(api: TestApi): Promise<Headers> {
  for (let n = 0; n < 5; n++) assertEquals(await importOf(api, 1), 200);
  const group = await api.group("VIP");
  const sixth = await api.call("POST", `groups/${group}/import-subscribers`, {
    subscribers: [{ email: EMAIL }],
  });
  assertEquals(sixth.status, 429);
  return sixth.headers;
}

async function createMany(
  api: TestApi,
  count: number,
  make: (n: number) => [string, unknown],
): Promise<number[]> {
  const statuses: number[] = [];
  for (let n = 0; n < count; n++) {
    const [path, body] = make(n);
    statuses.push((await api.call("POST", path, body)).status);
  }
  return statuses;
}

const hook = (
  n: number,
): [string, unknown] => ["webhooks", {
  url: `https://example.com/${n}`,
  events: ["subscriber.created"],
}];
const field = (n: number): [string, unknown] => ["fields", { name: `Field ${n}`, type: "text" }];

/** Nine requests at once: the simulator's sleep holds them in flight together. */
async function nineAtOnce(api: TestApi): Promise<number> {
  api.simulator.setFaults([{ effect: { kind: "latency", ms: 5 } }]);
  const all = await Promise.all(Array.from({ length: 9 }, () => api.call("GET", "fields")));
  return all.filter((read) => read.status === 429).length;
}

/** Cases of the switches on groups, fields, batches, imports and limits. */
export const accountCases = {
  groupsPageDefault: {
    "100": async (api) =>
      assertEquals(((await api.call("GET", "groups")).body["meta"] as JsonObject)["per_page"], 100),
    "250": async (api) =>
      assertEquals(((await api.call("GET", "groups")).body["meta"] as JsonObject)["per_page"], 250),
  },
  batchCost: {
    one: async (api) => {
      await batch(api, [GET_FIELDS, GET_FIELDS, GET_FIELDS]);
      assertEquals(await remaining(api), 118);
    },
    per_item: async (api) => {
      await batch(api, [GET_FIELDS, GET_FIELDS, GET_FIELDS]);
      assertEquals(await remaining(api), 116);
    },
  },
  batchItemLimit: {
    whole_batch: async (api) => {
      api.simulator.setSwitches({ batchCost: "per_item" });
      assertEquals(await fourOver(api), 429);
    },
    item: async (api) => {
      api.simulator.setSwitches({ batchCost: "per_item" });
      api.simulator.setLimits({ perMinute: 3 });
      const answers = await batch(api, [GET_FIELDS, GET_FIELDS, GET_FIELDS, GET_FIELDS]);
      assertEquals(answers.map((answer) => answer["code"]), [200, 200, 200, 429]);
    },
  },
  batchOverflow: {
    reject_422: async (api) => {
      const requests = Array.from({ length: 51 }, () => GET_FIELDS);
      const { status, body } = await api.call("POST", "batch", { requests });
      assertEquals([status, Object.keys(body["errors"] as JsonObject)], [422, ["requests"]]);
    },
    reject_400: async (api) => {
      const requests = Array.from({ length: 51 }, () => GET_FIELDS);
      assertEquals((await api.call("POST", "batch", { requests })).status, 400);
    },
  },
  batchExecution: {
    in_order: async (api) => assertEquals(await twoNames(api), "second"),
    reversed: async (api) => assertEquals(await twoNames(api), "first"),
  },
  batchNoContentBody: {
    null: async (api) => assertEquals(await deleteInBatch(api), { code: 204, body: null }),
    empty_string: async (api) => assertEquals(await deleteInBatch(api), { code: 204, body: "" }),
  },
  allUpsertBatchBodies: {
    full: async (api) => {
      const [first, second] = await batch(api, [UPSERT, UPSERT]);
      assertEquals([first?.["code"], second?.["code"]], [201, 200]);
      assertEquals(((second?.["body"] as JsonObject)["data"] as JsonObject)["email"], EMAIL);
    },
    empty: async (api) => {
      assertEquals(await batch(api, [UPSERT]), [{ code: 200, body: null }]);
      assertEquals(await api.emails("subscribers"), [EMAIL]);
      const [mixed] = await batch(api, [UPSERT, GET_FIELDS]);
      assert(mixed?.["body"] !== null);
    },
  },
  fieldsMax: {
    none: async (api) => {
      api.simulator.setLimits({ enabled: false });
      assertEquals((await createMany(api, 101, field)).at(-1), 201);
    },
    "100": async (api) => {
      api.simulator.setLimits({ enabled: false });
      assertEquals((await createMany(api, 101, field)).slice(-2), [201, 422]);
    },
  },
  duplicateGroupNames: {
    allow: async (api) =>
      assertEquals(await createMany(api, 2, () => ["groups", { name: "VIP" }]), [201, 201]),
    reject_422: async (api) =>
      assertEquals(await createMany(api, 2, () => ["groups", { name: "VIP" }]), [201, 422]),
  },
  groupCounters: {
    lagging: async (api) => assertEquals(await activeCount(api), [0, 0, 1]),
    immediate: async (api) => assertEquals(await activeCount(api), [1, 1, 1]),
  },
  groupListLag: {
    none: async (api) => assertEquals(await listed(api), [EMAIL]),
    lagging: async (api) => {
      assertEquals(await listed(api), []);
      api.simulator.advance(5000);
      const [group] = (await api.call("GET", "groups")).body["data"] as JsonObject[];
      assertEquals(await api.emails(`groups/${group?.["id"]}/subscribers`), [EMAIL]);
    },
  },
  importMaxItems: {
    none: async (api) => assertEquals(await importOf(api, 1001), 200),
    "1000": async (api) =>
      assertEquals([await importOf(api, 1000), await importOf(api, 1001)], [200, 422]),
  },
  importSamples: {
    empty: async (api) => {
      const done = await runImport(api);
      assertEquals([done["errored"], done["unchanged_count"], done["unchanged"]], [1, 0, []]);
    },
    filled: async (api) => {
      const done = await runImport(api);
      assertEquals([done["errored"], done["unchanged_count"]], [1, 1]);
      assertEquals((done["unchanged"] as JsonObject[]).map((row) => row["email"]), [EMAIL]);
    },
  },
  subscribersImport: {
    accept: async (api) => {
      assertEquals(
        (await api.call("POST", "subscribers/import", { subscribers: [{ email: EMAIL }] })).status,
        200,
      );
      api.simulator.advance(1000);
      assertEquals(await api.emails("subscribers"), [EMAIL]);
    },
    reject_422: async (api) =>
      assertEquals(
        (await api.call("POST", "subscribers/import", { subscribers: [{ email: EMAIL }] })).status,
        422,
      ),
  },
  limitScope: {
    account: async (api) => {
      await api.call("GET", "fields");
      assertEquals(
        (await api.call("GET", "fields", undefined, "second")).headers.get("x-ratelimit-remaining"),
        "118",
      );
    },
    token: async (api) => {
      await api.call("GET", "fields");
      assertEquals(
        (await api.call("GET", "fields", undefined, "second")).headers.get("x-ratelimit-remaining"),
        "119",
      );
    },
  },
  inFlightCeiling: {
    none: async (api) => assertEquals(await nineAtOnce(api), 0),
    "8": async (api) => assert(await nineAtOnce(api) > 0),
  },
  retryAfterOn429: {
    window: async (api) => assertEquals((await exhaust(api)).get("retry-after"), "50"),
    documented_119: async (api) => assertEquals((await exhaust(api)).get("retry-after"), "119"),
    absent: async (api) => assertEquals((await exhaust(api)).get("retry-after"), null),
  },
  rateLimitReset: {
    absent: async (api) => assertEquals((await exhaust(api)).get("x-ratelimit-reset"), null),
    present: async (api) =>
      assertEquals((await exhaust(api)).get("x-ratelimit-reset"), String(START_MS / 1000 + 60)),
  },
  importRateHeaders: {
    global: async (api) => assertEquals((await sixthImport(api)).get("x-ratelimit-limit"), "120"),
    import: async (api) => {
      const headers = await sixthImport(api);
      assertEquals([headers.get("x-ratelimit-limit"), headers.get("x-ratelimit-remaining")], [
        "5",
        "0",
      ]);
    },
  },
  methodNotAllowedBody: {
    json: async (api) => {
      const { status, body, headers } = await api.call("PATCH", "subscribers", {});
      assertEquals([status, headers.get("allow")], [405, "GET, HEAD, POST"]);
      assertEquals(
        body["message"],
        "The PATCH method is not supported for route api/subscribers. Supported methods: GET, HEAD, POST.",
      );
    },
    html: async (api) => {
      const { status, headers } = await api.call("PATCH", "subscribers", {});
      assertEquals([status, headers.get("content-type")], [405, "text/html; charset=UTF-8"]);
    },
  },
  webhooksMax: {
    none: async (api) => assertEquals((await createMany(api, 11, hook)).at(-1), 201),
    "10": async (api) => assertEquals((await createMany(api, 11, hook)).slice(-2), [201, 422]),
  },
} satisfies Partial<SwitchCases>;

async function twoNames(api: TestApi): Promise<unknown> {
  const upsert = (name: string) => ({ ...UPSERT, body: { email: EMAIL, fields: { name } } });
  await batch(api, [upsert("first"), upsert("second"), GET_FIELDS]);
  const { fields } = await api.data("GET", `subscribers/${EMAIL}`);
  return (fields as JsonObject)["name"];
}

async function deleteInBatch(api: TestApi): Promise<JsonObject | undefined> {
  const id = await api.subscriber(EMAIL);
  return (await batch(api, [{ method: "DELETE", path: `api/subscribers/${id}` }]))[0];
}
