import { assertEquals } from "@std/assert";
import type { JsonObject } from "./json.ts";
import { parseBody } from "./json.ts";
import type { SwitchCases } from "./switch_cases.ts";
import type { TestApi } from "./test_api.ts";

const EMAIL = "a@example.com";

/** Lets `act` fire events of these kinds and returns the bodies that went out. */
async function sent(
  api: TestApi,
  events: string[],
  batchable: boolean,
  act: () => Promise<void>,
): Promise<JsonObject[]> {
  const bodies: JsonObject[] = [];
  api.receive = (body) => void bodies.push(parseBody(body));
  await api.call("POST", "webhooks", { url: "https://example.com/hook", events, batchable });
  await act();
  api.simulator.advance(60_000);
  await api.simulator.pumpWebhooks();
  return bodies;
}

async function emailChange(api: TestApi): Promise<number> {
  const id = await api.subscriber(EMAIL);
  const bodies = await sent(api, ["subscriber.updated"], false, async () => {
    await api.call("PUT", `subscribers/${id}`, { email: "b@example.com" });
  });
  return bodies.length;
}

async function revival(api: TestApi): Promise<unknown[]> {
  const id = await api.subscriber(EMAIL);
  await api.call("DELETE", `subscribers/${id}`);
  const bodies = await sent(api, ["subscriber.created", "subscriber.active"], false, async () => {
    await api.call("POST", "subscribers", { email: EMAIL });
  });
  return bodies.map((body) => body["event"]);
}

async function deletion(api: TestApi): Promise<JsonObject> {
  const id = await api.subscriber(EMAIL);
  const bodies = await sent(api, ["subscriber.deleted"], true, async () => {
    await api.call("DELETE", `subscribers/${id}`);
  });
  return (bodies[0]?.["events"] as JsonObject[])[0] ?? {};
}

async function batchSizes(api: TestApi): Promise<unknown[]> {
  const bodies = await sent(api, ["subscriber.created"], true, async () => {
    for (let n = 0; n < 60; n++) await api.subscriber(`p${n}@example.com`);
  });
  return bodies.map((body) => body["total"]);
}

/** Cases of the switches on webhooks. */
export const webhookCases = {
  updatedFiresOnEmailChange: {
    yes: async (api) => assertEquals(await emailChange(api), 1),
    no: async (api) => assertEquals(await emailChange(api), 0),
  },
  revivalEvent: {
    created: async (api) => assertEquals(await revival(api), ["subscriber.created"]),
    active: async (api) => assertEquals(await revival(api), ["subscriber.active"]),
  },
  deletedEventShape: {
    nested: async (api) => {
      const event = await deletion(api);
      assertEquals([event["type"], (event["subscriber"] as JsonObject)["email"]], [
        "subscriber.deleted",
        EMAIL,
      ]);
    },
    flat: async (api) => {
      const event = await deletion(api);
      assertEquals([event["event"], event["email"]], ["subscriber.deleted", EMAIL]);
    },
  },
  webhookBatchMax: {
    "50": async (api) => assertEquals(await batchSizes(api), [50, 10]),
    "1000": async (api) => assertEquals(await batchSizes(api), [60]),
  },
} satisfies Partial<SwitchCases>;
